/*
 * Topics through the C library: one publisher and its subscribers, nodes of one process, each with its own thread.
 *   gossip SIZE COUNT SUBSCRIBERS SIGNED CONNECTED   prints the nanoseconds from the first publish of COUNT messages until every subscriber has all
 * SIGNED 0 is StrictNoSign. Subscribers are connected to the publisher; with CONNECTED 1 also to each other, and then they are in each other's mesh
 * before the first message, so that each forwards what it gets. Nobody finds anybody by discovery, or which of the two it is would be a matter of chance.
 * BATCH messages are published by one call. The publisher is never more than WINDOW messages ahead of the slowest, because topics drop what a peer does
 * not take.
 */
#define _GNU_SOURCE
#include "common.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define TOPIC "bench"
#define TIMEOUT_MS 60000
#define WINDOW 4096
#define EVENTS 256
#define BATCH 256
#define PAUSE_NS 100000
#define SUBSCRIBERS_MAX 16

static meshnet_node_t *open_node(bool is_signed) {
    static const char *const loopback[] = {"/ip4/127.0.0.1/tcp/0"};
    meshnet_keypair_t *keys;
    meshnet_config_t config;
    meshnet_gossipsub_options_t gossipsub;
    meshnet_discovery_options_t discovery;
    meshnet_node_t *node;
    check(meshnet_keypair_generate(&keys), "key");
    check(meshnet_config_default(&config, sizeof config), "config");
    check(meshnet_gossipsub_options_default(&gossipsub, sizeof gossipsub), "gossipsub");
    gossipsub.signing_policy = is_signed ? MESHNET_STRICT_SIGN : MESHNET_STRICT_NO_SIGN;
    check(meshnet_discovery_options_default(&discovery, sizeof discovery), "discovery");
    discovery.modes = MESHNET_DISCOVER_NONE;
    config.discovery = &discovery;
    config.identity = keys;
    config.listen_addresses = loopback;
    config.listen_address_count = 1;
    config.gossipsub = &gossipsub;
    check(meshnet_node_open(&config, &node), "node");
    meshnet_keypair_free(keys);
    return node;
}

typedef struct subscriber {
    meshnet_node_t *node;
    pthread_t thread;
    atomic_long received;
    long expected;
} subscriber_t;

static void *subscribe(void *argument) {
    subscriber_t *subscriber = argument;
    while (atomic_load_explicit(&subscriber->received, memory_order_relaxed) < subscriber->expected) {
        meshnet_event_t *events[EVENTS];
        size_t count;
        long messages = 0;
        check(meshnet_next_events(subscriber->node, TIMEOUT_MS, events, EVENTS, &count), "a message");
        for (size_t i = 0; i < count; i++) {
            if (events[i]->type == MESHNET_EVENT_MESSAGE) messages++;
            if (events[i]->type == MESHNET_EVENT_MESSAGES_DROPPED) check(MESHNET_ERROR_LIMIT_REACHED, "messages were dropped");
            meshnet_event_free(events[i]);
        }
        atomic_fetch_add_explicit(&subscriber->received, messages, memory_order_release);
    }
    return NULL;
}

static long slowest(subscriber_t *subscribers, size_t count) {
    long least = subscribers[0].expected;
    for (size_t i = 0; i < count; i++) {
        long received = atomic_load_explicit(&subscribers[i].received, memory_order_acquire);
        if (received < least) least = received;
    }
    return least;
}

/* Waits until the slowest has room for a batch. */
static void wait_for_room(subscriber_t *subscribers, size_t count, long sent) {
    static const struct timespec pause = {.tv_nsec = PAUSE_NS};
    while (sent + BATCH - slowest(subscribers, count) > WINDOW) nanosleep(&pause, NULL);
}

/* To each other, until they have had the heartbeats in which a mesh forms. */
static void connect_all(subscriber_t *subscribers, size_t count) {
    static const struct timespec heartbeats = {.tv_sec = 3};
    for (size_t i = 1; i < count; i++) {
        meshnet_string_list_t *addresses;
        check(meshnet_listen_addresses(subscribers[i].node, &addresses), "addresses");
        for (size_t j = 0; j < i; j++) check(meshnet_connect(subscribers[j].node, addresses->items[0], TIMEOUT_MS, NULL, 0), "connect");
        meshnet_string_list_free(addresses);
    }
    for (size_t i = 0; i < count; i++) check(meshnet_wait_for_peers(subscribers[i].node, TOPIC, count - 1, TIMEOUT_MS, NULL), "each other");
    nanosleep(&heartbeats, NULL);
}

static void measure(size_t size, long count, size_t subscriber_count, bool is_signed, bool is_connected) {
    static subscriber_t subscribers[SUBSCRIBERS_MAX];
    meshnet_node_t *publisher = open_node(is_signed);
    meshnet_string_list_t *addresses;
    uint8_t *block = calloc(BATCH, size);
    check(meshnet_listen_addresses(publisher, &addresses), "addresses");
    for (size_t i = 0; i < subscriber_count; i++) {
        subscribers[i].node = open_node(is_signed);
        subscribers[i].expected = count;
        check(meshnet_subscribe(subscribers[i].node, TOPIC, NULL), "subscribe");
        check(meshnet_connect(subscribers[i].node, addresses->items[0], TIMEOUT_MS, NULL, 0), "connect");
    }
    check(meshnet_wait_for_peers(publisher, TOPIC, subscriber_count, TIMEOUT_MS, NULL), "subscribers");
    if (is_connected) connect_all(subscribers, subscriber_count);
    for (size_t i = 0; i < subscriber_count; i++)
        if (pthread_create(&subscribers[i].thread, NULL, subscribe, &subscribers[i]) != 0) exit(1);
    int64_t start = now_ns();
    for (long sent = 0; sent < count;) {
        meshnet_bytes_t batch[BATCH];
        size_t filled = 0;
        wait_for_room(subscribers, subscriber_count, sent);
        for (; filled < BATCH && sent < count; filled++, sent++) {
            uint8_t *message = block + filled * size;
            memcpy(message, &sent, size < sizeof sent ? size : sizeof sent);
            batch[filled] = (meshnet_bytes_t){message, size};
        }
        check(meshnet_publish_many(publisher, TOPIC, batch, filled, NULL), "publish");
    }
    for (size_t i = 0; i < subscriber_count; i++) pthread_join(subscribers[i].thread, NULL);
    printf("%lld\n", (long long)(now_ns() - start));
    fflush(stdout);
    _Exit(0);
}

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 6) return 2;
    size_t subscribers = strtoull(argv[3], NULL, 10);
    if (subscribers < 1 || subscribers > SUBSCRIBERS_MAX) return 2;
    measure(strtoull(argv[1], NULL, 10), atol(argv[2]), subscribers, strcmp(argv[4], "0") != 0, strcmp(argv[5], "0") != 0);
    return 0;
}
