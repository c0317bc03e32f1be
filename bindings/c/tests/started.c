/* Calls that do not block, served from poll() on the event descriptor. */
#include "check.h"

#include <poll.h>

static int32_t complete(meshnet_node_t *node, meshnet_ticket_t ticket) {
    meshnet_event_t *event = await_completion(node, ticket);
    int32_t code = event == NULL ? INT32_MIN : event->code;
    meshnet_event_free(event);
    return code;
}

static void the_descriptor_is_readable_while_events_wait(void) {
    meshnet_node_t *node = open_node();
    meshnet_event_t *event;
    meshnet_ticket_t ticket;
    struct pollfd wait;
    int round;
    REQUIRE(node != NULL);
    wait.fd = meshnet_event_fd(node);
    wait.events = POLLIN;
    REQUIRE(wait.fd >= 0);
    for (round = 0; round < 20; round++) {
        bool completed = false;
        REQUIRE_OK(meshnet_peers_start(node, &ticket));
        while (!completed) {
            int32_t code;
            REQUIRE(poll(&wait, 1, PATIENCE) == 1 && (wait.revents & POLLIN));
            while ((code = meshnet_next_event(node, 0, &event)) == MESHNET_OK) {
                if (event->type == MESHNET_EVENT_COMPLETED && event->ticket.id == ticket.id) completed = event->peers != NULL && event->peers->count == 0;
                meshnet_event_free(event);
            }
            REQUIRE(code == MESHNET_ERROR_TIMED_OUT);
        }
        REQUIRE(poll(&wait, 1, 0) == 0);
    }
    meshnet_node_free(node);
}

static void a_whole_conversation_without_blocking(void) {
    static const char *const chat[] = {"/chat/1.0.0"};
    meshnet_node_t *alice = open_node(), *bob = open_node();
    meshnet_ticket_t ticket, read_ticket;
    meshnet_event_t *event;
    meshnet_stream_t bobs, alices;
    char address[128], alice_id[MESHNET_PEER_ID_TEXT_SIZE];
    static uint8_t buffer[16];
    REQUIRE(alice != NULL && bob != NULL && first_address(alice, address, sizeof address));
    REQUIRE_OK(meshnet_node_peer_id(alice, alice_id, sizeof alice_id));

    REQUIRE_OK(meshnet_connect_start(bob, address, &ticket));
    event = await_completion(bob, ticket);
    REQUIRE(event != NULL && event->code == MESHNET_OK && strcmp(event->peer_id, alice_id) == 0);
    REQUIRE(event->address != NULL && event->direction == MESHNET_DIRECTION_OUTBOUND && event->detail == NULL);
    meshnet_event_free(event);

    REQUIRE_OK(meshnet_subscribe_start(alice, "news", &ticket));
    event = await_completion(alice, ticket);
    REQUIRE(event != NULL && event->code == MESHNET_OK && event->changed);
    meshnet_event_free(event);
    event = await_event(bob, MESHNET_EVENT_SUBSCRIPTION);
    REQUIRE(event != NULL);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_publish_start(bob, "news", (const uint8_t *)"x", 1, &ticket));
    REQUIRE(complete(bob, ticket) == MESHNET_OK);
    event = await_event(alice, MESHNET_EVENT_MESSAGE);
    REQUIRE(event != NULL && event->data_length == 1);
    meshnet_event_free(event);

    REQUIRE_OK(meshnet_accept_start(alice, chat[0], &ticket));
    REQUIRE(complete(alice, ticket) == MESHNET_OK);
    REQUIRE_OK(meshnet_stream_open_start(bob, alice_id, chat, 1, &ticket));
    event = await_completion(bob, ticket);
    REQUIRE(event != NULL && event->code == MESHNET_OK && event->stream.id != 0 && strcmp(event->protocol_id, chat[0]) == 0);
    bobs = event->stream;
    meshnet_event_free(event);
    event = await_event(alice, MESHNET_EVENT_STREAM_OPENED);
    REQUIRE(event != NULL);
    alices = event->stream;
    meshnet_event_free(event);

    REQUIRE_OK(meshnet_stream_read_start(alice, alices, buffer, sizeof buffer, &read_ticket));
    REQUIRE_OK(meshnet_stream_write_start(bob, bobs, (const uint8_t *)"hello", 5, &ticket));
    event = await_completion(bob, ticket);
    REQUIRE(event != NULL && event->code == MESHNET_OK && event->length == 5);
    meshnet_event_free(event);
    event = await_completion(alice, read_ticket);
    REQUIRE(event != NULL && event->code == MESHNET_OK && event->length == 5 && memcmp(buffer, "hello", 5) == 0);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_stream_close(bob, bobs));
    REQUIRE_OK(meshnet_stream_read_start(alice, alices, buffer, sizeof buffer, &read_ticket));
    event = await_completion(alice, read_ticket);
    REQUIRE(event != NULL && event->code == MESHNET_OK && event->length == 0);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_stream_close(alice, alices));

    REQUIRE_OK(meshnet_ping_start(bob, alice_id, &ticket));
    event = await_completion(bob, ticket);
    REQUIRE(event != NULL && event->code == MESHNET_OK && event->round_trip_ns > 0);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_perf_start(bob, alice_id, 1 << 20, 1 << 20, &ticket));
    event = await_completion(bob, ticket);
    REQUIRE(event != NULL && event->code == MESHNET_OK && event->upload_ns > 0 && event->download_ns > 0);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_peers_start(bob, &ticket));
    event = await_completion(bob, ticket);
    REQUIRE(event != NULL && event->peers->count == 1 && strcmp(event->peers->items[0]->peer_id, alice_id) == 0);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_address_problems_start(bob, &ticket));
    event = await_completion(bob, ticket);
    REQUIRE(event != NULL && event->problems != NULL && event->problems->count == 0);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_unsubscribe_start(alice, "news", &ticket));
    REQUIRE(complete(alice, ticket) == MESHNET_OK);
    REQUIRE_OK(meshnet_stop_accepting_start(alice, chat[0], &ticket));
    REQUIRE(complete(alice, ticket) == MESHNET_OK);
    REQUIRE_OK(meshnet_add_bootstrap_peer_start(bob, address, &ticket));
    REQUIRE(complete(bob, ticket) == MESHNET_OK);
    REQUIRE_OK(meshnet_remove_bootstrap_peer_start(bob, address, &ticket));
    REQUIRE(complete(bob, ticket) == MESHNET_OK);
    REQUIRE_OK(meshnet_disconnect_start(bob, alice_id, &ticket));
    REQUIRE(complete(bob, ticket) == MESHNET_OK);
    meshnet_node_free(alice);
    meshnet_node_free(bob);
}

static void failures_complete_with_their_account(void) {
    meshnet_node_t *node = open_node();
    meshnet_ticket_t ticket = {7};
    meshnet_event_t *event;
    REQUIRE(node != NULL);
    REQUIRE_OK(meshnet_connect_start(node, "/ip4/127.0.0.1/tcp/1", &ticket));
    event = await_completion(node, ticket);
    REQUIRE(event != NULL && event->code == MESHNET_ERROR_REFUSED && event->system_errno == ECONNREFUSED);
    REQUIRE(event->detail[0] != 0 && strcmp(event->hint, meshnet_error_hint(MESHNET_ERROR_REFUSED)) == 0);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_publish_start(node, "lonely", NULL, 0, &ticket));
    REQUIRE(complete(node, ticket) == MESHNET_ERROR_NO_PEERS_SUBSCRIBED);
    REQUIRE_OK(meshnet_topic_peers_start(node, "unknown", &ticket));
    REQUIRE(complete(node, ticket) == MESHNET_ERROR_NOT_SUBSCRIBED);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ADDRESS, meshnet_connect_start(node, "nonsense", &ticket));
    REQUIRE(ticket.id == 0);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_peers_start(node, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_peers_start(NULL, &ticket));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_PEER_ID, meshnet_ping_start(node, "", &ticket));
    meshnet_node_free(node);
}

typedef struct quiet_stream {
    meshnet_node_t *alice, *bob;
    meshnet_stream_t stream;
} quiet_stream_t;

/* A stream on which nobody writes. */
static bool open_quiet_stream(quiet_stream_t *quiet) {
    static const char *const ids[] = {"/quiet/1.0.0"};
    pair_t pair;
    if (!open_pair(&pair)) return false;
    quiet->alice = pair.alice;
    quiet->bob = pair.bob;
    return meshnet_accept(pair.alice, ids[0], NULL) == MESHNET_OK
        && meshnet_stream_open(pair.bob, pair.alice_id, ids, 1, PATIENCE, &quiet->stream, NULL) == MESHNET_OK;
}

static void a_cancelled_read_gives_its_buffer_back(void) {
    quiet_stream_t quiet;
    meshnet_ticket_t ticket, other;
    uint8_t *buffer = (uint8_t *)malloc(64);
    REQUIRE(open_quiet_stream(&quiet));
    REQUIRE_OK(meshnet_stream_read_start(quiet.bob, quiet.stream, buffer, 64, &ticket));
    REQUIRE_CODE(MESHNET_ERROR_BUSY, meshnet_stream_read_start(quiet.bob, quiet.stream, buffer, 64, &other));
    REQUIRE_OK(meshnet_cancel(quiet.bob, ticket));
    REQUIRE(complete(quiet.bob, ticket) == MESHNET_ERROR_CANCELLED);
    free(buffer);
    REQUIRE_OK(meshnet_cancel(quiet.bob, ticket));
    REQUIRE_OK(meshnet_cancel(quiet.bob, other));
    meshnet_node_free(quiet.alice);
    meshnet_node_free(quiet.bob);
}

static void closing_a_stream_ends_its_read(void) {
    quiet_stream_t quiet;
    meshnet_ticket_t ticket;
    static uint8_t buffer[64];
    REQUIRE(open_quiet_stream(&quiet));
    REQUIRE_OK(meshnet_stream_read_start(quiet.bob, quiet.stream, buffer, sizeof buffer, &ticket));
    REQUIRE_OK(meshnet_stream_reset(quiet.bob, quiet.stream));
    REQUIRE(complete(quiet.bob, ticket) == MESHNET_ERROR_STREAM_CLOSED);
    meshnet_node_free(quiet.alice);
    meshnet_node_free(quiet.bob);
}

static void a_cancelled_command_completes_once(void) {
    meshnet_node_t *node = open_node();
    meshnet_ticket_t ticket, later;
    meshnet_event_t *event;
    int cancelled = 0;
    REQUIRE(node != NULL);
    REQUIRE_OK(meshnet_connect_start(node, "/ip4/192.0.2.1/tcp/9", &ticket)); /* TEST-NET: nobody answers */
    REQUIRE_OK(meshnet_cancel(node, ticket));
    REQUIRE_OK(meshnet_cancel(node, ticket));
    REQUIRE_OK(meshnet_peers_start(node, &later));
    do {
        REQUIRE(meshnet_next_event(node, PATIENCE, &event) == MESHNET_OK);
        if (event->type == MESHNET_EVENT_COMPLETED && event->ticket.id == ticket.id) cancelled += event->code == MESHNET_ERROR_CANCELLED ? 1 : 100;
        if (event->type == MESHNET_EVENT_COMPLETED && event->ticket.id == later.id) later.id = 0;
        meshnet_event_free(event);
    } while (later.id != 0);
    REQUIRE(cancelled == 1);
    meshnet_node_free(node);
}

static void closing_completes_what_was_started(void) {
    quiet_stream_t quiet;
    meshnet_ticket_t ticket;
    meshnet_event_t *event;
    uint8_t *buffer = (uint8_t *)malloc(64);
    bool completed = false;
    REQUIRE(open_quiet_stream(&quiet));
    REQUIRE_OK(meshnet_stream_read_start(quiet.bob, quiet.stream, buffer, 64, &ticket));
    REQUIRE_OK(meshnet_node_close(quiet.bob));
    free(buffer);
    while (meshnet_next_event(quiet.bob, PATIENCE, &event) == MESHNET_OK) {
        if (event->type == MESHNET_EVENT_COMPLETED && event->ticket.id == ticket.id) completed = event->code == MESHNET_ERROR_CLOSED;
        meshnet_event_free(event);
    }
    REQUIRE(completed);
    meshnet_node_free(quiet.alice);
    meshnet_node_free(quiet.bob);
}

/* 65,536 completions may be unfetched; the next call is refused, and each that is fetched makes room for one. */
static void too_many_unfetched_completions_are_refused(void) {
    enum { LIMIT = 65536 };
    meshnet_ticket_t ticket;
    meshnet_node_t *node = open_node();
    meshnet_event_t *event;
    int started, fetched = 0;
    REQUIRE(node != NULL);
    for (started = 0; started < LIMIT; started++) REQUIRE(meshnet_peers_start(node, &ticket) == MESHNET_OK);
    REQUIRE_CODE(MESHNET_ERROR_LIMIT_REACHED, meshnet_peers_start(node, &ticket));
    REQUIRE(ticket.id == 0);
    event = await_event(node, MESHNET_EVENT_COMPLETED);
    REQUIRE(event != NULL);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_peers_start(node, &ticket));
    while (fetched < LIMIT && (event = await_event(node, MESHNET_EVENT_COMPLETED)) != NULL) {
        meshnet_event_free(event);
        fetched++;
    }
    if (fetched != LIMIT) printf("# fetched %d\n", fetched);
    REQUIRE(fetched == LIMIT);
    meshnet_node_free(node);
}

int main(void) {
    RUN(the_descriptor_is_readable_while_events_wait);
    RUN(a_whole_conversation_without_blocking);
    RUN(failures_complete_with_their_account);
    RUN(a_cancelled_read_gives_its_buffer_back);
    RUN(closing_a_stream_ends_its_read);
    RUN(a_cancelled_command_completes_once);
    RUN(closing_completes_what_was_started);
    RUN(too_many_unfetched_completions_are_refused);
    FINISH();
}
