/* activation(gate) * up: see gated.c. */
#ifndef RNJ_GATED_H
#define RNJ_GATED_H

#include "numbers.h"
#include "threads.h"

/* gate_up: [num_rows, 2 * size], gates, then ups; out: [num_rows, size]. */
RNJ_EXPORT void rnj_gate(const bf16 *gate_up, bf16 *out, int num_rows, int size, int is_gelu,
                         int num_threads);

#endif
