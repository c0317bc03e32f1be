/*
 * Waits for events and messages that a signal can end, such as that of Ctrl-C: its handler in Python runs when the C code asks for it.
 *
 * A short wait is spent inside the library, which serves it best; the signal has to wait for its end. From then on the thread sleeps in poll, which a
 * signal ends at once, and which costs nothing however long it lasts.
 */
#include "module.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

/* Milliseconds that a wait is spent inside the library: far above a round trip on a local network, too short to be felt by who presses Ctrl-C. */
#define IN_LIBRARY_MS 50

typedef int32_t fetch_function(meshnet_node_t *node, int timeout_ms, void *items, size_t capacity, size_t *count);

static int32_t fetch_events(meshnet_node_t *node, int timeout_ms, void *items, size_t capacity, size_t *count) {
    return meshnet_next_events(node, timeout_ms, items, capacity, count);
}

static int32_t fetch_messages(meshnet_node_t *node, int timeout_ms, void *items, size_t capacity, size_t *count) {
    return meshnet_receive_many(node, timeout_ms, items, capacity, count);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The rest of a wait that fetched nothing so far; -1: without end. */
static int32_t wait_in_poll(meshnet_node_t *node, int32_t descriptor, int timeout_ms, fetch_function *fetch, void *items, size_t capacity, size_t *count) {
    int64_t end = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    for (;;) {
        if (PyErr_CheckSignals() < 0) {
            return WAIT_RAISED;
        }
        int64_t left = end < 0 ? -1 : end - now_ms();
        if (end >= 0 && left <= 0) {
            return MESHNET_ERROR_TIMED_OUT;
        }
        struct pollfd wanted = {.fd = descriptor, .events = POLLIN};
        int32_t code;
        Py_BEGIN_ALLOW_THREADS
        poll(&wanted, 1, (int)left);
        code = fetch(node, 0, items, capacity, count);
        Py_END_ALLOW_THREADS
        if (code != MESHNET_ERROR_TIMED_OUT) {
            return code;
        }
    }
}

static int32_t wait_for(meshnet_node_t *node, int timeout_ms, int32_t (*descriptor_of)(meshnet_node_t *), fetch_function *fetch, void *items,
                        size_t capacity, size_t *count) {
    if (timeout_ms == 0) {
        /* Takes a lock for a moment at most: not worth a change of threads. */
        return fetch(node, 0, items, capacity, count);
    }
    bool is_short = timeout_ms > 0 && timeout_ms <= IN_LIBRARY_MS;
    int32_t code;
    Py_BEGIN_ALLOW_THREADS
    code = fetch(node, is_short ? timeout_ms : IN_LIBRARY_MS, items, capacity, count);
    Py_END_ALLOW_THREADS
    if (code != MESHNET_ERROR_TIMED_OUT || is_short) {
        return code;
    }
    int32_t descriptor = descriptor_of(node);
    if (descriptor < 0) {
        return descriptor;
    }
    return wait_in_poll(node, descriptor, timeout_ms < 0 ? -1 : timeout_ms - IN_LIBRARY_MS, fetch, items, capacity, count);
}

int32_t wait_for_events(meshnet_node_t *node, int timeout_ms, meshnet_event_t **events, size_t capacity, size_t *count) {
    return wait_for(node, timeout_ms, meshnet_event_fd, fetch_events, events, capacity, count);
}

int32_t wait_for_messages(meshnet_node_t *node, int timeout_ms, meshnet_message_t **messages, size_t capacity, size_t *count) {
    return wait_for(node, timeout_ms, meshnet_message_fd, fetch_messages, messages, capacity, count);
}
