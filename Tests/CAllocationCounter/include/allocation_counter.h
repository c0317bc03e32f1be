/* Counts the heap allocations of the calling thread, by standing in front of glibc's malloc in the test program. */
#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

/* malloc, calloc, realloc and the aligned forms that this thread called so far; -1 where a sanitizer owns malloc. */
long allocation_count(void);

#endif
