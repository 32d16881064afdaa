/* Scores by dot products of bfloat16 pairs, sums in float32. */
#include <immintrin.h>

/* Pair p of all tokens lies side by side: each is multiplied by one broadcast pair of a query. */
typedef struct {
    _Alignas(64) uint32_t pairs[MAX_HEAD_DIM / 2][TILE];
} tile_keys;

#define AT_A_TIME 6 /* queries: 24 sums fit in the registers, beside what is multiplied */

INLINE __m512i low32(__m512i a, __m512i b) { return _mm512_unpacklo_epi32(a, b); }
INLINE __m512i high32(__m512i a, __m512i b) { return _mm512_unpackhi_epi32(a, b); }
INLINE __m512i low64(__m512i a, __m512i b) { return _mm512_unpacklo_epi64(a, b); }
INLINE __m512i high64(__m512i a, __m512i b) { return _mm512_unpackhi_epi64(a, b); }

/* 16 x 16: out[i * TILE + j] = rows[j * stride + i]. */
INLINE void transpose(uint32_t *out, const uint32_t *rows, int stride) {
    __m512i a[16], b[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) a[i] = _mm512_loadu_si512(rows + i * stride);
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        b[i] = low32(a[i], a[i + 1]);
        b[i + 1] = high32(a[i], a[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) { /* a[i + c]: column c of each group of 4, rows i to i + 3 */
        a[i] = low64(b[i], b[i + 2]);
        a[i + 1] = high64(b[i], b[i + 2]);
        a[i + 2] = low64(b[i + 1], b[i + 3]);
        a[i + 3] = high64(b[i + 1], b[i + 3]);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) { /* 128-bit lane g of a[r + c] is column 4 g + c of rows r.. */
        __m512i even01 = _mm512_shuffle_i32x4(a[c], a[4 + c], 0x88);
        __m512i odd01 = _mm512_shuffle_i32x4(a[c], a[4 + c], 0xdd);
        __m512i even23 = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0x88);
        __m512i odd23 = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0xdd);
        _mm512_store_si512(out + c * TILE, _mm512_shuffle_i32x4(even01, even23, 0x88));
        _mm512_store_si512(out + (4 + c) * TILE, _mm512_shuffle_i32x4(odd01, odd23, 0x88));
        _mm512_store_si512(out + (8 + c) * TILE, _mm512_shuffle_i32x4(even01, even23, 0xdd));
        _mm512_store_si512(out + (12 + c) * TILE, _mm512_shuffle_i32x4(odd01, odd23, 0xdd));
    }
}

static void prepare_keys(tile_keys *k, const bf16 *keys, int head_dim) {
    for (int token = 0; token < TILE; token += 16)
        for (int pair = 0; pair < head_dim / 2; pair += 16)
            transpose(&k->pairs[pair][token],
                      (const uint32_t *)(const void *)(keys + token * head_dim) + pair,
                      head_dim / 2);
}

INLINE void scores_of(float *scores, const bf16 *const *queries, const tile_keys *k,
                      const bf16 *ahead, int head_dim, const int n) {
    __m512 sums[AT_A_TIME][4];
#pragma GCC unroll 6
    for (int i = 0; i < n; i++)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) sums[i][j] = _mm512_setzero_ps();
    for (int pair = 0; pair < head_dim / 2; pair++) {
        __m512i keys[4];
#pragma GCC unroll 4 /* as many bytes as the tile has for each pair */
        for (int j = 0; j < 4; j++) __builtin_prefetch(ahead + pair * 2 * TILE + 32 * j);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) keys[j] = _mm512_load_si512(&k->pairs[pair][16 * j]);
#pragma GCC unroll 6
        for (int i = 0; i < n; i++) {
            int both;
            memcpy(&both, queries[i] + 2 * pair, sizeof both);
            __m512i query = _mm512_set1_epi32(both);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++)
                sums[i][j] = _mm512_dpbf16_ps(sums[i][j], (__m512bh)keys[j], (__m512bh)query);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < n; i++)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) _mm512_storeu_ps(scores + i * TILE + 16 * j, sums[i][j]);
}

/* Of each 32 elements: those with even indices, then those with odd ones. */
INLINE void sums_of(float *const *all_sums, const float *weights, const bf16 *values,
                    const bf16 *ahead, int head_dim, int count, const int n,
                    const int num_vectors) {
    __m512 sums[AT_A_TIME][4];
#pragma GCC unroll 6
    for (int i = 0; i < n; i++)
#pragma GCC unroll 4
        for (int j = 0; j < 2 * num_vectors; j++) sums[i][j] = _mm512_loadu_ps(all_sums[i] + 16 * j);
    for (int token = 0; token < count; token++) {
        __m512 v[4];
#pragma GCC unroll 2
        for (int j = 0; j < num_vectors; j++) {
            __builtin_prefetch(ahead + token * head_dim + 32 * j);
            __m512i both = _mm512_loadu_si512(values + token * head_dim + 32 * j);
            v[2 * j] = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
            v[2 * j + 1] =
                _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32((int)0xffff0000)));
        }
#pragma GCC unroll 6
        for (int i = 0; i < n; i++) {
            __m512 weight = _mm512_set1_ps(weights[i * TILE + token]);
#pragma GCC unroll 4
            for (int j = 0; j < 2 * num_vectors; j++)
                sums[i][j] = _mm512_fmadd_ps(weight, v[j], sums[i][j]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < n; i++)
#pragma GCC unroll 4
        for (int j = 0; j < 2 * num_vectors; j++) _mm512_storeu_ps(all_sums[i] + 16 * j, sums[i][j]);
}

INLINE void values_of(float *const *sums, const float *weights, const bf16 *values,
                      const bf16 *ahead, int head_dim, int count, const int n) {
    for (int d = 0; d < head_dim; d += 64) {
        float *at[AT_A_TIME];
        for (int i = 0; i < n; i++) at[i] = sums[i] + d;
        if (head_dim - d >= 64)
            sums_of(at, weights, values + d, ahead + d, head_dim, count, n, 2);
        else
            sums_of(at, weights, values + d, ahead + d, head_dim, count, n, 1);
    }
}

/* Functions of their own, so that each has all registers. */
#define FOR_NUMBER(n)                                                                              \
    static __attribute__((noinline)) void scores_of_##n(float *scores, const bf16 *const *queries, \
                                                        const tile_keys *k, const bf16 *ahead,     \
                                                        int head_dim) {                            \
        scores_of(scores, queries, k, ahead, head_dim, n);                                         \
    }                                                                                              \
    static __attribute__((noinline)) void values_of_##n(float *const *sums, const float *weights,  \
                                                        const bf16 *values, const bf16 *ahead,     \
                                                        int head_dim, int count) {                 \
        values_of(sums, weights, values, ahead, head_dim, count, n);                               \
    }
FOR_NUMBER(1)
FOR_NUMBER(2)
FOR_NUMBER(3)
FOR_NUMBER(4)
FOR_NUMBER(5)
FOR_NUMBER(6)

static void tile_scores(float *scores, const bf16 *const *queries, const tile_keys *k,
                        const bf16 *ahead, int head_dim, int n) {
    switch (n) {
        case 1: scores_of_1(scores, queries, k, ahead, head_dim); return;
        case 2: scores_of_2(scores, queries, k, ahead, head_dim); return;
        case 3: scores_of_3(scores, queries, k, ahead, head_dim); return;
        case 4: scores_of_4(scores, queries, k, ahead, head_dim); return;
        case 5: scores_of_5(scores, queries, k, ahead, head_dim); return;
        default: scores_of_6(scores, queries, k, ahead, head_dim); return;
    }
}

static void tile_values(float *const *sums, const float *weights, const bf16 *values,
                        const bf16 *ahead, int head_dim, int count, int n) {
    switch (n) {
        case 1: values_of_1(sums, weights, values, ahead, head_dim, count); return;
        case 2: values_of_2(sums, weights, values, ahead, head_dim, count); return;
        case 3: values_of_3(sums, weights, values, ahead, head_dim, count); return;
        case 4: values_of_4(sums, weights, values, ahead, head_dim, count); return;
        case 5: values_of_5(sums, weights, values, ahead, head_dim, count); return;
        default: values_of_6(sums, weights, values, ahead, head_dim, count); return;
    }
}

static void store_row(bf16 *out, const float *sums, float scale, int head_dim) {
    for (int d = 0; d < head_dim; d += 32)
        for (int i = 0; i < 16; i++) {
            out[d + 2 * i] = rounded(sums[d + i] * scale);
            out[d + 2 * i + 1] = rounded(sums[d + 16 + i] * scale);
        }
}
