/* In float32: bfloat16 is widened by a shift where the index is even, by a mask where it is odd. */
#include <immintrin.h>

typedef const bf16 *tile_keys;

#define AT_A_TIME 3 /* queries: with two tokens, their sums and factors fit in 16 registers */

static void prepare_keys(tile_keys *k, const bf16 *keys, int head_dim) {
    (void)head_dim;
    *k = keys;
}

INLINE __m256i load16(const bf16 *x) { return _mm256_loadu_si256((const void *)x); }
INLINE __m256 even(__m256i x) { return _mm256_castsi256_ps(_mm256_slli_epi32(x, 16)); }
INLINE __m256 odd(__m256i x) {
    return _mm256_castsi256_ps(_mm256_and_si256(x, _mm256_set1_epi32((int)0xffff0000)));
}

INLINE float sum_of(__m256 x) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

INLINE void scores_of(float *scores, const bf16 *const *queries, const bf16 *keys,
                      const bf16 *ahead, int head_dim, const int n) {
    for (int token = 0; token < TILE; token += 2) {
        __m256 sums[AT_A_TIME][2];
#pragma GCC unroll 3
        for (int i = 0; i < n; i++) sums[i][0] = sums[i][1] = _mm256_setzero_ps();
        const bf16 *first = keys + token * head_dim;
        for (int d = 0; d < 2 * head_dim; d += 32) __builtin_prefetch(ahead + token * head_dim + d);
        for (int d = 0; d < head_dim; d += 16) {
            __m256i k0 = load16(first + d), k1 = load16(first + head_dim + d);
#pragma GCC unroll 3
            for (int i = 0; i < n; i++) {
                __m256i q = load16(queries[i] + d);
                sums[i][0] = _mm256_fmadd_ps(even(q), even(k0), sums[i][0]);
                sums[i][0] = _mm256_fmadd_ps(odd(q), odd(k0), sums[i][0]);
                sums[i][1] = _mm256_fmadd_ps(even(q), even(k1), sums[i][1]);
                sums[i][1] = _mm256_fmadd_ps(odd(q), odd(k1), sums[i][1]);
            }
        }
#pragma GCC unroll 3
        for (int i = 0; i < n; i++) {
            scores[i * TILE + token] = sum_of(sums[i][0]);
            scores[i * TILE + token + 1] = sum_of(sums[i][1]);
        }
    }
}

/* Of each 16 elements: those with even indices, then those with odd ones. */
INLINE void values_of(float *const *all_sums, const float *weights, const bf16 *values,
                      const bf16 *ahead, int head_dim, int count, const int n) {
    for (int d = 0; d < head_dim; d += 32) {
        __m256 sums[AT_A_TIME][4];
#pragma GCC unroll 3
        for (int i = 0; i < n; i++)
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) sums[i][j] = _mm256_loadu_ps(all_sums[i] + d + 8 * j);
        for (int token = 0; token < count; token++) {
            __builtin_prefetch(ahead + token * head_dim + d);
            __m256i v0 = load16(values + token * head_dim + d);
            __m256i v1 = load16(values + token * head_dim + d + 16);
#pragma GCC unroll 3
            for (int i = 0; i < n; i++) {
                __m256 weight = _mm256_set1_ps(weights[i * TILE + token]);
                sums[i][0] = _mm256_fmadd_ps(weight, even(v0), sums[i][0]);
                sums[i][1] = _mm256_fmadd_ps(weight, odd(v0), sums[i][1]);
                sums[i][2] = _mm256_fmadd_ps(weight, even(v1), sums[i][2]);
                sums[i][3] = _mm256_fmadd_ps(weight, odd(v1), sums[i][3]);
            }
        }
#pragma GCC unroll 3
        for (int i = 0; i < n; i++)
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) _mm256_storeu_ps(all_sums[i] + d + 8 * j, sums[i][j]);
    }
}

/* Functions of their own, so that each has all registers. */
#define FOR_NUMBER(n)                                                                              \
    static __attribute__((noinline)) void scores_of_##n(float *scores, const bf16 *const *queries, \
                                                        const bf16 *keys, const bf16 *ahead,       \
                                                        int head_dim) {                            \
        scores_of(scores, queries, keys, ahead, head_dim, n);                                      \
    }                                                                                              \
    static __attribute__((noinline)) void values_of_##n(float *const *sums, const float *weights,  \
                                                        const bf16 *values, const bf16 *ahead,     \
                                                        int head_dim, int count) {                 \
        values_of(sums, weights, values, ahead, head_dim, count, n);                               \
    }
FOR_NUMBER(1)
FOR_NUMBER(2)
FOR_NUMBER(3)

static void tile_scores(float *scores, const bf16 *const *queries, const tile_keys *k,
                        const bf16 *ahead, int head_dim, int n) {
    switch (n) {
        case 1: scores_of_1(scores, queries, *k, ahead, head_dim); return;
        case 2: scores_of_2(scores, queries, *k, ahead, head_dim); return;
        default: scores_of_3(scores, queries, *k, ahead, head_dim); return;
    }
}

static void tile_values(float *const *sums, const float *weights, const bf16 *values,
                        const bf16 *ahead, int head_dim, int count, int n) {
    switch (n) {
        case 1: values_of_1(sums, weights, values, ahead, head_dim, count); return;
        case 2: values_of_2(sums, weights, values, ahead, head_dim, count); return;
        default: values_of_3(sums, weights, values, ahead, head_dim, count); return;
    }
}

static void store_row(bf16 *out, const float *sums, float scale, int head_dim) {
    for (int d = 0; d < head_dim; d += 16)
        for (int i = 0; i < 8; i++) {
            out[d + 2 * i] = rounded(sums[d + i] * scale);
            out[d + 2 * i + 1] = rounded(sums[d + 8 + i] * scale);
        }
}
