/* A tile's products with a panel of M rows, one function for each format.
 *
 * out[r] is the products of the tile's 16 rows with row r. Each row goes through the same
 * operations in the same order whatever M is, so its result is the same, bit for bit. M is a
 * constant where these are inlined. */
#include "activations.h"
#include "fp8_lanes.h"
#include "lanes.h"
#include "packed.h"
#include "packed_chunks.h"

INLINE void dot_q4_k(const uint8_t *tile, const rnj_group *x, int in_features,
                     lanes_f *out, const int M) {
    lanes_f sums[PANEL_ROWS];
    UNROLL for (int r = 0; r < M; r++) sums[r] = each_f32(0);
    for (int block = 0; block < in_features / 256; block++, tile += Q4_K_BLOCK) {
        lanes_f d = load_f16(tile), m = load_f16(tile + 32);
        for (int g = 0; g < 8; g++, x += M) {
            const uint8_t *nibbles = tile + 320 + g * 256;
            lanes_i dots[PANEL_ROWS];
            UNROLL for (int r = 0; r < M; r++) dots[r] = each_i32(0);
            UNROLL for (int c = 0; c < 8; c++) {
                lanes_i q = nibble_chunk(nibbles, c);
                UNROLL for (int r = 0; r < M; r++)
                    dots[r] = dot4(dots[r], q, each_4_bytes(x[r].q + 4 * c));
            }
            lanes_f scale = multiply(d, load_u8(tile + 64 + g * 16));
            lanes_f minimum = multiply(m, load_u8(tile + 192 + g * 16));
            UNROLL for (int r = 0; r < M; r++) {
                lanes_f product = multiply(to_f32(dots[r]), scale);
                sums[r] = multiply_add(product, each_f32(x[r].scale), sums[r]);
                sums[r] = multiply_subtract(minimum, each_f32(x[r].scaled_sum), sums[r]);
            }
        }
    }
    UNROLL for (int r = 0; r < M; r++) out[r] = sums[r];
}

INLINE void dot_q6_k(const uint8_t *tile, const rnj_group *x, int in_features,
                     lanes_f *out, const int M) {
    lanes_f sums[PANEL_ROWS];
    UNROLL for (int r = 0; r < M; r++) sums[r] = each_f32(0);
    for (int block = 0; block < in_features / 256; block++, tile += Q6_K_BLOCK) {
        lanes_f d = load_f16(tile);
        for (int g = 0; g < 8; g++, x += M) {
            const uint8_t *nibbles = tile + 288 + g * 384;
            lanes_i low[PANEL_ROWS], high[PANEL_ROWS];
            UNROLL for (int r = 0; r < M; r++) {
                low[r] = each_i32(-32 * x[r].sums[0]);
                high[r] = each_i32(-32 * x[r].sums[1]);
            }
            UNROLL for (int c = 0; c < 4; c++) {
                lanes_i q = q6_chunk(nibbles, c);
                UNROLL for (int r = 0; r < M; r++)
                    low[r] = dot4(low[r], q, each_4_bytes(x[r].q + 4 * c));
            }
            UNROLL for (int c = 4; c < 8; c++) {
                lanes_i q = q6_chunk(nibbles, c);
                UNROLL for (int r = 0; r < M; r++)
                    high[r] = dot4(high[r], q, each_4_bytes(x[r].q + 4 * c));
            }
            lanes_f scale_low = multiply(d, load_i8(tile + 32 + g * 32));
            lanes_f scale_high = multiply(d, load_i8(tile + 48 + g * 32));
            UNROLL for (int r = 0; r < M; r++) {
                lanes_f product = multiply(to_f32(low[r]), scale_low);
                product = multiply_add(to_f32(high[r]), scale_high, product);
                sums[r] = multiply_add(product, each_f32(x[r].scale), sums[r]);
            }
        }
    }
    UNROLL for (int r = 0; r < M; r++) out[r] = sums[r];
}

INLINE void dot_q8(const uint8_t *tile, const rnj_group *x, int in_features,
                   lanes_f *out, const int M) {
    lanes_f sums[PANEL_ROWS];
    UNROLL for (int r = 0; r < M; r++) sums[r] = each_f32(0);
    for (int g = 0; g < in_features / GROUP; g++, tile += Q8_BLOCK, x += M) {
        lanes_f scale = load_f16(tile);
        lanes_i dots[PANEL_ROWS];
        UNROLL for (int r = 0; r < M; r++)
            dots[r] = biased_start(-128 * (x[r].sums[0] + x[r].sums[1]));
        UNROLL for (int c = 0; c < 8; c++) {
            lanes_i q = load_bytes(tile + 32 + c * 64);
            prefetch(tile + 32 + c * 64);
            UNROLL for (int r = 0; r < M; r++)
                dots[r] = dot4_biased(dots[r], q, each_4_bytes(x[r].q + 4 * c));
        }
        UNROLL for (int r = 0; r < M; r++) {
            lanes_f product = multiply(to_f32(dots[r]), scale);
            sums[r] = multiply_add(product, each_f32(x[r].scale), sums[r]);
        }
    }
    UNROLL for (int r = 0; r < M; r++) out[r] = sums[r];
}

INLINE void dot_q4_1(const uint8_t *tile, const rnj_group *x, int in_features,
                     lanes_f *out, const int M) {
    lanes_f sums[PANEL_ROWS];
    UNROLL for (int r = 0; r < M; r++) sums[r] = each_f32(0);
    for (int g = 0; g < in_features / GROUP; g++, tile += Q4_1_BLOCK, x += M) {
        lanes_f scale = load_f16(tile), minimum = load_f16(tile + 32);
        lanes_i dots[PANEL_ROWS];
        UNROLL for (int r = 0; r < M; r++) dots[r] = each_i32(0);
        UNROLL for (int c = 0; c < 8; c++) {
            lanes_i q = nibble_chunk(tile + 64, c);
            UNROLL for (int r = 0; r < M; r++)
                dots[r] = dot4(dots[r], q, each_4_bytes(x[r].q + 4 * c));
        }
        UNROLL for (int r = 0; r < M; r++) {
            lanes_f product = multiply(to_f32(dots[r]), scale);
            sums[r] = multiply_add(product, each_f32(x[r].scale), sums[r]);
            sums[r] = multiply_add(minimum, each_f32(x[r].scaled_sum), sums[r]);
        }
    }
    UNROLL for (int r = 0; r < M; r++) out[r] = sums[r];
}

INLINE void dot_fp8(const uint8_t *tile, const rnj_quad *x, int in_features, lanes_f *out,
                    const int M) {
    lanes_f sums[PANEL_ROWS], others[PANEL_ROWS]; /* two: one would wait for itself */
    UNROLL for (int r = 0; r < M; r++) sums[r] = others[r] = each_f32(0);
    const uint8_t *codes = tile + FP8_HEAD;
    for (int quad = 0; quad < (in_features + 3) / 4; quad++, codes += 64, x += M) {
        prefetch(codes);
        fp8_values w = decode_fp8(load_bytes(codes));
        UNROLL for (int r = 0; r < M; r++) {
            sums[r] = multiply_add(w.input[0], each_f32(x[r].values[0]), sums[r]);
            others[r] = multiply_add(w.input[1], each_f32(x[r].values[1]), others[r]);
            sums[r] = multiply_add(w.input[2], each_f32(x[r].values[2]), sums[r]);
            others[r] = multiply_add(w.input[3], each_f32(x[r].values[3]), others[r]);
        }
    }
    lanes_f scale = load_f32((const float *)tile);
    UNROLL for (int r = 0; r < M; r++) out[r] = multiply(add(sums[r], others[r]), scale);
}
