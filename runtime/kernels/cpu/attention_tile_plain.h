/* In float32, for any processor: sixteen sums side by side, which compilers turn into vectors. */

typedef const bf16 *tile_keys;

#define AT_A_TIME 1

static void prepare_keys(tile_keys *k, const bf16 *keys, int head_dim) {
    (void)head_dim;
    *k = keys;
}

static void tile_scores(float *scores, const bf16 *const *queries, const tile_keys *k,
                        const bf16 *ahead, int head_dim, int n) {
    (void)ahead;
    (void)n;
    float query[MAX_HEAD_DIM];
    for (int d = 0; d < head_dim; d++) query[d] = widened(queries[0][d]);
    for (int token = 0; token < TILE; token++) {
        const bf16 *key = *k + token * head_dim;
        float lanes[16] = {0};
        for (int d = 0; d < head_dim; d += 16)
            for (int i = 0; i < 16; i++) lanes[i] += query[d + i] * widened(key[d + i]);
        scores[token] = sum_of_lanes(lanes);
    }
}

static void tile_values(float *const *sums, const float *weights, const bf16 *values,
                        const bf16 *ahead, int head_dim, int count, int n) {
    (void)ahead;
    (void)n;
    for (int token = 0; token < count; token++) {
        const bf16 *value = values + token * head_dim;
        for (int d = 0; d < head_dim; d++) sums[0][d] += weights[token] * widened(value[d]);
    }
}

static void store_row(bf16 *out, const float *sums, float scale, int head_dim) {
    for (int d = 0; d < head_dim; d++) out[d] = rounded(sums[d] * scale);
}
