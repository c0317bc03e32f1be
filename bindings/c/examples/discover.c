/* Who is found on this network, and why somebody is not connected: discover [SECONDS] [PEER or ADDRESS]. */
#include <meshnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void check(int32_t code) {
    if (code == MESHNET_OK) return;
    meshnet_error_info_t info;
    if (meshnet_last_error(&info, sizeof info) == MESHNET_OK) fprintf(stderr, "%s\n%s\n", info.detail, info.hint);
    exit(1);
}

static void show(const meshnet_event_t *event) {
    switch (event->type) {
    case MESHNET_EVENT_DISCOVERED:
        printf("found %s by %s", event->peer_id != NULL ? event->peer_id : "somebody", meshnet_discovery_source_name(event->source));
        for (size_t index = 0; index < event->addresses->count; index++) printf(" %s", event->addresses->items[index]);
        printf("\n");
        break;
    case MESHNET_EVENT_DISCOVERY_SOURCE:
        printf("source %s: %s", meshnet_discovery_source_name(event->source), meshnet_source_state_name(event->source_state));
        if (event->source_failure != 0) printf(": %s\n  %s", event->detail, event->hint);
        printf("\n");
        break;
    case MESHNET_EVENT_CONNECTED:
        printf("connected %s %s\n", event->peer_id, event->address);
        break;
    case MESHNET_EVENT_DIAL_FAILED:
        printf("failed %s: %s\n  %s\n", event->address, event->detail, event->hint);
        break;
    default:
        break;
    }
}

static void show_table(meshnet_node_t *node) {
    meshnet_discovery_table_t *table;
    check(meshnet_discovery_table(node, &table));
    for (size_t index = 0; index < table->source_count; index++) {
        const meshnet_source_status_t *source = table->sources[index];
        if (source->state == MESHNET_SOURCE_STATE_OFF) continue;
        printf("%s: %s, heard %llu, dialled %llu, succeeded %llu\n", meshnet_discovery_source_name(source->source),
               meshnet_source_state_name(source->state), (unsigned long long)source->heard, (unsigned long long)source->dialled,
               (unsigned long long)source->succeeded);
    }
    for (size_t index = 0; index < table->entry_count; index++) {
        const meshnet_discovery_entry_t *entry = table->entries[index];
        printf("  %s by %s: %s\n", entry->address, meshnet_discovery_source_name(entry->source), meshnet_entry_state_name(entry->state));
    }
    meshnet_discovery_table_free(table);
}

int main(int count, char **arguments) {
    double seconds = count > 1 ? atof(arguments[1]) : 5;
    meshnet_keypair_t *keys;
    meshnet_node_t *node;
    meshnet_event_t *event;
    check(meshnet_keypair_generate(&keys));
    check(meshnet_node_new(keys, NULL, 0, 0, &node)); /* the default: mDNS and gossip */
    meshnet_keypair_free(keys);

    time_t end = time(NULL) + (time_t)seconds;
    while (time(NULL) < end) {
        int32_t code = meshnet_next_event(node, 500, &event);
        if (code == MESHNET_ERROR_TIMED_OUT) continue;
        check(code);
        show(event);
        meshnet_event_free(event);
    }
    show_table(node);

    if (count > 2) {
        meshnet_diagnosis_t *diagnosis;
        check(meshnet_diagnose(node, arguments[2], 15000, &diagnosis));
        for (size_t index = 0; index < diagnosis->finding_count; index++) {
            const meshnet_finding_t *finding = diagnosis->findings[index];
            printf("%s: %s\n  %s\n", meshnet_diagnosis_cause_name(finding->cause), finding->evidence, finding->remedy);
        }
        meshnet_diagnosis_free(diagnosis);
    }
    meshnet_node_free(node);
    return 0;
}
