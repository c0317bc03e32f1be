/* A test is a function; RUN prints "ok NAME" or "not ok NAME" for it. REQUIRE ends it with the place and the account of the last error. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <meshnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Milliseconds that a test waits for what must happen; reached only by a failure. Longer under valgrind. */
#define PATIENCE 30000

static bool check_failed;
static int check_failures;

static inline void check_report(const char *file, int line, const char *what) {
    meshnet_error_info_t info;
    check_failed = true;
    printf("# %s:%d: %s\n", file, line, what);
    if (meshnet_last_error(&info, sizeof info) == MESHNET_OK && info.code != MESHNET_OK) {
        printf("#   last error: %s: %s (errno %d)\n", meshnet_error_name(info.code), info.detail, info.system_errno);
    }
}

#define REQUIRE(condition)                                  \
    do {                                                    \
        if (!(condition)) {                                 \
            check_report(__FILE__, __LINE__, #condition);   \
            return;                                         \
        }                                                   \
    } while (0)

/* The call answers this code, and meshnet_last_error tells of it. */
#define REQUIRE_CODE(expected, call)                                                                             \
    do {                                                                                                         \
        int32_t check_code = (call);                                                                             \
        meshnet_error_info_t check_info;                                                                         \
        if (check_code != (expected)) {                                                                          \
            printf("#   expected %s, got %d\n", meshnet_error_name(expected), check_code);                       \
            check_report(__FILE__, __LINE__, #call);                                                             \
            return;                                                                                              \
        }                                                                                                        \
        REQUIRE(meshnet_last_error(&check_info, sizeof check_info) == MESHNET_OK);                               \
        REQUIRE((expected) == MESHNET_OK || (check_info.code == (expected) && check_info.detail[0] != 0));       \
    } while (0)

#define REQUIRE_OK(call) REQUIRE_CODE(MESHNET_OK, call)

#define RUN(test)                                          \
    do {                                                   \
        check_failed = false;                              \
        test();                                            \
        printf("%s %s\n", check_failed ? "not ok" : "ok", #test); \
        fflush(stdout);                                    \
        check_failures += check_failed;                    \
    } while (0)

#define FINISH() return check_failures == 0 ? 0 : 1

static inline int64_t milliseconds_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* A node on loopback with a new key pair; NULL when it cannot be had. */
static inline meshnet_node_t *open_node(void) {
    static const char *const loopback[] = {"/ip4/127.0.0.1/tcp/0"};
    meshnet_keypair_t *keys = NULL;
    meshnet_node_t *node = NULL;
    meshnet_config_t config;
    if (meshnet_keypair_generate(&keys) != MESHNET_OK) return NULL;
    if (meshnet_config_default(&config, sizeof config) == MESHNET_OK) {
        config.identity = keys;
        config.listen_addresses = loopback;
        config.listen_address_count = 1;
        if (meshnet_node_open(&config, &node) != MESHNET_OK) node = NULL;
    }
    meshnet_keypair_free(keys);
    return node;
}

/* The first listen address, in a buffer of the caller. */
static inline bool first_address(meshnet_node_t *node, char *text, size_t capacity) {
    meshnet_string_list_t *list;
    bool found;
    if (meshnet_listen_addresses(node, &list) != MESHNET_OK) return false;
    found = list->count > 0 && (size_t)snprintf(text, capacity, "%s", list->items[0]) < capacity;
    meshnet_string_list_free(list);
    return found;
}

/* The next event of a type, to be freed by the caller; NULL when it does not come. Others are thrown away. */
static inline meshnet_event_t *await_event(meshnet_node_t *node, int32_t type) {
    int64_t deadline = milliseconds_now() + PATIENCE;
    meshnet_event_t *event;
    while (milliseconds_now() < deadline) {
        int32_t code = meshnet_next_event(node, 1000, &event);
        if (code == MESHNET_ERROR_TIMED_OUT) continue;
        if (code != MESHNET_OK) return NULL;
        if (event->type == type) return event;
        meshnet_event_free(event);
    }
    return NULL;
}

/* The completion of a ticket, likewise. */
static inline meshnet_event_t *await_completion(meshnet_node_t *node, meshnet_ticket_t ticket) {
    meshnet_event_t *event;
    while ((event = await_event(node, MESHNET_EVENT_COMPLETED)) != NULL) {
        if (event->ticket.id == ticket.id) return event;
        meshnet_event_free(event);
    }
    return NULL;
}

typedef struct pair {
    meshnet_node_t *alice, *bob;
    char alice_id[MESHNET_PEER_ID_TEXT_SIZE], bob_id[MESHNET_PEER_ID_TEXT_SIZE];
    char alice_address[128];
} pair_t;

static inline void close_pair(pair_t *pair) {
    meshnet_node_free(pair->alice);
    meshnet_node_free(pair->bob);
}

/* Two nodes; bob has dialled alice. */
static inline bool open_pair(pair_t *pair) {
    meshnet_event_t *event;
    memset(pair, 0, sizeof *pair);
    pair->alice = open_node();
    pair->bob = open_node();
    if (pair->alice == NULL || pair->bob == NULL) return false;
    if (!first_address(pair->alice, pair->alice_address, sizeof pair->alice_address)) return false;
    if (meshnet_node_peer_id(pair->bob, pair->bob_id, sizeof pair->bob_id) != MESHNET_OK) return false;
    if (meshnet_connect(pair->bob, pair->alice_address, PATIENCE, pair->alice_id, sizeof pair->alice_id) != MESHNET_OK) return false;
    event = await_event(pair->alice, MESHNET_EVENT_CONNECTED);
    meshnet_event_free(event);
    return event != NULL;
}

#endif
