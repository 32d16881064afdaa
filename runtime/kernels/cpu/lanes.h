/* Sixteen lanes side by side: one vector of AVX-512, two of AVX2, an array elsewhere.
 *
 * lanes_i is 16 int32, or 64 bytes: four for each lane. lanes_f is 16 float32. */
#ifndef RNJ_LANES_H
#define RNJ_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define NUM_LANES 16
#define INLINE static inline __attribute__((always_inline))

INLINE float bf16_to_f32(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/* Rounds to nearest, ties to even; NaN stays NaN. */
INLINE uint16_t f32_to_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if (value != value) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

#if defined(__AVX512VNNI__) && defined(__AVX512BF16__)
#include "lanes_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "lanes_avx2.h"
#else
#include "lanes_plain.h"
#endif

/* Sixteen weights or activations of either dtype. */
INLINE lanes_f load_values(const void *from, int64_t at, int is_bf16) {
    return is_bf16 ? load_bf16((const uint16_t *)from + at) : load_f32((const float *)from + at);
}

INLINE void store_values(void *to, int64_t at, int is_bf16, lanes_f values) {
    if (is_bf16)
        store_bf16((uint16_t *)to + at, values);
    else
        store_f32((float *)to + at, values);
}

/* The first `count` of them. */
INLINE void store_first(void *to, int64_t at, int is_bf16, lanes_f values, int count) {
    float each[NUM_LANES];
    store_f32(each, values);
    for (int i = 0; i < count; i++) {
        if (is_bf16)
            ((uint16_t *)to)[at + i] = f32_to_bf16(each[i]);
        else
            ((float *)to)[at + i] = each[i];
    }
}

#endif
