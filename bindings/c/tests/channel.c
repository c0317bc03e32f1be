/* Messages to one peer: options, sending, receiving, requests, channels, and their events. */
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static void defaults_are_those_of_the_header(void) {
    meshnet_config_t config;
    meshnet_message_options_t options;
    meshnet_send_options_t send;
    REQUIRE_OK(meshnet_config_default(&config, sizeof config));
    REQUIRE(config.messages == NULL && config.keepalive_local_idle_ms == 1000 && config.keepalive_local_timeout_ms == 2500);
    REQUIRE(config.keepalive_remote_idle_ms == 15000 && config.keepalive_remote_timeout_ms == 30000);
    REQUIRE_OK(meshnet_message_options_default(&options, sizeof options));
    REQUIRE(options.state_directory == NULL && !options.synchronizes_disk && options.queue_bytes == 64 << 20 && options.queue_messages == 10000);
    REQUIRE(options.total_queue_bytes == 512 << 20 && options.receive_bytes == 4 << 20 && options.maximum_message_size == 1 << 30);
    REQUIRE(options.spool_threshold == 1 << 20 && options.spool_bytes == (uint64_t)8 << 30 && options.acknowledgement_delay_ms == 50);
    REQUIRE(options.request_timeout_ms == 30000 && options.requests_per_peer == 4096 && options.channels == 10000);
    REQUIRE(options.send_messages_per_second == 0 && options.send_bytes_per_second == 0);
    REQUIRE(options.receive_messages_per_second == 0 && options.receive_bytes_per_second == 0);
    REQUIRE(options.reconnect_first_ms == 500 && options.reconnect_cap_ms == 10000 && options.reconnect_factor == 2 && options.reconnect_attempts == 0);
    REQUIRE(options.reconnect_lasting_ms == 5000 && options.permanent_after == 5 && options.permanent_delay_ms == 60000 && options.dials_per_minute == 0);
    REQUIRE(options.stale_after_ms == 86400000);
    REQUIRE(options.wake_interval_ms == 15000 && options.wake_jump_ms == 30000 && options.wake_stored_gap_ms == 3600000);
    REQUIRE_OK(meshnet_send_options_default(&send, sizeof send));
    REQUIRE(send.lane == MESHNET_LANE_NORMAL && send.deadline_ms == -1 && send.when_full == MESHNET_WHEN_FULL_WAIT);
    REQUIRE(!send.waits_for_delivery && !send.reports_acceptance);
}

/* A node with options of messages; what meshnet_node_open answers. */
static int32_t open_with(const meshnet_message_options_t *options, meshnet_node_t **node) {
    static const char *const loopback[] = {"/ip4/127.0.0.1/tcp/0"};
    meshnet_keypair_t *keys;
    meshnet_config_t config;
    int32_t code = meshnet_keypair_generate(&keys);
    if (code != MESHNET_OK) return code;
    code = meshnet_config_default(&config, sizeof config);
    config.identity = keys;
    config.listen_addresses = loopback;
    config.listen_address_count = 1;
    config.messages = options;
    if (code == MESHNET_OK) code = meshnet_node_open(&config, node);
    meshnet_keypair_free(keys);
    return code;
}

static void options_that_cannot_be_are_refused(void) {
    meshnet_message_options_t options;
    meshnet_node_t *node = NULL;
    REQUIRE_OK(meshnet_message_options_default(&options, sizeof options));
    options.queue_messages = 0;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, open_with(&options, &node));
    REQUIRE_OK(meshnet_message_options_default(&options, sizeof options));
    options.reconnect_factor = 0.5;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, open_with(&options, &node));
    options.reconnect_factor = 2;
    options.queue_bytes = UINT64_MAX;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, open_with(&options, &node));
    options.struct_size = 7;
    REQUIRE_CODE(MESHNET_ERROR_STRUCT_SIZE, open_with(&options, &node));
    REQUIRE_OK(meshnet_message_options_default(&options, sizeof options));
    options.state_directory = "/proc/nothing/here";
    REQUIRE_CODE(MESHNET_ERROR_STORAGE, open_with(&options, &node));
    REQUIRE(node == NULL);
}

static void arguments_are_checked(void) {
    meshnet_node_t *node = open_node();
    meshnet_send_options_t options;
    meshnet_message_t *message;
    meshnet_bytes_t bytes = {NULL, 0};
    meshnet_ticket_t ticket;
    meshnet_channel_list_t *channels;
    const char *peer = "12D3KooWCSa2ytmLuk8TiZEnocFEi8ywKbBsywRTagzt51xieiaa";
    size_t count = 9;
    REQUIRE(node != NULL);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_PEER_ID, meshnet_send(node, "nobody", NULL, 0, NULL, 0));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_send(node, peer, NULL, 1, NULL, 0));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_send(node, peer, NULL, 0, NULL, -7));
    REQUIRE_OK(meshnet_send_options_default(&options, sizeof options));
    options.lane = 3;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_send(node, peer, NULL, 0, &options, 0));
    options.lane = 0;
    options.when_full = -1;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_send_start(node, peer, NULL, 0, &options, &ticket));
    REQUIRE(ticket.id == 0);
    options.when_full = 0;
    options.deadline_ms = -2;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_send(node, peer, NULL, 0, &options, 0));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_send_many(node, peer, &bytes, 0, NULL, 0, &count));
    REQUIRE(count == 0);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_send_many(node, peer, NULL, 1, NULL, 0, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_send_many(node, peer, &bytes, (1 << 24) + 1, NULL, 0, NULL));
    REQUIRE_CODE(MESHNET_ERROR_SYSTEM, meshnet_send_file(node, peer, "/nonexistent/file", NULL, 0));
    REQUIRE_CODE(MESHNET_ERROR_SYSTEM, meshnet_send_file_start(node, peer, "/", NULL, &ticket));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_request(node, peer, NULL, 0, NULL, 0, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_reply(node, NULL, NULL, 0, 0));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_receive(node, 0, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_receive_many(node, 0, &message, 0, &count));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_receive_many(node, 0, &message, 1, NULL));
    REQUIRE(meshnet_receive(node, 0, &message) == MESHNET_ERROR_TIMED_OUT && message == NULL);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_message_read(NULL, 0, NULL, 0, &count));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_message_save(NULL, "x"));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_PEER_ID, meshnet_reconnect(node, "x", NULL, 0));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_PEER_ID, meshnet_close_peer(node, "x", NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_PEER_ID, meshnet_channels(node, "x", &channels));
    REQUIRE_OK(meshnet_channels(node, peer, &channels));
    REQUIRE(channels->count == 0);
    meshnet_channel_list_free(channels);
    meshnet_message_free(NULL);
    meshnet_messages_free(NULL, 0);
    REQUIRE_OK(meshnet_node_close(node));
    REQUIRE_CODE(MESHNET_ERROR_CLOSED, meshnet_send(node, peer, NULL, 0, NULL, 0));
    REQUIRE_CODE(MESHNET_ERROR_CLOSED, meshnet_receive(node, 0, &message));
    meshnet_node_free(node);
}

/* The next message of bob's, or NULL. */
static meshnet_message_t *receive(meshnet_node_t *node) {
    meshnet_message_t *message;
    return meshnet_receive(node, PATIENCE, &message) == MESHNET_OK ? message : NULL;
}

static void a_message_arrives_with_all_about_it(void) {
    pair_t pair;
    meshnet_message_t *message;
    meshnet_send_options_t options;
    uint8_t copy[8];
    size_t count;
    char path[] = "/tmp/meshnet-message-XXXXXX";
    FILE *file;
    REQUIRE(open_pair(&pair));
    REQUIRE_OK(meshnet_send_options_default(&options, sizeof options));
    options.waits_for_delivery = true;
    options.lane = MESHNET_LANE_BULK;
    REQUIRE_OK(meshnet_send(pair.bob, pair.alice_id, (const uint8_t *)"hello", 5, &options, PATIENCE));
    message = receive(pair.alice);
    REQUIRE(message != NULL);
    REQUIRE(strcmp(message->peer_id, pair.bob_id) == 0 && message->data_length == 5 && strcmp((const char *)message->data, "hello") == 0);
    REQUIRE(message->lane == MESHNET_LANE_BULK && message->sequence == 1 && !message->is_request && !message->is_redelivered);
    REQUIRE(strlen(message->incarnation) == 32);
    REQUIRE_OK(meshnet_message_read(message, 1, copy, sizeof copy, &count));
    REQUIRE(count == 4 && memcmp(copy, "ello", 4) == 0);
    REQUIRE_OK(meshnet_message_read(message, 5, copy, sizeof copy, &count));
    REQUIRE(count == 0);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_message_read(message, 6, copy, sizeof copy, &count));
    REQUIRE(close(mkstemp(path)) == 0);
    REQUIRE_OK(meshnet_message_save(message, path));
    file = fopen(path, "r");
    REQUIRE(file != NULL && fread(copy, 1, sizeof copy, file) == 5 && memcmp(copy, "hello", 5) == 0);
    fclose(file);
    unlink(path);
    REQUIRE_CODE(MESHNET_ERROR_SYSTEM, meshnet_message_save(message, "/nonexistent/folder/x"));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_reply(pair.alice, message, NULL, 0, 0));
    meshnet_message_free(message);
    close_pair(&pair);
}

static void many_messages_come_in_order_in_few_calls(void) {
    enum { COUNT = 5000 };
    pair_t pair;
    static uint32_t numbers[COUNT];
    static meshnet_bytes_t bytes[COUNT];
    meshnet_message_t *messages[512];
    size_t index, sent = 0, received = 0, calls = 0, total = getenv("MESHNET_SLOW") == NULL ? COUNT : 500;
    REQUIRE(open_pair(&pair));
    for (index = 0; index < total; index++) {
        numbers[index] = (uint32_t)index;
        bytes[index].data = (const uint8_t *)&numbers[index];
        bytes[index].length = sizeof numbers[index];
    }
    REQUIRE_OK(meshnet_send_many(pair.bob, pair.alice_id, bytes, total, NULL, MESHNET_FOREVER, &sent));
    REQUIRE(sent == total);
    while (received < total) {
        size_t count;
        REQUIRE_OK(meshnet_receive_many(pair.alice, PATIENCE, messages, 512, &count));
        calls++;
        for (index = 0; index < count; index++) {
            uint32_t number;
            REQUIRE(messages[index]->data_length == sizeof number);
            memcpy(&number, messages[index]->data, sizeof number);
            REQUIRE(number == received && messages[index]->sequence == received + 1);
            received++;
            /* Some alone and before the others, whatever memory they share. */
            if (number % 3 == 0) {
                meshnet_message_free(messages[index]);
                messages[index] = NULL;
            }
        }
        meshnet_messages_free(messages, count);
    }
    REQUIRE(calls < total);
    close_pair(&pair);
}

static void a_large_message_lies_in_a_file(void) {
    enum { SIZE = 3 << 20 };
    pair_t pair;
    char path[] = "/tmp/meshnet-large-XXXXXX";
    uint8_t *content = malloc(SIZE), *copy = malloc(SIZE);
    meshnet_message_t *message;
    meshnet_ticket_t ticket;
    meshnet_event_t *event;
    size_t index, count = 0, done = 0;
    int descriptor;
    REQUIRE(content != NULL && copy != NULL && open_pair(&pair));
    for (index = 0; index < SIZE; index++) content[index] = (uint8_t)(index * 31 + index / 4099);
    descriptor = mkstemp(path);
    REQUIRE(write(descriptor, content, SIZE) == SIZE && close(descriptor) == 0);
    REQUIRE_OK(meshnet_send_file_start(pair.bob, pair.alice_id, path, NULL, &ticket));
    unlink(path);
    message = receive(pair.alice);
    REQUIRE(message != NULL && message->data == NULL && message->data_length == SIZE);
    while (done < SIZE) {
        REQUIRE_OK(meshnet_message_read(message, done, copy + done, 100000 < SIZE - done ? 100000 : SIZE - done, &count));
        REQUIRE(count > 0);
        done += count;
    }
    REQUIRE(memcmp(content, copy, SIZE) == 0);
    event = await_completion(pair.bob, ticket);
    REQUIRE(event != NULL && event->code == MESHNET_OK);
    meshnet_event_free(event);
    meshnet_message_free(message);
    close_pair(&pair);
    free(content);
    free(copy);
}

static void *answer_one(void *argument) {
    meshnet_node_t *node = argument;
    meshnet_message_t *message = receive(node);
    int32_t code = message == NULL ? MESHNET_ERROR_TIMED_OUT : meshnet_reply(node, message, message->data, message->data_length, PATIENCE);
    bool is_refused = message != NULL && meshnet_reply(node, message, NULL, 0, 0) == MESHNET_ERROR_INVALID_ARGUMENT;
    meshnet_message_free(message);
    return code == MESHNET_OK && is_refused ? argument : NULL;
}

static void a_request_gets_its_reply_once(void) {
    pair_t pair;
    pthread_t thread;
    void *result;
    meshnet_message_t *reply, *message;
    meshnet_ticket_t ticket, answer;
    meshnet_event_t *event;
    REQUIRE(open_pair(&pair));
    REQUIRE(pthread_create(&thread, NULL, answer_one, pair.alice) == 0);
    REQUIRE_OK(meshnet_request(pair.bob, pair.alice_id, (const uint8_t *)"echo", 4, NULL, PATIENCE, &reply));
    REQUIRE(reply->data_length == 4 && memcmp(reply->data, "echo", 4) == 0 && strcmp(reply->peer_id, pair.alice_id) == 0);
    REQUIRE(reply->sequence == 0 && !reply->is_request && reply->incarnation[0] == 0);
    meshnet_message_free(reply);
    REQUIRE(pthread_join(thread, &result) == 0 && result == pair.alice);
    /* Nobody answers this one. */
    REQUIRE_CODE(MESHNET_ERROR_TIMED_OUT, meshnet_request(pair.bob, pair.alice_id, NULL, 0, NULL, 50, &reply));
    REQUIRE(reply == NULL);
    meshnet_message_free(receive(pair.alice));
    /* Without blocking, both sides. */
    REQUIRE_OK(meshnet_request_start(pair.bob, pair.alice_id, (const uint8_t *)"again", 5, NULL, &ticket));
    message = receive(pair.alice);
    REQUIRE(message != NULL && message->is_request);
    REQUIRE_OK(meshnet_reply_start(pair.alice, message, (const uint8_t *)"yes", 3, &answer));
    meshnet_message_free(message);
    event = await_completion(pair.bob, ticket);
    REQUIRE(event != NULL && event->code == MESHNET_OK && event->reply != NULL);
    REQUIRE(event->reply->data_length == 3 && memcmp(event->reply->data, "yes", 3) == 0);
    meshnet_event_free(event);
    event = await_completion(pair.alice, answer);
    REQUIRE(event != NULL && event->code == MESHNET_OK);
    meshnet_event_free(event);
    close_pair(&pair);
}

static void a_message_waits_for_its_peer(void) {
    pair_t pair;
    meshnet_ticket_t ticket;
    meshnet_event_t *event;
    meshnet_channel_list_t *channels;
    meshnet_send_options_t options;
    REQUIRE(open_pair(&pair));
    meshnet_node_free(pair.alice);
    REQUIRE_OK(meshnet_send_options_default(&options, sizeof options));
    options.reports_acceptance = true;
    REQUIRE_OK(meshnet_send_start(pair.bob, pair.alice_id, (const uint8_t *)"x", 1, &options, &ticket));
    event = await_event(pair.bob, MESHNET_EVENT_ACCEPTED);
    REQUIRE(event != NULL && event->ticket.id == ticket.id);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_channels(pair.bob, NULL, &channels));
    REQUIRE(channels->count == 1 && strcmp(channels->items[0]->peer_id, pair.alice_id) == 0);
    REQUIRE(channels->items[0]->queued_messages[MESHNET_LANE_NORMAL] == 1 && channels->items[0]->state != MESHNET_CHANNEL_STATE_CLOSED);
    meshnet_channel_list_free(channels);
    REQUIRE_OK(meshnet_cancel(pair.bob, ticket));
    event = await_completion(pair.bob, ticket);
    REQUIRE(event != NULL && event->code == MESHNET_ERROR_CANCELLED);
    meshnet_event_free(event);
    options.reports_acceptance = false;
    options.deadline_ms = 50;
    options.waits_for_delivery = true;
    REQUIRE_CODE(MESHNET_ERROR_EXPIRED, meshnet_send(pair.bob, pair.alice_id, NULL, 0, &options, PATIENCE));
    options.deadline_ms = -1;
    REQUIRE_CODE(MESHNET_ERROR_TIMED_OUT, meshnet_send(pair.bob, pair.alice_id, NULL, 0, &options, 50));
    /* The close ends what waits. */
    REQUIRE_OK(meshnet_send_start(pair.bob, pair.alice_id, NULL, 0, NULL, &ticket));
    REQUIRE_OK(meshnet_node_close(pair.bob));
    event = await_completion(pair.bob, ticket);
    REQUIRE(event != NULL && event->code == MESHNET_ERROR_CLOSED);
    meshnet_event_free(event);
    meshnet_node_free(pair.bob);
}

static void a_full_queue_does_as_it_is_told(void) {
    static const char *nobody = "12D3KooWCSa2ytmLuk8TiZEnocFEi8ywKbBsywRTagzt51xieiaa";
    meshnet_message_options_t options;
    meshnet_send_options_t send;
    meshnet_node_t *node;
    meshnet_bytes_t three[3] = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"b", 1}, {(const uint8_t *)"c", 1}};
    meshnet_ticket_t first;
    meshnet_event_t *event;
    size_t sent;
    REQUIRE_OK(meshnet_message_options_default(&options, sizeof options));
    options.queue_messages = 2;
    REQUIRE_OK(open_with(&options, &node));
    REQUIRE_OK(meshnet_send_options_default(&send, sizeof send));
    send.when_full = MESHNET_WHEN_FULL_FAIL;
    REQUIRE_CODE(MESHNET_ERROR_QUEUE_FULL, meshnet_send_many(node, nobody, three, 3, &send, PATIENCE, &sent));
    REQUIRE(sent == 2);
    REQUIRE_CODE(MESHNET_ERROR_TIMED_OUT, meshnet_send(node, nobody, NULL, 0, NULL, 20));
    meshnet_node_free(node);
    REQUIRE_OK(open_with(&options, &node));
    REQUIRE_OK(meshnet_send_start(node, nobody, NULL, 0, NULL, &first));
    send.when_full = MESHNET_WHEN_FULL_DROP_OLDEST;
    REQUIRE_OK(meshnet_send_many(node, nobody, three, 2, &send, PATIENCE, &sent));
    event = await_completion(node, first);
    REQUIRE(event != NULL && event->code == MESHNET_ERROR_DISPLACED);
    meshnet_event_free(event);
    meshnet_node_free(node);
}

static void closing_a_channel_keeps_both_apart_until_they_reconnect(void) {
    pair_t pair;
    meshnet_event_t *event;
    meshnet_channel_list_t *channels;
    const char *address;
    REQUIRE(open_pair(&pair));
    REQUIRE_OK(meshnet_send(pair.bob, pair.alice_id, (const uint8_t *)"x", 1, NULL, PATIENCE));
    meshnet_message_free(receive(pair.alice));
    REQUIRE_OK(meshnet_close_peer(pair.alice, pair.bob_id, "enough"));
    while ((event = await_event(pair.bob, MESHNET_EVENT_CHANNEL)) != NULL && event->channel_change != MESHNET_CHANNEL_CLOSED) meshnet_event_free(event);
    REQUIRE(event != NULL && !event->by_us && event->detail != NULL && strcmp(event->detail, "enough") == 0);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_channels(pair.bob, pair.alice_id, &channels));
    REQUIRE(channels->count == 1 && channels->items[0]->state == MESHNET_CHANNEL_STATE_CLOSED && !channels->items[0]->closed_by_us);
    REQUIRE(strcmp(channels->items[0]->closed_reason, "enough") == 0);
    meshnet_channel_list_free(channels);
    REQUIRE_CODE(MESHNET_ERROR_PEER_CLOSED, meshnet_send(pair.bob, pair.alice_id, NULL, 0, NULL, PATIENCE));
    address = pair.alice_address;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ADDRESS, meshnet_reconnect(pair.bob, pair.alice_id, (const char *const[]){"nonsense"}, 1));
    REQUIRE_OK(meshnet_reconnect(pair.alice, pair.bob_id, NULL, 0));
    REQUIRE_OK(meshnet_reconnect(pair.bob, pair.alice_id, &address, 1));
    REQUIRE_OK(meshnet_send(pair.bob, pair.alice_id, (const uint8_t *)"y", 1, NULL, PATIENCE));
    meshnet_message_t *message = receive(pair.alice);
    REQUIRE(message != NULL && message->data[0] == 'y');
    meshnet_message_free(message);
    close_pair(&pair);
}

static void the_descriptor_shows_what_waits(void) {
    pair_t pair;
    struct pollfd entry;
    meshnet_message_t *message;
    REQUIRE(open_pair(&pair));
    entry.fd = meshnet_message_fd(pair.alice);
    entry.events = POLLIN;
    REQUIRE(entry.fd >= 0 && poll(&entry, 1, 0) == 0);
    REQUIRE_OK(meshnet_send(pair.bob, pair.alice_id, NULL, 0, NULL, PATIENCE));
    REQUIRE(poll(&entry, 1, PATIENCE) == 1);
    message = receive(pair.alice);
    REQUIRE(message != NULL && message->data_length == 0 && message->data != NULL && message->data[0] == 0);
    REQUIRE(poll(&entry, 1, 0) == 0);
    REQUIRE_OK(meshnet_node_close(pair.alice));
    REQUIRE(poll(&entry, 1, PATIENCE) == 1);
    close_pair(&pair);
    /* A message outlives its node. */
    REQUIRE(strcmp(message->peer_id, pair.bob_id) == 0);
    meshnet_message_free(message);
}

/* Two lives of one node: what was not freed comes again, what was freed does not, and what waits is sent. */
static void a_state_directory_outlives_the_node(void) {
    char directory[] = "/tmp/meshnet-state-XXXXXX", command[64];
    meshnet_message_options_t options;
    meshnet_node_t *node, *other;
    meshnet_message_t *message;
    char id[MESHNET_PEER_ID_TEXT_SIZE], address[128];
    meshnet_keypair_t *keys;
    meshnet_config_t config;
    static const char *const loopback[] = {"/ip4/127.0.0.1/tcp/0"};
    const char *where = address;
    int life;
    REQUIRE(mkdtemp(directory) != NULL);
    REQUIRE_OK(meshnet_message_options_default(&options, sizeof options));
    options.state_directory = directory;
    REQUIRE_OK(meshnet_keypair_generate(&keys));
    REQUIRE_OK(meshnet_config_default(&config, sizeof config));
    config.identity = keys;
    config.listen_addresses = loopback;
    config.listen_address_count = 1;
    config.messages = &options;
    other = open_node();
    REQUIRE(other != NULL);
    for (life = 0; life < 2; life++) {
        REQUIRE_OK(meshnet_node_open(&config, &node));
        REQUIRE_OK(meshnet_node_peer_id(node, id, sizeof id));
        REQUIRE(first_address(node, address, sizeof address));
        REQUIRE_OK(meshnet_reconnect(other, id, &where, 1));
        if (life == 0) {
            REQUIRE_OK(meshnet_send(other, id, (const uint8_t *)"freed", 5, NULL, PATIENCE));
            REQUIRE_OK(meshnet_send(other, id, (const uint8_t *)"kept", 4, NULL, PATIENCE));
            meshnet_message_free(receive(node));
        }
        message = receive(node);
        REQUIRE(message != NULL && message->data_length == 4 && memcmp(message->data, "kept", 4) == 0);
        REQUIRE(message->is_redelivered == (life == 1) && message->sequence == 2);
        if (life == 0) REQUIRE_OK(meshnet_node_close(node));
        meshnet_message_free(message);
        meshnet_node_free(node);
    }
    meshnet_node_free(other);
    meshnet_keypair_free(keys);
    snprintf(command, sizeof command, "rm -r %s", directory);
    REQUIRE(system(command) == 0);
}

int main(void) {
    RUN(defaults_are_those_of_the_header);
    RUN(options_that_cannot_be_are_refused);
    RUN(arguments_are_checked);
    RUN(a_message_arrives_with_all_about_it);
    RUN(many_messages_come_in_order_in_few_calls);
    RUN(a_large_message_lies_in_a_file);
    RUN(a_request_gets_its_reply_once);
    RUN(a_message_waits_for_its_peer);
    RUN(a_full_queue_does_as_it_is_told);
    RUN(closing_a_channel_keeps_both_apart_until_they_reconnect);
    RUN(the_descriptor_shows_what_waits);
    RUN(a_state_directory_outlives_the_node);
    FINISH();
}
