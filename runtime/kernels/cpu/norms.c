/* The residual stream: x += norm(y), out = norm(x), in one pass over each row. */
#include <stddef.h>

#include "norms.h"
#include "rows.h"

/* Rounded where separate operations on bfloat16 would round. */
static void add(bf16 *restrict x, const bf16 *restrict y, const stream *s) {
    if (!s->y_weight) {
        for (int i = 0; i < s->size; i++) x[i] = rounded(widened(x[i]) + widened(y[i]));
        return;
    }
    float scale = inverse_rms(y, s->size, s->y_eps);
    for (int i = 0; i < s->size; i++) {
        bf16 normed = rounded(widened(y[i]) * scale * s->y_weight[i]);
        x[i] = rounded(widened(x[i]) + widened(normed));
    }
}

static void do_row(const void *arg, int row) {
    const stream *s = arg;
    bf16 *x = s->x + (ptrdiff_t)row * s->size;
    bf16 *restrict out = s->out + (ptrdiff_t)row * s->size;
    if (s->y) add(x, s->y + (ptrdiff_t)row * s->size, s);
    float scale = inverse_rms(x, s->size, s->eps);
    for (int i = 0; i < s->size; i++) out[i] = rounded(widened(x[i]) * scale * s->weight[i]);
}

RNJ_EXPORT void rnj_add_norm(const stream *s, int num_threads) {
    int64_t numbers = (int64_t)s->num_rows * s->size;
    rnj_run(do_row, s, s->num_rows, threads_for(numbers, num_threads));
}
