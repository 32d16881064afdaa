#define _GNU_SOURCE /* for affinity */
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_THREADS 256

/* Each on a cache line of its own. */
typedef struct {
    _Alignas(64) atomic_int next;
    int end;
} stretch;

typedef struct {
    rnj_task task;
    const void *arg;
    int num_threads;
    atomic_int num_arrived;
    stretch stretches[MAX_THREADS];
} job;

/* What each thread does. Numbers are given in the order of arrival: all of the work is done, however
 * few threads come. */
static void work(job *j) {
    int own = atomic_fetch_add_explicit(&j->num_arrived, 1, memory_order_relaxed);
    for (int i = 0; i < j->num_threads; i++) {
        stretch *s = &j->stretches[(own + i) % j->num_threads];
        for (;;) {
            int part = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
            if (part >= s->end) break;
            j->task(j->arg, part);
        }
    }
}

#define SPINS 1000 /* about 50 us on x86: longer than from one task of a pass to the next */

/* Threads of our own, beside those of torch's OpenMP runtime. At its barriers all threads must come
 * before any goes on: where another process has one of the processors, each barrier lasts a time
 * slice. Here a job is done when its parts are, whether or not all threads have come. Both kinds
 * sleep soon when there is nothing to do, so that they do not fight. */
static struct {
    pthread_mutex_t mutex, in_use;
    pthread_cond_t wake;
    atomic_int num_started, num_asleep, num_inside;
    atomic_uint round;
    _Atomic(job *) job; /* NULL between jobs */
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER,
          .in_use = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER};

static inline void pause_shortly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void wait_for_round_after(unsigned seen) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&pool.round) != seen) return;
        pause_shortly();
    }
    pthread_mutex_lock(&pool.mutex);
    atomic_fetch_add(&pool.num_asleep, 1);
    while (atomic_load(&pool.round) == seen) pthread_cond_wait(&pool.wake, &pool.mutex);
    atomic_fetch_sub(&pool.num_asleep, 1);
    pthread_mutex_unlock(&pool.mutex);
}

static void *pool_thread(void *index) {
    unsigned seen = 0;
    for (;;) {
        wait_for_round_after(seen);
        seen = atomic_load(&pool.round);
        /* inside first, then the look at the job: run_pool takes it away first, then looks inside */
        atomic_fetch_add(&pool.num_inside, 1);
        job *j = atomic_load(&pool.job);
        if (j && (int)(intptr_t)index < j->num_threads - 1) work(j);
        atomic_fetch_sub(&pool.num_inside, 1);
    }
    return NULL;
}

/* A child process has none of its parent's threads, and its locks may be held by them. */
static void forget_pool(void) {
    pthread_mutex_init(&pool.mutex, NULL);
    pthread_mutex_init(&pool.in_use, NULL);
    pthread_cond_init(&pool.wake, NULL);
    pool.num_started = pool.num_asleep = pool.num_inside = 0;
    pool.job = NULL;
}

/* Where the pool's threads are kept: thread i on cpus[i]. Read and written by who has pool.in_use. */
static struct {
    int cpus[MAX_THREADS];
    int count;
} places;

#if defined(__linux__)
static pthread_t handles[MAX_THREADS];

static int put_on(pthread_t thread, int index) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (index < places.count)
        CPU_SET(places.cpus[index], &set);
    else if (sched_getaffinity(0, sizeof set, &set)) /* as the caller, who is never pinned */
        return 0;
    return !pthread_setaffinity_np(thread, sizeof set, &set);
}
#endif

static void start_threads(int count) {
    static int watches_forks;
    if (!watches_forks) watches_forks = !pthread_atfork(NULL, NULL, forget_pool);
    pthread_t thread;
    while (pool.num_started < count &&
           !pthread_create(&thread, NULL, pool_thread, (void *)(intptr_t)pool.num_started)) {
#if defined(__linux__)
        handles[pool.num_started] = thread;
        if (pool.num_started < places.count) put_on(thread, pool.num_started);
#endif
        pthread_detach(thread);
        pool.num_started++;
    }
}

static void run_pool(job *j) {
    /* a second caller at the same time does its work alone */
    if (pthread_mutex_trylock(&pool.in_use)) {
        work(j);
        return;
    }
    start_threads(j->num_threads - 1);
    atomic_store(&pool.job, j);
    atomic_fetch_add(&pool.round, 1);
    if (atomic_load(&pool.num_asleep)) {
        pthread_mutex_lock(&pool.mutex);
        pthread_cond_broadcast(&pool.wake);
        pthread_mutex_unlock(&pool.mutex);
    }
    work(j);
    atomic_store(&pool.job, NULL);
    for (int i = 0; atomic_load(&pool.num_inside); i++) {
        if (i < SPINS)
            pause_shortly();
        else
            sched_yield(); /* to one that has not finished its part, and waits for a processor */
    }
    pthread_mutex_unlock(&pool.in_use);
}

void rnj_run(rnj_task task, const void *arg, int num_parts, int num_threads) {
    if (num_threads > MAX_THREADS) num_threads = MAX_THREADS;
    if (num_threads <= 1 || num_parts <= 1) {
        for (int part = 0; part < num_parts; part++) task(arg, part);
        return;
    }
    job j; /* 16 KiB, of which few are needed */
    j.task = task;
    j.arg = arg;
    j.num_threads = num_threads;
    atomic_init(&j.num_arrived, 0);
    for (int i = 0; i < num_threads; i++) {
        atomic_init(&j.stretches[i].next, (int)((int64_t)num_parts * i / num_threads));
        j.stretches[i].end = (int)((int64_t)num_parts * (i + 1) / num_threads);
    }
    run_pool(&j);
}

/* Keeps the pool's threads on one processor each, the calling one left out; count 0: wherever the
 * system has them. Waits for a job that runs. Stores in *done whether the system allowed all. */
RNJ_EXPORT void rnj_pin_threads(const int32_t *cpus, int count, int32_t *done) {
    pthread_mutex_lock(&pool.in_use);
#if defined(__linux__)
    places.count = count < MAX_THREADS ? count : MAX_THREADS;
    *done = 1;
    for (int i = 0; i < places.count; i++) {
        places.cpus[i] = cpus[i];
        *done &= cpus[i] >= 0 && cpus[i] < CPU_SETSIZE;
    }
    if (!*done) places.count = 0;
    for (int i = 0; i < pool.num_started; i++) *done &= put_on(handles[i], i);
#else
    (void)cpus;
    *done = count == 0;
#endif
    pthread_mutex_unlock(&pool.in_use);
}

/* For tests: marks[part] is how often a part was done. */
static void mark(const void *marks, int part) { ((uint8_t *)(uintptr_t)marks)[part]++; }

RNJ_EXPORT void rnj_mark_parts(uint8_t *marks, int num_parts, int num_threads) {
    rnj_run(mark, marks, num_parts, num_threads);
}
