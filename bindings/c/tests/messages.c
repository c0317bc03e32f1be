/* Peers, topics and messages between two nodes. */
#include "check.h"

static bool follow(pair_t *pair, const char *topic) {
    meshnet_event_t *event;
    if (meshnet_subscribe(pair->alice, topic, NULL) != MESHNET_OK) return false;
    while ((event = await_event(pair->bob, MESHNET_EVENT_SUBSCRIPTION)) != NULL) {
        bool found = strcmp(event->topic, topic) == 0 && event->subscribed && strcmp(event->peer_id, pair->alice_id) == 0;
        meshnet_event_free(event);
        if (found) return true;
    }
    return false;
}

static void connected_peers_are_listed(void) {
    pair_t pair;
    meshnet_peer_list_t *peers;
    char again[MESHNET_PEER_ID_TEXT_SIZE];
    REQUIRE(open_pair(&pair));
    REQUIRE_OK(meshnet_peers(pair.bob, &peers));
    REQUIRE(peers->count == 1 && strcmp(peers->items[0]->peer_id, pair.alice_id) == 0);
    REQUIRE(peers->items[0]->direction == MESHNET_DIRECTION_OUTBOUND);
    REQUIRE(strncmp(peers->items[0]->address, pair.alice_address, strlen(pair.alice_address)) == 0);
    meshnet_peer_list_free(peers);
    REQUIRE_OK(meshnet_peers(pair.alice, &peers));
    REQUIRE(peers->count == 1 && strcmp(peers->items[0]->peer_id, pair.bob_id) == 0 && peers->items[0]->direction == MESHNET_DIRECTION_INBOUND);
    meshnet_peer_list_free(peers);
    REQUIRE_OK(meshnet_connect(pair.bob, pair.alice_address, PATIENCE, again, sizeof again));
    REQUIRE(strcmp(again, pair.alice_id) == 0);
    close_pair(&pair);
}

static void identify_tells_who_the_peer_is(void) {
    pair_t pair;
    meshnet_event_t *event;
    REQUIRE(open_pair(&pair));
    event = await_event(pair.bob, MESHNET_EVENT_IDENTIFIED);
    REQUIRE(event != NULL && strcmp(event->peer_id, pair.alice_id) == 0);
    REQUIRE(strncmp(event->agent_version, "meshnet/", 8) == 0);
    REQUIRE(event->protocols != NULL && event->protocols->count >= 3);
    REQUIRE(event->listen_addresses != NULL && event->listen_addresses->count >= 1);
    meshnet_event_free(event);
    close_pair(&pair);
}

static void disconnecting_tells_both_sides_why(void) {
    pair_t pair;
    meshnet_event_t *event;
    REQUIRE(open_pair(&pair));
    REQUIRE_OK(meshnet_disconnect(pair.bob, pair.alice_id));
    event = await_event(pair.bob, MESHNET_EVENT_DISCONNECTED);
    REQUIRE(event != NULL && event->cause == MESHNET_DISCONNECT_CLOSED_BY_US && strcmp(event->peer_id, pair.alice_id) == 0 && event->detail[0] != 0);
    meshnet_event_free(event);
    event = await_event(pair.alice, MESHNET_EVENT_DISCONNECTED);
    REQUIRE(event != NULL && event->cause == MESHNET_DISCONNECT_CLOSED_BY_PEER && event->direction == MESHNET_DIRECTION_INBOUND);
    meshnet_event_free(event);
    REQUIRE_CODE(MESHNET_ERROR_NOT_CONNECTED, meshnet_disconnect(pair.bob, pair.alice_id));
    close_pair(&pair);
}

static void connecting_fails_for_its_own_reasons(void) {
    static const char other_id[] = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
    pair_t pair;
    char address[256], id[MESHNET_PEER_ID_TEXT_SIZE];
    meshnet_error_info_t info;
    REQUIRE(open_pair(&pair));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ADDRESS, meshnet_connect(pair.bob, "nonsense", 1000, NULL, 0));
    REQUIRE(meshnet_last_error(&info, sizeof info) == MESHNET_OK && strstr(info.detail, "nonsense") != NULL);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ADDRESS, meshnet_connect(pair.bob, "/ip4/127.0.0.1\xFF", 1000, NULL, 0));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_connect(pair.bob, NULL, 1000, NULL, 0));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_connect(pair.bob, pair.alice_address, -2, NULL, 0));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_connect(pair.bob, pair.alice_address, 1000, NULL, 64));
    REQUIRE_CODE(MESHNET_ERROR_BUFFER_TOO_SMALL, meshnet_connect(pair.bob, pair.alice_address, 1000, id, 10));
    REQUIRE_CODE(MESHNET_ERROR_REFUSED, meshnet_connect(pair.bob, "/ip4/127.0.0.1/tcp/1", PATIENCE, NULL, 0));
    REQUIRE_CODE(MESHNET_ERROR_UNSUPPORTED_ADDRESS, meshnet_connect(pair.bob, "/ip4/127.0.0.1/udp/1/quic-v1", PATIENCE, NULL, 0));
    REQUIRE_CODE(MESHNET_ERROR_UNRESOLVED, meshnet_connect(pair.bob, "/dns4/name.invalid/tcp/1", PATIENCE, NULL, 0));
    REQUIRE(first_address(pair.bob, address, sizeof address));
    REQUIRE_CODE(MESHNET_ERROR_SELF_DIAL, meshnet_connect(pair.bob, address, PATIENCE, NULL, 0));
    snprintf(address, sizeof address, "%s/p2p/%s", pair.alice_address, other_id);
    REQUIRE_CODE(MESHNET_ERROR_WRONG_PEER, meshnet_connect(pair.bob, address, PATIENCE, NULL, 0));
    REQUIRE(meshnet_last_error(&info, sizeof info) == MESHNET_OK && strstr(info.detail, other_id) != NULL && strstr(info.detail, pair.alice_id) != NULL);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_PEER_ID, meshnet_disconnect(pair.bob, "nobody"));
    close_pair(&pair);
}

static void another_private_network_is_told_from_silence(void) {
    static const uint8_t key[32] = {7};
    meshnet_keypair_t *keys;
    meshnet_config_t config;
    meshnet_node_t *secret_node, *node = open_node();
    char address[128];
    REQUIRE(node != NULL && first_address(node, address, sizeof address));
    REQUIRE_OK(meshnet_keypair_generate(&keys));
    REQUIRE_OK(meshnet_config_default(&config, sizeof config));
    config.identity = keys;
    config.pre_shared_key = key;
    config.pre_shared_key_length = sizeof key;
    config.limits = NULL;
    REQUIRE_OK(meshnet_node_open(&config, &secret_node));
    REQUIRE_CODE(MESHNET_ERROR_OTHER_NETWORK, meshnet_connect(secret_node, address, PATIENCE, NULL, 0));
    meshnet_node_free(secret_node);
    meshnet_node_free(node);
    meshnet_keypair_free(keys);
}

static void a_message_arrives_with_its_author(void) {
    static const uint8_t data[] = {'h', 0, 'i'};
    pair_t pair;
    meshnet_event_t *event;
    meshnet_peer_list_t *peers;
    REQUIRE(open_pair(&pair));
    REQUIRE(follow(&pair, "news"));
    REQUIRE_OK(meshnet_publish(pair.bob, "news", data, sizeof data));
    event = await_event(pair.alice, MESHNET_EVENT_MESSAGE);
    REQUIRE(event != NULL && strcmp(event->topic, "news") == 0 && event->topic_length == 4);
    REQUIRE(event->data_length == sizeof data && memcmp(event->data, data, sizeof data) == 0 && event->data[sizeof data] == 0);
    REQUIRE(strcmp(event->origin, pair.bob_id) == 0 && strcmp(event->peer_id, pair.bob_id) == 0);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_publish(pair.bob, "news", NULL, 0));
    event = await_event(pair.alice, MESHNET_EVENT_MESSAGE);
    REQUIRE(event != NULL && event->data != NULL && event->data_length == 0);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_subscribe(pair.bob, "news", NULL));
    REQUIRE_OK(meshnet_topic_peers(pair.bob, "news", &peers));
    REQUIRE(peers->count == 1 && strcmp(peers->items[0]->peer_id, pair.alice_id) == 0 && peers->items[0]->address == NULL);
    meshnet_peer_list_free(peers);
    close_pair(&pair);
}

static void many_messages_are_published_together(void) {
    enum { count = 600 };
    static uint32_t numbers[count];
    static uint8_t large[(8 << 20) + 1];
    static meshnet_bytes_t messages[count];
    size_t published = 0, index;
    pair_t pair;
    meshnet_event_t *event;
    REQUIRE(open_pair(&pair));
    for (index = 0; index < count; index++) {
        numbers[index] = (uint32_t)index;
        messages[index].data = (const uint8_t *)&numbers[index];
        messages[index].length = sizeof numbers[index];
    }
    REQUIRE_CODE(MESHNET_ERROR_NO_PEERS_SUBSCRIBED, meshnet_publish_many(pair.bob, "news", messages, count, &published));
    REQUIRE(published == 0);
    REQUIRE(follow(&pair, "news"));
    REQUIRE_OK(meshnet_publish_many(pair.bob, "news", messages, count, &published));
    REQUIRE(published == count);
    for (index = 0; index < count; index++) {
        event = await_event(pair.alice, MESHNET_EVENT_MESSAGE);
        REQUIRE(event != NULL && event->data_length == sizeof numbers[index] && memcmp(event->data, &numbers[index], sizeof numbers[index]) == 0);
        meshnet_event_free(event);
    }
    messages[1].data = large;
    messages[1].length = sizeof large;
    REQUIRE_CODE(MESHNET_ERROR_MESSAGE_TOO_LARGE, meshnet_publish_many(pair.bob, "news", messages, 3, &published));
    REQUIRE(published == 1);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_publish_many(pair.bob, "news", messages, 0, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_publish_many(pair.bob, "news", NULL, 1, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_TOPIC, meshnet_publish_many(pair.bob, "", messages, 1, NULL));
    close_pair(&pair);
}

static void the_last_value_waits_for_who_comes_late(void) {
    static uint8_t large[(1 << 20) + 1];
    pair_t pair;
    meshnet_event_t *event;
    meshnet_peer_list_t *peers = NULL;
    meshnet_ticket_t ticket;
    REQUIRE(open_pair(&pair));
    REQUIRE_OK(meshnet_publish_retained(pair.bob, "news", (const uint8_t *)"old", 3));
    REQUIRE_OK(meshnet_publish_retained_start(pair.bob, "news", (const uint8_t *)"new", 3, &ticket));
    event = await_completion(pair.bob, ticket);
    REQUIRE(event != NULL && event->code == MESHNET_OK);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_wait_for_peers_start(pair.bob, "news", 1, &ticket));
    REQUIRE_OK(meshnet_subscribe(pair.alice, "news", NULL));
    event = await_event(pair.alice, MESHNET_EVENT_MEMBERS);
    REQUIRE(event != NULL && strcmp(event->topic, "news") == 0 && event->peers->count == 0);
    meshnet_event_free(event);
    event = await_event(pair.alice, MESHNET_EVENT_MESSAGE);
    REQUIRE(event != NULL && event->retained && event->data_length == 3 && memcmp(event->data, "new", 3) == 0);
    REQUIRE(strcmp(event->origin, pair.bob_id) == 0);
    meshnet_event_free(event);
    event = await_completion(pair.bob, ticket);
    REQUIRE(event != NULL && event->peers->count == 1 && strcmp(event->peers->items[0]->peer_id, pair.alice_id) == 0);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_publish(pair.bob, "news", (const uint8_t *)"now", 3));
    event = await_event(pair.alice, MESHNET_EVENT_MESSAGE);
    REQUIRE(event != NULL && !event->retained && memcmp(event->data, "now", 3) == 0);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_wait_for_peers(pair.bob, "news", 1, PATIENCE, &peers));
    REQUIRE(peers != NULL && peers->count == 1);
    meshnet_peer_list_free(peers);
    REQUIRE_OK(meshnet_wait_for_peers(pair.bob, "news", 0, 0, NULL));
    REQUIRE_CODE(MESHNET_ERROR_TIMED_OUT, meshnet_wait_for_peers(pair.bob, "news", 2, 10, &peers));
    REQUIRE(peers == NULL);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_wait_for_peers(pair.bob, "news", SIZE_MAX, 10, NULL));
    REQUIRE_OK(meshnet_wait_for_peers_start(pair.bob, "news", 2, &ticket));
    REQUIRE_OK(meshnet_cancel(pair.bob, ticket));
    event = await_completion(pair.bob, ticket);
    REQUIRE(event != NULL && event->code == MESHNET_ERROR_CANCELLED);
    meshnet_event_free(event);
    REQUIRE_CODE(MESHNET_ERROR_MESSAGE_TOO_LARGE, meshnet_publish_retained(pair.bob, "news", large, sizeof large));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_TOPIC, meshnet_publish_retained(pair.bob, "", large, 1));
    close_pair(&pair);
}

static void a_large_message_arrives_whole(void) {
    size_t length = 4 << 20, index;
    uint8_t *data = (uint8_t *)malloc(length);
    pair_t pair;
    meshnet_event_t *event;
    for (index = 0; index < length; index++) data[index] = (uint8_t)(index * 31 >> 3);
    REQUIRE(open_pair(&pair));
    REQUIRE(follow(&pair, "bulk"));
    REQUIRE_OK(meshnet_publish(pair.bob, "bulk", data, length));
    event = await_event(pair.alice, MESHNET_EVENT_MESSAGE);
    REQUIRE(event != NULL && event->data_length == length && memcmp(event->data, data, length) == 0);
    meshnet_event_free(event);
    close_pair(&pair);
    free(data);
}

static void following_twice_changes_nothing(void) {
    meshnet_node_t *node = open_node();
    bool changed = true;
    REQUIRE(node != NULL);
    REQUIRE_OK(meshnet_unsubscribe(node, "news", &changed));
    REQUIRE(!changed);
    REQUIRE_OK(meshnet_subscribe(node, "news", &changed));
    REQUIRE(changed);
    REQUIRE_OK(meshnet_subscribe(node, "news", &changed));
    REQUIRE(!changed);
    REQUIRE_OK(meshnet_unsubscribe(node, "news", &changed));
    REQUIRE(changed);
    meshnet_node_free(node);
}

static void messages_fail_for_their_own_reasons(void) {
    static uint8_t large[(8 << 20) + 1];
    pair_t pair;
    meshnet_peer_list_t *peers = (meshnet_peer_list_t *)&pair;
    meshnet_error_info_t info;
    REQUIRE(open_pair(&pair));
    REQUIRE_CODE(MESHNET_ERROR_NO_PEERS_SUBSCRIBED, meshnet_publish(pair.bob, "lonely", large, 1));
    REQUIRE(meshnet_last_error(&info, sizeof info) == MESHNET_OK && strstr(info.detail, "lonely") != NULL);
    REQUIRE(follow(&pair, "news"));
    REQUIRE_CODE(MESHNET_ERROR_MESSAGE_TOO_LARGE, meshnet_publish(pair.bob, "news", large, sizeof large));
    REQUIRE(meshnet_last_error(&info, sizeof info) == MESHNET_OK && strstr(info.detail, "8388609") != NULL);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_TOPIC, meshnet_publish(pair.bob, "", large, 1));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_TOPIC, meshnet_publish(pair.bob, "\xC3(", large, 1));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_TOPIC, meshnet_subscribe(pair.bob, "", NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_subscribe(pair.bob, NULL, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_publish(pair.bob, NULL, large, 1));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_publish(pair.bob, "news", NULL, 1));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_publish(pair.bob, "news", large, SIZE_MAX));
    REQUIRE_CODE(MESHNET_ERROR_NOT_SUBSCRIBED, meshnet_topic_peers(pair.bob, "unknown", &peers));
    REQUIRE(peers == NULL);
    close_pair(&pair);
}

static void a_thousand_messages_come_once_and_in_batches(void) {
    enum { COUNT = 1000, CAPACITY = 64 };
    static int seen[COUNT];
    meshnet_event_t *events[CAPACITY];
    pair_t pair;
    int sent, received = 0;
    int64_t deadline = milliseconds_now() + PATIENCE;
    REQUIRE(open_pair(&pair));
    REQUIRE(follow(&pair, "news"));
    for (sent = 0; sent < COUNT; sent++) {
        int32_t code;
        while ((code = meshnet_publish(pair.bob, "news", (const uint8_t *)&sent, sizeof sent)) == MESHNET_ERROR_QUEUES_FULL
               && milliseconds_now() < deadline) {
            meshnet_event_t *event;
            if (meshnet_next_event(pair.bob, 1, &event) == MESHNET_OK) meshnet_event_free(event);
        }
        REQUIRE(code == MESHNET_OK);
    }
    while (received < COUNT && milliseconds_now() < deadline) {
        size_t count, index;
        int32_t code = meshnet_next_events(pair.alice, 1000, events, CAPACITY, &count);
        if (code == MESHNET_ERROR_TIMED_OUT) continue;
        REQUIRE(code == MESHNET_OK && count >= 1 && count <= CAPACITY);
        for (index = 0; index < count; index++) {
            if (events[index]->type == MESHNET_EVENT_MESSAGE) {
                int number;
                REQUIRE(events[index]->data_length == sizeof number);
                memcpy(&number, events[index]->data, sizeof number);
                REQUIRE(number >= 0 && number < COUNT && seen[number]++ == 0);
                received++;
            }
            meshnet_event_free(events[index]);
        }
    }
    REQUIRE(received == COUNT);
    close_pair(&pair);
}

static void unsigned_messages_have_no_author(void) {
    static const char *const loopback[] = {"/ip4/127.0.0.1/tcp/0"};
    pair_t pair;
    meshnet_gossipsub_options_t options;
    meshnet_config_t config;
    meshnet_keypair_t *keys;
    meshnet_event_t *event;
    memset(&pair, 0, sizeof pair);
    REQUIRE_OK(meshnet_gossipsub_options_default(&options, sizeof options));
    options.signing_policy = MESHNET_STRICT_NO_SIGN;
    REQUIRE_OK(meshnet_config_default(&config, sizeof config));
    config.gossipsub = &options;
    config.listen_addresses = loopback;
    config.listen_address_count = 1;
    REQUIRE_OK(meshnet_keypair_generate(&keys));
    config.identity = keys;
    REQUIRE_OK(meshnet_node_open(&config, &pair.alice));
    meshnet_keypair_free(keys);
    REQUIRE_OK(meshnet_keypair_generate(&keys));
    config.identity = keys;
    REQUIRE_OK(meshnet_node_open(&config, &pair.bob));
    meshnet_keypair_free(keys);
    REQUIRE(first_address(pair.alice, pair.alice_address, sizeof pair.alice_address));
    REQUIRE_OK(meshnet_connect(pair.bob, pair.alice_address, PATIENCE, pair.alice_id, sizeof pair.alice_id));
    REQUIRE(follow(&pair, "news"));
    REQUIRE_OK(meshnet_publish(pair.bob, "news", (const uint8_t *)"x", 1));
    event = await_event(pair.alice, MESHNET_EVENT_MESSAGE);
    REQUIRE(event != NULL && event->origin == NULL && event->peer_id != NULL);
    meshnet_event_free(event);
    REQUIRE_CODE(MESHNET_ERROR_DUPLICATE_MESSAGE, meshnet_publish(pair.bob, "news", (const uint8_t *)"x", 1));
    close_pair(&pair);
}

static void ping_and_perf_measure(void) {
    pair_t pair;
    int64_t round_trip = -1, upload = -1, download = -1;
    REQUIRE(open_pair(&pair));
    REQUIRE_OK(meshnet_ping(pair.bob, pair.alice_id, PATIENCE, &round_trip));
    REQUIRE(round_trip > 0 && round_trip < (int64_t)PATIENCE * 1000000);
    REQUIRE_OK(meshnet_perf(pair.bob, pair.alice_id, 1 << 20, 1 << 20, PATIENCE, &upload, &download));
    REQUIRE(upload > 0 && download > 0);
    REQUIRE_CODE(MESHNET_ERROR_NOT_CONNECTED, meshnet_ping(pair.bob, "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN", 1000, &round_trip));
    REQUIRE(round_trip == 0);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_PEER_ID, meshnet_ping(pair.bob, "nobody", 1000, &round_trip));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_ping(pair.bob, pair.alice_id, 1000, NULL));
    close_pair(&pair);
}

static void bootstrap_peers_can_be_added_and_removed(void) {
    meshnet_node_t *alice = open_node(), *bob = open_node();
    meshnet_event_t *event;
    char address[128];
    REQUIRE(alice != NULL && bob != NULL && first_address(alice, address, sizeof address));
    REQUIRE_OK(meshnet_add_bootstrap_peer(bob, address));
    event = await_event(bob, MESHNET_EVENT_CONNECTED);
    REQUIRE(event != NULL && event->direction == MESHNET_DIRECTION_OUTBOUND);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_remove_bootstrap_peer(bob, address));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ADDRESS, meshnet_add_bootstrap_peer(bob, "nonsense"));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ADDRESS, meshnet_remove_bootstrap_peer(bob, ""));
    meshnet_node_free(alice);
    meshnet_node_free(bob);
}

int main(void) {
    RUN(connected_peers_are_listed);
    RUN(identify_tells_who_the_peer_is);
    RUN(disconnecting_tells_both_sides_why);
    RUN(connecting_fails_for_its_own_reasons);
    RUN(another_private_network_is_told_from_silence);
    RUN(a_message_arrives_with_its_author);
    RUN(many_messages_are_published_together);
    RUN(the_last_value_waits_for_who_comes_late);
    RUN(a_large_message_arrives_whole);
    RUN(following_twice_changes_nothing);
    RUN(messages_fail_for_their_own_reasons);
    RUN(a_thousand_messages_come_once_and_in_batches);
    RUN(unsigned_messages_have_no_author);
    RUN(ping_and_perf_measure);
    RUN(bootstrap_peers_can_be_added_and_removed);
    FINISH();
}
