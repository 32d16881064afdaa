#include "activations.h"

#include "lanes.h"
#include "threads.h"

#define ALONE_SIZE 16384 /* activations that one thread has done before another has woken up */

typedef struct {
    const void *x;
    void *out;
    int is_bf16, num_rows, in_features, num_parts;
} rows_job;

/* What a row of x becomes, and where. */
typedef struct {
    int first_row; /* of its panel */
    int num_rows;
    int index; /* in the panel */
} panel_row;

static panel_row panel_of(const rows_job *j, int row) {
    int first = row / PANEL_ROWS * PANEL_ROWS, left = j->num_rows - first;
    return (panel_row){first, left < PANEL_ROWS ? left : PANEL_ROWS, row - first};
}

static void quantize_group(const rows_job *j, int64_t at, rnj_group *out) {
    lanes_f low = load_values(j->x, at, j->is_bf16);
    lanes_f high = load_values(j->x, at + NUM_LANES, j->is_bf16);
    float largest = largest_magnitude(low, high);
    lanes_f inverse = each_f32(largest > 0 ? 127.0f / largest : 0);
    out->scale = largest / 127.0f;
    out->sums[0] = store_rounded(out->q, multiply(low, inverse));
    out->sums[1] = store_rounded(out->q + NUM_LANES, multiply(high, inverse));
    out->scaled_sum = out->scale * (float)(out->sums[0] + out->sums[1]);
}

static void quantize_part(const void *arg, int part) {
    const rows_job *j = arg;
    int num_groups = j->in_features / GROUP;
    int first = (int)((int64_t)num_groups * part / j->num_parts);
    int end = (int)((int64_t)num_groups * (part + 1) / j->num_parts);
    for (int row = 0; row < j->num_rows; row++) {
        panel_row to = panel_of(j, row);
        rnj_group *groups = (rnj_group *)j->out + (int64_t)to.first_row * num_groups + to.index;
        for (int g = first; g < end; g++)
            quantize_group(j, (int64_t)row * j->in_features + g * GROUP,
                           groups + (int64_t)g * to.num_rows);
    }
}

/* Up to 16 activations from column k on. */
static void arrange_quads(const rows_job *j, int row, int k, rnj_quad *out, int stride) {
    float values[NUM_LANES] = {0};
    int64_t at = (int64_t)row * j->in_features + k;
    int count = j->in_features - k;
    if (count >= NUM_LANES)
        store_f32(values, load_values(j->x, at, j->is_bf16));
    else
        for (int i = 0; i < count; i++)
            values[i] = j->is_bf16 ? bf16_to_f32(((const uint16_t *)j->x)[at + i])
                                   : ((const float *)j->x)[at + i];
    for (int quad = 0; quad < 4 && 4 * quad < count; quad++)
        memcpy(out + quad * stride, values + 4 * quad, sizeof(rnj_quad));
}

static void arrange_part(const void *arg, int part) {
    const rows_job *j = arg;
    int num_quads = (j->in_features + 3) / 4;
    int first = (int)((int64_t)num_quads * part / j->num_parts) & ~3;
    int end = (int)((int64_t)num_quads * (part + 1) / j->num_parts);
    if (part + 1 < j->num_parts) end &= ~3;
    for (int row = 0; row < j->num_rows; row++) {
        panel_row to = panel_of(j, row);
        rnj_quad *quads = (rnj_quad *)j->out + (int64_t)to.first_row * num_quads + to.index;
        for (int quad = first; quad < end; quad += 4)
            arrange_quads(j, row, 4 * quad, quads + (int64_t)quad * to.num_rows, to.num_rows);
    }
}

static void run_rows(rnj_task task, rows_job j, int num_threads) {
    j.num_parts = (int64_t)j.num_rows * j.in_features < ALONE_SIZE ? 1 : 2 * num_threads;
    rnj_run(task, &j, j.num_parts, num_threads);
}

void rnj_quantize_rows(const void *x, int is_bf16, int num_rows, int in_features,
                       rnj_group *groups, int num_threads) {
    run_rows(quantize_part, (rows_job){x, groups, is_bf16, num_rows, in_features, 1}, num_threads);
}

void rnj_arrange_rows(const void *x, int is_bf16, int num_rows, int in_features, rnj_quad *quads,
                      int num_threads) {
    run_rows(arrange_part, (rows_job){x, quads, is_bf16, num_rows, in_features, 1}, num_threads);
}
