/* Attention of a few new rows of some sequences: see attention.c. */
#ifndef RNJ_ATTENTION_H
#define RNJ_ATTENTION_H

#include "numbers.h"
#include "threads.h"

typedef struct {
    int32_t first_row, num_rows;
    int32_t start;       /* cached tokens before the new rows */
    int32_t first_block; /* where its block table begins in `blocks` */
} sequence;

typedef struct {
    const bf16 *queries;       /* [T, H, D], a row every query_stride */
    const bf16 *keys, *values; /* [K, S, D] */
    bf16 *output;              /* [T, H, D] */
    float *sums;               /* [T, H, P, D] */
    float *stats;              /* [T, H, P, 2]: the largest score, and the sum of the weights */
    const sequence *sequences;
    const int32_t *blocks; /* of TILE slots each */
    int64_t num_slots, query_stride;
    int32_t num_sequences, num_rows, num_heads, num_kv_heads, head_dim;
    int32_t num_parts, part_tiles;
    int32_t window; /* positions that a row sees, its own included; 0: all before it */
    float scale;
    float softcap; /* 0: none */
} attention;

RNJ_EXPORT void rnj_attend(const attention *a, int num_threads);

#endif
