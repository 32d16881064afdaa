/* Work in parts, on several threads. */
#ifndef RNJ_THREADS_H
#define RNJ_THREADS_H

#define RNJ_EXPORT __attribute__((visibility("default")))

/* Does part `part` of the work. Parts run at the same time, in any order, each exactly once. */
typedef void (*rnj_task)(const void *arg, int part);

/* Has all parts of a task done by at most num_threads threads, the calling one included.
 *
 * Thread i begins with the i-th stretch of neighbouring parts, so parts that are neighbours in
 * memory make a sequential stream. A thread that has finished its own stretch takes parts from the
 * others': one that the machine gave to another process holds up no more than the part it is at.
 * So: several parts a thread (4 to 16), each long enough to be worth an atomic add (> 5 us).
 * With one thread or one part it is a plain loop. A result must not depend on num_threads. */
void rnj_run(rnj_task task, const void *arg, int num_parts, int num_threads);

#endif
