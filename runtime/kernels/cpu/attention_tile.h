/* The two products of attention on a tile: TILE tokens of one key/value head, for a few queries.
 *
 * What it takes and gives, in each of the three instruction sets (the files at the end):
 *
 *   tile_keys                 the tile's keys as tile_scores reads them
 *   prepare_keys(k, keys, D)  makes them of bf16 [TILE, D]
 *   tile_scores               scores [n, TILE] = queries @ keys.T; queries are pointers to bf16 [D]
 *   tile_values               sums [n, D] += weights [n, TILE] @ values, over `count` tokens;
 *                             element d of a sum is kept at an index of the file's choosing
 *   store_row                 bf16 [D] = sums [D] * scale, back in order
 *
 * Both fetch the tile at `ahead` into the cache meanwhile: it is read next.
 * D is a multiple of 32. What a query gets does not depend on those that it is computed with. */
#ifndef RNJ_ATTENTION_TILE_H
#define RNJ_ATTENTION_TILE_H

#include "numbers.h"

#define TILE 64
#define MAX_HEAD_DIM 256
#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512BF16__) && defined(__AVX512BW__)
#include "attention_tile_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "attention_tile_avx2.h"
#else
#include "attention_tile_plain.h"
#endif

#endif
