/* lanes.h for AVX2 with FMA and F16C: lanes 0-7 and 8-15 in a vector each. */
#include <immintrin.h>

#define ROWS_ARE_CONSTANT
#define UNROLL _Pragma("GCC unroll 8")

typedef struct {
    __m256i a, b;
} lanes_i;
typedef struct {
    __m256 a, b;
} lanes_f;

INLINE lanes_i load_bytes(const void *from) {
    const __m256i *halves = from;
    return (lanes_i){_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
}
INLINE void store_bytes(void *to, lanes_i v) {
    _mm256_storeu_si256((__m256i *)to, v.a);
    _mm256_storeu_si256((__m256i *)to + 1, v.b);
}
INLINE lanes_i both_i(__m256i v) { return (lanes_i){v, v}; }
INLINE lanes_i each_i32(int32_t value) { return both_i(_mm256_set1_epi32(value)); }
INLINE lanes_i each_4_bytes(const void *from) {
    int32_t value;
    memcpy(&value, from, 4);
    return each_i32(value);
}
INLINE lanes_i and_bytes(lanes_i v, uint8_t mask) {
    __m256i m = _mm256_set1_epi8((char)mask);
    return (lanes_i){_mm256_and_si256(v.a, m), _mm256_and_si256(v.b, m)};
}
INLINE lanes_i flip_bytes(lanes_i v, uint8_t mask) {
    __m256i m = _mm256_set1_epi8((char)mask);
    return (lanes_i){_mm256_xor_si256(v.a, m), _mm256_xor_si256(v.b, m)};
}
INLINE lanes_i or_masked(lanes_i a, lanes_i b, uint8_t mask) {
    lanes_i m = and_bytes(b, mask);
    return (lanes_i){_mm256_or_si256(a.a, m.a), _mm256_or_si256(a.b, m.b)};
}
INLINE lanes_i subtract_bytes(lanes_i v, uint8_t value) {
    __m256i m = _mm256_set1_epi8((char)value);
    return (lanes_i){_mm256_sub_epi8(v.a, m), _mm256_sub_epi8(v.b, m)};
}
INLINE lanes_i shift_right(lanes_i v, int bits) {
    return (lanes_i){_mm256_srli_epi32(v.a, bits), _mm256_srli_epi32(v.b, bits)};
}
INLINE lanes_i shift_left(lanes_i v, int bits) {
    return (lanes_i){_mm256_slli_epi32(v.a, bits), _mm256_slli_epi32(v.b, bits)};
}

INLINE __m256i dot4_half(__m256i sum, __m256i a, __m256i b) {
    __m256i pairs = _mm256_maddubs_epi16(a, b);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
/* Pairs of products saturate at 32,767: a is at most 128 where b goes to 127. */
INLINE lanes_i dot4(lanes_i sum, lanes_i a, lanes_i b) {
    return (lanes_i){dot4_half(sum.a, a.a, b.a), dot4_half(sum.b, a.b, b.b)};
}
INLINE __m256i dot4_signed(__m256i sum, __m256i a, __m256i b) {
    return dot4_half(sum, _mm256_abs_epi8(a), _mm256_sign_epi8(b, a));
}
INLINE lanes_i dot4_biased(lanes_i sum, lanes_i a, lanes_i b) {
    a = flip_bytes(a, 0x80);
    return (lanes_i){dot4_signed(sum.a, a.a, b.a), dot4_signed(sum.b, a.b, b.b)};
}
INLINE lanes_i biased_start(int32_t value) {
    (void)value;
    return each_i32(0);
}

INLINE lanes_f each_f32(float value) {
    return (lanes_f){_mm256_set1_ps(value), _mm256_set1_ps(value)};
}
INLINE lanes_f to_f32(lanes_i v) {
    return (lanes_f){_mm256_cvtepi32_ps(v.a), _mm256_cvtepi32_ps(v.b)};
}
INLINE lanes_f load_u8(const uint8_t *from) {
    __m128i v = _mm_loadu_si128((const __m128i *)from);
    return to_f32((lanes_i){_mm256_cvtepu8_epi32(v), _mm256_cvtepu8_epi32(_mm_srli_si128(v, 8))});
}
INLINE lanes_f load_i8(const uint8_t *from) {
    __m128i v = _mm_loadu_si128((const __m128i *)from);
    return to_f32((lanes_i){_mm256_cvtepi8_epi32(v), _mm256_cvtepi8_epi32(_mm_srli_si128(v, 8))});
}
INLINE lanes_f load_f16(const void *from) {
    const __m128i *halves = from;
    return (lanes_f){_mm256_cvtph_ps(_mm_loadu_si128(halves)),
                     _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}
INLINE __m256 widen_bf16(__m128i v) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}
INLINE lanes_f load_bf16(const uint16_t *from) {
    const __m128i *halves = (const __m128i *)from;
    return (lanes_f){widen_bf16(_mm_loadu_si128(halves)), widen_bf16(_mm_loadu_si128(halves + 1))};
}
INLINE lanes_f load_f32(const float *from) {
    return (lanes_f){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}
INLINE void store_f32(float *to, lanes_f v) {
    _mm256_storeu_ps(to, v.a);
    _mm256_storeu_ps(to + 8, v.b);
}
/* Ties to even; a NaN with all its upper mantissa bits clear may become an infinity's neighbour,
 * so NaN is kept apart. */
INLINE __m256i round_bf16(__m256 v) {
    __m256i bits = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    return _mm256_srli_epi32(_mm256_blendv_epi8(up, quiet, nan), 16);
}
INLINE void store_bf16(uint16_t *to, lanes_f v) {
    __m256i packed = _mm256_packus_epi32(round_bf16(v.a), round_bf16(v.b));
    _mm256_storeu_si256((__m256i *)to, _mm256_permute4x64_epi64(packed, 0xD8));
}

INLINE lanes_f multiply(lanes_f a, lanes_f b) {
    return (lanes_f){_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)};
}
INLINE lanes_f add(lanes_f a, lanes_f b) {
    return (lanes_f){_mm256_add_ps(a.a, b.a), _mm256_add_ps(a.b, b.b)};
}
INLINE lanes_f subtract(lanes_f a, lanes_f b) {
    return (lanes_f){_mm256_sub_ps(a.a, b.a), _mm256_sub_ps(a.b, b.b)};
}
INLINE lanes_f multiply_add(lanes_f a, lanes_f b, lanes_f c) {
    return (lanes_f){_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)};
}
INLINE lanes_f multiply_subtract(lanes_f a, lanes_f b, lanes_f c) {
    return (lanes_f){_mm256_fnmadd_ps(a.a, b.a, c.a), _mm256_fnmadd_ps(a.b, b.b, c.b)};
}

INLINE float largest_magnitude(lanes_f x, lanes_f y) {
    __m256 bits = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
    __m256 m = _mm256_max_ps(_mm256_and_ps(x.a, bits), _mm256_and_ps(x.b, bits));
    m = _mm256_max_ps(m, _mm256_and_ps(y.a, bits));
    m = _mm256_max_ps(m, _mm256_and_ps(y.b, bits));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}
INLINE int32_t store_rounded(int8_t *to, lanes_f v) {
    __m256i a = _mm256_cvtps_epi32(v.a), b = _mm256_cvtps_epi32(v.b);
    __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xD8);
    __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words),
                                    _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)to, bytes);
    __m256i sums = _mm256_add_epi32(a, b);
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xB1)));
}

/* Byte `at` of each lane, an FP8 e4m3 code. Its bits are those of a half that is 256 times
 * smaller; converting halves treats denormal ones right whatever the processor's mode. */
INLINE __m256 fp8_byte_half(__m256i codes, int at) {
    __m256i byte = _mm256_srli_epi32(codes, 8 * at);
    __m256i magnitude = _mm256_slli_epi32(_mm256_and_si256(byte, _mm256_set1_epi32(0x7F)), 7);
    __m256i sign = _mm256_slli_epi32(_mm256_and_si256(byte, _mm256_set1_epi32(0x80)), 8);
    __m256i half = _mm256_or_si256(magnitude, sign);
    half = _mm256_permute4x64_epi64(_mm256_packus_epi32(half, half), 0xD8);
    return _mm256_mul_ps(_mm256_cvtph_ps(_mm256_castsi256_si128(half)), _mm256_set1_ps(256));
}
INLINE lanes_f fp8_byte(lanes_i codes, int at) {
    return (lanes_f){fp8_byte_half(codes.a, at), fp8_byte_half(codes.b, at)};
}

/* Chunks c of 4 bytes for each lane, to 32 neighbouring bytes of each. */
INLINE void store_rows(int8_t (*rows)[32], const lanes_i *chunks) {
    for (int c = 0; c < 8; c++) {
        uint8_t bytes[64];
        store_bytes(bytes, chunks[c]);
        for (int row = 0; row < NUM_LANES; row++) memcpy(rows[row] + 4 * c, bytes + 4 * row, 4);
    }
}
