/* activation(gate) * up, of rows that hold both. */
#include <stddef.h>

#include "gated.h"
#include "rows.h"

#define PIECE 1024 /* columns of an item of work */

typedef struct {
    const bf16 *gate_up; /* [T, 2 * size]: gates, then ups */
    bf16 *out;           /* [T, size] */
    int num_pieces, size, is_gelu;
} gates;

static inline float silu_of(float x) {
    float y = x / (1.0f + exp_of(-x));
    return x < -88.0f ? -0.0f : y; /* from there on exp_of does not grow */
}

static inline float gelu_of(float x) {
    float inner = 0.797884561f * (x + 0.044715f * x * x * x);
    return 0.5f * x * (1.0f + tanh_of(inner));
}

static void do_piece(const void *arg, int item) {
    const gates *g = arg;
    int row = item / g->num_pieces, first = item % g->num_pieces * PIECE;
    int count = g->size - first < PIECE ? g->size - first : PIECE;
    const bf16 *gate = g->gate_up + (ptrdiff_t)row * 2 * g->size + first;
    const bf16 *up = gate + g->size;
    bf16 *restrict out = g->out + (ptrdiff_t)row * g->size + first;
    if (g->is_gelu)
        for (int i = 0; i < count; i++) out[i] = rounded(gelu_of(widened(gate[i])) * widened(up[i]));
    else
        for (int i = 0; i < count; i++) out[i] = rounded(silu_of(widened(gate[i])) * widened(up[i]));
}

RNJ_EXPORT void rnj_gate(const bf16 *gate_up, bf16 *out, int num_rows, int size, int is_gelu,
                         int num_threads) {
    gates g = {gate_up, out, (size + PIECE - 1) / PIECE, size, is_gelu};
    rnj_run(do_piece, &g, num_rows * g.num_pieces,
            threads_for((int64_t)num_rows * size, num_threads));
}
