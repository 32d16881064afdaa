/* Weights as the products read them: tiles of 16 output rows, one a lane, a sequential stream.
 *
 * A tile holds its 16 rows from the first input to the last, in blocks of the format (bytes of a
 * block of 16 rows, from the first on; f16 and bytes of the 16 rows stand side by side):
 *
 * | format | weights | weight                     | block                                        |
 * |--------|---------|----------------------------|----------------------------------------------|
 * | Q4_K   | 256     | d * scale * q - m * min    | d f16, m f16, 8 scale u8, 8 min u8, 8 nibbles |
 * | Q6_K   | 256     | d * scale * (q - 32)       | d f16, 16 scale i8, 8 x (nibbles, top bits)  |
 * | Q8     | 32      | d * (q - 128)              | d f16, 8 x 64 bytes                          |
 * | Q4_1   | 32      | d * q + m                  | d f16, m f16, nibbles                        |
 * | FP8    | all     | scale * e4m3               | scale f32, then 64 bytes for each 4 inputs   |
 *
 * 64 bytes ("a chunk") are 4 neighbouring inputs of each lane. "Nibbles" of 32 inputs are 4 x 64
 * bytes: low halves are the even chunks, high halves the odd ones. "Top bits" are 2 x 64 bytes:
 * bits 2j and 2j+1 of the first belong to chunk j, of the second to chunk 4 + j.
 * GGUF's formats are held without loss. */
#ifndef RNJ_PACKED_H
#define RNJ_PACKED_H

#include <stdint.h>

enum { RNJ_Q4_K, RNJ_Q6_K, RNJ_Q8, RNJ_Q4_1, RNJ_FP8, RNJ_NUM_FORMATS };

#define Q4_K_BLOCK 2368
#define Q6_K_BLOCK 3360
#define Q8_BLOCK 544
#define Q4_1_BLOCK 320
#define FP8_HEAD 64
#define MAX_SEGMENTS 4

/* Rows of one format. All numbers were checked by who made it. */
typedef struct {
    const uint8_t *tiles;
    int64_t tile_bytes;
    int32_t format;
    int32_t num_rows; /* the last tile is filled up with rows of zeros */
} rnj_segment;

/* Segments one after the other are the output rows of a product. */
typedef struct {
    const rnj_segment *segments;
    int32_t num_segments;
    int32_t in_features;
    int32_t out_features;
    int32_t is_fp8; /* all segments or none */
    const float *bias; /* of each output row, or NULL */
} rnj_packed;

#endif
