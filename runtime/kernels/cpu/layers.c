/* All decoder layers of a pass with few rows, in one call.
 *
 * What it does is what the modules in runtime/layers do one after the other, by the same kernels:
 *
 *   x += norm(attention(norm(x)));  x += norm(mlp(norm(x)))      the outer norms are Gemma's alone
 *
 * T rows, H query heads, K key/value heads, D head size, I intermediate size. */
#include <stddef.h>

#include "attention.h"
#include "gated.h"
#include "heads.h"
#include "norms.h"
#include "products.h"

typedef struct {
    const float *weight; /* NULL: there is none */
    float eps;
} norm;

/* Of one layer. */
typedef struct {
    const rnj_packed *qkv, *o, *gate_up, *down;
    norm input, after_attention, before_mlp, after_mlp, query, key;
    bf16 *keys, *values; /* its cache, [K, S, D] */
    int32_t type;        /* which attention and rotation of the pass */
    int32_t is_gelu;
} layer;

typedef struct {
    bf16 *x;                  /* [T, hidden]: what the layers read and update */
    bf16 *update;             /* [T, hidden]: at the end, what is still to be added to x */
    bf16 *normed, *attended;  /* [T, hidden], [T, H, D] */
    bf16 *qkv;                /* [T, H + 2 K, D] */
    bf16 *gate_up, *gated;    /* [T, 2 I], [T, I] */
    void *workspace;          /* of the products */
    const attention *attention[2]; /* complete but for what is of a layer */
    const float *cos[2], *sin[2];  /* [T, D / 2] */
    const int64_t *slots;          /* [T]; NULL: from first_slot on */
    int64_t first_slot;
    int32_t num_rows, hidden_size, intermediate_size;
} pass;

static void project(const pass *p, const rnj_packed *weight, const bf16 *x, bf16 *y, int threads) {
    rnj_packed_product(weight, x, 1, p->num_rows, y, p->workspace, threads);
}

/* x += norm(update), and then normed = norm(x). */
static void read_stream(const pass *p, const bf16 *update, norm of_update, norm of_x, int threads) {
    stream s = {.x = p->x,
                .y = update,
                .y_weight = of_update.weight,
                .weight = of_x.weight,
                .out = p->normed,
                .num_rows = p->num_rows,
                .size = p->hidden_size,
                .y_eps = of_update.eps,
                .eps = of_x.eps};
    rnj_add_norm(&s, threads);
}

static void attend(const pass *p, const layer *l, int threads) {
    attention a = *p->attention[l->type];
    heads h = {.qkv = p->qkv,
               .q_norm = l->query.weight,
               .k_norm = l->key.weight,
               .cos = p->cos[l->type],
               .sin = p->sin[l->type],
               .slots = p->slots,
               .keys = l->keys,
               .values = l->values,
               .num_slots = a.num_slots,
               .first_slot = p->first_slot,
               .num_rows = p->num_rows,
               .num_heads = a.num_heads,
               .num_kv_heads = a.num_kv_heads,
               .head_dim = a.head_dim,
               .q_eps = l->query.eps,
               .k_eps = l->key.eps};
    rnj_write_heads(&h, threads);
    a.queries = p->qkv;
    a.query_stride = (int64_t)(a.num_heads + 2 * a.num_kv_heads) * a.head_dim;
    a.keys = l->keys;
    a.values = l->values;
    a.output = p->attended;
    rnj_attend(&a, threads);
}

RNJ_EXPORT void rnj_run_layers(const pass *p, const layer *layers, int num_layers, int threads) {
    const norm none = {0};
    for (int i = 0; i < num_layers; i++) {
        const layer *l = &layers[i];
        norm of_update = i ? layers[i - 1].after_mlp : none;
        read_stream(p, i ? p->update : NULL, of_update, l->input, threads);
        project(p, l->qkv, p->normed, p->qkv, threads);
        attend(p, l, threads);
        project(p, l->o, p->attended, p->update, threads);
        read_stream(p, p->update, l->after_attention, l->before_mlp, threads);
        project(p, l->gate_up, p->normed, p->gate_up, threads);
        rnj_gate(p->gate_up, p->gated, p->num_rows, p->intermediate_size, l->is_gelu, threads);
        project(p, l->down, p->gated, p->update, threads);
    }
}
