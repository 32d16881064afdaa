/* Packed weights as rows of floating point: pieces of a matrix, for products with many rows, or
 * single rows, of an embedding. */
#include "fp8_lanes.h"
#include "lanes.h"
#include "packed.h"
#include "packed_chunks.h"
#include "threads.h"

/* 32 weights of each of a tile's rows: q * scale - minimum. */
typedef struct {
    int8_t q[NUM_LANES][32];
    float scale[2][NUM_LANES], minimum[2][NUM_LANES]; /* of the first 16 weights, of the others */
} unpacked;

typedef struct {
    int64_t first, last; /* rows of the tile that are wanted */
    void *out;           /* row 0 of the tile would be here */
    int is_bf16, in_features;
} tile_rows;

static void put_scales(unpacked *u, int half, lanes_f scale, lanes_f minimum) {
    store_f32(u->scale[half], scale);
    store_f32(u->minimum[half], minimum);
}

static void unpack_q4_k(const uint8_t *block, int g, unpacked *u) {
    lanes_i q[8];
    UNROLL for (int c = 0; c < 8; c++) q[c] = nibble_chunk(block + 320 + 256 * g, c);
    store_rows(u->q, q);
    lanes_f scale = multiply(load_f16(block), load_u8(block + 64 + 16 * g));
    lanes_f minimum = multiply(load_f16(block + 32), load_u8(block + 192 + 16 * g));
    put_scales(u, 0, scale, minimum);
    put_scales(u, 1, scale, minimum);
}

static void unpack_q6_k(const uint8_t *block, int g, unpacked *u) {
    lanes_i q[8];
    UNROLL for (int c = 0; c < 8; c++)
        q[c] = subtract_bytes(q6_chunk(block + 288 + 384 * g, c), 32);
    store_rows(u->q, q);
    for (int half = 0; half < 2; half++)
        put_scales(u, half, multiply(load_f16(block), load_i8(block + 32 + 32 * g + 16 * half)),
                   each_f32(0));
}

static void unpack_q8(const uint8_t *block, int g, unpacked *u) {
    (void)g;
    lanes_i q[8];
    UNROLL for (int c = 0; c < 8; c++) q[c] = flip_bytes(load_bytes(block + 32 + 64 * c), 0x80);
    store_rows(u->q, q);
    put_scales(u, 0, load_f16(block), each_f32(0));
    put_scales(u, 1, load_f16(block), each_f32(0));
}

static void unpack_q4_1(const uint8_t *block, int g, unpacked *u) {
    (void)g;
    lanes_i q[8];
    UNROLL for (int c = 0; c < 8; c++) q[c] = nibble_chunk(block + 64, c);
    store_rows(u->q, q);
    lanes_f minimum = subtract(each_f32(0), load_f16(block + 32));
    put_scales(u, 0, load_f16(block), minimum);
    put_scales(u, 1, load_f16(block), minimum);
}

typedef struct {
    int groups, bytes;
    void (*unpack)(const uint8_t *block, int g, unpacked *u);
} block_format;

static const block_format BLOCKS[] = {
    [RNJ_Q4_K] = {8, Q4_K_BLOCK, unpack_q4_k},
    [RNJ_Q6_K] = {8, Q6_K_BLOCK, unpack_q6_k},
    [RNJ_Q8] = {1, Q8_BLOCK, unpack_q8},
    [RNJ_Q4_1] = {1, Q4_1_BLOCK, unpack_q4_1},
};

static void write_group(const tile_rows *t, const unpacked *u, int k) {
    for (int64_t row = t->first; row < t->last; row++) {
        for (int half = 0; half < 2; half++) {
            lanes_f q = load_i8((const uint8_t *)u->q[row] + 16 * half);
            lanes_f scaled = multiply(q, each_f32(u->scale[half][row]));
            lanes_f weight = subtract(scaled, each_f32(u->minimum[half][row]));
            store_values(t->out, row * t->in_features + k + 16 * half, t->is_bf16, weight);
        }
    }
}

static void unpack_blocks(const tile_rows *t, const uint8_t *tile, const block_format *f) {
    unpacked u;
    for (int k = 0; k < t->in_features; tile += f->bytes) {
        for (int g = 0; g < f->groups; g++, k += 32) {
            f->unpack(tile, g, &u);
            write_group(t, &u, k);
        }
    }
}

/* 32 codes of each row, or what is left of them, become weights without the rows' scales. */
static void write_codes(const tile_rows *t, int8_t (*codes)[32], int k) {
    int left = t->in_features - k;
    for (int64_t row = t->first; row < t->last; row++) {
        for (int half = 0; half < 2 && 16 * half < left; half++) {
            lanes_f values = fp8_to_f32((const uint8_t *)codes[row] + 16 * half);
            int64_t at = row * t->in_features + k + 16 * half;
            if (left - 16 * half >= NUM_LANES)
                store_values(t->out, at, t->is_bf16, values);
            else
                store_first(t->out, at, t->is_bf16, values, left - 16 * half);
        }
    }
}

static void unpack_fp8(const tile_rows *t, const uint8_t *tile) {
    const uint8_t *chunks = tile + FP8_HEAD;
    int num_chunks = (t->in_features + 3) / 4;
    for (int c = 0; c < num_chunks; c += 8) {
        lanes_i eight[8];
        int8_t codes[NUM_LANES][32];
        if (num_chunks - c >= 8)
            UNROLL for (int i = 0; i < 8; i++) eight[i] = load_bytes(chunks + (c + i) * 64);
        else
            for (int i = 0; i < 8; i++)
                eight[i] = c + i < num_chunks ? load_bytes(chunks + (c + i) * 64) : each_i32(0);
        store_rows(codes, eight);
        write_codes(t, codes, 4 * c);
    }
}

static void unpack_tile(const rnj_segment *s, int64_t tile, const tile_rows *t) {
    const uint8_t *bytes = s->tiles + tile * s->tile_bytes;
    if (s->format == RNJ_FP8)
        unpack_fp8(t, bytes);
    else
        unpack_blocks(t, bytes, BLOCKS + s->format);
}

typedef struct {
    const rnj_segment *segment;
    void *out;
    const int64_t *ids; /* of single rows; NULL: all from first_row on */
    int64_t first_row, num_rows;
    int is_bf16, in_features, num_parts;
} unpack_job;

static uint8_t *row_at(const unpack_job *j, int64_t row) {
    return (uint8_t *)j->out + row * j->in_features * (j->is_bf16 ? 2 : 4);
}

static void unpack_range(const unpack_job *j, int64_t first, int64_t end) {
    for (int64_t row = first; row < end;) {
        int64_t tile = row / 16, next = 16 * (tile + 1) < end ? 16 * (tile + 1) : end;
        tile_rows t = {row % 16, next - 16 * tile, row_at(j, 16 * tile - j->first_row),
                       j->is_bf16, j->in_features};
        unpack_tile(j->segment, tile, &t);
        row = next;
    }
}

static void unpack_part(const void *arg, int part) {
    const unpack_job *j = arg;
    int64_t first = j->num_rows * part / j->num_parts;
    int64_t end = j->num_rows * (part + 1) / j->num_parts;
    if (!j->ids) {
        unpack_range(j, j->first_row + first, j->first_row + end);
        return;
    }
    for (int64_t i = first; i < end; i++) {
        int64_t lane = j->ids[i] % 16;
        tile_rows t = {lane, lane + 1, row_at(j, i - lane), j->is_bf16, j->in_features};
        unpack_tile(j->segment, j->ids[i] / 16, &t);
    }
}

static void run_unpack(unpack_job *j, int num_threads) {
    int64_t wanted = j->num_rows * j->in_features / 65536 + 1; /* about 10 us each */
    j->num_parts = wanted < 16 * num_threads ? (int)wanted : 16 * num_threads;
    rnj_run(unpack_part, j, j->num_parts, num_threads);
}

/* Rows first_row to first_row + num_rows of a segment: bf16 or f32 [num_rows, in_features]. */
RNJ_EXPORT void rnj_unpack(const rnj_segment *segment, int in_features, int64_t first_row,
                           int64_t num_rows, void *out, int is_bf16, int num_threads) {
    unpack_job j = {segment, out, NULL, first_row, num_rows, is_bf16, in_features, 1};
    run_unpack(&j, num_threads);
}

/* Rows ids[0] to ids[num_rows - 1], each of the segment's. */
RNJ_EXPORT void rnj_unpack_rows(const rnj_segment *segment, int in_features, const int64_t *ids,
                                int64_t num_rows, void *out, int is_bf16, int num_threads) {
    unpack_job j = {segment, out, ids, 0, num_rows, is_bf16, in_features, 1};
    run_unpack(&j, num_threads);
}
