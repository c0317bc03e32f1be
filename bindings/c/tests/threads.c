/* Many threads on one node, closing under those who wait, and fork. */
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Concurrent calls ---- */

enum { THREADS = 8, ROUNDS = 200 };

typedef struct shared {
    meshnet_node_t *node;
    const char *address, *other_id;
    int failures;
    pthread_mutex_t lock;
} shared_t;

static void note(shared_t *shared, bool fine) {
    pthread_mutex_lock(&shared->lock);
    shared->failures += !fine;
    pthread_mutex_unlock(&shared->lock);
}

static void *call_everything(void *context) {
    shared_t *shared = (shared_t *)context;
    int round;
    for (round = 0; round < ROUNDS; round++) {
        meshnet_event_t *events[8];
        meshnet_peer_list_t *peers;
        meshnet_string_list_t *addresses;
        meshnet_error_info_t info;
        size_t count, index;
        char topic[32], id[MESHNET_PEER_ID_TEXT_SIZE];
        int32_t code;
        snprintf(topic, sizeof topic, "topic %d", round % 5);
        note(shared, meshnet_subscribe(shared->node, topic, NULL) == MESHNET_OK);
        code = meshnet_publish(shared->node, topic, (const uint8_t *)topic, strlen(topic));
        note(shared, code == MESHNET_OK || code == MESHNET_ERROR_NO_PEERS_SUBSCRIBED || code == MESHNET_ERROR_QUEUES_FULL);
        note(shared, meshnet_unsubscribe(shared->node, topic, NULL) == MESHNET_OK);
        note(shared, meshnet_peers(shared->node, &peers) == MESHNET_OK);
        meshnet_peer_list_free(peers);
        note(shared, meshnet_listen_addresses(shared->node, &addresses) == MESHNET_OK);
        meshnet_string_list_free(addresses);
        note(shared, meshnet_node_peer_id(shared->node, id, sizeof id) == MESHNET_OK);
        note(shared, meshnet_connect(shared->node, shared->address, PATIENCE, NULL, 0) == MESHNET_OK);
        code = meshnet_next_events(shared->node, 0, events, 8, &count);
        note(shared, code == MESHNET_OK || code == MESHNET_ERROR_TIMED_OUT);
        for (index = 0; index < count; index++) meshnet_event_free(events[index]);
        /* The account of a failure belongs to the thread. */
        note(shared, meshnet_subscribe(shared->node, "", NULL) == MESHNET_ERROR_INVALID_TOPIC);
        note(shared, meshnet_last_error(&info, sizeof info) == MESHNET_OK && info.code == MESHNET_ERROR_INVALID_TOPIC);
    }
    return NULL;
}

static void many_threads_call_one_node(void) {
    pair_t pair;
    shared_t shared;
    pthread_t threads[THREADS];
    int index;
    REQUIRE(open_pair(&pair));
    memset(&shared, 0, sizeof shared);
    shared.node = pair.bob;
    shared.address = pair.alice_address;
    shared.other_id = pair.alice_id;
    pthread_mutex_init(&shared.lock, NULL);
    for (index = 0; index < THREADS; index++) REQUIRE(pthread_create(&threads[index], NULL, call_everything, &shared) == 0);
    for (index = 0; index < THREADS; index++) pthread_join(threads[index], NULL);
    REQUIRE(shared.failures == 0);
    close_pair(&pair);
}

/* ---- Closing under those who wait ---- */

typedef struct blocked {
    meshnet_node_t *node;
    meshnet_stream_t stream;
    int32_t (*call)(struct blocked *);
    int32_t code;
    int started; /* a pipe: one byte when the call is about to begin */
} blocked_t;

static int32_t wait_for_event(blocked_t *blocked) {
    meshnet_event_t *event;
    int32_t code;
    while ((code = meshnet_next_event(blocked->node, MESHNET_FOREVER, &event)) == MESHNET_OK) meshnet_event_free(event);
    return code;
}

static int32_t wait_for_bytes(blocked_t *blocked) {
    uint8_t buffer[8];
    size_t count;
    return meshnet_stream_read(blocked->node, blocked->stream, buffer, sizeof buffer, MESHNET_FOREVER, &count);
}

static int32_t wait_to_write(blocked_t *blocked) {
    size_t length = 64 << 20; /* more than any window and buffer takes */
    uint8_t *data = (uint8_t *)calloc(1, length);
    int32_t code = meshnet_stream_write(blocked->node, blocked->stream, data, length, MESHNET_FOREVER);
    free(data);
    return code;
}

static int32_t wait_for_connection(blocked_t *blocked) {
    /* TEST-NET: nobody answers, or the kernel says at once that there is no way. */
    int32_t code = meshnet_connect(blocked->node, "/ip4/192.0.2.1/tcp/9", MESHNET_FOREVER, NULL, 0);
    return code == MESHNET_ERROR_UNREACHABLE || code == MESHNET_ERROR_REFUSED || code == MESHNET_ERROR_TIMED_OUT ? MESHNET_ERROR_CLOSED : code;
}

static void *run_blocked(void *context) {
    blocked_t *blocked = (blocked_t *)context;
    if (write(blocked->started, "", 1) != 1) return NULL;
    blocked->code = blocked->call(blocked);
    return NULL;
}

static int32_t close_it(meshnet_node_t *node) { return meshnet_node_close(node); }

static int32_t free_it(meshnet_node_t *node) {
    meshnet_node_free(node);
    return MESHNET_OK;
}

static void end_those_who_wait(int32_t (*end)(meshnet_node_t *)) {
    static const char *const quiet[] = {"/quiet/1.0.0"};
    static int32_t (*const calls[])(blocked_t *) = {wait_for_event, wait_for_bytes, wait_to_write, wait_for_connection};
    enum { CALLS = 4 };
    blocked_t blocked[CALLS];
    pthread_t threads[CALLS];
    int pipes[2], index;
    int64_t before;
    char byte;
    pair_t pair;
    meshnet_stream_t stream;
    REQUIRE(open_pair(&pair) && pipe(pipes) == 0);
    REQUIRE_OK(meshnet_accept(pair.alice, quiet[0], NULL));
    REQUIRE_OK(meshnet_stream_open(pair.bob, pair.alice_id, quiet, 1, PATIENCE, &stream, NULL));
    for (index = 0; index < CALLS; index++) {
        blocked[index].node = pair.bob;
        blocked[index].stream = stream;
        blocked[index].call = calls[index];
        blocked[index].code = INT32_MIN;
        blocked[index].started = pipes[1];
        REQUIRE(pthread_create(&threads[index], NULL, run_blocked, &blocked[index]) == 0);
    }
    for (index = 0; index < CALLS; index++) REQUIRE(read(pipes[0], &byte, 1) == 1);
    /* A little more time makes it likely that they wait; the result is right either way. */
    {
        meshnet_event_t *event;
        int32_t code = meshnet_next_event(pair.alice, 100, &event);
        while (code == MESHNET_OK) {
            meshnet_event_free(event);
            code = meshnet_next_event(pair.alice, 100, &event);
        }
    }
    before = milliseconds_now();
    REQUIRE(end(pair.bob) == MESHNET_OK);
    REQUIRE(milliseconds_now() - before < 1000 * (getenv("MESHNET_SLOW") == NULL ? 1 : 20));
    for (index = 0; index < CALLS; index++) {
        REQUIRE(pthread_join(threads[index], NULL) == 0);
        if (blocked[index].code == MESHNET_ERROR_INVALID_HANDLE && end == free_it) continue; /* it came too late */
        if (blocked[index].code != MESHNET_ERROR_CLOSED) printf("# call %d answered %d\n", index, blocked[index].code);
        REQUIRE(blocked[index].code == MESHNET_ERROR_CLOSED);
    }
    close(pipes[0]);
    close(pipes[1]);
    close_pair(&pair);
}

static void closing_ends_those_who_wait(void) { end_those_who_wait(close_it); }

static void freeing_ends_those_who_wait(void) { end_those_who_wait(free_it); }

static void *close_node(void *context) {
    blocked_t *blocked = (blocked_t *)context;
    blocked->code = meshnet_node_close(blocked->node);
    return NULL;
}

static void of_many_closers_one_closes(void) {
    blocked_t blocked[THREADS];
    pthread_t threads[THREADS];
    int index, closed = 0, refused = 0;
    meshnet_node_t *node = open_node();
    REQUIRE(node != NULL);
    for (index = 0; index < THREADS; index++) {
        blocked[index].node = node;
        REQUIRE(pthread_create(&threads[index], NULL, close_node, &blocked[index]) == 0);
    }
    for (index = 0; index < THREADS; index++) {
        pthread_join(threads[index], NULL);
        closed += blocked[index].code == MESHNET_OK;
        refused += blocked[index].code == MESHNET_ERROR_CLOSED;
    }
    REQUIRE(closed == 1 && refused == THREADS - 1);
    meshnet_node_free(node);
}

static void a_node_can_be_closed_while_its_event_is_handled(void) {
    pair_t pair;
    meshnet_event_t *event;
    REQUIRE(open_pair(&pair));
    REQUIRE_OK(meshnet_subscribe(pair.alice, "news", NULL));
    event = await_event(pair.bob, MESHNET_EVENT_SUBSCRIPTION);
    REQUIRE(event != NULL);
    REQUIRE_OK(meshnet_node_close(pair.bob));
    meshnet_node_free(pair.bob);
    REQUIRE(strcmp(event->topic, "news") == 0 && strcmp(event->peer_id, pair.alice_id) == 0);
    meshnet_event_free(event);
    meshnet_node_free(pair.alice);
}

/* ---- Fork ---- */

/* 0 when all is as promised, else the number of the step. */
static int in_the_child(meshnet_node_t *node) {
    meshnet_event_t *event;
    meshnet_keypair_t *keys;
    meshnet_node_t *own;
    meshnet_peer_list_t *peers;
    meshnet_error_info_t info;
    if (meshnet_next_event(node, MESHNET_FOREVER, &event) != MESHNET_ERROR_CLOSED) return 1;
    if (meshnet_last_error(&info, sizeof info) != MESHNET_OK || info.code != MESHNET_ERROR_CLOSED) return 2;
    if (meshnet_publish(node, "news", NULL, 0) != MESHNET_ERROR_CLOSED) return 3;
    if (meshnet_node_close(node) != MESHNET_ERROR_CLOSED) return 4;
    if (meshnet_event_fd(node) != MESHNET_ERROR_CLOSED || meshnet_look(node) != MESHNET_ERROR_CLOSED) return 5;
    meshnet_node_free(node);
    if (meshnet_node_close(node) != MESHNET_ERROR_INVALID_HANDLE) return 6;
    if (meshnet_keypair_generate(&keys) != MESHNET_OK) return 7;
    if (meshnet_node_new(keys, NULL, 0, 0, &own) != MESHNET_OK) return 8;
    if (meshnet_peers(own, &peers) != MESHNET_OK || peers->count != 0) return 9;
    meshnet_peer_list_free(peers);
    meshnet_node_free(own);
    meshnet_keypair_free(keys);
    return 0;
}

static void a_child_has_no_part_in_its_parents_node(void) {
    pair_t pair;
    int64_t round_trip;
    int status;
    pid_t child;
    REQUIRE(open_pair(&pair));
    fflush(stdout);
    child = fork();
    if (child == 0) _exit(in_the_child(pair.bob));
    REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) printf("# the child ended with status %x\n", (unsigned)status);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    REQUIRE_OK(meshnet_ping(pair.bob, pair.alice_id, PATIENCE, &round_trip));
    close_pair(&pair);
}

static int open_descriptors(void) {
    int number, count = 0;
    for (number = 0; number < 1024; number++) count += lseek(number, 0, SEEK_CUR) != -1 || errno != EBADF;
    return count;
}

static void nodes_leave_no_descriptor_behind(void) {
    pair_t pair;
    int before, round;
    REQUIRE(open_pair(&pair));
    close_pair(&pair);
    before = open_descriptors();
    for (round = 0; round < 10; round++) {
        REQUIRE(open_pair(&pair));
        close_pair(&pair);
    }
    REQUIRE(open_descriptors() == before);
}

int main(void) {
    RUN(many_threads_call_one_node);
    RUN(closing_ends_those_who_wait);
    RUN(freeing_ends_those_who_wait);
    RUN(of_many_closers_one_closes);
    RUN(a_node_can_be_closed_while_its_event_is_handled);
    RUN(a_child_has_no_part_in_its_parents_node);
    RUN(nodes_leave_no_descriptor_behind);
    FINISH();
}
