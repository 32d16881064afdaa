/* Chunks of packed weights: 4 weights of each lane, one a byte. */
#ifndef RNJ_PACKED_CHUNKS_H
#define RNJ_PACKED_CHUNKS_H

#include "lanes.h"

#define PREFETCH_BYTES 4096

INLINE void prefetch(const uint8_t *from) { __builtin_prefetch(from + PREFETCH_BYTES, 0, 3); }

/* Chunk c of 32 weights held in nibbles. */
INLINE lanes_i nibble_chunk(const uint8_t *nibbles, int c) {
    const uint8_t *from = nibbles + c / 2 * 64;
    if (c % 2) return and_bytes(shift_right(load_bytes(from), 4), 0x0F);
    prefetch(from);
    return and_bytes(load_bytes(from), 0x0F);
}

INLINE lanes_i q6_chunk(const uint8_t *nibbles, int c) {
    lanes_i top = load_bytes(nibbles + 256 + c / 4 * 64);
    if (c % 4 == 0) prefetch(nibbles + 256 + c / 4 * 64);
    lanes_i shifted = c % 4 < 2 ? shift_left(top, 4 - c % 4 * 2) : shift_right(top, c % 4 * 2 - 4);
    return or_masked(nibble_chunk(nibbles, c), shifted, 0x30);
}

#endif
