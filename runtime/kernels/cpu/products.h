/* Products of packed weights with a few rows. */
#ifndef RNJ_PRODUCTS_H
#define RNJ_PRODUCTS_H

#include "packed.h"
#include "threads.h"

/* y[r] = x[r] @ weight.T + bias, in the dtype of x.
 *
 * x: bf16 or f32 [num_rows, in_features]; y: the same dtype, [num_rows, out_features];
 * workspace: 48 bytes for every 32 activations, at a multiple of 64; for FP8, 16 for every 4. */
RNJ_EXPORT void rnj_packed_product(const rnj_packed *weight, const void *x, int is_bf16, int num_rows,
                        void *y, void *workspace, int num_threads);

#endif
