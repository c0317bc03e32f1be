/*
 * ZeroMQ's side of the message measurements: two DEALER sockets over TCP with CURVE, as many messages waiting as our queue holds.
 *   zmq sink                        prints "PORT KEY", counts messages, answers "end" with "done", until it is killed
 *   zmq flood PORT KEY SIZE COUNT   prints the nanoseconds from the first send to the answer
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <zmq.h>

#define QUEUE 10000

static void check(int result, const char *what) {
    if (result >= 0) return;
    fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *open_socket(void *context) {
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int queue = QUEUE, linger = 0;
    check(zmq_setsockopt(socket, ZMQ_SNDHWM, &queue, sizeof queue), "SNDHWM");
    check(zmq_setsockopt(socket, ZMQ_RCVHWM, &queue, sizeof queue), "RCVHWM");
    check(zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger), "LINGER");
    return socket;
}

static void sink(void *context) {
    void *socket = open_socket(context);
    char public_key[41], secret_key[41], endpoint[128];
    size_t length = sizeof endpoint;
    int server = 1;
    char block[65536];
    check(zmq_curve_keypair(public_key, secret_key), "keypair");
    check(zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &server, sizeof server), "CURVE_SERVER");
    check(zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret_key, 40), "CURVE_SECRETKEY");
    check(zmq_bind(socket, "tcp://127.0.0.1:*"), "bind");
    check(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &length), "endpoint");
    printf("%s %s\n", strrchr(endpoint, ':') + 1, public_key);
    fflush(stdout);
    for (;;) {
        int size = zmq_recv(socket, block, sizeof block, 0);
        check(size, "recv");
        if (size == 3 && memcmp(block, "end", 3) == 0) check(zmq_send(socket, "done", 4, 0), "send");
    }
}

static void flood(void *context, char **words) {
    void *socket = open_socket(context);
    char public_key[41], secret_key[41], endpoint[128], answer[8];
    size_t size = (size_t)atoll(words[2]);
    long count = atol(words[3]);
    char *block = calloc(1, size > 3 ? size : 4);
    check(zmq_curve_keypair(public_key, secret_key), "keypair");
    check(zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, words[1], 40), "CURVE_SERVERKEY");
    check(zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public_key, 40), "CURVE_PUBLICKEY");
    check(zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret_key, 40), "CURVE_SECRETKEY");
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%s", words[0]);
    check(zmq_connect(socket, endpoint), "connect");
    /* Connected and agreed before the clock starts. */
    check(zmq_send(socket, "end", 3, 0), "send");
    check(zmq_recv(socket, answer, sizeof answer, 0), "recv");
    int64_t start = now_ns();
    for (long sent = 0; sent < count; sent++) check(zmq_send(socket, block, size, 0), "send");
    check(zmq_send(socket, "end", 3, 0), "send");
    check(zmq_recv(socket, answer, sizeof answer, 0), "recv");
    printf("%lld\n", (long long)(now_ns() - start));
    free(block);
    zmq_close(socket);
}

int main(int count, char **words) {
    void *context = zmq_ctx_new();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (count == 2 && strcmp(words[1], "sink") == 0) sink(context);
    else if (count == 6 && strcmp(words[1], "flood") == 0) flood(context, words + 2);
    else return 2;
    zmq_ctx_term(context);
    return 0;
}
