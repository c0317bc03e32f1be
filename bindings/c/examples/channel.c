/* Messages to one peer, with a request and its reply:
 *     channel                      waits for messages, prints them, and answers requests with their length
 *     channel PEER ADDRESS TEXT    sends the text, waits until the peer has it, and asks for its length
 * One that waits and is started again goes on where it was: its state lies in the directory that MESHNET_STATE_DIR names. */
#include <meshnet.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what) {
    meshnet_error_info_t info;
    meshnet_last_error(&info, sizeof info);
    fprintf(stderr, "%s: %s\n%s\n", what, info.detail, info.hint);
    return 1;
}

static int listen_for_messages(meshnet_node_t *node) {
    char id[MESHNET_PEER_ID_TEXT_SIZE], answer[32];
    meshnet_string_list_t *addresses;
    meshnet_message_t *message;
    if (meshnet_node_peer_id(node, id, sizeof id) != MESHNET_OK || meshnet_listen_addresses(node, &addresses) != MESHNET_OK) return fail("start");
    printf("%s %s\n", id, addresses->items[addresses->count - 1]);
    meshnet_string_list_free(addresses);
    while (meshnet_receive(node, MESHNET_FOREVER, &message) == MESHNET_OK) {
        if (message->is_request) {
            int length = snprintf(answer, sizeof answer, "%zu bytes", message->data_length);
            if (meshnet_reply(node, message, (const uint8_t *)answer, (size_t)length, MESHNET_FOREVER) != MESHNET_OK) fail("reply");
        } else if (message->data != NULL) { /* a large one lies in a file: meshnet_message_read */
            printf("%s\n", (const char *)message->data);
        }
        meshnet_message_free(message); /* done with it: it does not come again */
    }
    return 0;
}

static int send_text(meshnet_node_t *node, const char *peer, const char *address, const char *text) {
    meshnet_send_options_t options;
    meshnet_message_t *reply;
    if (meshnet_reconnect(node, peer, &address, 1) != MESHNET_OK) return fail(peer);
    if (meshnet_send_options_default(&options, sizeof options) != MESHNET_OK) return fail("options");
    options.waits_for_delivery = true;
    if (meshnet_send(node, peer, (const uint8_t *)text, strlen(text), &options, 10000) != MESHNET_OK) return fail("send");
    if (meshnet_request(node, peer, (const uint8_t *)text, strlen(text), NULL, 10000, &reply) != MESHNET_OK) return fail("request");
    printf("%s\n", (const char *)reply->data);
    meshnet_message_free(reply);
    return 0;
}

int main(int count, char **words) {
    meshnet_keypair_t *keys;
    meshnet_node_t *node;
    int status;
    if (count != 1 && count != 4) return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (meshnet_keypair_generate(&keys) != MESHNET_OK || meshnet_node_new(keys, NULL, 0, 0, &node) != MESHNET_OK) return fail("start");
    meshnet_keypair_free(keys);
    status = count == 1 ? listen_for_messages(node) : send_text(node, words[1], words[2], words[3]);
    meshnet_node_free(node);
    return status;
}
