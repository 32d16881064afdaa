/* The residual stream: see norms.c. */
#ifndef RNJ_NORMS_H
#define RNJ_NORMS_H

#include "numbers.h"
#include "threads.h"

typedef struct {
    bf16 *x;               /* [T, size], updated in place */
    const bf16 *y;         /* [T, size]; NULL: nothing is added */
    const float *y_weight; /* [size]; NULL: y is added as it is */
    const float *weight;   /* [size] */
    bf16 *out;             /* [T, size] */
    int32_t num_rows, size;
    float y_eps, eps;
} stream;

RNJ_EXPORT void rnj_add_norm(const stream *s, int num_threads);

#endif
