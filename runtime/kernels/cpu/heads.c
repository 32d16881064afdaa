/* Between the projection and attention: heads are normalised and rotated where they are, and keys
 * and values are copied to the cache.
 *
 * T rows, H query heads, K key/value heads, D head size, S slots. */
#include <stddef.h>

#include "heads.h"
#include "rows.h"

/* Pairs are half a head apart. */
static void rotate(bf16 *x, const float *restrict cos, const float *restrict sin, int half) {
    bf16 *restrict low = x, *restrict high = x + half;
    for (int i = 0; i < half; i++) {
        float a = widened(low[i]), b = widened(high[i]);
        low[i] = rounded(a * cos[i] - b * sin[i]);
        high[i] = rounded(b * cos[i] + a * sin[i]);
    }
}

static void normalise(bf16 *x, const float *restrict weight, int size, float eps) {
    float scale = inverse_rms(x, size, eps);
    for (int i = 0; i < size; i++) x[i] = rounded(widened(x[i]) * scale * weight[i]);
}

static void do_row(const void *arg, int row) {
    const heads *h = arg;
    int head_dim = h->head_dim, num_rotated = h->num_heads + h->num_kv_heads;
    bf16 *x = h->qkv + (ptrdiff_t)row * (num_rotated + h->num_kv_heads) * head_dim;
    const float *cos = h->cos + (ptrdiff_t)row * (head_dim / 2);
    const float *sin = h->sin + (ptrdiff_t)row * (head_dim / 2);
    for (int head = 0; head < num_rotated; head++) {
        int is_query = head < h->num_heads;
        const float *weight = is_query ? h->q_norm : h->k_norm;
        bf16 *own = x + (ptrdiff_t)head * head_dim;
        if (weight) normalise(own, weight, head_dim, is_query ? h->q_eps : h->k_eps);
        rotate(own, cos, sin, head_dim / 2);
    }
    int64_t slot = h->slots ? h->slots[row] : h->first_slot + row;
    const bf16 *keys = x + (ptrdiff_t)h->num_heads * head_dim;
    const bf16 *values = x + (ptrdiff_t)num_rotated * head_dim;
    size_t bytes = (size_t)head_dim * sizeof(bf16);
    for (int head = 0; head < h->num_kv_heads; head++) {
        ptrdiff_t at = (head * h->num_slots + slot) * head_dim;
        memcpy(h->keys + at, keys + (ptrdiff_t)head * head_dim, bytes);
        memcpy(h->values + at, values + (ptrdiff_t)head * head_dim, bytes);
    }
}

RNJ_EXPORT void rnj_write_heads(const heads *h, int num_threads) {
    int64_t numbers = (int64_t)h->num_rows * (h->num_heads + h->num_kv_heads) * h->head_dim;
    rnj_run(do_row, h, h->num_rows, threads_for(numbers, num_threads));
}
