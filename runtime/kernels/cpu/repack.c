/* From GGUF blocks, or rows of FP8, to the tiles of packed.h, without loss.
 * GGUF's layouts: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h */
#include <string.h>

#include "packed.h"
#include "threads.h"

typedef struct {
    const uint8_t *source;
    const float *scales; /* of each row; FP8 alone has them */
    uint8_t *tiles;
    int format, num_rows, in_features, num_parts;
} repack_job;

/* 32 weights of 4 bits, one a byte, of one lane. */
static void put_nibbles(uint8_t *nibbles, int lane, const uint8_t *q) {
    for (int pair = 0; pair < 4; pair++) {
        uint32_t low, high;
        memcpy(&low, q + 8 * pair, 4);
        memcpy(&high, q + 8 * pair + 4, 4);
        low |= high << 4;
        memcpy(nibbles + 64 * pair + 4 * lane, &low, 4);
    }
}

static void put_q4_k(const uint8_t *block, uint8_t *out, int lane) {
    const uint8_t *packed = block + 4;
    memcpy(out + 2 * lane, block, 2);
    memcpy(out + 32 + 2 * lane, block + 2, 2);
    for (int g = 0; g < 8; g++) {
        uint8_t scale = packed[g] & 63, minimum = packed[(g + 4) % 12] & 63, q[32];
        if (g >= 4) {
            scale = (packed[g + 4] & 15) | (packed[g - 4] >> 6 << 4);
            minimum = packed[g + 4] >> 4 | (packed[g] >> 6 << 4);
        }
        out[64 + 16 * g + lane] = scale;
        out[192 + 16 * g + lane] = minimum;
        const uint8_t *from = block + 16 + g / 2 * 32;
        for (int i = 0; i < 32; i++) q[i] = g % 2 ? from[i] >> 4 : from[i] & 15;
        put_nibbles(out + 320 + 256 * g, lane, q);
    }
}

static void put_q6_k(const uint8_t *block, uint8_t *out, int lane) {
    memcpy(out + 2 * lane, block + 208, 2);
    for (int j = 0; j < 16; j++) out[32 + 16 * j + lane] = block[192 + j];
    for (int g = 0; g < 8; g++) {
        const uint8_t *from = block + g / 4 * 64 + g % 2 * 32;
        const uint8_t *top_from = block + 128 + g / 4 * 32;
        uint8_t q[32], top[8] = {0};
        for (int i = 0; i < 32; i++) {
            q[i] = g % 4 < 2 ? from[i] & 15 : from[i] >> 4;
            top[i / 16 * 4 + i % 4] |= (top_from[i] >> 2 * (g % 4) & 3) << 2 * (i / 4 % 4);
        }
        uint8_t *to = out + 288 + 384 * g;
        put_nibbles(to, lane, q);
        memcpy(to + 256 + 4 * lane, top, 4);
        memcpy(to + 320 + 4 * lane, top + 4, 4);
    }
}

static void put_q8(const uint8_t *block, uint8_t *out, int lane) {
    memcpy(out + 2 * lane, block, 2);
    for (int c = 0; c < 8; c++)
        for (int i = 0; i < 4; i++) out[32 + 64 * c + 4 * lane + i] = block[2 + 4 * c + i] ^ 0x80;
}

static void put_q4_1(const uint8_t *block, uint8_t *out, int lane) {
    uint8_t q[32];
    memcpy(out + 2 * lane, block, 2);
    memcpy(out + 32 + 2 * lane, block + 2, 2);
    for (int i = 0; i < 16; i++) {
        q[i] = block[4 + i] & 15;
        q[16 + i] = block[4 + i] >> 4;
    }
    put_nibbles(out + 64, lane, q);
}

static void put_fp8(const repack_job *j, int row, uint8_t *tile) {
    const uint8_t *codes = j->source + (int64_t)row * j->in_features;
    int lane = row % 16;
    memcpy(tile + 4 * lane, j->scales + row, 4);
    for (int k = 0; k < j->in_features; k += 4) {
        int count = j->in_features - k < 4 ? j->in_features - k : 4;
        memcpy(tile + FP8_HEAD + 16 * k + 4 * lane, codes + k, (size_t)count);
    }
}

typedef struct {
    int weights, source_bytes, bytes;
    void (*put)(const uint8_t *block, uint8_t *out, int lane);
} block_format;

static const block_format BLOCKS[] = {
    [RNJ_Q4_K] = {256, 144, Q4_K_BLOCK, put_q4_k},
    [RNJ_Q6_K] = {256, 210, Q6_K_BLOCK, put_q6_k},
    [RNJ_Q8] = {32, 34, Q8_BLOCK, put_q8},
    [RNJ_Q4_1] = {32, 20, Q4_1_BLOCK, put_q4_1},
};

static int64_t tile_bytes(int format, int in_features) {
    if (format == RNJ_FP8) return FP8_HEAD + (in_features + 3) / 4 * 64;
    return (int64_t)(in_features / BLOCKS[format].weights) * BLOCKS[format].bytes;
}

static void repack_row(const repack_job *j, int row, uint8_t *tile) {
    if (j->format == RNJ_FP8) {
        put_fp8(j, row, tile);
        return;
    }
    const block_format *f = BLOCKS + j->format;
    int num_blocks = j->in_features / f->weights;
    const uint8_t *source = j->source + (int64_t)row * num_blocks * f->source_bytes;
    for (int block = 0; block < num_blocks; block++)
        f->put(source + (int64_t)block * f->source_bytes, tile + (int64_t)block * f->bytes,
               row % 16);
}

static void repack_part(const void *arg, int part) {
    const repack_job *j = arg;
    int64_t bytes = tile_bytes(j->format, j->in_features);
    int64_t num_tiles = (j->num_rows + 15) / 16;
    int end = (int)(num_tiles * (part + 1) / j->num_parts);
    for (int tile = (int)(num_tiles * part / j->num_parts); tile < end; tile++) {
        int last = 16 * tile + 16 < j->num_rows ? 16 * tile + 16 : j->num_rows;
        memset(j->tiles + tile * bytes, 0, (size_t)bytes);
        for (int row = 16 * tile; row < last; row++)
            repack_row(j, row, j->tiles + tile * bytes);
    }
}

/* source: blocks of num_rows rows, or FP8 codes [num_rows, in_features] with scales, f32. */
RNJ_EXPORT void rnj_repack(int format, const uint8_t *source, const float *scales, int num_rows,
                           int in_features, uint8_t *tiles, int num_threads) {
    int num_parts = 16 * num_threads, num_tiles = (num_rows + 15) / 16;
    repack_job j = {source, scales, tiles, format, num_rows, in_features,
                    num_tiles < num_parts ? num_tiles : num_parts};
    rnj_run(repack_part, &j, j.num_parts, num_threads);
}
