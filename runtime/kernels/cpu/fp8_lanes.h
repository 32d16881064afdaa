/* FP8 e4m3 in lanes: every finite code becomes its exact value, whatever the processor does with
 * denormal numbers. */
#ifndef RNJ_FP8_LANES_H
#define RNJ_FP8_LANES_H

#include "lanes.h"

/* Of each lane's four codes. */
typedef struct {
    lanes_f input[4];
} fp8_values;

#if defined(__AVX512VBMI__)

/* Lower and upper byte of the bf16 of codes 0 to 127; the first eight are subnormal. */
#define EIGHT_LOW(e) (e) % 2 * 128, (e) % 2 * 128 + 16, (e) % 2 * 128 + 32, (e) % 2 * 128 + 48, \
        (e) % 2 * 128 + 64, (e) % 2 * 128 + 80, (e) % 2 * 128 + 96, (e) % 2 * 128 + 112
#define EIGHT_HIGH(e) 60 + (e) / 2, 60 + (e) / 2, 60 + (e) / 2, 60 + (e) / 2, \
        60 + (e) / 2, 60 + (e) / 2, 60 + (e) / 2, 60 + (e) / 2
#define FROM_1_TO_15(eight) eight(1), eight(2), eight(3), eight(4), eight(5), eight(6), eight(7), \
        eight(8), eight(9), eight(10), eight(11), eight(12), eight(13), eight(14), eight(15)
static const uint8_t FP8_LOW[128] = {
    0, 0, 0x80, 0xC0, 0, 0x20, 0x40, 0x60, FROM_1_TO_15(EIGHT_LOW)};
static const uint8_t FP8_HIGH[128] = {
    0, 0x3B, 0x3B, 0x3B, 0x3C, 0x3C, 0x3C, 0x3C, FROM_1_TO_15(EIGHT_HIGH)};

INLINE __m512i lookup_128(const uint8_t *table, __m512i index) {
    return _mm512_permutex2var_epi8(load_bytes(table), index, load_bytes(table + 64));
}

/* Through bf16, whose two bytes are looked up apart. */
INLINE fp8_values decode_fp8(lanes_i codes) {
    const __m512i upper_half = _mm512_set1_epi32((int)0xFFFF0000);
    const __m512i even = _mm512_set1_epi32(0x00FF00FF);
    __m512i low = lookup_128(FP8_LOW, codes);
    __m512i high = or_masked(lookup_128(FP8_HIGH, codes), codes, 0x80);
    /* even ? a : b */
    __m512i inputs_02 = _mm512_ternarylogic_epi32(even, low, shift_left(high, 8), 0xCA);
    __m512i inputs_13 = _mm512_ternarylogic_epi32(even, shift_right(low, 8), high, 0xCA);
    return (fp8_values){{_mm512_castsi512_ps(shift_left(inputs_02, 16)),
                         _mm512_castsi512_ps(shift_left(inputs_13, 16)),
                         _mm512_castsi512_ps(_mm512_and_si512(inputs_02, upper_half)),
                         _mm512_castsi512_ps(_mm512_and_si512(inputs_13, upper_half))}};
}

/* Sixteen codes. */
INLINE lanes_f fp8_to_f32(const uint8_t *codes) {
    __m512i lanes = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)codes));
    return decode_fp8(lanes).input[0];
}

#elif defined(__AVX2__) && defined(__F16C__)

INLINE fp8_values decode_fp8(lanes_i codes) {
    return (fp8_values){
        {fp8_byte(codes, 0), fp8_byte(codes, 1), fp8_byte(codes, 2), fp8_byte(codes, 3)}};
}

INLINE lanes_f fp8_to_f32(const uint8_t *codes) {
    __m128i v = _mm_loadu_si128((const __m128i *)codes);
    lanes_i lanes = {_mm256_cvtepu8_epi32(v), _mm256_cvtepu8_epi32(_mm_srli_si128(v, 8))};
    return fp8_byte(lanes, 0);
}

#else

INLINE float e4m3_to_f32(uint8_t code) {
    uint32_t bits = ((uint32_t)(code & 0x7F) << 20) + (120u << 23);
    float value;
    memcpy(&value, &bits, 4);
    value = code & 0x78 ? value : (float)(code & 7) * 0x1p-9f;
    return code & 0x80 ? -value : value;
}

INLINE fp8_values decode_fp8(lanes_i codes) {
    fp8_values w;
    for (int i = 0; i < 4; i++)
        for (int row = 0; row < NUM_LANES; row++)
            w.input[i].v[row] = e4m3_to_f32(codes.bytes[4 * row + i]);
    return w;
}

INLINE lanes_f fp8_to_f32(const uint8_t *codes) {
    lanes_f out;
    for (int row = 0; row < NUM_LANES; row++) out.v[row] = e4m3_to_f32(codes[row]);
    return out;
}

#endif
#endif
