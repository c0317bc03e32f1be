/*
 * Our side of the message measurements, through the C library.
 *   messages sink [IP]                        prints "PEER ADDRESS", counts messages, answers requests, until it is killed
 *   messages flood PEER ADDRESS SIZE COUNT    prints the nanoseconds from the first send to the reply of a request behind the last
 *   messages requests PEER ADDRESS COUNT      prints the nanoseconds of COUNT requests of 64 bytes, one after another
 *   messages control PEER ADDRESS COUNT BULK  prints the nanoseconds of COUNT requests of 64 bytes on the control lane; with BULK 1 while
 *                                             messages of 64 KiB fill the bulk lane, and after them "bulk", the bytes and the nanoseconds
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

#define TIMEOUT_MS 60000
#define BATCH 512
#define BULK_BYTES 65536
#define LOOPBACK "127.0.0.1"

static meshnet_node_t *open_node(const char *ip) {
    char address[64];
    const char *const addresses[] = {address};
    meshnet_keypair_t *keys;
    meshnet_config_t config;
    meshnet_node_t *node;
    check(meshnet_keypair_generate(&keys), "key");
    check(meshnet_config_default(&config, sizeof config), "config");
    config.identity = keys;
    snprintf(address, sizeof address, "/ip4/%s/tcp/0", ip);
    config.listen_addresses = addresses;
    config.listen_address_count = 1;
    check(meshnet_node_open(&config, &node), "node");
    meshnet_keypair_free(keys);
    return node;
}

static void sink(const char *ip) {
    meshnet_node_t *node = open_node(ip);
    meshnet_string_list_t *addresses;
    meshnet_message_t *messages[BATCH];
    char peer[MESHNET_PEER_ID_TEXT_SIZE];
    check(meshnet_listen_addresses(node, &addresses), "addresses");
    check(meshnet_node_peer_id(node, peer, sizeof peer), "peer id");
    printf("%s %s/p2p/%s\n", peer, addresses->items[0], peer);
    fflush(stdout);
    for (;;) {
        size_t count, index;
        check(meshnet_receive_many(node, MESHNET_FOREVER, messages, BATCH, &count), "receive");
        for (index = 0; index < count; index++) {
            meshnet_message_t *message = messages[index];
            if (message->is_request) check(meshnet_reply(node, message, message->data, message->data_length, TIMEOUT_MS), "reply");
        }
        meshnet_messages_free(messages, count);
    }
}

static meshnet_node_t *reach(const char *peer, const char *address) {
    meshnet_node_t *node = open_node(LOOPBACK);
    meshnet_message_t *reply;
    check(meshnet_connect(node, address, TIMEOUT_MS, NULL, 0), "connect");
    check(meshnet_request(node, peer, NULL, 0, NULL, TIMEOUT_MS, &reply), "request");
    meshnet_message_free(reply);
    return node;
}

static void flood(char **words) {
    meshnet_node_t *node = reach(words[0], words[1]);
    size_t size = (size_t)atoll(words[2]), left = (size_t)atoll(words[3]), index;
    uint8_t *block = calloc(1, size);
    meshnet_bytes_t batch[BATCH];
    meshnet_message_t *reply;
    for (index = 0; index < BATCH; index++) batch[index] = (meshnet_bytes_t){block, size};
    int64_t start = now_ns();
    while (left > 0) {
        size_t count = left < BATCH ? left : BATCH;
        check(meshnet_send_many(node, words[0], batch, count, NULL, TIMEOUT_MS, NULL), "send");
        left -= count;
    }
    check(meshnet_request(node, words[0], NULL, 0, NULL, TIMEOUT_MS, &reply), "request");
    printf("%lld\n", (long long)(now_ns() - start));
    meshnet_message_free(reply);
    free(block);
    meshnet_node_free(node);
}

typedef struct bulk_job {
    meshnet_node_t *node;
    const char *peer;
    atomic_bool stops;
    atomic_llong bytes;
} bulk_job_t;

static void *send_bulk(void *argument) {
    bulk_job_t *job = argument;
    uint8_t *block = calloc(1, BULK_BYTES);
    meshnet_send_options_t options;
    check(meshnet_send_options_default(&options, sizeof options), "options");
    options.lane = MESHNET_LANE_BULK;
    while (!atomic_load(&job->stops)) {
        check(meshnet_send(job->node, job->peer, block, BULK_BYTES, &options, TIMEOUT_MS), "bulk");
        atomic_fetch_add(&job->bytes, BULK_BYTES);
    }
    free(block);
    return NULL;
}

static void requests(char **words, int32_t lane, bool has_bulk) {
    meshnet_node_t *node = reach(words[0], words[1]);
    long count = atol(words[2]), index;
    bulk_job_t job = {.node = node, .peer = words[0]};
    int64_t *samples = calloc((size_t)count, sizeof *samples);
    uint8_t block[64] = {0};
    pthread_t thread;
    meshnet_send_options_t options;
    check(meshnet_send_options_default(&options, sizeof options), "options");
    options.lane = lane;
    if (has_bulk) {
        if (pthread_create(&thread, NULL, send_bulk, &job) != 0) exit(1);
        /* More than its queue holds. */
        while (atomic_load(&job.bytes) < 100 << 20) {
            struct timespec pause = {0, 1000000};
            nanosleep(&pause, NULL);
        }
    }
    long long before = atomic_load(&job.bytes);
    int64_t begin = now_ns();
    for (index = 0; index < count; index++) {
        meshnet_message_t *reply;
        int64_t start = now_ns();
        check(meshnet_request(node, words[0], block, sizeof block, &options, TIMEOUT_MS, &reply), "request");
        samples[index] = now_ns() - start;
        meshnet_message_free(reply);
    }
    int64_t took = now_ns() - begin;
    long long bytes = atomic_load(&job.bytes) - before;
    for (index = 0; index < count; index++) printf("%lld\n", (long long)samples[index]);
    if (has_bulk) printf("bulk %lld %lld\n", bytes, (long long)took);
    fflush(stdout);
    free(samples);
    /* What waits in the bulk lane is of no interest any more. */
    _Exit(0);
}

int main(int count, char **words) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if ((count == 2 || count == 3) && strcmp(words[1], "sink") == 0) sink(count == 3 ? words[2] : LOOPBACK);
    else if (count == 6 && strcmp(words[1], "flood") == 0) flood(words + 2);
    else if (count == 5 && strcmp(words[1], "requests") == 0) requests(words + 2, MESHNET_LANE_NORMAL, false);
    else if (count == 6 && strcmp(words[1], "control") == 0) requests(words + 2, MESHNET_LANE_CONTROL, strcmp(words[5], "1") == 0);
    else return 2;
    return 0;
}
