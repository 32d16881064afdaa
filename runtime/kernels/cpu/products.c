#include "products.h"

#include "fp8_lanes.h"
#include "packed_dots.h"
#include "threads.h"

#define PART_BYTES 65536 /* about 5 us of reading */
#define PARTS_PER_THREAD 12

typedef struct {
    const rnj_packed *weight;
    const void *activations;
    void *y;
    int is_bf16, num_rows, num_parts;
    int segment_parts[MAX_SEGMENTS]; /* parts of each segment */
} product_job;

/* A tile with a panel. */
typedef void (*tile_dots)(const uint8_t *tile, const void *x, int in_features, lanes_f *sums,
                          int num_rows);

#define ROWS(format, M) \
    case M: dot_##format(tile, x, in_features, sums, M); return;
/* Results stay in registers where the number of rows is a constant. */
#if defined(ROWS_ARE_CONSTANT)
#define TILE(format)                                                                      \
    static void format(const uint8_t *tile, const void *x, int in_features, lanes_f *sums, \
                       int num_rows) {                                                    \
        switch (num_rows) {                                                               \
            ROWS(format, 1) ROWS(format, 2) ROWS(format, 3) ROWS(format, 4)               \
            ROWS(format, 5) ROWS(format, 6) ROWS(format, 7) ROWS(format, 8)               \
        }                                                                                 \
    }
#else
#define TILE(format)                                                                      \
    static void format(const uint8_t *tile, const void *x, int in_features, lanes_f *sums, \
                       int num_rows) {                                                    \
        dot_##format(tile, x, in_features, sums, num_rows);                               \
    }
#endif
TILE(q4_k)
TILE(q6_k)
TILE(q8)
TILE(q4_1)
TILE(fp8)

static const tile_dots TILE_DOTS[RNJ_NUM_FORMATS] = {
    [RNJ_Q4_K] = q4_k, [RNJ_Q6_K] = q6_k, [RNJ_Q8] = q8, [RNJ_Q4_1] = q4_1, [RNJ_FP8] = fp8,
};

/* One row's results with a tile; the last tile of a segment has fewer. */
static void store_row(const product_job *j, int row, int column, int count, lanes_f values) {
    const float *bias = j->weight->bias;
    int64_t at = (int64_t)row * j->weight->out_features + column;
    if (count == NUM_LANES) {
        if (bias) values = add(values, load_f32(bias + column));
        store_values(j->y, at, j->is_bf16, values);
        return;
    }
    float of_lane[NUM_LANES] = {0};
    if (bias) memcpy(of_lane, bias + column, sizeof(float) * (size_t)count);
    store_first(j->y, at, j->is_bf16, bias ? add(values, load_f32(of_lane)) : values, count);
}

static void run_tile(const product_job *j, const rnj_segment *s, int tile, int first_column) {
    const uint8_t *bytes = s->tiles + tile * s->tile_bytes;
    int in_features = j->weight->in_features;
    int64_t row_bytes = j->weight->is_fp8 ? (in_features + 3) / 4 * (int64_t)sizeof(rnj_quad)
                                          : in_features / GROUP * (int64_t)sizeof(rnj_group);
    int count = s->num_rows - tile * NUM_LANES;
    for (int row = 0; row < j->num_rows; row += PANEL_ROWS) {
        int rows = j->num_rows - row < PANEL_ROWS ? j->num_rows - row : PANEL_ROWS;
        lanes_f sums[PANEL_ROWS];
        const uint8_t *x = (const uint8_t *)j->activations + row * row_bytes;
        TILE_DOTS[s->format](bytes, x, in_features, sums, rows);
        for (int r = 0; r < rows; r++)
            store_row(j, row + r, first_column + tile * NUM_LANES,
                      count < NUM_LANES ? count : NUM_LANES, sums[r]);
    }
}

static void run_part(const void *arg, int part) {
    const product_job *j = arg;
    const rnj_segment *s = j->weight->segments;
    int first_column = 0, index = 0;
    while (part >= j->segment_parts[index]) {
        part -= j->segment_parts[index++];
        first_column += s->num_rows;
        s++;
    }
    int64_t num_tiles = (s->num_rows + NUM_LANES - 1) / NUM_LANES;
    int first = (int)(num_tiles * part / j->segment_parts[index]);
    int end = (int)(num_tiles * (part + 1) / j->segment_parts[index]);
    for (int tile = first; tile < end; tile++) run_tile(j, s, tile, first_column);
}

static int64_t segment_bytes(const rnj_segment *s) {
    return (s->num_rows + NUM_LANES - 1) / NUM_LANES * s->tile_bytes;
}

/* Parts of about the same size. */
static void plan_parts(product_job *j, int num_threads) {
    const rnj_packed *weight = j->weight;
    int64_t total = 0;
    for (int i = 0; i < weight->num_segments; i++) total += segment_bytes(weight->segments + i);
    int64_t size = total / (num_threads * PARTS_PER_THREAD);
    if (size < PART_BYTES) size = PART_BYTES;
    for (int i = 0; i < weight->num_segments; i++) {
        int64_t parts = (segment_bytes(weight->segments + i) + size / 2) / size;
        j->segment_parts[i] = parts < 1 ? 1 : (int)parts;
        j->num_parts += j->segment_parts[i];
    }
}

void rnj_packed_product(const rnj_packed *weight, const void *x, int is_bf16, int num_rows,
                        void *y, void *workspace, int num_threads) {
    product_job j = {
        .weight = weight, .activations = workspace, .y = y, .is_bf16 = is_bf16,
        .num_rows = num_rows,
    };
    if (weight->is_fp8)
        rnj_arrange_rows(x, is_bf16, num_rows, weight->in_features, workspace, num_threads);
    else
        rnj_quantize_rows(x, is_bf16, num_rows, weight->in_features, workspace, num_threads);
    plan_parts(&j, num_threads);
    rnj_run(run_part, &j, j.num_parts, num_threads);
}
