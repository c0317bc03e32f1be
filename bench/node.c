/*
 * Our side of the measurements, through the C library.
 *   node serve                          prints "PEER ADDRESS", echoes streams, until it is killed
 *   node perf ADDR UPLOAD DOWNLOAD      prints the nanoseconds of both directions of /perf/1.0.0
 *   node streams ADDR BYTES COUNT NODES prints the nanoseconds of COUNT uploads at once by NODES connections: of all together, then of each
 *   node echo ADDR SIZE COUNT           prints the nanoseconds of each of COUNT round trips on one stream
 *   node handshakes ADDR COUNT          prints the nanoseconds of each of COUNT connections, made one after another
 *   node dials ADDR COUNT NODES         prints the nanoseconds in which NODES nodes at once made COUNT connections each
 *   node crowd ADDR COUNT               COUNT nodes connect, prints "ready", until its standard input ends
 * With BENCH_PNET in the environment they are in a private network.
 */
#define _GNU_SOURCE
#include "common.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define ECHO "/meshnet/bench/echo/1.0.0"
#define TIMEOUT_MS 60000
#define BLOCK 65536
#define STREAMS_MAX 64
#define NODES_MAX 64

static const uint8_t pre_shared_key[32] = {'b', 'e', 'n', 'c', 'h'};

static meshnet_node_t *open_node(bool listens) {
    static const char *const loopback[] = {"/ip4/127.0.0.1/tcp/0"};
    meshnet_keypair_t *keys;
    meshnet_config_t config;
    meshnet_limits_t limits;
    meshnet_node_t *node;
    check(meshnet_keypair_generate(&keys), "key");
    check(meshnet_config_default(&config, sizeof config), "config");
    config.identity = keys;
    config.listens = listens;
    /* The crowd of the memory row, and the share that is kept free for our own dials. */
    check(meshnet_limits_default(&limits, sizeof limits), "limits");
    limits.connections = 16384;
    config.limits = &limits;
    if (getenv("BENCH_PNET")) {
        config.pre_shared_key = pre_shared_key;
        config.pre_shared_key_length = sizeof pre_shared_key;
    }
    if (listens) {
        config.listen_addresses = loopback;
        config.listen_address_count = 1;
    }
    check(meshnet_node_open(&config, &node), "node");
    meshnet_keypair_free(keys);
    return node;
}

static void wait_for_end_of_input(void) {
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {}
}

static void start_read(meshnet_node_t *node, meshnet_stream_t stream, uint8_t *buffer) {
    meshnet_ticket_t ticket;
    if (meshnet_stream_read_start(node, stream, buffer, BLOCK, &ticket) != MESHNET_OK) free(buffer);
}

/* One echo at a time: the measurement has one client. */
static void serve(void) {
    meshnet_node_t *node = open_node(true);
    meshnet_string_list_t *addresses;
    char peer[MESHNET_PEER_ID_TEXT_SIZE];
    check(meshnet_accept(node, ECHO, NULL), "accept");
    check(meshnet_listen_addresses(node, &addresses), "addresses");
    check(meshnet_node_peer_id(node, peer, sizeof peer), "peer id");
    printf("%s %s/p2p/%s\n", peer, addresses->items[0], peer);
    fflush(stdout);
    meshnet_string_list_free(addresses);

    meshnet_stream_t stream = {0};
    uint8_t *buffer = NULL;
    for (;;) {
        meshnet_event_t *event;
        if (meshnet_next_event(node, MESHNET_FOREVER, &event) != MESHNET_OK) return;
        if (event->type == MESHNET_EVENT_STREAM_OPENED) {
            stream = event->stream;
            buffer = malloc(BLOCK);
            start_read(node, stream, buffer);
        } else if (event->type == MESHNET_EVENT_COMPLETED && buffer) {
            if (event->code == MESHNET_OK && event->length > 0 &&
                meshnet_stream_write(node, stream, buffer, event->length, TIMEOUT_MS) == MESHNET_OK) {
                start_read(node, stream, buffer);
            } else {
                meshnet_stream_close(node, stream);
                free(buffer);
                buffer = NULL;
            }
        }
        meshnet_event_free(event);
    }
}

static void perf(const char *address, uint64_t upload, uint64_t download) {
    char peer[MESHNET_PEER_ID_TEXT_SIZE];
    int64_t up, down;
    meshnet_node_t *node = open_node(false);
    check(meshnet_connect(node, address, TIMEOUT_MS, peer, sizeof peer), "connect");
    check(meshnet_perf(node, peer, upload, download, TIMEOUT_MS, &up, &down), "perf");
    printf("%lld %lld\n", (long long)up, (long long)down);
    meshnet_node_free(node);
}

/* An upload under way. */
typedef struct upload {
    meshnet_ticket_t ticket;
    int64_t took;
} upload_t;

/* All uploads of one node, which are told apart by their tickets. */
static void finish(meshnet_node_t *node, upload_t *uploads, size_t count) {
    for (size_t left = count; left > 0;) {
        meshnet_event_t *event;
        check(meshnet_next_event(node, TIMEOUT_MS, &event), "completion");
        for (size_t i = 0; event->type == MESHNET_EVENT_COMPLETED && i < count; i++) {
            if (uploads[i].ticket.id != event->ticket.id) continue;
            check(event->code, "perf");
            uploads[i].took = event->upload_ns;
            left--;
        }
        meshnet_event_free(event);
    }
}

static void streams(const char *address, uint64_t bytes, size_t count, size_t connections) {
    meshnet_node_t *nodes[NODES_MAX];
    upload_t uploads[STREAMS_MAX];
    char peer[MESHNET_PEER_ID_TEXT_SIZE];
    size_t share = count / connections;
    for (size_t i = 0; i < connections; i++) {
        nodes[i] = open_node(false);
        check(meshnet_connect(nodes[i], address, TIMEOUT_MS, peer, sizeof peer), "connect");
    }
    int64_t start = now_ns();
    for (size_t i = 0; i < count; i++) check(meshnet_perf_start(nodes[i / share], peer, bytes, 0, &uploads[i].ticket), "perf");
    for (size_t i = 0; i < connections; i++) finish(nodes[i], uploads + i * share, share);
    printf("%lld\n", (long long)(now_ns() - start));
    for (size_t i = 0; i < count; i++) printf("%lld\n", (long long)uploads[i].took);
    for (size_t i = 0; i < connections; i++) meshnet_node_free(nodes[i]);
}

static void echo(const char *address, size_t size, long count) {
    static const char *const protocols[] = {ECHO};
    char peer[MESHNET_PEER_ID_TEXT_SIZE];
    uint8_t *out = calloc(1, size), *in = malloc(size);
    meshnet_stream_t stream;
    meshnet_node_t *node = open_node(false);
    check(meshnet_connect(node, address, TIMEOUT_MS, peer, sizeof peer), "connect");
    check(meshnet_stream_open(node, peer, protocols, 1, TIMEOUT_MS, &stream, NULL), "stream");
    for (long i = 0; i < count; i++) {
        size_t have = 0;
        int64_t start = now_ns();
        check(meshnet_stream_write(node, stream, out, size, TIMEOUT_MS), "write");
        while (have < size) {
            size_t got;
            check(meshnet_stream_read(node, stream, in + have, size - have, TIMEOUT_MS, &got), "read");
            if (got == 0) check(MESHNET_ERROR_STREAM_CLOSED, "the echo ended");
            have += got;
        }
        printf("%lld\n", (long long)(now_ns() - start));
    }
    meshnet_node_free(node);
    free(out);
    free(in);
}

static void handshakes(const char *address, long count) {
    char peer[MESHNET_PEER_ID_TEXT_SIZE];
    meshnet_node_t *node = open_node(false);
    for (long i = 0; i < count; i++) {
        int64_t start = now_ns();
        check(meshnet_connect(node, address, TIMEOUT_MS, peer, sizeof peer), "connect");
        printf("%lld\n", (long long)(now_ns() - start));
        check(meshnet_disconnect(node, peer), "disconnect");
    }
    meshnet_node_free(node);
}

typedef struct dialler {
    pthread_t thread;
    meshnet_node_t *node;
    const char *address;
    long count;
} dialler_t;

static void *dial(void *argument) {
    dialler_t *dialler = argument;
    char peer[MESHNET_PEER_ID_TEXT_SIZE];
    for (long i = 0; i < dialler->count; i++) {
        check(meshnet_connect(dialler->node, dialler->address, TIMEOUT_MS, peer, sizeof peer), "connect");
        check(meshnet_disconnect(dialler->node, peer), "disconnect");
    }
    return NULL;
}

static void dials(const char *address, long count, size_t nodes) {
    dialler_t diallers[NODES_MAX];
    for (size_t i = 0; i < nodes; i++) diallers[i] = (dialler_t){.node = open_node(false), .address = address, .count = count};
    int64_t start = now_ns();
    for (size_t i = 0; i < nodes; i++)
        if (pthread_create(&diallers[i].thread, NULL, dial, &diallers[i]) != 0) exit(1);
    for (size_t i = 0; i < nodes; i++) pthread_join(diallers[i].thread, NULL);
    printf("%lld\n", (long long)(now_ns() - start));
    for (size_t i = 0; i < nodes; i++) meshnet_node_free(diallers[i].node);
}

static void crowd(const char *address, long count) {
    meshnet_node_t **nodes = calloc((size_t)count, sizeof *nodes);
    for (long i = 0; i < count; i++) {
        nodes[i] = open_node(false);
        check(meshnet_connect(nodes[i], address, TIMEOUT_MS, NULL, 0), "connect");
    }
    puts("ready");
    fflush(stdout);
    wait_for_end_of_input();
    _exit(0);
}

/* A count on the command line, from 1 to most. */
static size_t number(const char *text, size_t most) {
    unsigned long long value = strtoull(text, NULL, 10);
    if (value < 1 || value > most) {
        fprintf(stderr, "%s is not a number from 1 to %zu\n", text, most);
        exit(2);
    }
    return (size_t)value;
}

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* no measurement outlives its script */
    if (argc == 2 && !strcmp(argv[1], "serve")) {
        serve();
    } else if (argc == 5 && !strcmp(argv[1], "perf")) {
        perf(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
    } else if (argc == 6 && !strcmp(argv[1], "streams")) {
        streams(argv[2], strtoull(argv[3], NULL, 10), number(argv[4], STREAMS_MAX), number(argv[5], NODES_MAX));
    } else if (argc == 5 && !strcmp(argv[1], "echo")) {
        echo(argv[2], strtoull(argv[3], NULL, 10), atol(argv[4]));
    } else if (argc == 4 && !strcmp(argv[1], "handshakes")) {
        handshakes(argv[2], atol(argv[3]));
    } else if (argc == 5 && !strcmp(argv[1], "dials")) {
        dials(argv[2], atol(argv[3]), number(argv[4], NODES_MAX));
    } else if (argc == 4 && !strcmp(argv[1], "crowd")) {
        crowd(argv[2], atol(argv[3]));
    } else {
        fprintf(stderr, "usage: node serve | perf ADDR UP DOWN | streams ADDR BYTES COUNT NODES | echo ADDR SIZE COUNT | handshakes ADDR COUNT |\n"
                        "            dials ADDR COUNT NODES | crowd ADDR COUNT\n");
        return 2;
    }
    return 0;
}
