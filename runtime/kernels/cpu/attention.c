/* Attention of a few new rows of some sequences, on the paged cache as it lies.
 *
 * A row's keys are cut by their positions, every part_tiles tiles, into parts: an item of work is
 * one part of one sequence's keys in one key/value head, for all rows and queries that share them.
 * In a part, tiles follow each other (online softmax); then a row's parts are merged in order. So
 * each rounding depends on the row's position alone, not on threads or on the rows beside it.
 *
 * T rows, H query heads, K key/value heads, G = H / K, D head size, P parts, S slots. */
#include <stddef.h>

#include "attention.h"
#include "attention_tile.h"

#define LOWEST -1e30f /* the largest score of no keys: finite, so that differences are no NaN */
#define SMALL_MERGE 16384 /* floats: too few to wake threads for */

static int larger(int a, int b) { return a > b ? a : b; }
static int smaller(int a, int b) { return a < b ? a : b; }

static int first_seen(const attention *a, int position) {
    return a->window ? larger(0, position - a->window + 1) : 0;
}

static ptrdiff_t tile_offset(const attention *a, const sequence *s, int head, int tile) {
    ptrdiff_t slot = (ptrdiff_t)a->blocks[s->first_block + tile] * TILE;
    return (head * a->num_slots + slot) * a->head_dim;
}

/* Scores of a tile become weights. Returns what earlier sums are to be multiplied by. */
static float soften(float *scores, float *stats, int first, int end, const attention *a) {
    for (int i = 0; i < TILE; i++) scores[i] *= a->scale;
    if (a->softcap > 0)
        for (int i = 0; i < TILE; i++) scores[i] = tanh_of(scores[i] / a->softcap) * a->softcap;
    if (first > 0 || end < TILE)
        for (int i = 0; i < TILE; i++) {
            float seen = i < end ? scores[i] : -__builtin_inff();
            scores[i] = i >= first ? seen : -__builtin_inff();
        }
    float lanes[16];
    for (int i = 0; i < 16; i++) lanes[i] = scores[i];
    for (int j = 16; j < TILE; j += 16)
        for (int i = 0; i < 16; i++) lanes[i] = lanes[i] > scores[j + i] ? lanes[i] : scores[j + i];
    float largest = stats[0];
    for (int i = 0; i < 16; i++) largest = largest > lanes[i] ? largest : lanes[i];
    for (int i = 0; i < TILE; i++) scores[i] = exp_of(scores[i] - largest);
    for (int i = 0; i < 16; i++) lanes[i] = scores[i];
    for (int j = 16; j < TILE; j += 16)
        for (int i = 0; i < 16; i++) lanes[i] += scores[j + i];
    float earlier = exp_of(stats[0] - largest);
    stats[0] = largest;
    stats[1] = stats[1] * earlier + sum_of_lanes(lanes);
    return earlier;
}

static void attend_part(const void *arg, int item) {
    const attention *a = arg;
    /* sequences of one family read the same part one after the other, while it is in the cache */
    const sequence *s = &a->sequences[item % a->num_sequences];
    int head = item / a->num_sequences % a->num_kv_heads;
    int part = item / a->num_sequences / a->num_kv_heads;
    int head_dim = a->head_dim, group = a->num_heads / a->num_kv_heads;
    int num_queries = s->num_rows * group, seq_len = s->start + s->num_rows;
    int first_tile = larger(part * a->part_tiles, first_seen(a, s->start) / TILE);
    int end_tile = smaller((part + 1) * a->part_tiles, (seq_len + TILE - 1) / TILE);
    if (first_tile >= end_tile) return;
    tile_keys keys;
    for (int tile = first_tile; tile < end_tile; tile++) {
        const bf16 *values = a->values + tile_offset(a, s, head, tile);
        const bf16 *next = a->keys + tile_offset(a, s, head, smaller(tile + 1, end_tile - 1));
        prepare_keys(&keys, a->keys + tile_offset(a, s, head, tile), head_dim);
        for (int done = 0; done < num_queries; done += AT_A_TIME) {
            int n = smaller(AT_A_TIME, num_queries - done), token = tile * TILE;
            _Alignas(64) float scores[AT_A_TIME * TILE];
            const bf16 *queries[AT_A_TIME];
            float *sums[AT_A_TIME], *stats[AT_A_TIME];
            for (int i = 0; i < n; i++) {
                int row = s->first_row + (done + i) / group;
                int nth = head * group + (done + i) % group;
                ptrdiff_t place = ((ptrdiff_t)row * a->num_heads + nth) * a->num_parts + part;
                queries[i] = a->queries + row * a->query_stride + nth * head_dim;
                sums[i] = a->sums + place * head_dim;
                stats[i] = a->stats + place * 2;
                if (tile > first_tile) continue;
                stats[i][0] = LOWEST;
                stats[i][1] = 0;
                memset(sums[i], 0, (size_t)head_dim * sizeof(float));
            }
            tile_scores(scores, queries, &keys, values, head_dim, n);
            for (int i = 0; i < n; i++) {
                int position = s->start + (done + i) / group;
                float earlier = soften(scores + i * TILE, stats[i],
                                       first_seen(a, position) - token, position + 1 - token, a);
                if (earlier == 1.0f) continue;
                for (int d = 0; d < head_dim; d++) sums[i][d] *= earlier;
            }
            int count = smaller(TILE, seq_len - token);
            tile_values(sums, scores, values, next, head_dim, count, n);
        }
    }
}

/* All heads of one row. */
static void merge_row(const attention *a, const sequence *s, int row) {
    int head_dim = a->head_dim, part_len = a->part_tiles * TILE, position = s->start + row;
    int first = first_seen(a, position) / part_len, end = position / part_len + 1;
    for (int head = 0; head < a->num_heads; head++) {
        ptrdiff_t query = (ptrdiff_t)(s->first_row + row) * a->num_heads + head;
        float *sums = a->sums + query * a->num_parts * head_dim;
        const float *stats = a->stats + query * a->num_parts * 2;
        float largest = LOWEST, total = 0;
        for (int part = first; part < end; part++)
            largest = largest > stats[2 * part] ? largest : stats[2 * part];
        float *merged = sums + first * head_dim;
        for (int part = first; part < end; part++) {
            float weight = exp_of(stats[2 * part] - largest);
            total += weight * stats[2 * part + 1];
            const float *more = sums + part * head_dim;
            for (int d = 0; d < head_dim; d++)
                merged[d] = part == first ? more[d] * weight : merged[d] + more[d] * weight;
        }
        store_row(a->output + query * head_dim, merged, 1.0f / total, head_dim);
    }
}

static void merge_any_row(const void *arg, int row) {
    const attention *a = arg;
    for (int i = 0; i < a->num_sequences; i++) {
        const sequence *s = &a->sequences[i];
        if (s->first_row <= row && row < s->first_row + s->num_rows)
            merge_row(a, s, row - s->first_row);
    }
}

RNJ_EXPORT void rnj_attend(const attention *a, int num_threads) {
    rnj_run(attend_part, a, a->num_parts * a->num_kv_heads * a->num_sequences, num_threads);
    int64_t size = (int64_t)a->num_rows * a->num_heads * a->num_parts * a->head_dim;
    rnj_run(merge_any_row, a, a->num_rows, size > SMALL_MERGE ? num_threads : 1);
}
