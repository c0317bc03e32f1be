/*
 * What the cryptography of this machine allows: one operation each of a handshake and of a signed message, by the faster of OpenSSL and libsodium.
 *   limits [--cores N] [--seconds S]   prints one line of JSON: microseconds of each, with N processes that do the same at once
 * One operation is repeated for S / 5 seconds; the mean of the processes counts. It links no part of the library.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <sodium.h>

/* So many messages that no branch predictor knows their signatures by heart, which makes a verification 4 % cheaper than it is. */
enum { message_bytes = 256, message_count = 1024, operations = 5, batch = 16, cores_max = 1024 };

static const char *const names[operations] = {"exchange", "generate", "identity", "sign", "verify"};

/* Keys of both libraries, and signatures to verify. */
struct state {
    uint8_t scalar[32], point[32], shared[32];
    uint8_t public_key[32], secret_key[64], messages[message_count][message_bytes], signatures[message_count][64];
    size_t next;
    EVP_PKEY *exchange_key, *peer_key, *signing_key;
    EVP_MD_CTX *digest;
};

static void check(bool good, const char *what) {
    if (good) return;
    fprintf(stderr, "limits: %s failed\n", what);
    exit(1);
}

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void prepare(struct state *state) {
    uint8_t other[32], secret[64];
    memset(state, 0, sizeof *state);
    crypto_box_keypair(state->point, other);
    randombytes_buf(state->scalar, sizeof state->scalar);
    crypto_sign_keypair(state->public_key, secret);
    memcpy(state->secret_key, secret, sizeof secret);
    state->exchange_key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, state->scalar, 32);
    state->peer_key = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, state->point, 32);
    state->signing_key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, 32);
    state->digest = EVP_MD_CTX_new();
    check(state->exchange_key && state->peer_key && state->signing_key && state->digest, "keys");
    for (size_t i = 0; i < message_count; i++) {
        randombytes_buf(state->messages[i], message_bytes);
        check(crypto_sign_detached(state->signatures[i], NULL, state->messages[i], message_bytes, state->secret_key) == 0, "signature");
    }
}

static void by_sodium(struct state *state, int operation) {
    uint8_t public_key[32], secret_key[64], signature[64];
    const size_t i = state->next++ % message_count;
    switch (operation) {
    case 0: check(crypto_scalarmult(state->shared, state->scalar, state->point) == 0, "X25519"); break;
    case 1:
        randombytes_buf(secret_key, 32);
        check(crypto_scalarmult_base(public_key, secret_key) == 0, "X25519 key");
        break;
    case 2: check(crypto_sign_keypair(public_key, secret_key) == 0, "Ed25519 key"); break;
    case 3: check(crypto_sign_detached(signature, NULL, state->messages[i], message_bytes, state->secret_key) == 0, "sign"); break;
    default: check(crypto_sign_verify_detached(state->signatures[i], state->messages[i], message_bytes, state->public_key) == 0, "verify"); break;
    }
}

static void exchange(struct state *state) {
    size_t length = sizeof state->shared;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(state->exchange_key, NULL);
    check(context && EVP_PKEY_derive_init(context) == 1 && EVP_PKEY_derive_set_peer_ex(context, state->peer_key, 0) == 1 &&
              EVP_PKEY_derive(context, state->shared, &length) == 1, "X25519");
    EVP_PKEY_CTX_free(context);
}

static void by_openssl(struct state *state, int operation) {
    uint8_t bytes[64];
    size_t length = sizeof bytes;
    EVP_PKEY *key;
    const size_t i = state->next++ % message_count;
    switch (operation) {
    case 0: exchange(state); break;
    case 1:
    case 2:
        key = EVP_PKEY_Q_keygen(NULL, NULL, operation == 1 ? "X25519" : "ED25519");
        check(key && EVP_PKEY_get_raw_public_key(key, bytes, &length) == 1, "key");
        EVP_PKEY_free(key);
        break;
    case 3:
        check(EVP_DigestSignInit(state->digest, NULL, NULL, NULL, state->signing_key) == 1 &&
                  EVP_DigestSign(state->digest, bytes, &length, state->messages[i], message_bytes) == 1, "sign");
        EVP_MD_CTX_reset(state->digest);
        break;
    default:
        key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, state->public_key, 32);
        check(key && EVP_DigestVerifyInit(state->digest, NULL, NULL, NULL, key) == 1 &&
                  EVP_DigestVerify(state->digest, state->signatures[i], 64, state->messages[i], message_bytes) == 1, "verify");
        EVP_MD_CTX_reset(state->digest);
        EVP_PKEY_free(key);
        break;
    }
}

/* Microseconds of one, over at least so many seconds. */
static double measure(struct state *state, void (*perform)(struct state *, int), int operation, double seconds) {
    double start = now_us(), end = start;
    long count = 0;
    while (end - start < seconds * 1e6 || count == 0) {
        for (int i = 0; i < batch; i++) perform(state, operation);
        count += batch;
        end = now_us();
    }
    return (end - start) / (double)count;
}

static void run(int out, double seconds) {
    static struct state state;
    double results[operations];
    prepare(&state);
    for (int operation = 0; operation < operations; operation++) {
        double sodium = measure(&state, by_sodium, operation, seconds / operations / 2);
        double openssl = measure(&state, by_openssl, operation, seconds / operations / 2);
        results[operation] = sodium < openssl ? sodium : openssl;
    }
    check(write(out, results, sizeof results) == sizeof results, "write");
}

int main(int argc, char **argv) {
    static const struct option known[] = {{"cores", required_argument, NULL, 'c'}, {"seconds", required_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
    int cores = 1, ends[2];
    double seconds = 1, sums[operations] = {0};
    for (int letter; (letter = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (letter == 'c') cores = atoi(optarg);
        else if (letter == 's') seconds = atof(optarg);
        else return 2;
    }
    check(cores >= 1 && cores <= cores_max && sodium_init() >= 0 && pipe(ends) == 0, "start");
    for (int i = 0; i < cores; i++) {
        pid_t child = fork();
        check(child >= 0, "fork");
        if (child > 0) continue;
        run(ends[1], seconds);
        _exit(0);
    }
    close(ends[1]);
    for (int i = 0; i < cores; i++) {
        double results[operations];
        check(read(ends[0], results, sizeof results) == sizeof results, "a process");
        for (int operation = 0; operation < operations; operation++) sums[operation] += results[operation] / cores;
    }
    while (wait(NULL) > 0) {}
    printf("{\"cores\": %d", cores);
    for (int operation = 0; operation < operations; operation++) printf(", \"%s_us\": %.3f", names[operation], sums[operation]);
    printf("}\n");
    return 0;
}
