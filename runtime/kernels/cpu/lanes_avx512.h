/* lanes.h for AVX-512 with VNNI, VBMI and BF16. */
#include <immintrin.h>

#define ROWS_ARE_CONSTANT
#define UNROLL _Pragma("GCC unroll 8")

typedef __m512i lanes_i;
typedef __m512 lanes_f;

INLINE lanes_i load_bytes(const void *from) { return _mm512_loadu_si512(from); }
INLINE void store_bytes(void *to, lanes_i v) { _mm512_storeu_si512(to, v); }
INLINE lanes_i each_i32(int32_t value) { return _mm512_set1_epi32(value); }
/* The same four bytes in each lane. */
INLINE lanes_i each_4_bytes(const void *from) {
    int32_t value;
    memcpy(&value, from, 4);
    return _mm512_set1_epi32(value);
}
INLINE lanes_i and_bytes(lanes_i v, uint8_t mask) {
    return _mm512_and_si512(v, _mm512_set1_epi8((char)mask));
}
INLINE lanes_i flip_bytes(lanes_i v, uint8_t mask) {
    return _mm512_xor_si512(v, _mm512_set1_epi8((char)mask));
}
/* a | (b & mask) */
INLINE lanes_i or_masked(lanes_i a, lanes_i b, uint8_t mask) {
    return _mm512_ternarylogic_epi32(a, b, _mm512_set1_epi8((char)mask), 0xF8);
}
INLINE lanes_i subtract_bytes(lanes_i v, uint8_t value) {
    return _mm512_sub_epi8(v, _mm512_set1_epi8((char)value));
}
/* Bits that leave a byte come into its neighbour: mask them. */
INLINE lanes_i shift_right(lanes_i v, int bits) { return _mm512_srli_epi32(v, (unsigned)bits); }
INLINE lanes_i shift_left(lanes_i v, int bits) { return _mm512_slli_epi32(v, (unsigned)bits); }

/* sum + the four products of each lane; a is unsigned, b signed. */
INLINE lanes_i dot4(lanes_i sum, lanes_i a, lanes_i b) { return _mm512_dpbusd_epi32(sum, a, b); }
/* Likewise where a is a signed byte that 128 was added to: start with biased_start(-128 * sum of
 * b), which this instruction needs and others do not. */
INLINE lanes_i dot4_biased(lanes_i sum, lanes_i a, lanes_i b) { return dot4(sum, a, b); }
INLINE lanes_i biased_start(int32_t value) { return each_i32(value); }

INLINE lanes_f each_f32(float value) { return _mm512_set1_ps(value); }
INLINE lanes_f to_f32(lanes_i v) { return _mm512_cvtepi32_ps(v); }
INLINE lanes_f load_u8(const uint8_t *from) {
    return to_f32(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)from)));
}
INLINE lanes_f load_i8(const uint8_t *from) {
    return to_f32(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from)));
}
INLINE lanes_f load_f16(const void *from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
}
INLINE lanes_f load_bf16(const uint16_t *from) {
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
INLINE lanes_f load_f32(const float *from) { return _mm512_loadu_ps(from); }
INLINE void store_f32(float *to, lanes_f v) { _mm512_storeu_ps(to, v); }
INLINE void store_bf16(uint16_t *to, lanes_f v) {
    _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh(v));
}

INLINE lanes_f multiply(lanes_f a, lanes_f b) { return _mm512_mul_ps(a, b); }
INLINE lanes_f add(lanes_f a, lanes_f b) { return _mm512_add_ps(a, b); }
INLINE lanes_f subtract(lanes_f a, lanes_f b) { return _mm512_sub_ps(a, b); }
/* a * b + c, rounded once */
INLINE lanes_f multiply_add(lanes_f a, lanes_f b, lanes_f c) { return _mm512_fmadd_ps(a, b, c); }
/* c - a * b, rounded once */
INLINE lanes_f multiply_subtract(lanes_f a, lanes_f b, lanes_f c) {
    return _mm512_fnmadd_ps(a, b, c);
}

INLINE float largest_magnitude(lanes_f a, lanes_f b) {
    return _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b)));
}
/* Sixteen rounded int8, and their sum; values are at most 127 and a bit. */
INLINE int32_t store_rounded(int8_t *to, lanes_f v) {
    __m512i whole = _mm512_cvtps_epi32(v);
    _mm_storeu_si128((__m128i *)to, _mm512_cvtsepi32_epi8(whole));
    return _mm512_reduce_add_epi32(whole);
}

/* Chunks c of 4 bytes for each lane, to 32 neighbouring bytes of each. */
INLINE void store_rows(int8_t (*rows)[32], const lanes_i *chunks) {
    UNROLL for (int half = 0; half < 2; half++) {
        const __m512i *c = chunks + 4 * half;
        __m512i a = _mm512_unpacklo_epi32(c[0], c[1]), b = _mm512_unpackhi_epi32(c[0], c[1]);
        __m512i d = _mm512_unpacklo_epi32(c[2], c[3]), e = _mm512_unpackhi_epi32(c[2], c[3]);
        /* 16 bytes of row 4 i + j are the i-th quarter of the j-th */
        __m512i of[4] = {_mm512_unpacklo_epi64(a, d), _mm512_unpackhi_epi64(a, d),
                         _mm512_unpacklo_epi64(b, e), _mm512_unpackhi_epi64(b, e)};
        UNROLL for (int j = 0; j < 4; j++) {
            _mm_storeu_si128((__m128i *)(rows[j] + 16 * half), _mm512_castsi512_si128(of[j]));
            _mm_storeu_si128((__m128i *)(rows[4 + j] + 16 * half),
                             _mm512_extracti32x4_epi32(of[j], 1));
            _mm_storeu_si128((__m128i *)(rows[8 + j] + 16 * half),
                             _mm512_extracti32x4_epi32(of[j], 2));
            _mm_storeu_si128((__m128i *)(rows[12 + j] + 16 * half),
                             _mm512_extracti32x4_epi32(of[j], 3));
        }
    }
}
