/* Floating point numbers as kernels need them: written so that compilers vectorise loops of them. */
#ifndef RNJ_NUMBERS_H
#define RNJ_NUMBERS_H

#include <stdint.h>
#include <string.h>

typedef uint16_t bf16; /* the upper half of a float */

static inline float float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t bits_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float widened(bf16 x) { return float_of_bits((uint32_t)x << 16); }

/* To the nearest, ties to even; NaN stays NaN. */
static inline bf16 rounded(float x) {
    uint32_t bits = bits_of_float(x);
    uint32_t nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (bf16)(x == x ? nearest : 0x7fc0);
}

/* e to the x, with a relative error below 2e-7 (Cephes' polynomial, after taking off a power of 2).
 * Below -87 it is 0, also of -infinity; above 88 it is that of 88. */
static inline float exp_of(float x) {
    const float round_magic = 12582912.0f; /* 1.5 * 2^23: adding it leaves the nearest integer */
    float y = x > 88.0f ? 88.0f : x;
    y = y < -87.0f ? -87.0f : y;
    float shifted = y * 1.44269504f + round_magic;
    float power = shifted - round_magic;
    float rest = y - power * 0.693359375f;
    rest = rest - power * -2.12194440e-4f;
    float z = 1.9875691500e-4f;
    z = z * rest + 1.3981999507e-3f;
    z = z * rest + 8.3334519073e-3f;
    z = z * rest + 4.1665795894e-2f;
    z = z * rest + 1.6666665459e-1f;
    z = z * rest + 5.0000001201e-1f;
    z = z * (rest * rest) + rest + 1.0f;
    uint32_t exponent = bits_of_float(shifted) - bits_of_float(round_magic) + 127;
    float e = z * float_of_bits(exponent << 23);
    return x < -87.0f ? 0.0f : e;
}

static inline float tanh_of(float x) { return 1.0f - 2.0f / (exp_of(2.0f * x) + 1.0f); }

/* The sum of 16 lanes, always in the same order. */
static inline float sum_of_lanes(const float *lanes) {
    float eight[8], four[4];
    for (int i = 0; i < 8; i++) eight[i] = lanes[i] + lanes[i + 8];
    for (int i = 0; i < 4; i++) four[i] = eight[i] + eight[i + 4];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

#endif
