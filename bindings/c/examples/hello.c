/* Two nodes in one program: they connect, and one says hello to the other. */
#include <meshnet.h>
#include <stdio.h>
#include <stdlib.h>

static void check(int32_t code) {
    if (code == MESHNET_OK) return;
    meshnet_error_info_t info;
    if (meshnet_last_error(&info, sizeof info) == MESHNET_OK) fprintf(stderr, "%s\n%s\n", info.detail, info.hint);
    exit(1);
}

static meshnet_node_t *start(void) {
    meshnet_keypair_t *keys;
    meshnet_node_t *node;
    check(meshnet_keypair_generate(&keys));
    check(meshnet_node_new(keys, NULL, 0, 0, &node));
    meshnet_keypair_free(keys);
    return node;
}

/* The next event of a type, to be freed by the caller. */
static meshnet_event_t *await(meshnet_node_t *node, int32_t type) {
    for (;;) {
        meshnet_event_t *event;
        check(meshnet_next_event(node, 10000, &event));
        if (event->type == type) return event;
        meshnet_event_free(event);
    }
}

int main(void) {
    meshnet_node_t *alice = start(), *bob = start();
    check(meshnet_subscribe(alice, "news", NULL));

    meshnet_string_list_t *addresses;
    check(meshnet_listen_addresses(alice, &addresses));
    check(meshnet_connect(bob, addresses->items[0], 10000, NULL, 0));
    meshnet_string_list_free(addresses);

    meshnet_event_free(await(bob, MESHNET_EVENT_SUBSCRIPTION)); /* alice follows a topic: bob knows now */
    check(meshnet_publish(bob, "news", (const uint8_t *)"hello", 5));

    meshnet_event_t *message = await(alice, MESHNET_EVENT_MESSAGE);
    printf("%s: %.*s\n", message->topic, (int)message->data_length, (const char *)message->data);
    meshnet_event_free(message);
    meshnet_node_free(alice);
    meshnet_node_free(bob);
    return 0;
}
