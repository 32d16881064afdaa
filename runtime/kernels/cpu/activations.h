/* Rows of activations as the products read them, in panels of up to 8 rows that lie side by side:
 * int8 with a scale for each 32, or f32 for FP8 weights. */
#ifndef RNJ_ACTIVATIONS_H
#define RNJ_ACTIVATIONS_H

#include <stdint.h>

#define PANEL_ROWS 8
#define GROUP 32

/* 32 activations of a row. */
typedef struct {
    int8_t q[GROUP];
    float scale;
    float scaled_sum; /* scale * sum of q */
    int32_t sums[2];  /* of the first 16 q and of the others */
} rnj_group;

/* Group g of row r of a panel of n rows is at [g * n + r]; panels follow each other. */

/* Fills groups with num_rows rows of x, bf16 or f32 [num_rows, in_features]. */
void rnj_quantize_rows(const void *x, int is_bf16, int num_rows, int in_features,
                       rnj_group *groups, int num_threads);

/* 4 activations of a row, for FP8 weights. */
typedef struct {
    float values[4];
} rnj_quad;

/* Likewise; in_features is filled up with zeros to a multiple of 4. */
void rnj_arrange_rows(const void *x, int is_bf16, int num_rows, int in_features, rnj_quad *quads,
                      int num_threads);

#endif
