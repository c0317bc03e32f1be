/* A node that talks: says hello on a topic, echoes the hellos of others, and tells what happens as JSON lines on standard output.
 *
 *     node [--name NAME] [--port N] [--bootstrap ADDR[,ADDR]…] [--topic NAME] [--count N] [--peers N] [--seconds N]
 *
 * Once `peers` others follow the topic it publishes `count` messages "hello K", and answers "hello K" of peer P by "echo K P", so that the round trip
 * of each hello is known. It prints {"event":"done"} when it has `count` hellos and echoes of each of the others, keeps answering until its
 * standard input ends, and exits with 0 if it was done, else with 1. The line "send COUNT PEER…" of its standard input makes it send so many numbered
 * messages to each of these peers, one each 5 ms. One thread, one poll: nothing here blocks.
 */
#include <meshnet.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_BOOTSTRAP 64
#define MAX_OTHERS 64
#define MAX_HELLOS 10000
#define BATCH 64
#define ITEM_INTERVAL 0.005 /* seconds */

typedef struct other {
    char peer_id[MESHNET_PEER_ID_TEXT_SIZE];
    bool follows;
    int hellos;
    int echoes;
    bool gets_items;
} other_t;

static struct {
    const char *name, *topic;
    const char *bootstrap[MAX_BOOTSTRAP];
    size_t bootstrap_count;
    int port, count, peers, seconds;
} options = {.name = "c", .topic = "meshnet", .count = 3, .peers = 2, .seconds = 30};

static struct {
    meshnet_node_t *node;
    char peer_id[MESHNET_PEER_ID_TEXT_SIZE];
    other_t others[MAX_OTHERS];
    int other_count;
    int said;
    double said_at[MAX_HELLOS];
    int items, items_sent;
    double next_item;
    char line[1024];
    size_t line_length;
    double started;
    bool done;
} state;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- Telling ---- */

static void print_text(const char *text, size_t length) {
    putchar('"');
    for (size_t index = 0; index < length; index++) {
        unsigned char byte = (unsigned char)text[index];
        if (byte == '"' || byte == '\\') putchar('\\');
        if (byte < 0x20) printf("\\u%04x", byte);
        else putchar(byte);
    }
    putchar('"');
}

static void begin(const char *event) {
    printf("{\"time\":%.6f,\"node\":\"%s\",\"event\":\"%s\"", now() - state.started, options.name, event);
}

static void field(const char *name, const char *text) {
    if (text == NULL) return;
    printf(",\"%s\":", name);
    print_text(text, strlen(text));
}

static void end(void) {
    puts("}");
    fflush(stdout);
}

static void check(int32_t code, const char *what) {
    meshnet_error_info_t info;
    if (code == MESHNET_OK) return;
    if (meshnet_last_error(&info, sizeof info) != MESHNET_OK) exit(2);
    fprintf(stderr, "%s: %s\n%s\n", what, info.detail, info.hint);
    exit(2);
}

/* ---- Talking ---- */

static other_t *other(const char *peer_id) {
    for (int index = 0; index < state.other_count; index++) {
        if (strcmp(state.others[index].peer_id, peer_id) == 0) return &state.others[index];
    }
    if (state.other_count == MAX_OTHERS) return NULL;
    other_t *added = &state.others[state.other_count++];
    snprintf(added->peer_id, sizeof added->peer_id, "%s", peer_id);
    return added;
}

static void publish(const char *text) {
    meshnet_ticket_t ticket;
    check(meshnet_publish_start(state.node, options.topic, (const uint8_t *)text, strlen(text), &ticket), "publish");
}

static void say_hello_when_all_listen(void) {
    int following = 0;
    for (int index = 0; index < state.other_count; index++) following += state.others[index].follows;
    while (following >= options.peers && state.said < options.count) {
        char text[64];
        snprintf(text, sizeof text, "hello %d", state.said);
        state.said_at[state.said++] = now();
        publish(text);
    }
}

static void tell_when_done(void) {
    int complete = 0;
    for (int index = 0; index < state.other_count; index++) {
        complete += state.others[index].hellos >= options.count && state.others[index].echoes >= options.count;
    }
    if (state.done || complete < options.peers) return;
    state.done = true;
    begin("done");
    end();
}

static void hear(const meshnet_event_t *event) {
    char text[128], whom[MESHNET_PEER_ID_TEXT_SIZE];
    int number;
    other_t *from = event->origin == NULL ? NULL : other(event->origin);
    if (from == NULL || event->data_length >= sizeof text) return;
    memcpy(text, event->data, event->data_length);
    text[event->data_length] = 0;

    if (sscanf(text, "hello %d", &number) == 1) {
        from->hellos++;
        begin("message");
        field("from", event->origin);
        field("text", text);
        end();
        snprintf(text, sizeof text, "echo %d %s", number, event->origin);
        publish(text);
    } else if (sscanf(text, "echo %d %63s", &number, whom) == 2 && strcmp(whom, state.peer_id) == 0 && number >= 0 && number < state.said) {
        from->echoes++;
        begin("round trip");
        field("from", event->origin);
        printf(",\"number\":%d,\"milliseconds\":%.3f", number, (now() - state.said_at[number]) * 1e3);
        end();
    }
    tell_when_done();
}

/* ---- Messages to one peer ---- */

/* Whether the peer is connected or not: it gets them all, once and in order. */
static void send_items(void) {
    for (; state.items_sent < state.items && now() >= state.next_item; state.items_sent++, state.next_item += ITEM_INTERVAL) {
        char text[64];
        size_t length = (size_t)snprintf(text, sizeof text, "item %d", state.items_sent);
        for (int index = 0; index < state.other_count; index++) {
            meshnet_ticket_t ticket;
            if (!state.others[index].gets_items) continue;
            check(meshnet_send_start(state.node, state.others[index].peer_id, (const uint8_t *)text, length, NULL, &ticket), "send");
        }
    }
}

static void take_items(void) {
    meshnet_message_t *messages[BATCH];
    size_t count;
    while (meshnet_receive_many(state.node, 0, messages, BATCH, &count) == MESHNET_OK) {
        for (size_t index = 0; index < count; index++) {
            int number;
            if (messages[index]->data != NULL && sscanf((const char *)messages[index]->data, "item %d", &number) == 1) {
                begin("item");
                field("from", messages[index]->peer_id);
                printf(",\"number\":%d,\"again\":%s", number, messages[index]->is_redelivered ? "true" : "false");
                end();
            }
            meshnet_message_free(messages[index]); /* done with it */
        }
    }
}

static void obey(char *line) {
    char *word = strtok(line, " ");
    if (word == NULL || strcmp(word, "send") != 0 || (word = strtok(NULL, " ")) == NULL) return;
    state.items = atoi(word);
    state.next_item = now();
    while ((word = strtok(NULL, " ")) != NULL) {
        other_t *peer = other(word);
        if (peer != NULL) peer->gets_items = true;
    }
}

/* False at the end of the standard input. */
static bool read_lines(void) {
    ssize_t count = read(STDIN_FILENO, state.line + state.line_length, sizeof state.line - 1 - state.line_length);
    if (count <= 0) return false;
    state.line_length += (size_t)count;
    state.line[state.line_length] = 0;
    for (char *newline; (newline = strchr(state.line, '\n')) != NULL;) {
        size_t rest = state.line_length - (size_t)(newline + 1 - state.line);
        *newline = 0;
        obey(state.line);
        memmove(state.line, newline + 1, rest + 1);
        state.line_length = rest;
    }
    if (state.line_length == sizeof state.line - 1) state.line_length = 0; /* nobody means such a line */
    return true;
}

/* ---- Events ---- */

static void handle(const meshnet_event_t *event) {
    switch (event->type) {
    case MESHNET_EVENT_MESSAGE:
        hear(event);
        return;
    case MESHNET_EVENT_SUBSCRIPTION: {
        other_t *peer = strcmp(event->topic, options.topic) == 0 ? other(event->peer_id) : NULL;
        if (peer != NULL) peer->follows = event->subscribed;
        break;
    }
    case MESHNET_EVENT_COMPLETED:
        if (event->code == MESHNET_OK) return;
        break;
    default:
        break;
    }
    begin(meshnet_event_type_name(event->type));
    field("peer", event->peer_id);
    field("address", event->address);
    if (event->direction != 0) field("direction", event->direction == MESHNET_DIRECTION_INBOUND ? "inbound" : "outbound");
    if (event->type == MESHNET_EVENT_DISCONNECTED) field("cause", meshnet_disconnect_cause_name(event->cause));
    if (event->type == MESHNET_EVENT_SUBSCRIPTION) printf(",\"subscribed\":%s", event->subscribed ? "true" : "false");
    if (event->source != 0) field("source", meshnet_discovery_source_name(event->source));
    if (event->type == MESHNET_EVENT_DISCOVERY_SOURCE) field("state", meshnet_source_state_name(event->source_state));
    if (event->type == MESHNET_EVENT_CHANNEL) {
        field("change", meshnet_channel_change_name(event->channel_change));
        printf(",\"message_count\":%llu", (unsigned long long)event->message_count);
    }
    field("topic", event->topic);
    field("agent", event->agent_version);
    field("detail", event->detail);
    field("hint", event->hint);
    end();
    say_hello_when_all_listen();
}

static bool drain(void) {
    meshnet_event_t *events[BATCH];
    size_t count;
    int32_t code;
    while ((code = meshnet_next_events(state.node, 0, events, BATCH, &count)) == MESHNET_OK) {
        for (size_t index = 0; index < count; index++) {
            handle(events[index]);
            meshnet_event_free(events[index]);
        }
    }
    return code == MESHNET_ERROR_TIMED_OUT;
}

/* ---- Starting ---- */

static void parse(int count, char **arguments) {
    for (int index = 1; index < count; index += 2) {
        const char *name = arguments[index];
        char *value = index + 1 < count ? arguments[index + 1] : NULL;
        if (value == NULL || strncmp(name, "--", 2) != 0) {
            fprintf(stderr, "usage: %s [--name NAME] [--port N] [--bootstrap ADDR,…] [--topic NAME] [--count N] [--peers N] [--seconds N]\n", arguments[0]);
            exit(2);
        }
        if (strcmp(name, "--name") == 0) options.name = value;
        else if (strcmp(name, "--topic") == 0) options.topic = value;
        else if (strcmp(name, "--port") == 0) options.port = atoi(value);
        else if (strcmp(name, "--count") == 0) options.count = atoi(value) < MAX_HELLOS ? atoi(value) : MAX_HELLOS;
        else if (strcmp(name, "--peers") == 0) options.peers = atoi(value);
        else if (strcmp(name, "--seconds") == 0) options.seconds = atoi(value);
        else if (strcmp(name, "--bootstrap") == 0) {
            for (char *address = strtok(value, ","); address != NULL && options.bootstrap_count < MAX_BOOTSTRAP; address = strtok(NULL, ",")) {
                options.bootstrap[options.bootstrap_count++] = address;
            }
        } else {
            fprintf(stderr, "%s: no such option\n", name);
            exit(2);
        }
    }
}

int main(int count, char **arguments) {
    meshnet_keypair_t *keys;
    parse(count, arguments);
    state.started = now();
    check(meshnet_keypair_generate(&keys), "key pair");
    check(meshnet_node_new(keys, options.bootstrap, options.bootstrap_count, (uint16_t)options.port, &state.node), "node");
    meshnet_keypair_free(keys);
    check(meshnet_node_peer_id(state.node, state.peer_id, sizeof state.peer_id), "peer id");
    check(meshnet_subscribe(state.node, options.topic, NULL), "subscribe");
    begin("started");
    field("peer", state.peer_id);
    end();

    struct pollfd waits[] = {
        {.fd = meshnet_event_fd(state.node), .events = POLLIN},
        {.fd = meshnet_message_fd(state.node), .events = POLLIN},
        {.fd = STDIN_FILENO, .events = POLLIN},
    };
    double deadline = state.started + options.seconds;
    while (now() < deadline) {
        double until = state.items_sent < state.items && state.next_item < deadline ? state.next_item : deadline, wait = until - now();
        if (poll(waits, 3, wait > 0 ? (int)(wait * 1e3) + 1 : 0) < 0) break;
        if (waits[0].revents != 0 && !drain()) break;
        if (waits[1].revents != 0) take_items();
        if (waits[2].revents != 0 && !read_lines()) break;
        send_items();
    }
    meshnet_node_free(state.node);
    return state.done ? 0 : 1;
}
