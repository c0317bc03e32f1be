/* What our programs of the bench share. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <meshnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Ends the program with the reason when a call failed. */
static void check(int32_t code, const char *what) {
    if (code >= 0) return;
    meshnet_error_info_t info;
    if (meshnet_last_error(&info, sizeof info) != MESHNET_OK) info.detail[0] = 0;
    fprintf(stderr, "%s: %s %s\n", what, meshnet_strerror(code), info.detail);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
