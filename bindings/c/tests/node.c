/* Opening, configuring and closing nodes. */
#include "check.h"

#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static meshnet_keypair_t *keys;

static void a_node_has_a_peer_id_and_addresses(void) {
    char mine[MESHNET_PEER_ID_TEXT_SIZE], its[MESHNET_PEER_ID_TEXT_SIZE];
    meshnet_string_list_t *addresses;
    meshnet_node_t *node;
    size_t index;
    REQUIRE_OK(meshnet_node_new(keys, NULL, 0, 0, &node));
    REQUIRE_OK(meshnet_keypair_peer_id(keys, mine, sizeof mine));
    REQUIRE_OK(meshnet_node_peer_id(node, its, sizeof its));
    REQUIRE(strcmp(mine, its) == 0);
    REQUIRE_OK(meshnet_listen_addresses(node, &addresses));
    REQUIRE(addresses->count >= 1);
    for (index = 0; index < addresses->count; index++) {
        REQUIRE(strstr(addresses->items[index], "/tcp/") != NULL && strstr(addresses->items[index], "/tcp/0") == NULL);
        REQUIRE(strstr(addresses->items[index], "/0.0.0.0/") == NULL);
    }
    meshnet_string_list_free(addresses);
    meshnet_node_free(node);
}

static void a_port_in_use_is_named(void) {
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    meshnet_node_t *node = (meshnet_node_t *)&address;
    meshnet_error_info_t info;
    char port[16];
    int taken = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    REQUIRE(taken >= 0 && bind(taken, (struct sockaddr *)&address, sizeof address) == 0 && listen(taken, 1) == 0);
    REQUIRE(getsockname(taken, (struct sockaddr *)&address, &length) == 0);
    REQUIRE_CODE(MESHNET_ERROR_PORT_IN_USE, meshnet_node_new(keys, NULL, 0, ntohs(address.sin_port), &node));
    REQUIRE(node == NULL);
    snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
    REQUIRE(meshnet_last_error(&info, sizeof info) == MESHNET_OK && info.system_errno == EADDRINUSE && strstr(info.detail, port) != NULL);
    close(taken);
    REQUIRE_OK(meshnet_node_new(keys, NULL, 0, ntohs(address.sin_port), &node));
    meshnet_node_free(node);
}

static void bad_bootstrap_addresses_do_not_stop_a_node(void) {
    static const char *const peers[] = {"nonsense", "", "/ip4/127.0.0.1/tcp/1", "/ip4/exo-2/tcp/30000"};
    meshnet_address_problem_list_t *problems;
    meshnet_node_t *node;
    meshnet_event_t *event;
    bool nonsense = false, empty = false, host = false;
    size_t index;
    REQUIRE_OK(meshnet_node_new(keys, peers, 4, 0, &node));
    for (index = 0; index < 3; index++) {
        event = await_event(node, MESHNET_EVENT_ADDRESS_PROBLEM);
        REQUIRE(event != NULL && event->address != NULL && event->detail != NULL && event->detail[0] != 0);
        nonsense = nonsense || (strcmp(event->address, "nonsense") == 0 && event->used_instead == NULL);
        empty = empty || (event->address[0] == 0 && event->used_instead == NULL);
        host = host || (strcmp(event->address, "/ip4/exo-2/tcp/30000") == 0 && event->used_instead != NULL
                        && strcmp(event->used_instead, "/dns4/exo-2/tcp/30000") == 0);
        meshnet_event_free(event);
    }
    REQUIRE(nonsense && empty && host);
    REQUIRE_OK(meshnet_address_problems(node, &problems));
    REQUIRE(problems->count == 3);
    REQUIRE(strcmp(problems->items[0]->text, "nonsense") == 0 && problems->items[0]->reason[0] != 0 && problems->items[0]->used_instead == NULL);
    meshnet_address_problem_list_free(problems);
    meshnet_node_free(node);
}

static void a_bootstrap_peer_that_refuses_is_tried_again(void) {
    static const char *const peers[] = {"/ip4/127.0.0.1/tcp/1"};
    meshnet_node_t *node;
    meshnet_event_t *event;
    REQUIRE_OK(meshnet_node_new(keys, peers, 1, 0, &node));
    event = await_event(node, MESHNET_EVENT_DIAL_FAILED);
    REQUIRE(event != NULL);
    REQUIRE(event->cause == MESHNET_DIAL_REFUSED && event->code == MESHNET_ERROR_REFUSED && event->retry_after_ms >= 0);
    REQUIRE(strcmp(event->address, "/ip4/127.0.0.1/tcp/1") == 0 && event->detail[0] != 0 && event->hint[0] != 0);
    meshnet_event_free(event);
    event = await_event(node, MESHNET_EVENT_DIAL_FAILED);
    REQUIRE(event != NULL);
    meshnet_event_free(event);
    meshnet_node_free(node);
}

static void null_is_refused_where_it_is_not_allowed(void) {
    static const char *const hole[] = {NULL};
    meshnet_node_t *node = (meshnet_node_t *)&hole;
    char text[MESHNET_PEER_ID_TEXT_SIZE];
    meshnet_event_t *event = (meshnet_event_t *)&hole;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_new(NULL, NULL, 0, 0, &node));
    REQUIRE(node == NULL);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_new(keys, NULL, 1, 0, &node));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_new(keys, hole, 1, 0, &node));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_new(keys, hole, SIZE_MAX, 0, &node));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_new(keys, NULL, 0, 0, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_open(NULL, &node));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_close(NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_peer_id(NULL, text, sizeof text));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_next_event(NULL, 0, &event));
    REQUIRE(event == NULL);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_event_fd(NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_look(NULL));
    meshnet_node_free(NULL);
    meshnet_event_free(NULL);
    meshnet_string_list_free(NULL);
    meshnet_peer_list_free(NULL);
    meshnet_address_problem_list_free(NULL);

    node = open_node();
    REQUIRE(node != NULL);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_peer_id(node, NULL, 64));
    REQUIRE_CODE(MESHNET_ERROR_BUFFER_TOO_SMALL, meshnet_node_peer_id(node, text, 10));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_listen_addresses(node, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_address_problems(node, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_next_event(node, 0, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_next_event(node, -2, &event));
    meshnet_node_free(node);
}

static void structs_of_a_wrong_size_are_refused(void) {
    static const uint32_t garbage[] = {0, 1, 3, sizeof(meshnet_config_t) + 1, 0x41414141, UINT32_MAX};
    meshnet_config_t config;
    meshnet_limits_t limits;
    meshnet_gossipsub_options_t options;
    meshnet_node_t *node;
    size_t index;
    for (index = 0; index < sizeof garbage / sizeof garbage[0]; index++) {
        REQUIRE_OK(meshnet_config_default(&config, sizeof config));
        REQUIRE_OK(meshnet_limits_default(&limits, sizeof limits));
        REQUIRE_OK(meshnet_gossipsub_options_default(&options, sizeof options));
        REQUIRE_CODE(MESHNET_ERROR_STRUCT_SIZE, meshnet_config_default(&config, garbage[index]));
        REQUIRE_CODE(MESHNET_ERROR_STRUCT_SIZE, meshnet_limits_default(&limits, garbage[index]));
        REQUIRE_CODE(MESHNET_ERROR_STRUCT_SIZE, meshnet_gossipsub_options_default(&options, garbage[index]));
        config.identity = keys;
        config.limits = &limits;
        limits.struct_size = garbage[index];
        REQUIRE_CODE(MESHNET_ERROR_STRUCT_SIZE, meshnet_node_open(&config, &node));
        config.limits = NULL;
        config.gossipsub = &options;
        options.struct_size = garbage[index];
        REQUIRE_CODE(MESHNET_ERROR_STRUCT_SIZE, meshnet_node_open(&config, &node));
        config.gossipsub = NULL;
        config.struct_size = garbage[index];
        REQUIRE_CODE(MESHNET_ERROR_STRUCT_SIZE, meshnet_node_open(&config, &node));
        REQUIRE(node == NULL);
    }
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_config_default(NULL, sizeof config));
}

/* As a program sees it that was compiled when the struct had only its first fields. */
static void smaller_structs_of_older_versions_are_taken(void) {
    size_t old = offsetof(meshnet_config_t, listen_addresses), old_limits = offsetof(meshnet_limits_t, pending_inbound_connections);
    meshnet_config_t *config = (meshnet_config_t *)malloc(old);
    meshnet_limits_t *limits = (meshnet_limits_t *)malloc(old_limits);
    meshnet_config_t whole;
    meshnet_node_t *node;
    REQUIRE_OK(meshnet_config_default(config, old));
    REQUIRE(config->struct_size == old && config->listens);
    config->identity = keys;
    REQUIRE_OK(meshnet_node_open(config, &node));
    meshnet_node_free(node);
    REQUIRE_OK(meshnet_limits_default(limits, old_limits));
    REQUIRE(limits->struct_size == old_limits && limits->connections == 1024);
    REQUIRE_OK(meshnet_config_default(&whole, sizeof whole));
    whole.identity = keys;
    whole.limits = limits;
    REQUIRE_OK(meshnet_node_open(&whole, &node));
    meshnet_node_free(node);
    free(limits);
    free(config);
}

static void defaults_are_those_of_the_header(void) {
    meshnet_config_t config;
    meshnet_limits_t limits;
    meshnet_gossipsub_options_t options;
    memset(&config, 0xAA, sizeof config);
    REQUIRE_OK(meshnet_config_default(&config, sizeof config));
    REQUIRE(config.listens && config.identity == NULL && config.bootstrap_peers == NULL && config.bootstrap_peer_count == 0 && config.listen_port == 0);
    REQUIRE(config.ping_interval_ms == 15000 && config.ping_timeout_ms == 20000 && config.dial_timeout_ms == 10000);
    REQUIRE(config.backoff_first_ms == 500 && config.backoff_cap_ms == 30000 && config.gossipsub == NULL && config.limits == NULL);
    REQUIRE_OK(meshnet_limits_default(&limits, sizeof limits));
    REQUIRE(limits.connections == 1024 && limits.pending_inbound_connections == 64 && limits.pending_outbound_connections == 160);
    REQUIRE(limits.connections_per_peer == 8 && limits.inbound_connections_per_address == 8 && limits.streams_per_connection == 256);
    REQUIRE(limits.handshake_timeout_ms == 15000 && limits.stream_negotiation_timeout_ms == 10000 && limits.maximum_stream_window == 16777216);
    REQUIRE(limits.send_buffer == 524288 && limits.event_queue_count == 65536 && limits.event_queue_bytes == 67108864);
    REQUIRE(limits.topics == 1024 && limits.pending_accepts == 1024);
    REQUIRE(limits.inbound_rate_per_address == 0.2 && limits.inbound_burst_per_address == 16);
    REQUIRE(limits.inbound_rate_per_network == 0.5 && limits.inbound_burst_per_network == 80);
    REQUIRE_OK(meshnet_gossipsub_options_default(&options, sizeof options));
    REQUIRE(options.signing_policy == MESHNET_STRICT_SIGN && options.maximum_message_size == 8388608 && options.heartbeat_interval_ms == 1000);
    REQUIRE(options.mesh_degree == 6 && options.mesh_degree_low == 5 && options.mesh_degree_high == 12 && options.mesh_degree_lazy == 6);
    REQUIRE(options.mesh_outbound_minimum == 2 && options.flood_publish);
}

static void options_out_of_range_are_named(void) {
    static const uint8_t short_key[31] = {1};
    static const char *const nowhere[] = {"/ip4/192.0.2.1/tcp/0"};
    static const char *const nonsense[] = {"nonsense"};
    meshnet_config_t config;
    meshnet_limits_t limits;
    meshnet_gossipsub_options_t options;
    meshnet_error_info_t info;
    meshnet_node_t *node;
    REQUIRE_OK(meshnet_config_default(&config, sizeof config));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_open(&config, &node)); /* no identity */
    config.identity = keys;
    config.pre_shared_key = short_key;
    config.pre_shared_key_length = sizeof short_key;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_KEY, meshnet_node_open(&config, &node));
    config.pre_shared_key = NULL;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_open(&config, &node));
    config.pre_shared_key_length = 0;
    config.listen_address_count = 1;
    config.listen_addresses = nonsense;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ADDRESS, meshnet_node_open(&config, &node));
    config.listen_addresses = nowhere;
    REQUIRE_CODE(MESHNET_ERROR_LISTEN_FAILED, meshnet_node_open(&config, &node));
    REQUIRE(meshnet_last_error(&info, sizeof info) == MESHNET_OK && info.system_errno == EADDRNOTAVAIL);
    config.listen_address_count = 0;
    config.dial_timeout_ms = 0;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_open(&config, &node));
    REQUIRE(meshnet_last_error(&info, sizeof info) == MESHNET_OK && strstr(info.detail, "dial_timeout_ms") != NULL);
    config.dial_timeout_ms = 1000;
    REQUIRE_OK(meshnet_limits_default(&limits, sizeof limits));
    limits.event_queue_count = 0;
    config.limits = &limits;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_open(&config, &node));
    limits.event_queue_count = 1;
    limits.inbound_rate_per_address = NAN;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_open(&config, &node));
    REQUIRE(meshnet_last_error(&info, sizeof info) == MESHNET_OK && strstr(info.detail, "inbound_rate_per_address") != NULL);
    limits.inbound_rate_per_address = 0;
    limits.inbound_rate_per_network = -0.1;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_open(&config, &node));
    limits.inbound_rate_per_network = 1e6;
    limits.inbound_burst_per_network = 0;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_open(&config, &node));
    config.limits = NULL;
    REQUIRE_OK(meshnet_gossipsub_options_default(&options, sizeof options));
    options.signing_policy = 2;
    config.gossipsub = &options;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_open(&config, &node));
    options.signing_policy = MESHNET_STRICT_SIGN;
    options.mesh_degree_high = 3;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_node_open(&config, &node));
    REQUIRE(node == NULL);
}

static void a_node_that_does_not_listen_has_no_address(void) {
    meshnet_config_t config;
    meshnet_string_list_t *addresses;
    meshnet_node_t *node;
    REQUIRE_OK(meshnet_config_default(&config, sizeof config));
    config.identity = keys;
    config.listens = false;
    REQUIRE_OK(meshnet_node_open(&config, &node));
    REQUIRE_OK(meshnet_listen_addresses(node, &addresses));
    REQUIRE(addresses->count == 0);
    meshnet_string_list_free(addresses);
    meshnet_node_free(node);
}

static void the_second_close_says_closed_and_so_does_every_call(void) {
    meshnet_node_t *node = open_node();
    meshnet_event_t *event, *last = NULL;
    meshnet_string_list_t *addresses;
    meshnet_peer_list_t *peers;
    meshnet_ticket_t ticket;
    meshnet_stream_t stream = {1};
    char text[MESHNET_PEER_ID_TEXT_SIZE];
    struct pollfd wait;
    int32_t code;
    REQUIRE(node != NULL);
    REQUIRE_OK(meshnet_node_peer_id(node, text, sizeof text));
    REQUIRE_OK(meshnet_node_close(node));
    REQUIRE_CODE(MESHNET_ERROR_CLOSED, meshnet_node_close(node));
    REQUIRE_CODE(MESHNET_ERROR_CLOSED, meshnet_subscribe(node, "news", NULL));
    REQUIRE_CODE(MESHNET_ERROR_CLOSED, meshnet_publish(node, "news", NULL, 0));
    REQUIRE_CODE(MESHNET_ERROR_CLOSED, meshnet_peers(node, &peers));
    REQUIRE_CODE(MESHNET_ERROR_CLOSED, meshnet_listen_addresses(node, &addresses));
    REQUIRE_CODE(MESHNET_ERROR_CLOSED, meshnet_connect(node, "/ip4/127.0.0.1/tcp/1", 1000, NULL, 0));
    REQUIRE_CODE(MESHNET_ERROR_CLOSED, meshnet_subscribe_start(node, "news", &ticket));
    REQUIRE_CODE(MESHNET_ERROR_CLOSED, meshnet_cancel(node, ticket));
    REQUIRE_CODE(MESHNET_ERROR_CLOSED, meshnet_stream_close(node, stream));
    REQUIRE_OK(meshnet_node_peer_id(node, text, sizeof text));
    wait.fd = meshnet_event_fd(node);
    wait.events = POLLIN;
    REQUIRE(wait.fd >= 0 && poll(&wait, 1, 0) == 1);
    REQUIRE_OK(meshnet_look(node));
    while ((code = meshnet_next_event(node, MESHNET_FOREVER, &event)) == MESHNET_OK) {
        meshnet_event_free(last);
        last = event;
    }
    REQUIRE(code == MESHNET_ERROR_CLOSED && event == NULL);
    REQUIRE(last != NULL && last->type == MESHNET_EVENT_CLOSED);
    REQUIRE_CODE(MESHNET_ERROR_CLOSED, meshnet_next_event(node, MESHNET_FOREVER, &event));
    REQUIRE(poll(&wait, 1, 0) == 1);
    meshnet_node_free(node);
    REQUIRE(last->type == MESHNET_EVENT_CLOSED); /* an event outlives its node */
    meshnet_event_free(last);
}

static void a_freed_node_is_an_invalid_handle(void) {
    meshnet_node_t *node = open_node(), *next;
    meshnet_event_t *event;
    char text[MESHNET_PEER_ID_TEXT_SIZE];
    REQUIRE(node != NULL);
    meshnet_node_free(node);
    meshnet_node_free(node);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_HANDLE, meshnet_node_close(node));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_HANDLE, meshnet_node_peer_id(node, text, sizeof text));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_HANDLE, meshnet_next_event(node, 0, &event));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_HANDLE, meshnet_event_fd(node));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_HANDLE, meshnet_event_fd((meshnet_node_t *)keys));
    next = open_node();
    REQUIRE(next != NULL && next != node);
    meshnet_node_free(node);
    REQUIRE_OK(meshnet_node_peer_id(next, text, sizeof text));
    meshnet_node_free(next);
}

int main(void) {
    if (meshnet_keypair_generate(&keys) != MESHNET_OK) return 1;
    RUN(a_node_has_a_peer_id_and_addresses);
    RUN(a_port_in_use_is_named);
    RUN(bad_bootstrap_addresses_do_not_stop_a_node);
    RUN(a_bootstrap_peer_that_refuses_is_tried_again);
    RUN(null_is_refused_where_it_is_not_allowed);
    RUN(structs_of_a_wrong_size_are_refused);
    RUN(smaller_structs_of_older_versions_are_taken);
    RUN(defaults_are_those_of_the_header);
    RUN(options_out_of_range_are_named);
    RUN(a_node_that_does_not_listen_has_no_address);
    RUN(the_second_close_says_closed_and_so_does_every_call);
    RUN(a_freed_node_is_an_invalid_handle);
    meshnet_keypair_free(keys);
    FINISH();
}
