#include "threads.h"

#include <pthread.h>
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

/* GOMP_parallel(function, data, number of threads, flags) of torch's OpenMP runtime. */
typedef void (*team_function)(void (*)(void *), void *, unsigned, unsigned);

static team_function run_team;

RNJ_EXPORT void rnj_set_team(void *function) { run_team = (team_function)(uintptr_t)function; }

/* What each thread does. Numbers are given in the order of arrival: a runtime may send fewer
 * threads than it was asked for, and the work is done nevertheless. */
static void work(void *data) {
    job *j = data;
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

/* ---- threads of our own, where torch's runtime is another: they wait asleep ---- */

static struct {
    pthread_mutex_t mutex, in_use;
    pthread_cond_t wake, done;
    int num_started, num_wanted, num_running;
    uint64_t round;
    job *job;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER,
          .in_use = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER};

static void *pool_thread(void *index) {
    uint64_t seen = 0;
    pthread_mutex_lock(&pool.mutex);
    for (;;) {
        while (pool.round == seen || (int)(intptr_t)index >= pool.num_wanted) {
            seen = pool.round;
            pthread_cond_wait(&pool.wake, &pool.mutex);
        }
        seen = pool.round;
        job *j = pool.job;
        pthread_mutex_unlock(&pool.mutex);
        work(j);
        pthread_mutex_lock(&pool.mutex);
        if (--pool.num_running == 0) pthread_cond_signal(&pool.done);
    }
    return NULL;
}

/* A child process has none of its parent's threads, and its locks may be held by them. */
static void forget_pool(void) {
    pthread_mutex_init(&pool.mutex, NULL);
    pthread_mutex_init(&pool.in_use, NULL);
    pthread_cond_init(&pool.wake, NULL);
    pthread_cond_init(&pool.done, NULL);
    pool.num_started = pool.num_wanted = pool.num_running = 0;
}

static void start_threads(int count) {
    static int watches_forks;
    if (!watches_forks) watches_forks = !pthread_atfork(NULL, NULL, forget_pool);
    pthread_t thread;
    while (pool.num_started < count &&
           !pthread_create(&thread, NULL, pool_thread, (void *)(intptr_t)pool.num_started)) {
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
    pthread_mutex_lock(&pool.mutex);
    start_threads(j->num_threads - 1);
    int count = j->num_threads - 1 < pool.num_started ? j->num_threads - 1 : pool.num_started;
    pool.job = j;
    pool.num_wanted = pool.num_running = count;
    pool.round++;
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.mutex);
    work(j);
    pthread_mutex_lock(&pool.mutex);
    while (pool.num_running) pthread_cond_wait(&pool.done, &pool.mutex);
    pool.num_wanted = 0;
    pthread_mutex_unlock(&pool.mutex);
    pthread_mutex_unlock(&pool.in_use);
}

void rnj_run(rnj_task task, const void *arg, int num_parts, int num_threads) {
    if (num_threads > MAX_THREADS) num_threads = MAX_THREADS;
    /* with fewer threads than the last time, OpenMP would end some and start them again later */
    if (num_threads <= 1 || num_parts <= 1) {
        for (int part = 0; part < num_parts; part++) task(arg, part);
        return;
    }
    job j = {.task = task, .arg = arg, .num_threads = num_threads};
    for (int i = 0; i < num_threads; i++) {
        j.stretches[i].next = (int)((int64_t)num_parts * i / num_threads);
        j.stretches[i].end = (int)((int64_t)num_parts * (i + 1) / num_threads);
    }
    if (run_team)
        run_team(work, &j, (unsigned)num_threads, 0);
    else
        run_pool(&j);
}

/* For tests: marks[part] is how often a part was done. */
static void mark(const void *marks, int part) { ((uint8_t *)(uintptr_t)marks)[part]++; }

RNJ_EXPORT void rnj_mark_parts(uint8_t *marks, int num_parts, int num_threads) {
    rnj_run(mark, marks, num_parts, num_threads);
}
