/* Heads are normalised, rotated and written to the cache: see heads.c. */
#ifndef RNJ_HEADS_H
#define RNJ_HEADS_H

#include "numbers.h"
#include "threads.h"

typedef struct {
    bf16 *qkv;                     /* [T, H + 2 K, D]: queries, keys, values */
    const float *q_norm, *k_norm;  /* [D]; NULL: none */
    const float *cos, *sin;        /* [T, D / 2] */
    const int64_t *slots;          /* [T]; NULL: from first_slot on */
    bf16 *keys, *values;           /* [K, S, D] */
    int64_t num_slots, first_slot;
    int32_t num_rows, num_heads, num_kv_heads, head_dim;
    float q_eps, k_eps;
} heads;

RNJ_EXPORT void rnj_write_heads(const heads *h, int num_threads);

#endif
