/* Streams between two nodes. */
#include "check.h"

#include <pthread.h>

#define ECHO_PROTOCOL "/echo/1.0.0"

/* A pair with one stream: bob opened it, alice accepted it. */
typedef struct streams {
    pair_t pair;
    meshnet_stream_t bobs, alices;
} streams_t;

static bool open_streams(streams_t *streams) {
    static const char *const offered[] = {"/unknown/1.0.0", ECHO_PROTOCOL};
    size_t index = 7;
    meshnet_event_t *event;
    memset(streams, 0, sizeof *streams);
    if (!open_pair(&streams->pair)) return false;
    if (meshnet_accept(streams->pair.alice, ECHO_PROTOCOL, NULL) != MESHNET_OK) return false;
    if (meshnet_stream_open(streams->pair.bob, streams->pair.alice_id, offered, 2, PATIENCE, &streams->bobs, &index) != MESHNET_OK) return false;
    if (index != 1 || streams->bobs.id == 0) return false;
    event = await_event(streams->pair.alice, MESHNET_EVENT_STREAM_OPENED);
    if (event == NULL || strcmp(event->protocol_id, ECHO_PROTOCOL) != 0 || strcmp(event->peer_id, streams->pair.bob_id) != 0) return false;
    streams->alices = event->stream;
    meshnet_event_free(event);
    return streams->alices.id != 0;
}

static bool read_exactly(meshnet_node_t *node, meshnet_stream_t stream, uint8_t *buffer, size_t length) {
    size_t filled = 0, count;
    while (filled < length) {
        if (meshnet_stream_read(node, stream, buffer + filled, length - filled, PATIENCE, &count) != MESHNET_OK || count == 0) return false;
        filled += count;
    }
    return true;
}

static void bytes_go_both_ways_until_both_have_closed(void) {
    streams_t s;
    uint8_t buffer[64];
    size_t count = 99;
    REQUIRE(open_streams(&s));
    REQUIRE_OK(meshnet_stream_write(s.pair.bob, s.bobs, (const uint8_t *)"hello", 5, PATIENCE));
    REQUIRE_OK(meshnet_stream_close_write(s.pair.bob, s.bobs));
    REQUIRE_OK(meshnet_stream_close_write(s.pair.bob, s.bobs));
    REQUIRE(read_exactly(s.pair.alice, s.alices, buffer, 5) && memcmp(buffer, "hello", 5) == 0);
    REQUIRE_OK(meshnet_stream_read(s.pair.alice, s.alices, buffer, sizeof buffer, PATIENCE, &count));
    REQUIRE(count == 0);
    REQUIRE_OK(meshnet_stream_write(s.pair.alice, s.alices, (const uint8_t *)"world!", 6, PATIENCE));
    REQUIRE_OK(meshnet_stream_close(s.pair.alice, s.alices));
    REQUIRE(read_exactly(s.pair.bob, s.bobs, buffer, 6) && memcmp(buffer, "world!", 6) == 0);
    REQUIRE_OK(meshnet_stream_read(s.pair.bob, s.bobs, buffer, sizeof buffer, PATIENCE, &count));
    REQUIRE(count == 0);
    REQUIRE_CODE(MESHNET_ERROR_STREAM_CLOSED, meshnet_stream_write(s.pair.bob, s.bobs, buffer, 1, PATIENCE));
    REQUIRE_OK(meshnet_stream_close(s.pair.bob, s.bobs));
    close_pair(&s.pair);
}

static void a_closed_stream_is_no_stream(void) {
    streams_t s;
    uint8_t buffer[8];
    size_t count;
    meshnet_ticket_t ticket;
    meshnet_stream_t made_up = {UINT64_MAX}, none = {0};
    REQUIRE(open_streams(&s));
    REQUIRE_OK(meshnet_stream_close(s.pair.bob, s.bobs));
    REQUIRE_CODE(MESHNET_ERROR_NO_SUCH_STREAM, meshnet_stream_close(s.pair.bob, s.bobs));
    REQUIRE_CODE(MESHNET_ERROR_NO_SUCH_STREAM, meshnet_stream_reset(s.pair.bob, s.bobs));
    REQUIRE_CODE(MESHNET_ERROR_NO_SUCH_STREAM, meshnet_stream_close_write(s.pair.bob, s.bobs));
    REQUIRE_CODE(MESHNET_ERROR_NO_SUCH_STREAM, meshnet_stream_read(s.pair.bob, s.bobs, buffer, sizeof buffer, 0, &count));
    REQUIRE_CODE(MESHNET_ERROR_NO_SUCH_STREAM, meshnet_stream_write(s.pair.bob, s.bobs, buffer, 1, 0));
    REQUIRE_CODE(MESHNET_ERROR_NO_SUCH_STREAM, meshnet_stream_read_start(s.pair.bob, s.bobs, buffer, sizeof buffer, &ticket));
    REQUIRE_CODE(MESHNET_ERROR_NO_SUCH_STREAM, meshnet_stream_read(s.pair.bob, made_up, buffer, sizeof buffer, 0, &count));
    REQUIRE_CODE(MESHNET_ERROR_NO_SUCH_STREAM, meshnet_stream_write(s.pair.bob, none, buffer, 1, 0));
    close_pair(&s.pair);
}

static void a_reset_reaches_the_other_side(void) {
    streams_t s;
    uint8_t buffer[8];
    size_t count;
    REQUIRE(open_streams(&s));
    REQUIRE_OK(meshnet_stream_reset(s.pair.alice, s.alices));
    REQUIRE_CODE(MESHNET_ERROR_STREAM_RESET, meshnet_stream_read(s.pair.bob, s.bobs, buffer, sizeof buffer, PATIENCE, &count));
    REQUIRE_OK(meshnet_stream_close(s.pair.bob, s.bobs));
    close_pair(&s.pair);
}

static void a_lost_connection_resets_its_streams(void) {
    streams_t s;
    uint8_t buffer[8];
    size_t count;
    REQUIRE(open_streams(&s));
    REQUIRE_OK(meshnet_node_close(s.pair.alice));
    REQUIRE_CODE(MESHNET_ERROR_STREAM_RESET, meshnet_stream_read(s.pair.bob, s.bobs, buffer, sizeof buffer, PATIENCE, &count));
    close_pair(&s.pair);
}

static void waiting_ends_when_the_time_is_over(void) {
    streams_t s;
    uint8_t buffer[8] = {0};
    size_t count = 99;
    int64_t before;
    REQUIRE(open_streams(&s));
    REQUIRE_CODE(MESHNET_ERROR_TIMED_OUT, meshnet_stream_read(s.pair.bob, s.bobs, buffer, sizeof buffer, 0, &count));
    before = milliseconds_now();
    REQUIRE_CODE(MESHNET_ERROR_TIMED_OUT, meshnet_stream_read(s.pair.bob, s.bobs, buffer, sizeof buffer, 50, &count));
    REQUIRE(count == 0 && milliseconds_now() - before >= 49);
    REQUIRE_OK(meshnet_stream_write(s.pair.alice, s.alices, (const uint8_t *)"late", 4, PATIENCE));
    REQUIRE(read_exactly(s.pair.bob, s.bobs, buffer, 4) && memcmp(buffer, "late", 4) == 0);
    close_pair(&s.pair);
}

static void bad_arguments_are_refused(void) {
    static const char *const hole[] = {NULL};
    static const char *const not_utf8[] = {"\xFF"};
    static const char *const unknown[] = {"/unknown/1.0.0"};
    static const char *const echo[] = {ECHO_PROTOCOL};
    streams_t s;
    uint8_t buffer[8];
    size_t count;
    meshnet_stream_t stream = {5};
    REQUIRE(open_streams(&s));
    REQUIRE_CODE(MESHNET_ERROR_PROTOCOL_NOT_SUPPORTED, meshnet_stream_open(s.pair.bob, s.pair.alice_id, unknown, 1, PATIENCE, &stream, NULL));
    REQUIRE(stream.id == 0);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_PROTOCOL, meshnet_stream_open(s.pair.bob, s.pair.alice_id, NULL, 0, PATIENCE, &stream, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_PROTOCOL, meshnet_stream_open(s.pair.bob, s.pair.alice_id, not_utf8, 1, PATIENCE, &stream, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_stream_open(s.pair.bob, s.pair.alice_id, hole, 1, PATIENCE, &stream, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_stream_open(s.pair.bob, s.pair.alice_id, NULL, 1, PATIENCE, &stream, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_stream_open(s.pair.bob, s.pair.alice_id, echo, 1, PATIENCE, NULL, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_stream_open(s.pair.bob, NULL, echo, 1, PATIENCE, &stream, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_PEER_ID, meshnet_stream_open(s.pair.bob, "nobody", echo, 1, PATIENCE, &stream, NULL));
    REQUIRE_CODE(MESHNET_ERROR_NOT_CONNECTED, meshnet_stream_open(s.pair.bob, "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN", echo, 1, PATIENCE,
                                                                  &stream, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_PROTOCOL, meshnet_accept(s.pair.bob, "", NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_PROTOCOL, meshnet_accept(s.pair.bob, "/a\nb", NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_stream_read(s.pair.bob, s.bobs, NULL, 8, 0, &count));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_stream_read(s.pair.bob, s.bobs, buffer, 0, 0, &count));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_stream_read(s.pair.bob, s.bobs, buffer, SIZE_MAX, 0, &count));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_stream_read(s.pair.bob, s.bobs, buffer, 8, 0, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_stream_read(s.pair.bob, s.bobs, buffer, 8, -7, &count));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_stream_write(s.pair.bob, s.bobs, NULL, 1, 0));
    REQUIRE_OK(meshnet_stream_write(s.pair.bob, s.bobs, NULL, 0, PATIENCE));
    close_pair(&s.pair);
}

static void accepting_can_be_stopped(void) {
    static const char *const echo[] = {ECHO_PROTOCOL};
    streams_t s;
    meshnet_stream_t stream;
    bool changed = true;
    REQUIRE(open_streams(&s));
    REQUIRE_OK(meshnet_accept(s.pair.alice, ECHO_PROTOCOL, &changed));
    REQUIRE(!changed);
    REQUIRE_OK(meshnet_stop_accepting(s.pair.alice, ECHO_PROTOCOL, &changed));
    REQUIRE(changed);
    REQUIRE_OK(meshnet_stop_accepting(s.pair.alice, ECHO_PROTOCOL, &changed));
    REQUIRE(!changed);
    REQUIRE_CODE(MESHNET_ERROR_PROTOCOL_NOT_SUPPORTED, meshnet_stream_open(s.pair.bob, s.pair.alice_id, echo, 1, PATIENCE, &stream, NULL));
    close_pair(&s.pair);
}

#define BULK (8 << 20)

static void *write_bulk(void *context) {
    streams_t *s = (streams_t *)context;
    size_t index;
    uint8_t *data = (uint8_t *)malloc(BULK);
    int32_t code;
    for (index = 0; index < BULK; index++) data[index] = (uint8_t)(index * 7 >> 2);
    code = meshnet_stream_write(s->pair.bob, s->bobs, data, BULK, PATIENCE);
    if (code == MESHNET_OK) code = meshnet_stream_close_write(s->pair.bob, s->bobs);
    free(data);
    return code == MESHNET_OK ? s : NULL;
}

static void bulk_arrives_in_order(void) {
    static uint8_t buffer[100000];
    streams_t s;
    pthread_t writer;
    void *result;
    size_t count, total = 0, index;
    REQUIRE(open_streams(&s));
    REQUIRE(pthread_create(&writer, NULL, write_bulk, &s) == 0);
    do {
        REQUIRE_OK(meshnet_stream_read(s.pair.alice, s.alices, buffer, sizeof buffer, PATIENCE, &count));
        for (index = 0; index < count; index++) REQUIRE(buffer[index] == (uint8_t)((total + index) * 7 >> 2));
        total += count;
    } while (count > 0);
    REQUIRE(pthread_join(writer, &result) == 0 && result != NULL);
    REQUIRE(total == BULK);
    close_pair(&s.pair);
}

int main(void) {
    RUN(bytes_go_both_ways_until_both_have_closed);
    RUN(a_closed_stream_is_no_stream);
    RUN(a_reset_reaches_the_other_side);
    RUN(a_lost_connection_resets_its_streams);
    RUN(waiting_ends_when_the_time_is_over);
    RUN(bad_arguments_are_refused);
    RUN(accepting_can_be_stopped);
    RUN(bulk_arrives_in_order);
    FINISH();
}
