/* The limit that a secure channel over TCP is measured against: two processes over loopback, nothing between
 * the cipher and the socket. `throughput` sends ChaCha20-Poly1305 frames as Noise does, `pingpong` sends 64 raw bytes. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <sodium.h>

enum {
    length_bytes = 2,
    tag_bytes = 16,
    plain_bytes = 65519,
    frame_bytes = length_bytes + plain_bytes + tag_bytes,
    block_bytes = 64,
    piece_bytes = 8192,
    ping_bytes = 64,
    frames_per_write_max = 64,
};

struct options {
    const char *mode;
    uint64_t bytes;
    size_t frames_per_write;
    size_t read_bytes;
    int socket_buffer;
    int low_water;
    int rounds;
    bool pnet;
    bool pin;
};

static void fail(const char *what)
{
    fprintf(stderr, "pipeline: %s: %s\n", what, errno ? strerror(errno) : "refused");
    exit(1);
}

static void check(bool good, const char *what)
{
    if (!good) fail(what);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *buffer(size_t count)
{
    void *memory = aligned_alloc(4096, (count + 4095) / 4096 * 4096);
    check(memory != NULL, "memory");
    memset(memory, 0x5a, count);
    return memory;
}

static void pin_to(const struct options *options, int cpu)
{
    if (!options->pin) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    check(sched_setaffinity(0, sizeof set, &set) == 0, "--pin");
}

/* ---- sockets ---- */

static void tune(int fd, const struct options *options)
{
    int on = 1;
    check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
    /* Where the system's congestion control paces, as BBR does, it would set a timer for each segment. */
    check(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", strlen("reno")) == 0, "TCP_CONGESTION");
    if (options->socket_buffer > 0) {
        int size = options->socket_buffer;
        check(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0, "SO_SNDBUF");
        check(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0, "SO_RCVBUF");
    }
}

static int listen_loopback(struct sockaddr_in *address, const struct options *options)
{
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0, "socket");
    tune(fd, options);
    *address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    check(bind(fd, (struct sockaddr *)address, sizeof *address) == 0, "bind");
    check(listen(fd, 1) == 0, "listen");
    check(getsockname(fd, (struct sockaddr *)address, &size) == 0, "getsockname");
    return fd;
}

static int accept_one(int listener, const struct options *options)
{
    int fd = accept(listener, NULL, NULL);
    check(fd >= 0, "accept");
    tune(fd, options);
    return fd;
}

static int connect_to(const struct sockaddr_in *address, const struct options *options)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0, "socket");
    tune(fd, options);
    check(connect(fd, (const struct sockaddr *)address, sizeof *address) == 0, "connect");
    return fd;
}

static void write_all(int fd, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t written = write(fd, bytes, count);
        if (written < 0 && errno == EINTR) continue;
        check(written > 0, "write");
        bytes += written;
        count -= (size_t)written;
    }
}

/* 0 at the end of the stream */
static size_t read_some(int fd, uint8_t *bytes, size_t count)
{
    for (;;) {
        ssize_t got = read(fd, bytes, count);
        if (got < 0 && errno == EINTR) continue;
        check(got >= 0, "read");
        return (size_t)got;
    }
}

/* ---- frames: 2 bytes of length, ciphertext, tag ---- */

struct channel {
    EVP_CIPHER_CTX *context;
    uint64_t nonce;
};

static struct channel channel_open(int seals)
{
    static const uint8_t key[32] = "the key of both benchmark sides";
    struct channel channel = { EVP_CIPHER_CTX_new(), 0 };
    check(channel.context && EVP_CipherInit_ex(channel.context, EVP_chacha20_poly1305(), NULL, key, NULL, seals) == 1, "cipher");
    return channel;
}

static void next_nonce(struct channel *channel)
{
    uint8_t nonce[12] = { 0 };
    memcpy(nonce + 4, &channel->nonce, 8);
    channel->nonce++;
    check(EVP_CipherInit_ex(channel->context, NULL, NULL, NULL, nonce, -1) == 1, "nonce");
}

/* In pieces that are still in the first cache when their tag is computed. */
static void transform(struct channel *channel, const uint8_t *in, uint8_t *out, size_t count)
{
    for (size_t done = 0; done < count;) {
        int length = (int)(count - done < piece_bytes ? count - done : piece_bytes), written;
        check(EVP_CipherUpdate(channel->context, out + done, &written, in + done, length) == 1 && written == length, "cipher");
        done += (size_t)length;
    }
}

static void seal(struct channel *channel, const uint8_t *plain, uint8_t *frame)
{
    const size_t count = plain_bytes + tag_bytes;
    uint8_t *body = frame + length_bytes;
    int written;
    frame[0] = (uint8_t)(count >> 8);
    frame[1] = (uint8_t)count;
    next_nonce(channel);
    transform(channel, plain, body, plain_bytes);
    check(EVP_EncryptFinal_ex(channel->context, body + plain_bytes, &written) == 1, "encrypt");
    check(EVP_CIPHER_CTX_ctrl(channel->context, EVP_CTRL_AEAD_GET_TAG, tag_bytes, body + plain_bytes) == 1, "tag");
}

static void unseal(struct channel *channel, uint8_t *body, size_t count)
{
    const size_t plain = count - tag_bytes;
    int written;
    next_nonce(channel);
    check(EVP_CIPHER_CTX_ctrl(channel->context, EVP_CTRL_AEAD_SET_TAG, tag_bytes, body + plain) == 1, "tag");
    transform(channel, body, body, plain);
    check(EVP_DecryptFinal_ex(channel->context, body + plain, &written) == 1, "frame is not authentic");
}

/* ---- private network: XSalsa20 over the whole stream ---- */

struct stream {
    uint8_t subkey[32], nonce[8], block[block_bytes];
    uint64_t counter;
    size_t used;
};

static struct stream stream_open(void)
{
    static const uint8_t key[32] = "the key of the private network", nonce[24] = "a nonce for both sides";
    struct stream stream = { .used = block_bytes };
    crypto_core_hsalsa20(stream.subkey, nonce, key, NULL);
    memcpy(stream.nonce, nonce + 16, sizeof stream.nonce);
    return stream;
}

static void stream_apply(struct stream *stream, uint8_t *bytes, size_t count)
{
    while (count > 0 && stream->used < block_bytes) {
        *bytes++ ^= stream->block[stream->used++];
        count--;
    }
    size_t whole = count / block_bytes * block_bytes;
    crypto_stream_salsa20_xor_ic(bytes, bytes, whole, stream->nonce, stream->counter, stream->subkey);
    stream->counter += whole / block_bytes;
    if (count == whole) return;
    memset(stream->block, 0, block_bytes);
    crypto_stream_salsa20_xor_ic(stream->block, stream->block, block_bytes, stream->nonce, stream->counter++, stream->subkey);
    for (stream->used = 0; stream->used < count - whole; stream->used++) bytes[whole + stream->used] ^= stream->block[stream->used];
}

/* ---- throughput ---- */

static void send_frames(int fd, uint64_t frames, const struct options *options)
{
    struct channel channel = channel_open(1);
    struct stream stream = stream_open();
    uint8_t *plain = buffer(plain_bytes * options->frames_per_write);
    uint8_t *batch = buffer(frame_bytes * options->frames_per_write);
    while (frames > 0) {
        size_t count = frames < options->frames_per_write ? (size_t)frames : options->frames_per_write;
        for (size_t i = 0; i < count; i++) {
            seal(&channel, plain + i * plain_bytes, batch + i * frame_bytes);
            if (options->pnet) stream_apply(&stream, batch + i * frame_bytes, frame_bytes);
        }
        write_all(fd, batch, count * frame_bytes);
        frames -= count;
    }
    check(shutdown(fd, SHUT_WR) == 0, "shutdown");
    EVP_CIPHER_CTX_free(channel.context);
    free(batch);
    free(plain);
}

/* Opens every whole frame in place and returns the number of bytes that were frames. */
static size_t open_frames(struct channel *channel, uint8_t *bytes, size_t count, uint64_t *plain)
{
    size_t offset = 0;
    while (count - offset >= length_bytes) {
        size_t body = (size_t)bytes[offset] << 8 | bytes[offset + 1];
        check(body >= tag_bytes, "frame length");
        if (count - offset < length_bytes + body) break;
        unseal(channel, bytes + offset + length_bytes, body);
        *plain += body - tag_bytes;
        offset += length_bytes + body;
    }
    return offset;
}

static void receive_frames(int fd, const struct options *options)
{
    if (options->low_water > 0) {
        int size = options->low_water;
        check(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &size, sizeof size) == 0, "SO_RCVLOWAT");
    }
    struct channel channel = channel_open(0);
    struct stream stream = stream_open();
    uint8_t *bytes = buffer(options->read_bytes);
    uint64_t plain = 0, start = now_ns();
    size_t begin = 0, end = 0, got;
    while ((got = read_some(fd, bytes + end, options->read_bytes - end)) > 0) {
        if (options->pnet) stream_apply(&stream, bytes + end, got);
        end += got;
        begin += open_frames(&channel, bytes + begin, end - begin, &plain);
        if (begin == end) {
            begin = end = 0;
        } else if (options->read_bytes - begin < frame_bytes) {
            memmove(bytes, bytes + begin, end - begin);
            end -= begin;
            begin = 0;
        }
    }
    double seconds = (double)(now_ns() - start) / 1e9;
    EVP_CIPHER_CTX_free(channel.context);
    free(bytes);
    check(begin == end, "the stream ended inside a frame");
    printf("{\"mode\": \"throughput\", \"bytes\": %llu, \"seconds\": %.6f, \"mib_per_second\": %.1f, \"pnet\": %s, "
           "\"frames_per_write\": %zu, \"read_bytes\": %zu, \"low_water\": %d}\n",
           (unsigned long long)plain, seconds, (double)plain / seconds / 1048576, options->pnet ? "true" : "false",
           options->frames_per_write, options->read_bytes, options->low_water);
}

/* ---- ping-pong ---- */

static int watch(int fd)
{
    struct epoll_event event = { .events = EPOLLIN };
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    check(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll");
    return epoll;
}

/* One whole message by epoll; false at the end of the stream. */
static bool wait_message(int epoll, int fd, uint8_t *message)
{
    for (size_t have = 0; have < ping_bytes;) {
        struct epoll_event event;
        int ready = epoll_wait(epoll, &event, 1, -1);
        if (ready < 0 && errno == EINTR) continue;
        check(ready == 1, "epoll_wait");
        size_t got = read_some(fd, message + have, ping_bytes - have);
        if (got == 0) return false;
        have += got;
    }
    return true;
}

static void echo(int fd)
{
    uint8_t message[ping_bytes];
    int epoll = watch(fd);
    while (wait_message(epoll, fd, message)) write_all(fd, message, ping_bytes);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void ping(int fd, const struct options *options)
{
    const int warmup = options->rounds / 10;
    uint8_t message[ping_bytes] = { 0 };
    uint64_t *samples = buffer(sizeof *samples * (size_t)options->rounds);
    int epoll = watch(fd);
    for (int round = -warmup; round < options->rounds; round++) {
        uint64_t start = now_ns();
        write_all(fd, message, ping_bytes);
        check(wait_message(epoll, fd, message), "the echo ended");
        if (round >= 0) samples[round] = now_ns() - start;
    }
    close(epoll);
    qsort(samples, (size_t)options->rounds, sizeof *samples, by_value);
    printf("{\"mode\": \"pingpong\", \"rounds\": %d, \"bytes\": %d, \"p50_us\": %.2f, \"p99_us\": %.2f}\n", options->rounds,
           ping_bytes, (double)samples[options->rounds / 2] / 1e3, (double)samples[(size_t)options->rounds * 99 / 100] / 1e3);
    free(samples);
}

/* ---- command line ---- */

static const char usage[] =
    "usage: pipeline throughput [--bytes N] [--pnet] [--frames-per-write N] [--read-bytes N] [--low-water N] [--socket-buffer N] [--pin]\n"
    "       pipeline pingpong [--rounds N] [--pin]\n"
    "Prints one line of JSON. --pin keeps each side on its own processor.\n";

static unsigned long long number(const char *text, unsigned long long least, unsigned long long most)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || end == text || value < least || value > most) {
        fprintf(stderr, "pipeline: %s is not a number from %llu to %llu\n", text, least, most);
        exit(2);
    }
    return value;
}

static struct options parse(int argc, char **argv)
{
    static const struct option known[] = {
        { "bytes", required_argument, NULL, 'b' },         { "frames-per-write", required_argument, NULL, 'f' },
        { "read-bytes", required_argument, NULL, 'r' },    { "socket-buffer", required_argument, NULL, 's' },
        { "low-water", required_argument, NULL, 'l' },
        { "rounds", required_argument, NULL, 'n' },        { "pnet", no_argument, NULL, 'x' },
        { "pin", no_argument, NULL, 'p' },                 { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct options options = { .bytes = 1u << 30, .rounds = 50000,
                               .frames_per_write = 8, .read_bytes = 16 * frame_bytes, .low_water = 4 * frame_bytes };
    for (int letter; (letter = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        switch (letter) {
        case 'b': options.bytes = number(optarg, 1, 1ull << 50); break;
        case 'f': options.frames_per_write = number(optarg, 1, frames_per_write_max); break;
        case 'r': options.read_bytes = number(optarg, frame_bytes, 1u << 30); break;
        case 's': options.socket_buffer = (int)number(optarg, 1, 1u << 30); break;
        case 'l': options.low_water = (int)number(optarg, 0, 1u << 30); break;
        case 'n': options.rounds = (int)number(optarg, 100, 100000000); break;
        case 'x': options.pnet = true; break;
        case 'p': options.pin = true; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); exit(2);
        }
    }
    options.mode = optind + 1 == argc ? argv[optind] : "";
    if (strcmp(options.mode, "throughput") && strcmp(options.mode, "pingpong")) {
        fputs(usage, stderr);
        exit(2);
    }
    return options;
}

int main(int argc, char **argv)
{
    struct options options = parse(argc, argv);
    struct sockaddr_in address;
    bool pingpong = strcmp(options.mode, "pingpong") == 0;
    check(sodium_init() >= 0, "libsodium");
    int listener = listen_loopback(&address, &options);
    int ours = connect_to(&address, &options), theirs = accept_one(listener, &options);
    close(listener);
    pid_t child = fork();
    check(child >= 0, "fork");
    close(child == 0 ? ours : theirs);
    pin_to(&options, child == 0 ? 0 : 1);
    if (child == 0) {
        if (pingpong) echo(theirs);
        else send_frames(theirs, (options.bytes + plain_bytes - 1) / plain_bytes, &options);
        return 0;
    }
    if (pingpong) ping(ours, &options);
    else receive_frames(ours, &options);
    close(ours);
    int status;
    check(waitpid(child, &status, 0) == child && status == 0, "the other side failed");
    return 0;
}
