/* Discovery: options, table, diagnosis, protection. */
#include "check.h"

#include <ctype.h>
#include <unistd.h>

#define KEY "hskey-api-never-shown"

/* names.h, made from the header, has NAMED(enum, CONSTANT, prefix) for each constant. */
static bool is_named(const char *name, const char *constant, const char *prefix) {
    size_t index, skip = strlen(prefix);
    if (name == NULL || strncmp(constant, prefix, skip) != 0 || strlen(name) != strlen(constant) - skip) return false;
    for (index = 0; name[index] != 0; index++) {
        int expected = constant[skip + index] == '_' ? ' ' : tolower((unsigned char)constant[skip + index]);
        if (name[index] != expected) return false;
    }
    return true;
}

static void every_constant_has_its_name(void) {
    int count = 0;
#define NAMED(kind, constant, prefix)                                                    \
    REQUIRE(is_named(meshnet_##kind##_name((int32_t)(constant)), #constant, prefix));    \
    count++;
#include "names.h"
    REQUIRE(count > 90);
    REQUIRE(meshnet_discovery_source_name(0) == NULL && meshnet_discovery_source_name(-1) == NULL && meshnet_discovery_source_name(300) == NULL);
    REQUIRE(meshnet_source_state_name(4) == NULL && meshnet_source_state_name(-1) == NULL && meshnet_diagnosis_cause_name(1000) == NULL);
}

static meshnet_keypair_t *keys;

/* A node on loopback with these options; what meshnet_node_open answers. */
static int32_t open_with(const meshnet_discovery_options_t *options, meshnet_node_t **node) {
    static const char *const loopback[] = {"/ip4/127.0.0.1/tcp/0"};
    meshnet_config_t config;
    int32_t code = meshnet_config_default(&config, sizeof config);
    if (code != MESHNET_OK) return code;
    config.identity = keys;
    config.listen_addresses = loopback;
    config.listen_address_count = 1;
    config.discovery = options;
    return meshnet_node_open(&config, node);
}

static void defaults_are_those_of_the_header(void) {
    meshnet_config_t config;
    meshnet_discovery_options_t options;
    meshnet_headscale_options_t headscale;
    meshnet_tailscale_options_t tailscale;
    REQUIRE_OK(meshnet_config_default(&config, sizeof config));
    REQUIRE(config.discovery == NULL && config.network == NULL && config.secret == NULL && config.reads_environment);
    REQUIRE(config.connections_low_water == 100 && config.connections_high_water == 400 && config.trim_grace_ms == 60000);
    REQUIRE_OK(meshnet_discovery_options_default(&options, sizeof options));
    REQUIRE(options.modes == MESHNET_DISCOVER_DEFAULT && options.mdns_backend == MESHNET_MDNS_AUTO && options.policy == MESHNET_POLICY_DIAL);
    REQUIRE(options.interval_ms == 30000 && options.offer_queue == 10 && options.service_tag == NULL && options.headscale == NULL);
    REQUIRE_OK(meshnet_headscale_options_default(&headscale, sizeof headscale));
    REQUIRE(headscale.poll_interval_secs == 30 && headscale.port == 0 && !headscale.tags_itself && headscale.api_key == NULL);
    REQUIRE_OK(meshnet_tailscale_options_default(&tailscale, sizeof tailscale));
    REQUIRE(tailscale.poll_interval_secs == 30 && tailscale.api_base_url == NULL);
    REQUIRE_CODE(MESHNET_ERROR_STRUCT_SIZE, meshnet_discovery_options_default(&options, sizeof options + 1));
    REQUIRE_CODE(MESHNET_ERROR_STRUCT_SIZE, meshnet_headscale_options_default(&headscale, 3));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_tailscale_options_default(NULL, sizeof tailscale));
}

static void a_config_of_an_older_header_is_read(void) {
    meshnet_config_t config;
    meshnet_node_t *node;
    size_t older = offsetof(meshnet_config_t, discovery);
    REQUIRE_OK(meshnet_config_default(&config, older));
    config.identity = keys;
    config.discovery = (const meshnet_discovery_options_t *)&older; /* behind its end: not looked at */
    REQUIRE_OK(meshnet_node_open(&config, &node));
    meshnet_node_free(node);
}

static void what_cannot_work_is_refused(void) {
    static const char *const nobody[] = {"nobody"};
    meshnet_discovery_options_t options;
    meshnet_headscale_options_t headscale;
    meshnet_error_info_t info;
    meshnet_node_t *node;
    char long_id[66];
    memset(long_id, 'x', 65);
    long_id[65] = 0;
#define REFUSED(expected, change)                                                  \
    REQUIRE_OK(meshnet_discovery_options_default(&options, sizeof options));       \
    REQUIRE_OK(meshnet_headscale_options_default(&headscale, sizeof headscale));   \
    options.modes = MESHNET_DISCOVER_NONE;                                         \
    headscale.api_base_url = "https://headscale.example";                          \
    headscale.api_key = KEY;                                                       \
    change;                                                                        \
    REQUIRE_CODE(expected, open_with(&options, &node));                            \
    REQUIRE_OK(meshnet_last_error(&info, sizeof info));                            \
    REQUIRE(strstr(info.detail, KEY) == NULL && strstr(info.hint, KEY) == NULL);
    REFUSED(MESHNET_ERROR_INVALID_ARGUMENT, options.modes = MESHNET_DISCOVER_DEFAULT | MESHNET_DISCOVER_MDNS)
    REFUSED(MESHNET_ERROR_INVALID_ARGUMENT, options.modes = 64)
    REFUSED(MESHNET_ERROR_INVALID_ARGUMENT, options.modes = -1)
    REFUSED(MESHNET_ERROR_INVALID_ARGUMENT, options.modes = MESHNET_DISCOVER_DNS)
    REFUSED(MESHNET_ERROR_INVALID_ARGUMENT, options.modes = MESHNET_DISCOVER_HEADSCALE)
    REFUSED(MESHNET_ERROR_INVALID_ARGUMENT, options.mdns_backend = 3)
    REFUSED(MESHNET_ERROR_INVALID_ARGUMENT, options.policy = -1)
    REFUSED(MESHNET_ERROR_INVALID_ARGUMENT, options.app_id = long_id)
    REFUSED(MESHNET_ERROR_INVALID_ARGUMENT, options.interval_ms = 999)
    REFUSED(MESHNET_ERROR_INVALID_ARGUMENT, options.offer_queue = 0)
    REFUSED(MESHNET_ERROR_INVALID_ARGUMENT, options.dns_service_count = 1)
    REFUSED(MESHNET_ERROR_INVALID_PEER_ID, (options.allowed_peers = nobody, options.allowed_peer_count = 1))
    REFUSED(MESHNET_ERROR_INVALID_ARGUMENT, (options.headscale = &headscale, headscale.api_key = NULL))
    REFUSED(MESHNET_ERROR_INVALID_ARGUMENT, (options.headscale = &headscale, headscale.poll_interval_secs = 0))
    REFUSED(MESHNET_ERROR_STRUCT_SIZE, (options.headscale = &headscale, headscale.struct_size = 7))
    REFUSED(MESHNET_ERROR_STRUCT_SIZE, options.struct_size = 1)
}

static void the_table_tells_who_was_found_by_what(void) {
    pair_t pair;
    meshnet_event_t *event;
    meshnet_discovery_table_t *table;
    bool connected = false;
    size_t index;
    memset(&pair, 0, sizeof pair);
    pair.alice = open_node();
    pair.bob = open_node();
    REQUIRE(pair.alice != NULL && pair.bob != NULL && first_address(pair.alice, pair.alice_address, sizeof pair.alice_address));
    REQUIRE_OK(meshnet_node_peer_id(pair.alice, pair.alice_id, sizeof pair.alice_id));
    REQUIRE_OK(meshnet_add_bootstrap_peer(pair.bob, pair.alice_address));
    event = await_event(pair.bob, MESHNET_EVENT_CONNECTED);
    REQUIRE(event != NULL);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_discovery_table(pair.bob, &table));
    for (index = 0; index < table->source_count; index++) {
        const meshnet_source_status_t *source = table->sources[index];
        if (source->source != MESHNET_SOURCE_BOOTSTRAP) continue;
        REQUIRE(source->state == MESHNET_SOURCE_STATE_RUNNING && source->succeeded == 1 && source->last_success_ms >= 0);
        REQUIRE(source->failure == 0 && source->detail == NULL && source->retry_after_ms == -1);
    }
    for (index = 0; index < table->entry_count; index++) {
        const meshnet_discovery_entry_t *entry = table->entries[index];
        if (entry->state != MESHNET_ENTRY_CONNECTED) continue;
        REQUIRE(entry->source == MESHNET_SOURCE_BOOTSTRAP && strcmp(entry->peer_id, pair.alice_id) == 0);
        REQUIRE(strstr(entry->address, pair.alice_address) != NULL && entry->filter == 0 && entry->expires_ms == -1);
        connected = true;
    }
    REQUIRE(connected);
    meshnet_discovery_table_free(table);
    close_pair(&pair);
}

static void the_twins_complete_with_the_same(void) {
    pair_t pair;
    meshnet_ticket_t ticket;
    meshnet_event_t *event;
    meshnet_discovery_options_t options;
    REQUIRE(open_pair(&pair));
    REQUIRE_OK(meshnet_discovery_table_start(pair.bob, &ticket));
    REQUIRE((event = await_completion(pair.bob, ticket)) != NULL && event->code == MESHNET_OK && event->discovery != NULL);
    REQUIRE(event->discovery->source_count > 0);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_protect_start(pair.bob, pair.alice_id, &ticket));
    REQUIRE((event = await_completion(pair.bob, ticket)) != NULL && event->code == MESHNET_OK && event->changed);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_unprotect_start(pair.bob, pair.alice_id, &ticket));
    REQUIRE((event = await_completion(pair.bob, ticket)) != NULL && event->code == MESHNET_OK && event->changed);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_discovery_options_default(&options, sizeof options));
    options.modes = MESHNET_DISCOVER_GOSSIP;
    REQUIRE_OK(meshnet_discovery_configure_start(pair.bob, &options, &ticket));
    REQUIRE((event = await_completion(pair.bob, ticket)) != NULL && event->code == MESHNET_OK);
    meshnet_event_free(event);
    REQUIRE_OK(meshnet_diagnose_start(pair.bob, pair.alice_id, &ticket));
    REQUIRE((event = await_completion(pair.bob, ticket)) != NULL && event->code == MESHNET_OK && event->diagnosis != NULL);
    REQUIRE(event->diagnosis->finding_count >= 1 && event->diagnosis->findings[0]->cause == MESHNET_CAUSE_CONNECTED);
    REQUIRE(strcmp(event->diagnosis->target, pair.alice_id) == 0 && strcmp(event->diagnosis->peer_id, pair.alice_id) == 0);
    meshnet_event_free(event);
    close_pair(&pair);
}

static void peers_are_protected_and_no_longer(void) {
    pair_t pair;
    bool changed = false;
    REQUIRE(open_pair(&pair));
    REQUIRE_OK(meshnet_protect(pair.bob, pair.alice_id, &changed));
    REQUIRE(changed);
    REQUIRE_OK(meshnet_protect(pair.bob, pair.alice_id, &changed));
    REQUIRE(!changed);
    REQUIRE_OK(meshnet_unprotect(pair.bob, pair.alice_id, NULL));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_PEER_ID, meshnet_protect(pair.bob, "nobody", &changed));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_protect(NULL, pair.alice_id, &changed));
    close_pair(&pair);
}

static void a_running_node_is_configured_as_a_whole_or_not(void) {
    static const char *const nonsense[] = {"nonsense"};
    meshnet_discovery_options_t options;
    meshnet_node_t *node = open_node();
    REQUIRE(node != NULL);
    REQUIRE_OK(meshnet_discovery_options_default(&options, sizeof options));
    options.modes = MESHNET_DISCOVER_GOSSIP;
    REQUIRE_OK(meshnet_discovery_configure(node, &options));
    options.denied_networks = nonsense;
    options.denied_network_count = 1;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_discovery_configure(node, &options));
    REQUIRE_OK(meshnet_discovery_configure(node, NULL));
    meshnet_node_free(node);
}

static void a_diagnosis_names_cause_evidence_and_remedy(void) {
    meshnet_diagnosis_t *diagnosis;
    meshnet_node_t *node = open_node();
    REQUIRE(node != NULL);
    REQUIRE_OK(meshnet_diagnose(node, "/ip4/127.0.0.1/tcp/1", PATIENCE, &diagnosis));
    REQUIRE(diagnosis->findings[0]->cause == MESHNET_CAUSE_REFUSED && diagnosis->peer_id == NULL);
    REQUIRE(diagnosis->findings[0]->evidence[0] != 0 && diagnosis->findings[0]->remedy[0] != 0);
    meshnet_diagnosis_free(diagnosis);
    REQUIRE_OK(meshnet_diagnose(node, "nonsense", PATIENCE, &diagnosis));
    REQUIRE(diagnosis->findings[0]->cause == MESHNET_CAUSE_BAD_TARGET);
    meshnet_diagnosis_free(diagnosis);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_diagnose(node, NULL, 0, &diagnosis));
    REQUIRE(diagnosis == NULL);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_diagnose(node, "x", 0, NULL));
    meshnet_node_free(node);
    meshnet_diagnosis_free(NULL);
    meshnet_discovery_table_free(NULL);
}

static void found_on_this_machine_by_mdns(void) {
    meshnet_discovery_options_t options;
    meshnet_config_t config;
    meshnet_keypair_t *others;
    meshnet_node_t *alice, *bob;
    meshnet_event_t *event;
    char tag[32], id[MESHNET_PEER_ID_TEXT_SIZE];
    REQUIRE_OK(meshnet_keypair_generate(&others));
    REQUIRE_OK(meshnet_keypair_peer_id(others, id, sizeof id));
    snprintf(tag, sizeof tag, "_t%d%d._udp", (int)getpid(), (int)(milliseconds_now() % 1000));
    REQUIRE_OK(meshnet_discovery_options_default(&options, sizeof options));
    options.modes = MESHNET_DISCOVER_MDNS;
    options.mdns_backend = MESHNET_MDNS_EMBEDDED;
    options.service_tag = tag;
    options.policy = MESHNET_POLICY_OFFER; /* none of the two dials, so that what is found is not connected before */
    REQUIRE_OK(meshnet_config_default(&config, sizeof config));
    config.identity = keys;
    config.discovery = &options;
    REQUIRE_OK(meshnet_node_open(&config, &alice));
    config.identity = others;
    REQUIRE_OK(meshnet_node_open(&config, &bob));
    event = await_event(bob, MESHNET_EVENT_DISCOVERED);
    REQUIRE(event != NULL && event->source == MESHNET_SOURCE_MDNS && event->addresses != NULL && event->addresses->count > 0);
    REQUIRE(event->peer_id != NULL && strcmp(event->peer_id, id) != 0);
    meshnet_event_free(event);
    event = await_event(alice, MESHNET_EVENT_DISCOVERY_SOURCE);
    REQUIRE(event != NULL && event->source == MESHNET_SOURCE_MDNS && event->source_state == MESHNET_SOURCE_STATE_RUNNING);
    meshnet_event_free(event);
    meshnet_keypair_free(others);
    meshnet_node_free(alice);
    meshnet_node_free(bob);
}

int main(void) {
    if (meshnet_keypair_generate(&keys) != MESHNET_OK) return 1;
    RUN(every_constant_has_its_name);
    RUN(defaults_are_those_of_the_header);
    RUN(a_config_of_an_older_header_is_read);
    RUN(what_cannot_work_is_refused);
    RUN(the_table_tells_who_was_found_by_what);
    RUN(the_twins_complete_with_the_same);
    RUN(peers_are_protected_and_no_longer);
    RUN(a_running_node_is_configured_as_a_whole_or_not);
    RUN(a_diagnosis_names_cause_evidence_and_remedy);
    RUN(found_on_this_machine_by_mdns);
    meshnet_keypair_free(keys);
    FINISH();
}
