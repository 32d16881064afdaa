/* What the small operations on rows share. */
#ifndef RNJ_ROWS_H
#define RNJ_ROWS_H

#include "numbers.h"
#include "threads.h"

#define SMALL_ROWS 32768 /* numbers: fewer are done before other threads are awake */

static inline int threads_for(int64_t numbers, int num_threads) {
    return numbers < SMALL_ROWS ? 1 : num_threads;
}

/* 1 / rms(x), the squares summed in sixteen lanes. */
static inline float inverse_rms(const bf16 *x, int size, float eps) {
    float lanes[16] = {0};
    int i = 0;
    for (; i + 16 <= size; i += 16)
        for (int j = 0; j < 16; j++) lanes[j] += widened(x[i + j]) * widened(x[i + j]);
    for (int j = 0; i + j < size; j++) lanes[j] += widened(x[i + j]) * widened(x[i + j]);
    return 1.0f / __builtin_sqrtf(sum_of_lanes(lanes) / (float)size + eps);
}

#endif
