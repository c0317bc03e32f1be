/*
 * meshnet.h: a libp2p node as a C library.
 *
 * This header is the specification of libmeshnet.so. What is not here is not API. What is here stays: within one ABI version
 * functions, codes and fields are only added, never removed, renumbered or given another meaning.
 *
 * HELLO
 *     meshnet_keypair_t *keys;   meshnet_node_t *node;   meshnet_event_t *event;
 *     meshnet_keypair_generate(&keys);
 *     meshnet_node_new(keys, NULL, 0, 4001, &node);
 *     meshnet_subscribe(node, "news", NULL);
 *     while (meshnet_next_event(node, MESHNET_FOREVER, &event) == MESHNET_OK) {
 *         if (event->type == MESHNET_EVENT_MESSAGE) fwrite(event->data, 1, event->data_length, stdout);
 *         meshnet_event_free(event);
 *     }
 *
 * RESULTS
 *     Every call that can fail returns int32_t: MESHNET_OK (0) or a negative enum meshnet_error with a fixed value.
 *     meshnet_strerror says what a code means and meshnet_error_hint what to do. meshnet_last_error copies the whole account of the
 *     calling thread's last failure, with the values that were wrong, into a struct of yours. A call that fails sets its results to
 *     NULL, 0 or false. A result that you do not want may be given as NULL where its description says "may be NULL".
 *     NULL where it is not allowed, a handle that is no handle, and a struct of the wrong size are errors with a code, never a crash.
 *
 * THREADS
 *     Every function may be called from any thread at any time, also several at once on one node, unless its description says more.
 *     A node runs on a thread of its own. That thread never calls you: there are no callbacks, and it never waits for you.
 *     A call that blocks may do the node's work meanwhile, on its own thread, which needs 256 KiB of stack for it.
 *     "Blocks: no" means that the call takes a lock for a moment at most. "Blocks: one turn" means that it waits until the node's
 *     thread took note (normally microseconds, and never for the network). "Blocks: up to timeout_ms" waits for others.
 *     timeout_ms: 0 does not wait, MESHNET_FOREVER waits without end, other negative values are MESHNET_ERROR_INVALID_ARGUMENT.
 *     meshnet_node_close ends every call that is blocked on the node with MESHNET_ERROR_CLOSED. Signals do not end a call.
 *     After fork() a node exists in the parent only: in the child each call on it returns MESHNET_ERROR_CLOSED and
 *     meshnet_node_free gives up the handle alone. A child can use key pairs, and make nodes of its own, unless another thread was in its
 *     first calls of this library at the fork. fork() waits until no node is in the middle of its work: microseconds, at most a second.
 *
 * OWNERSHIP
 *     Whatever you pass in is copied before the call returns and stays yours; only the buffers of meshnet_stream_read_start and
 *     meshnet_stream_write_start are lent until their completion.
 *     Whatever you get as a pointer is released by the _free function of its type; what it points to goes with it. NULL may be freed.
 *     meshnet_keypair_t and meshnet_node_t are handles and not addresses: they are looked up, never followed, and no value is
 *     given out twice in a process. A handle used after its _free gives MESHNET_ERROR_INVALID_HANDLE, and freeing it again does
 *     nothing. That holds for handles only: freeing an event or a list twice is as wrong as with free().
 *     Text is UTF-8 and ends with NUL. Bytes are a pointer with a length.
 *
 * STRUCTS GROW
 *     Structs that you fill start with struct_size and are initialised by a _default function that takes sizeof; programs compiled
 *     with an older and smaller struct keep working, and fields that they do not know have their default.
 *     Structs that you get (events, lists and their items) are made by the library and may be longer than your header knows;
 *     never copy them by sizeof, never allocate them.
 *
 * EVENT LOOPS
 *     int fd = meshnet_event_fd(node);            readable while events wait; never read, write or close it
 *     on readable: do meshnet_next_events(node, 0, events, capacity, &count) and handle them, until it gives MESHNET_ERROR_TIMED_OUT.
 *     Messages to one peer have a queue of their own: meshnet_message_fd and meshnet_receive_many go the same way.
 *     Each call that can block has a twin ending in _start, which returns at once with a ticket; its result comes as the event
 *     MESHNET_EVENT_COMPLETED with that ticket. Nothing else in this header is needed to serve a loop without blocking it.
 *
 * SECTIONS    1 versions   2 errors   3 keys   4 a node   5 events   6 peers   7 messages   8 streams   9 measuring
 *             10 without blocking   11 every option   12 discovery   13 messages to one peer
 */
#ifndef MESHNET_H
#define MESHNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define MESHNET_API __attribute__((visibility("default")))
/* The result says whether the call did anything: not to look at it is a mistake. */
#define MESHNET_CHECK __attribute__((warn_unused_result))
#else
#define MESHNET_API
#define MESHNET_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1 Versions ------------------------------------------------------------------------------------------------------------ */

#define MESHNET_VERSION_MAJOR 0
#define MESHNET_VERSION_MINOR 1
#define MESHNET_VERSION_PATCH 0
#define MESHNET_VERSION_TEXT "0.1.0"

/* Counts incompatible changes and is the number in the file name libmeshnet.so.0. 0: may still change before release 1.0. */
#define MESHNET_ABI_VERSION 0

/* The version of the library that is loaded, such as "0.1.0"; static. Blocks: no. Since 0.1. */
MESHNET_API const char *meshnet_version(void);

/* The ABI version of the library that is loaded: to be compared with MESHNET_ABI_VERSION by those who load it at run time.
   Blocks: no. Since 0.1. */
MESHNET_API int32_t meshnet_abi_version(void);

/* ---- 2 Errors -------------------------------------------------------------------------------------------------------------- */

/* The values are fixed. A program must expect codes that its header does not have yet. */
enum meshnet_error {
    MESHNET_OK = 0,

    /* What was passed in. */
    MESHNET_ERROR_INVALID_ARGUMENT = -1,        /* NULL, a length or a number that the function does not take */
    MESHNET_ERROR_INVALID_HANDLE = -2,          /* not a handle of this kind, or one that was freed */
    MESHNET_ERROR_STRUCT_SIZE = -3,             /* struct_size is not that of any known version of the struct */
    MESHNET_ERROR_INVALID_ADDRESS = -4,         /* not a multiaddr, or one that cannot be used here */
    MESHNET_ERROR_INVALID_PEER_ID = -5,         /* not the text of a peer id */
    MESHNET_ERROR_INVALID_KEY = -6,             /* a secret or pre-shared key that is none, or missing with LIBP2P_FORCE_PNET=1 */
    MESHNET_ERROR_INVALID_TOPIC = -7,           /* empty, too long or not UTF-8 */
    MESHNET_ERROR_INVALID_PROTOCOL = -8,        /* not a protocol id such as "/chat/1.0.0", or none given */
    MESHNET_ERROR_BUFFER_TOO_SMALL = -9,        /* the text does not fit in the buffer: use the size macros */

    /* How a call ended. */
    MESHNET_ERROR_CLOSED = -20,                 /* the node is closed, or belongs to the parent of this process */
    MESHNET_ERROR_TIMED_OUT = -21,              /* nothing happened in time */
    MESHNET_ERROR_CANCELLED = -22,              /* meshnet_cancel, or a disconnect during the dial */
    MESHNET_ERROR_BUSY = -23,                   /* another read (or write) of this stream is under way */

    /* This machine. */
    MESHNET_ERROR_NO_MEMORY = -40,
    MESHNET_ERROR_SYSTEM = -41,                 /* a system call failed: see system_errno */
    MESHNET_ERROR_KEY_FILE = -42,               /* a key file cannot be read, written or understood; system_errno when a call failed */
    MESHNET_ERROR_PORT_IN_USE = -43,            /* another program listens on this port */
    MESHNET_ERROR_LISTEN_FAILED = -44,          /* the address to listen on cannot be had: see system_errno */
    MESHNET_ERROR_LIMIT_REACHED = -45,          /* a limit of meshnet_limits_t is reached: the detail names it */

    /* Reaching a peer. */
    MESHNET_ERROR_REFUSED = -60,                /* nobody listens at the address */
    MESHNET_ERROR_UNREACHABLE = -61,            /* no way to the host: see system_errno */
    MESHNET_ERROR_UNRESOLVED = -62,             /* the host name has no address */
    MESHNET_ERROR_UNSUPPORTED_ADDRESS = -63,    /* a multiaddr of a transport that this library does not speak */
    MESHNET_ERROR_WRONG_PEER = -64,             /* somebody else than the peer id of the address answered */
    MESHNET_ERROR_SELF_DIAL = -65,              /* the address is our own */
    MESHNET_ERROR_HANDSHAKE_FAILED = -66,       /* connected, but security or muxer failed */
    MESHNET_ERROR_NO_ADDRESSES = -67,           /* no address of the peer is known */
    MESHNET_ERROR_NOT_CONNECTED = -68,          /* no connection with this peer */
    MESHNET_ERROR_OTHER_NETWORK = -69,          /* another network or secret: the peer's bytes are not of our private network */

    /* Messages. */
    MESHNET_ERROR_NO_PEERS_SUBSCRIBED = -80,    /* nobody we are connected with follows the topic */
    MESHNET_ERROR_QUEUES_FULL = -81,            /* every peer that would get the message is too slow */
    MESHNET_ERROR_MESSAGE_TOO_LARGE = -82,      /* larger than maximum_message_size */
    MESHNET_ERROR_NOT_SUBSCRIBED = -83,         /* unknown topic: followed neither by us nor by a connected peer */
    MESHNET_ERROR_DUPLICATE_MESSAGE = -84,      /* the same message was published before (only where ids are made from the content) */

    /* Streams. */
    MESHNET_ERROR_PROTOCOL_NOT_SUPPORTED = -100, /* the peer speaks none of the protocol ids */
    MESHNET_ERROR_NO_SUCH_STREAM = -101,        /* never opened, or closed by us */
    MESHNET_ERROR_STREAM_RESET = -102,          /* reset by the peer or lost with its connection */
    MESHNET_ERROR_STREAM_CLOSED = -103,         /* our writing side is closed already */

    /* Messages to one peer (section 13). */
    MESHNET_ERROR_EXPIRED = -120,               /* the deadline passed before the peer acknowledged the message */
    MESHNET_ERROR_QUEUE_FULL = -121,            /* the peer's queue is full, and the message was not to wait */
    MESHNET_ERROR_DISPLACED = -122,             /* a newer message took the place of this one in a full queue */
    MESHNET_ERROR_PEER_RESTARTED = -123,        /* the peer came back without its state: whether it had the message is not known */
    MESHNET_ERROR_PEER_CLOSED = -124,           /* the channel was closed on purpose, here or by the peer: the detail tells */
    MESHNET_ERROR_GAVE_UP = -125,               /* the peer could not be reached in the number of attempts allowed */
    MESHNET_ERROR_STORAGE = -126                /* the state directory cannot be used: full, damaged, or in use by another process */
};

/* One sentence about a code, static and never NULL. The wording may change: compare codes. Blocks: no. Since 0.1. */
MESHNET_API const char *meshnet_strerror(int32_t code);

/* What to do about a code, static and never NULL ("" for MESHNET_OK and unknown codes). Blocks: no. Since 0.1. */
MESHNET_API const char *meshnet_error_hint(int32_t code);

/* The name of a code as in this header, such as "MESHNET_ERROR_CLOSED"; static, NULL for unknown codes. Blocks: no. Since 0.1. */
MESHNET_API const char *meshnet_error_name(int32_t code);

/* The account of one failure. Texts end with NUL and are shortened at a character boundary when they do not fit. */
typedef struct meshnet_error_info {
    uint32_t struct_size;
    int32_t code;
    int32_t system_errno; /* of the system call that failed, 0 when none did */
    char detail[512];     /* what happened, with the values: "port 4001 is in use on 0.0.0.0" */
    char hint[256];       /* what to do about it */
} meshnet_error_info_t;

/* Copies the account of the last call on this thread that returned a negative code. Calls that succeed leave the account alone;
   before the first failure it is MESHNET_OK with empty texts. MESHNET_ERROR_TIMED_OUT of meshnet_next_event(s) is no failure here.
   Call as meshnet_last_error(&info, sizeof info), on the thread of the failed call. Blocks: no.
   Errors: INVALID_ARGUMENT (info NULL), STRUCT_SIZE (too small for the code). Since 0.1. */
MESHNET_API int32_t meshnet_last_error(meshnet_error_info_t *info, size_t struct_size);

/* ---- 3 Keys ---------------------------------------------------------------------------------------------------------------- */

/* An Ed25519 key pair: who a node is. Methods: meshnet_keypair_*. Destructor: meshnet_keypair_free. */
typedef struct meshnet_keypair meshnet_keypair_t;

#define MESHNET_SECRET_SIZE 32        /* bytes of a secret */
#define MESHNET_PEER_ID_TEXT_SIZE 64  /* bytes that hold the text of any peer id with its NUL */

/* The macros as functions, for those who cannot read macros. Blocks: no. Since 0.1. */
MESHNET_API size_t meshnet_secret_size(void);
MESHNET_API size_t meshnet_peer_id_text_size(void);

/* Makes a new key pair from the kernel's random source. Blocks: no. Errors: INVALID_ARGUMENT, SYSTEM. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_keypair_generate(meshnet_keypair_t **keypair);

/* The key pair of a 32-byte secret (an Ed25519 seed). Blocks: no. Errors: INVALID_ARGUMENT, INVALID_KEY (length). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_keypair_from_secret(const uint8_t *secret, size_t secret_length, meshnet_keypair_t **keypair);

/* Reads a key file: libp2p's private key protobuf, as go-libp2p and meshnet_keypair_save write it. Blocks: for the file.
   Errors: INVALID_ARGUMENT, KEY_FILE (system_errno ENOENT: there is no such file). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_keypair_load(const char *path, meshnet_keypair_t **keypair);

/* Writes a key file that only its owner can read (mode 0600). A file that exists is never replaced: KEY_FILE with EEXIST.
   Blocks: for the file, until it is on the disk. Errors: INVALID_ARGUMENT, INVALID_HANDLE, KEY_FILE. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_keypair_save(const meshnet_keypair_t *keypair, const char *path);

/* Copies the secret, MESHNET_SECRET_SIZE bytes. Whoever has it is this node. Blocks: no.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, BUFFER_TOO_SMALL. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_keypair_secret(const meshnet_keypair_t *keypair, uint8_t *secret, size_t capacity);

/* Writes the peer id in its base58 form ("12D3KooW…") with NUL; MESHNET_PEER_ID_TEXT_SIZE bytes always suffice. Blocks: no.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, BUFFER_TOO_SMALL. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_keypair_peer_id(const meshnet_keypair_t *keypair, char *text, size_t capacity);

/* Forgets the key pair and wipes its secret once no node uses it. NULL does nothing. Blocks: no. Since 0.1. */
MESHNET_API void meshnet_keypair_free(meshnet_keypair_t *keypair);

/* ---- 4 A node -------------------------------------------------------------------------------------------------------------- */

/* A running node. Methods: all functions that take it. Destructor: meshnet_node_free. */
typedef struct meshnet_node meshnet_node_t;

/* Waits without end. */
#define MESHNET_FOREVER (-1)

/* Starts a node that listens on `listen_port` of every interface (0: the kernel picks a port) and keeps trying to stay connected with
   the bootstrap peers, multiaddrs such as "/ip4/10.0.0.1/tcp/4001" or "/dns4/host/tcp/4001/p2p/12D3KooW…".
   All arguments are required; bootstrap_peers may be NULL with bootstrap_peer_count 0.
   A bootstrap address that cannot be used does not stop the node: it is reported by MESHNET_EVENT_ADDRESS_PROBLEM and by
   meshnet_address_problems. A host name where an IP address belongs, "/ip4/host/tcp/4001", is reported and read as "/dns4/host/tcp/4001".
   The node keeps the key pair: it may be freed at once. Blocks: no.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, PORT_IN_USE, LISTEN_FAILED, LIMIT_REACHED (of descriptors or threads). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_node_new(const meshnet_keypair_t *identity,
                                                   const char *const *bootstrap_peers,
                                                   size_t bootstrap_peer_count,
                                                   uint16_t listen_port,
                                                   meshnet_node_t **node);

typedef struct meshnet_config meshnet_config_t; /* section 11 */

/* Starts a node with every option of section 11. Otherwise as meshnet_node_new.
   Errors: those of meshnet_node_new, STRUCT_SIZE, INVALID_ADDRESS (of listen_addresses), INVALID_KEY (pre_shared_key). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_node_open(const meshnet_config_t *config, meshnet_node_t **node);

/* Stops the node: connections end, its thread ends, blocked calls return MESHNET_ERROR_CLOSED, tickets complete with that code, and
   lent buffers are yours again when it returns MESHNET_OK. Events that wait can still be fetched; the last is MESHNET_EVENT_CLOSED.
   The second close returns MESHNET_ERROR_CLOSED and does nothing. May be called from any thread, also between fetching an event
   and freeing it. Blocks: under 1 s. Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED. Since 0.1. */
MESHNET_API int32_t meshnet_node_close(meshnet_node_t *node);

/* Closes the node if it is open and gives the handle up, the descriptor of meshnet_event_fd included: take that out of your loop before.
   Events and lists fetched before stay valid until they are freed. Calls of other threads on the node end with CLOSED. NULL and a
   handle freed before do nothing. Blocks: under 1 s. Since 0.1. */
MESHNET_API void meshnet_node_free(meshnet_node_t *node);

/* Writes the node's peer id, as meshnet_keypair_peer_id does; also after close. Blocks: no.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, BUFFER_TOO_SMALL. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_node_peer_id(meshnet_node_t *node, char *text, size_t capacity);

/* Texts. */
typedef struct meshnet_string_list {
    size_t count;
    const char *const *items;
} meshnet_string_list_t;

/* Releases a list. NULL does nothing. Since 0.1. */
MESHNET_API void meshnet_string_list_free(meshnet_string_list_t *list);

/* The addresses at which the node can be dialled: real ports, and one entry for each interface address where it listens on all.
   Without "/p2p/<peer id>". Empty for a node that does not listen. Blocks: no. Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_listen_addresses(meshnet_node_t *node, meshnet_string_list_t **addresses);

/* A configured address that is not used as it stands. */
typedef struct meshnet_address_problem {
    const char *text;         /* as it was given */
    const char *reason;       /* what is wrong with it and what to write instead */
    const char *used_instead; /* the address that is used in its place; NULL when the entry is left out */
} meshnet_address_problem_t;

typedef struct meshnet_address_problem_list {
    size_t count;
    const meshnet_address_problem_t *const *items;
} meshnet_address_problem_list_t;

/* Releases a list. NULL does nothing. Since 0.1. */
MESHNET_API void meshnet_address_problem_list_free(meshnet_address_problem_list_t *list);

/* The configured addresses that are not used as they stand. Blocks: one turn. Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_address_problems(meshnet_node_t *node, meshnet_address_problem_list_t **problems);

/* ---- 5 Events -------------------------------------------------------------------------------------------------------------- */

/* Behind each type: the fields of meshnet_event_t that it sets. All others are 0, NULL or false. */
enum meshnet_event_type {
    MESHNET_EVENT_LISTENING = 1,         /* address */
    MESHNET_EVENT_CONNECTED = 2,         /* peer_id address direction; one event per peer, however many dials raced */
    MESHNET_EVENT_DISCONNECTED = 3,      /* peer_id address direction cause detail system_errno; the last connection with the peer ended */
    MESHNET_EVENT_MESSAGE = 4,           /* topic data origin (NULL: unsigned) peer_id (the neighbour that delivered it) retained */
    MESHNET_EVENT_SUBSCRIPTION = 5,      /* peer_id topic subscribed */
    MESHNET_EVENT_IDENTIFIED = 6,        /* peer_id agent_version protocol_version protocols listen_addresses observed_address (or NULL) */
    MESHNET_EVENT_STREAM_OPENED = 7,     /* stream peer_id protocol_id; a peer opened a stream of a protocol that we accept */
    MESHNET_EVENT_DIAL_FAILED = 8,       /* address peer_id (or NULL) cause code detail hint system_errno retry_after_ms */
    MESHNET_EVENT_ADDRESS_PROBLEM = 9,   /* address (as given) detail (what is wrong, what to write) used_instead (or NULL) */
    MESHNET_EVENT_MESSAGES_DROPPED = 10, /* dropped_count; you read too slowly */
    MESHNET_EVENT_COMPLETED = 11,        /* ticket code; with an error: detail hint system_errno; else what section 10 says */
    MESHNET_EVENT_CLOSED = 12,           /* the node is closed; always the last, and given once */
    MESHNET_EVENT_DISCOVERED = 13,       /* peer_id (or NULL) addresses source interface_name (or NULL); a peer was found: see section 12 */
    MESHNET_EVENT_DISCOVERY_SOURCE = 14, /* source source_state; when it failed: source_failure detail hint retry_after_ms */
    MESHNET_EVENT_DUPLICATE_IDENTITY = 15, /* address detail hint; another node is alive with our identity. Both are told, at most once a minute */
    MESHNET_EVENT_CHANNEL = 16,          /* peer_id channel_change, and what enum meshnet_channel_change says; see section 13 */
    MESHNET_EVENT_MEMBERS = 17,          /* topic peers (peer_id alone is set); who followed the topic when we began to */
    MESHNET_EVENT_WOKE = 18,             /* after_ms; the machine slept or the process stood still: every wait for a peer was cut short */
    MESHNET_EVENT_STORAGE = 19,          /* storage_problem code detail hint path set_aside_as (or NULL); the state directory cannot be used as it should */
    MESHNET_EVENT_ACCEPTED = 20          /* ticket; a message is in its queue: comes before its MESHNET_EVENT_COMPLETED where reports_acceptance asks for it */
};

enum meshnet_direction {
    MESHNET_DIRECTION_INBOUND = 1, /* the peer dialled us */
    MESHNET_DIRECTION_OUTBOUND = 2 /* we dialled the peer */
};

/* Why a connection ended: `cause` of MESHNET_EVENT_DISCONNECTED. */
enum meshnet_disconnect_cause {
    MESHNET_DISCONNECT_CLOSED_BY_US = 1,       /* meshnet_disconnect */
    MESHNET_DISCONNECT_SHUTDOWN = 2,           /* the node is closing */
    MESHNET_DISCONNECT_CLOSED_BY_PEER = 3,     /* in good order */
    MESHNET_DISCONNECT_CONNECTION_LOST = 4,    /* the kernel says so: see system_errno */
    MESHNET_DISCONNECT_TIMED_OUT = 5,          /* pings stayed unanswered */
    MESHNET_DISCONNECT_PROTOCOL_VIOLATION = 6, /* the peer broke a rule: the detail names it */
    MESHNET_DISCONNECT_DUPLICATE = 7,          /* a second connection with the same peer; the other was kept */
    MESHNET_DISCONNECT_LIMIT_REACHED = 8       /* the detail names the limit */
};

/* Why a dial failed: `cause` of MESHNET_EVENT_DIAL_FAILED. */
enum meshnet_dial_cause {
    MESHNET_DIAL_REFUSED = 1,
    MESHNET_DIAL_UNREACHABLE = 2,
    MESHNET_DIAL_TIMED_OUT = 3,
    MESHNET_DIAL_UNRESOLVED = 4,
    MESHNET_DIAL_UNSUPPORTED_ADDRESS = 5,
    MESHNET_DIAL_WRONG_PEER = 6,
    MESHNET_DIAL_SELF_DIAL = 7,
    MESHNET_DIAL_HANDSHAKE_FAILED = 8,
    MESHNET_DIAL_LIMIT_REACHED = 9,
    MESHNET_DIAL_CANCELLED = 10,
    MESHNET_DIAL_NO_ADDRESSES = 11,
    MESHNET_DIAL_OTHER_NETWORK = 12
};

/* A stream: a handle within its node, never reused. It is yours until meshnet_stream_close or meshnet_stream_reset, which every stream needs, also
   after its end or an error; after them it gives MESHNET_ERROR_NO_SUCH_STREAM. 0 is none. */
typedef struct meshnet_stream {
    uint64_t id;
} meshnet_stream_t;

/* A call that was started, unique within its node, never reused. 0 is none. */
typedef struct meshnet_ticket {
    uint64_t id;
} meshnet_ticket_t;

/* A connected peer. */
typedef struct meshnet_peer {
    const char *peer_id;
    const char *address; /* the remote address of the connection; NULL in the list of meshnet_topic_peers */
    int32_t direction;   /* enum meshnet_direction; 0 in the list of meshnet_topic_peers */
} meshnet_peer_t;

typedef struct meshnet_peer_list {
    size_t count;
    const meshnet_peer_t *const *items;
} meshnet_peer_list_t;

/* Releases a list. NULL does nothing. Since 0.1. */
MESHNET_API void meshnet_peer_list_free(meshnet_peer_list_t *list);

typedef struct meshnet_discovery_table meshnet_discovery_table_t; /* section 12 */
typedef struct meshnet_diagnosis meshnet_diagnosis_t;             /* section 12 */
typedef struct meshnet_message meshnet_message_t;                 /* section 13 */
typedef struct meshnet_channel_list meshnet_channel_list_t;       /* section 13 */

/* One event. Everything in it lives until meshnet_event_free. Fields that the type does not set are 0, NULL or false, so that reading
   a wrong one shows nothing rather than garbage. */
typedef struct meshnet_event {
    int32_t type;         /* enum meshnet_event_type; skip types that you do not know */
    int32_t code;         /* enum meshnet_error: of the completed call; of the same dial made by meshnet_connect */
    int32_t cause;        /* enum meshnet_disconnect_cause or meshnet_dial_cause */
    int32_t direction;    /* enum meshnet_direction */
    int32_t system_errno; /* 0 when no system call failed */
    bool subscribed;      /* the peer follows the topic now, or no longer does */
    bool changed;         /* the completed call changed something */

    const char *peer_id;
    const char *address;
    const char *topic;    /* of a peer's own topic with a NUL inside: topic_length counts on */
    size_t topic_length;
    const uint8_t *data;  /* never NULL in a message; followed by a NUL that is not counted */
    size_t data_length;
    const char *origin;

    const char *detail;   /* what happened, with the values */
    const char *hint;     /* what to do about it */
    const char *used_instead;
    int64_t retry_after_ms; /* until the next try; -1: nobody tries again */
    uint64_t dropped_count;

    meshnet_stream_t stream;
    const char *protocol_id;

    const char *agent_version;
    const char *protocol_version;
    const char *observed_address;
    const meshnet_string_list_t *protocols;
    const meshnet_string_list_t *listen_addresses;

    meshnet_ticket_t ticket;
    size_t length;        /* bytes read or written */
    int64_t round_trip_ns;
    int64_t upload_ns;
    int64_t download_ns;
    const meshnet_peer_list_t *peers;
    const meshnet_address_problem_list_t *problems;

    int32_t source;         /* enum meshnet_discovery_source */
    int32_t source_state;   /* enum meshnet_source_state */
    int32_t source_failure; /* enum meshnet_source_failure; 0 when the source works */
    const char *interface_name;
    const meshnet_string_list_t *addresses; /* of the peer that was found, in the order in which they are dialled */
    const meshnet_discovery_table_t *discovery;
    const meshnet_diagnosis_t *diagnosis;

    int32_t channel_change;  /* enum meshnet_channel_change */
    int32_t storage_problem; /* enum meshnet_storage_problem */
    uint64_t message_count;
    uint64_t attempts;
    int64_t after_ms;
    bool by_us;              /* done here; false: by the peer */
    bool inbound;            /* about what the peer sends; false: about what we send */
    const char *path;
    const char *set_aside_as;
    const meshnet_message_t *reply; /* lives as long as the event: not to be freed */
    const meshnet_channel_list_t *channels;
    bool retained;           /* the last value of the topic, from before we followed it: see meshnet_publish_retained */
} meshnet_event_t;

/* The next event, to be freed with meshnet_event_free. Several threads may wait; each event goes to one of them, in order.
   Blocks: up to timeout_ms. Errors: INVALID_ARGUMENT, INVALID_HANDLE, TIMED_OUT (nothing came), CLOSED (closed, and every event
   was fetched), NO_MEMORY (the event is lost). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_next_event(meshnet_node_t *node, int32_t timeout_ms, meshnet_event_t **event);

/* As meshnet_next_event, but waits for the first only and takes up to `capacity` events that wait, in order. `events` is an array of
   `capacity` (at least 1) pointers; *count (required) tells how many were filled, each to be freed with meshnet_event_free.
   Blocks: up to timeout_ms. Errors: as meshnet_next_event. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_next_events(meshnet_node_t *node, int32_t timeout_ms,
                                                      meshnet_event_t **events, size_t capacity, size_t *count);

/* A descriptor that poll, epoll and select show as readable while events wait, and for good once the node is closed. Level-triggered.
   It is the node's until meshnet_node_free: never read, write or close it. Returns the descriptor (0 or more) or an error. Blocks: no.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED (after fork). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_event_fd(meshnet_node_t *node);

/* For a loop that is about to sleep and was answered as quickly before: serves the node on this thread, without sleeping, until an event or message waits, for
   0.2 ms at most; no longer than a moment where others want the processor. To be woken by a descriptor takes longer than a short round trip itself.
   OK: something waits, or the node is closed. Blocks: 0.2 ms. Errors: INVALID_ARGUMENT, INVALID_HANDLE, TIMED_OUT (none came), CLOSED (after fork).
   Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_look(meshnet_node_t *node);

/* Releases an event and all it points to. NULL does nothing. Blocks: no. Since 0.1. */
MESHNET_API void meshnet_event_free(meshnet_event_t *event);

/* The name of an event type, such as "connected"; static, NULL for unknown types. Blocks: no. Since 0.1. */
MESHNET_API const char *meshnet_event_type_name(int32_t type);

/* The name of a cause, such as "closed by peer"; static, NULL for unknown causes. Blocks: no. Since 0.1. */
MESHNET_API const char *meshnet_disconnect_cause_name(int32_t cause);
MESHNET_API const char *meshnet_dial_cause_name(int32_t cause);

/* ---- 6 Peers --------------------------------------------------------------------------------------------------------------- */

/* Connects with the peer at a multiaddr (read as bootstrap peers are), or finds that it is connected.
   `peer_id` (may be NULL with capacity 0) gets the text of the peer's id.
   The connection stays until meshnet_disconnect or until it breaks; it is not dialled again by itself: that is what bootstrap peers are for.
   When the time is over the attempt goes on without you. Blocks: up to timeout_ms.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_ADDRESS, BUFFER_TOO_SMALL, CLOSED, TIMED_OUT, CANCELLED, LIMIT_REACHED, REFUSED, UNREACHABLE,
   UNRESOLVED, UNSUPPORTED_ADDRESS, WRONG_PEER, SELF_DIAL, HANDSHAKE_FAILED, NO_ADDRESSES. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_connect(meshnet_node_t *node, const char *address, int32_t timeout_ms,
                                                  char *peer_id, size_t capacity);

/* Ends the connection with a peer. A bootstrap peer will be dialled again. Blocks: one turn.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_PEER_ID, CLOSED, NOT_CONNECTED. Since 0.1. */
MESHNET_API int32_t meshnet_disconnect(meshnet_node_t *node, const char *peer_id);

/* The peers that are connected now, ordered by peer id. Blocks: one turn. Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_peers(meshnet_node_t *node, meshnet_peer_list_t **peers);

/* Adds an address that the node keeps trying to be connected with. Blocks: one turn.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_ADDRESS, CLOSED, LIMIT_REACHED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_add_bootstrap_peer(meshnet_node_t *node, const char *address);

/* No longer keeps the connection with this address up; one that stands stays. Blocks: one turn.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_ADDRESS, CLOSED. Since 0.1. */
MESHNET_API int32_t meshnet_remove_bootstrap_peer(meshnet_node_t *node, const char *address);

/* ---- 7 Messages (gossipsub) ------------------------------------------------------------------------------------------------ */

/* Follows a topic: its messages come as MESHNET_EVENT_MESSAGE. *changed (may be NULL) is false when it was followed already.
   Blocks: one turn. Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_TOPIC, CLOSED, LIMIT_REACHED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_subscribe(meshnet_node_t *node, const char *topic, bool *changed);

/* No longer follows a topic. *changed (may be NULL) is false when it was not followed.
   Blocks: one turn. Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_TOPIC, CLOSED. Since 0.1. */
MESHNET_API int32_t meshnet_unsubscribe(meshnet_node_t *node, const char *topic, bool *changed);

/* Sends a message to everybody who follows the topic; we need not follow it ourselves, and do not get our own messages. MESHNET_OK means
   that it waits in the queue of at least one peer. `data` may be NULL with length 0. Blocks: one turn.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_TOPIC, CLOSED, NO_PEERS_SUBSCRIBED, QUEUES_FULL, MESSAGE_TOO_LARGE,
   DUPLICATE_MESSAGE. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_publish(meshnet_node_t *node, const char *topic, const uint8_t *data, size_t length);

/* Bytes of yours. */
typedef struct meshnet_bytes {
    const uint8_t *data; /* may be NULL with length 0 */
    size_t length;
} meshnet_bytes_t;

/* As meshnet_publish, for `count` (at least 1) messages in order, at the cost of one call. *published (may be NULL) tells how many were published, also
   after an error; the next message is the cause of it, and none behind it was published.
   Blocks: one turn for each 256 messages. Errors: as meshnet_publish, and LIMIT_REACHED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_publish_many(meshnet_node_t *node, const char *topic, const meshnet_bytes_t *messages, size_t count,
                                                       size_t *published);

/* The connected peers that follow a topic (peer_id alone is set), ordered by peer id. Blocks: one turn.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_TOPIC, NOT_SUBSCRIBED (neither we nor anyone connected follows it), CLOSED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_topic_peers(meshnet_node_t *node, const char *topic, meshnet_peer_list_t **peers);

/* As meshnet_publish; the message is also kept, by us and by everybody who follows the topic, as the topic's last value: who follows it later gets it from
   one of them, as a message with `retained` set. Succeeds also where nobody follows the topic yet. Of at most 1 MiB. Peers without the protocol
   (docs/protocols/retained.md) see an ordinary message. Blocks: one turn.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_TOPIC, CLOSED, MESSAGE_TOO_LARGE, DUPLICATE_MESSAGE, LIMIT_REACHED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_publish_retained(meshnet_node_t *node, const char *topic, const uint8_t *data, size_t length);

/* Waits until `count` connected peers follow the topic; we need not follow it. *peers (may be NULL) are those that follow it then, as by meshnet_topic_peers.
   Blocks: up to timeout_ms. Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_TOPIC, CLOSED, TIMED_OUT, LIMIT_REACHED (1,024 such calls). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_wait_for_peers(meshnet_node_t *node, const char *topic, size_t count, int32_t timeout_ms,
                                                         meshnet_peer_list_t **peers);

/* ---- 8 Streams ------------------------------------------------------------------------------------------------------------- */

/* Opens a stream to a connected peer for the first of the protocol ids (in order of preference) that it speaks.
   *protocol_index (may be NULL) tells which one that is. Blocks: up to timeout_ms.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_PEER_ID, INVALID_PROTOCOL, CLOSED, TIMED_OUT, NOT_CONNECTED, PROTOCOL_NOT_SUPPORTED,
   STREAM_RESET, LIMIT_REACHED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_stream_open(meshnet_node_t *node, const char *peer_id,
                                                      const char *const *protocol_ids, size_t protocol_id_count,
                                                      int32_t timeout_ms, meshnet_stream_t *stream, size_t *protocol_index);

/* Accepts streams that peers open for a protocol id: each comes as MESHNET_EVENT_STREAM_OPENED. *changed (may be NULL) is false when it was
   accepted already. Blocks: one turn. Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_PROTOCOL, CLOSED, LIMIT_REACHED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_accept(meshnet_node_t *node, const char *protocol_id, bool *changed);

/* No longer accepts new streams of a protocol id. Blocks: one turn. Errors: as meshnet_accept. Since 0.1. */
MESHNET_API int32_t meshnet_stop_accepting(meshnet_node_t *node, const char *protocol_id, bool *changed);

/* Reads what has arrived, at most `capacity` (at least 1) bytes; waits until there is something. *count (required) 0 with MESHNET_OK is the end:
   the peer closed its side. When the time is over nothing was taken. One read of a stream at a time. Blocks: up to timeout_ms.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED, TIMED_OUT, BUSY, NO_SUCH_STREAM, STREAM_RESET. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_stream_read(meshnet_node_t *node, meshnet_stream_t stream, uint8_t *buffer, size_t capacity,
                                                      int32_t timeout_ms, size_t *count);

/* Writes all bytes: MESHNET_OK when every one is in the connection's send buffer. `data` may be NULL with length 0. After any error a part may
   have been sent: reset the stream unless your protocol can tell. One write of a stream at a time. Blocks: up to timeout_ms.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED, TIMED_OUT, BUSY, NO_SUCH_STREAM, STREAM_RESET, STREAM_CLOSED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_stream_write(meshnet_node_t *node, meshnet_stream_t stream, const uint8_t *data, size_t length,
                                                       int32_t timeout_ms);

/* Tells the peer that no more bytes will come; reading goes on. Twice is MESHNET_OK. Blocks: no.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED, NO_SUCH_STREAM. Since 0.1. */
MESHNET_API int32_t meshnet_stream_close_write(meshnet_node_t *node, meshnet_stream_t stream);

/* Closes both directions in order: what was written is still sent, what arrives is thrown away. The handle is gone; a read or write under
   way ends with STREAM_CLOSED. Blocks: no.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED, NO_SUCH_STREAM. Since 0.1. */
MESHNET_API int32_t meshnet_stream_close(meshnet_node_t *node, meshnet_stream_t stream);

/* Drops the stream at once; the peer sees MESHNET_ERROR_STREAM_RESET. The handle is gone; a read or write under way ends with
   STREAM_CLOSED. Blocks: no.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED, NO_SUCH_STREAM. Since 0.1. */
MESHNET_API int32_t meshnet_stream_reset(meshnet_node_t *node, meshnet_stream_t stream);

/* ---- 9 Measuring ----------------------------------------------------------------------------------------------------------- */

/* One libp2p ping with a connected peer; *round_trip_ns (required) in nanoseconds. Blocks: up to timeout_ms.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_PEER_ID, CLOSED, TIMED_OUT, NOT_CONNECTED, PROTOCOL_NOT_SUPPORTED, STREAM_RESET. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_ping(meshnet_node_t *node, const char *peer_id, int32_t timeout_ms, int64_t *round_trip_ns);

/* Measures throughput by /perf/1.0.0: sends `upload` bytes, then receives `download` bytes. The times (may be NULL) are in nanoseconds, each
   from its first byte to its last. Blocks: up to timeout_ms. Errors: as meshnet_ping. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_perf(meshnet_node_t *node, const char *peer_id, uint64_t upload, uint64_t download, int32_t timeout_ms,
                                               int64_t *upload_ns, int64_t *download_ns);

/* ---- 10 Without blocking --------------------------------------------------------------------------------------------------- */

/* Each starts the call of the same name. MESHNET_OK means that exactly one MESHNET_EVENT_COMPLETED with *ticket (required) will come, with
   the code that the blocking call would have returned and, in the fields named here, its results; another thread may fetch it before
   this call has returned. An error means that none will come.
   There is no time limit but that of the node's options: meshnet_cancel ends a call that you no longer wait for.
   Blocks: no. Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED, LIMIT_REACHED (65,536 completions unfetched), and those of the blocking call that
   can be told at once: INVALID_ADDRESS, INVALID_PEER_ID, INVALID_TOPIC, INVALID_PROTOCOL, NO_SUCH_STREAM, BUSY. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_connect_start(meshnet_node_t *node, const char *address, meshnet_ticket_t *ticket); /* peer_id address direction */
MESHNET_API MESHNET_CHECK int32_t meshnet_disconnect_start(meshnet_node_t *node, const char *peer_id, meshnet_ticket_t *ticket);
MESHNET_API MESHNET_CHECK int32_t meshnet_peers_start(meshnet_node_t *node, meshnet_ticket_t *ticket); /* peers */
MESHNET_API MESHNET_CHECK int32_t meshnet_address_problems_start(meshnet_node_t *node, meshnet_ticket_t *ticket); /* problems */
MESHNET_API MESHNET_CHECK int32_t meshnet_add_bootstrap_peer_start(meshnet_node_t *node, const char *address, meshnet_ticket_t *ticket);
MESHNET_API MESHNET_CHECK int32_t meshnet_remove_bootstrap_peer_start(meshnet_node_t *node, const char *address, meshnet_ticket_t *ticket);
MESHNET_API MESHNET_CHECK int32_t meshnet_subscribe_start(meshnet_node_t *node, const char *topic, meshnet_ticket_t *ticket); /* changed */
MESHNET_API MESHNET_CHECK int32_t meshnet_unsubscribe_start(meshnet_node_t *node, const char *topic, meshnet_ticket_t *ticket); /* changed */
MESHNET_API MESHNET_CHECK int32_t meshnet_publish_start(meshnet_node_t *node, const char *topic, const uint8_t *data, size_t length,
                                                        meshnet_ticket_t *ticket);
MESHNET_API MESHNET_CHECK int32_t meshnet_topic_peers_start(meshnet_node_t *node, const char *topic, meshnet_ticket_t *ticket); /* peers */
MESHNET_API MESHNET_CHECK int32_t meshnet_publish_retained_start(meshnet_node_t *node, const char *topic, const uint8_t *data, size_t length,
                                                                 meshnet_ticket_t *ticket);
MESHNET_API MESHNET_CHECK int32_t meshnet_wait_for_peers_start(meshnet_node_t *node, const char *topic, size_t count,
                                                               meshnet_ticket_t *ticket); /* peers */
MESHNET_API MESHNET_CHECK int32_t meshnet_stream_open_start(meshnet_node_t *node, const char *peer_id, const char *const *protocol_ids,
                                                            size_t protocol_id_count, meshnet_ticket_t *ticket); /* stream protocol_id */
MESHNET_API MESHNET_CHECK int32_t meshnet_accept_start(meshnet_node_t *node, const char *protocol_id, meshnet_ticket_t *ticket); /* changed */
MESHNET_API MESHNET_CHECK int32_t meshnet_stop_accepting_start(meshnet_node_t *node, const char *protocol_id, meshnet_ticket_t *ticket); /* changed */
MESHNET_API MESHNET_CHECK int32_t meshnet_ping_start(meshnet_node_t *node, const char *peer_id, meshnet_ticket_t *ticket); /* round_trip_ns */
MESHNET_API MESHNET_CHECK int32_t meshnet_perf_start(meshnet_node_t *node, const char *peer_id, uint64_t upload, uint64_t download,
                                                     meshnet_ticket_t *ticket); /* upload_ns download_ns */

/* `buffer` is lent to the node until the completion is fetched or meshnet_node_close has returned.
   Completes with: length (0: the end). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_stream_read_start(meshnet_node_t *node, meshnet_stream_t stream, uint8_t *buffer, size_t capacity,
                                                            meshnet_ticket_t *ticket);
/* `data` is lent to the node until the completion is fetched or meshnet_node_close has returned.
   Completes with: length (all of it). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_stream_write_start(meshnet_node_t *node, meshnet_stream_t stream, const uint8_t *data, size_t length,
                                                             meshnet_ticket_t *ticket);

/* Ends the wait for a started call: it completes with MESHNET_ERROR_CANCELLED, unless it has completed already, in which case nothing changes and
   MESHNET_OK is returned too. Lent buffers are yours with the completion, not before. What was begun with a peer may still take effect.
   Blocks: no. Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED. Since 0.1. */
MESHNET_API int32_t meshnet_cancel(meshnet_node_t *node, meshnet_ticket_t ticket);

/* ---- 11 Every option ------------------------------------------------------------------------------------------------------- */

enum meshnet_signing_policy {
    MESHNET_STRICT_SIGN = 0,   /* messages are signed, and unsigned ones refused: the rule of libp2p networks */
    MESHNET_STRICT_NO_SIGN = 1 /* messages carry neither author nor signature, and signed ones are refused */
};

/* Gossipsub, with the names and defaults of its specification. Initialise with meshnet_gossipsub_options_default. */
typedef struct meshnet_gossipsub_options {
    uint32_t struct_size;
    int32_t signing_policy;          /* enum meshnet_signing_policy; STRICT_SIGN */
    uint32_t maximum_message_size;   /* bytes with topic and signature; 8,388,608. Everybody on a topic should agree on it */
    uint32_t heartbeat_interval_ms;  /* 1,000 */
    uint32_t mesh_degree;            /* D, 6 */
    uint32_t mesh_degree_low;        /* D_lo, 5 */
    uint32_t mesh_degree_high;       /* D_hi, 12 */
    uint32_t mesh_degree_lazy;       /* D_lazy, 6 */
    uint32_t mesh_outbound_minimum;  /* D_out, 2 */
    bool flood_publish;              /* own messages go to every peer of the topic; true */
} meshnet_gossipsub_options_t;

/* Bounds of a node. Initialise with meshnet_limits_default, which fills in the defaults named here. */
typedef struct meshnet_limits {
    uint32_t struct_size;
    uint32_t connections;                      /* in all; 1,024 */
    uint32_t pending_inbound_connections;      /* handshake not finished; 64 */
    uint32_t pending_outbound_connections;     /* attempts under way; 160 */
    uint32_t connections_per_peer;             /* 8 */
    uint32_t inbound_connections_per_address;  /* of one IPv4 address or IPv6 /56, loopback free; 8 */
    uint32_t streams_per_connection;           /* each direction; 256 */
    uint32_t handshake_timeout_ms;             /* 15,000 */
    uint32_t stream_negotiation_timeout_ms;    /* 10,000 */
    uint32_t maximum_stream_window;            /* bytes; 16,777,216 */
    uint32_t send_buffer;                      /* bytes of one connection; 524,288 */
    uint32_t event_queue_count;                /* events that wait for you; 65,536 */
    uint64_t event_queue_bytes;                /* bytes of messages that wait for you; 67,108,864 */
    uint32_t topics;                           /* 1,024 */
    uint32_t pending_accepts;                  /* streams opened by peers that you have not used yet; 1,024 */
    double inbound_rate_per_address;           /* connections a second from one IPv4 address or IPv6 /56, loopback free; 0.2. 0: no limit; up to 1,000,000 */
    double inbound_rate_per_network;           /* the same from one IPv6 /48; 0.5 */
    uint32_t inbound_burst_per_address;        /* so many at once after a pause; 16 */
    uint32_t inbound_burst_per_network;        /* 80 */
} meshnet_limits_t;

typedef struct meshnet_discovery_options meshnet_discovery_options_t; /* section 12 */
typedef struct meshnet_message_options meshnet_message_options_t;     /* section 13 */

/* All about a node. The first four fields are required as in meshnet_node_new; the others come from meshnet_config_default. */
struct meshnet_config {
    uint32_t struct_size;
    uint16_t listen_port;                     /* 0: the kernel picks one. Not used when listen_addresses is given */
    bool listens;                             /* true; false: only dials, and accepts no connection */
    const meshnet_keypair_t *identity;        /* required: NULL until you set it */
    const char *const *bootstrap_peers;       /* may be NULL with count 0 */
    size_t bootstrap_peer_count;

    const char *const *listen_addresses;      /* multiaddrs such as "/ip4/127.0.0.1/tcp/0"; NULL with count 0: all interfaces, IPv4 and IPv6 */
    size_t listen_address_count;
    const uint8_t *pre_shared_key;            /* of a private network: 32 bytes, or the text of a swarm.key file; NULL: the public network */
    size_t pre_shared_key_length;
    const char *agent_version;                /* what identify tells peers; NULL: "meshnet/" and the version */
    uint32_t ping_interval_ms;                /* 15,000; 0: no pings */
    uint32_t ping_timeout_ms;                 /* 20,000; an unanswered ping closes the connection */
    uint32_t dial_timeout_ms;                 /* 10,000; one attempt with its handshake */
    uint32_t backoff_first_ms;                /* 500; bootstrap peers are tried again after a random time below this, doubled each time */
    uint32_t backoff_cap_ms;                  /* 30,000 */
    const meshnet_gossipsub_options_t *gossipsub; /* NULL: the defaults */
    const meshnet_limits_t *limits;           /* NULL: the defaults */

    const meshnet_discovery_options_t *discovery; /* NULL: the defaults, which are mDNS and gossip */
    const char *network;                      /* nodes of another network are not met: isolation, not security; NULL: none */
    const char *secret;                       /* a passphrase, or the text of a swarm.key file: a private network. NULL: none. Not beside pre_shared_key */
    const char *const *protected_peers;       /* peer ids whose connections are never trimmed, beside the bootstrap peers; NULL with count 0 */
    size_t protected_peer_count;
    uint32_t connections_low_water;           /* 100; connections are trimmed down to so many peers */
    uint32_t connections_high_water;          /* 400; more peers than this start a trim */
    uint32_t trim_grace_ms;                   /* 60,000; a younger connection is never trimmed */
    bool reads_environment;                   /* true: what is left at its default is taken from MESHNET_... variables: see docs/discovery.md */

    const meshnet_message_options_t *messages; /* NULL: the defaults, without a state directory */
    uint32_t keepalive_local_idle_ms;         /* 1,000; silence of a peer in a network of ours until the kernel probes it. Whole seconds */
    uint32_t keepalive_local_timeout_ms;      /* 2,500; until its connection is given up */
    uint32_t keepalive_remote_idle_ms;        /* 15,000; the same for all other peers */
    uint32_t keepalive_remote_timeout_ms;     /* 30,000 */
};

/* Each fills a struct with the defaults and its struct_size: meshnet_config_default(&config, sizeof config). Blocks: no.
   Errors: INVALID_ARGUMENT (NULL), STRUCT_SIZE (of no known version). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_config_default(meshnet_config_t *config, size_t struct_size);
MESHNET_API MESHNET_CHECK int32_t meshnet_gossipsub_options_default(meshnet_gossipsub_options_t *options, size_t struct_size);
MESHNET_API MESHNET_CHECK int32_t meshnet_limits_default(meshnet_limits_t *limits, size_t struct_size);

/* ---- 12 Discovery ---------------------------------------------------------------------------------------------------------- */

/* A node finds peers by several sources at once and keeps what they tell in one table, from which it dials. docs/discovery.md explains them. */

/* Which kinds of discovery are on: `modes` of meshnet_discovery_options_t, added up. Bootstrap peers work always, and beside any of these. */
enum meshnet_discovery_mode {
    MESHNET_DISCOVER_NONE = 0,
    MESHNET_DISCOVER_MDNS = 1,      /* the local network */
    MESHNET_DISCOVER_DNS = 2,       /* the names of dns_services, such as a headless service of Kubernetes */
    MESHNET_DISCOVER_GOSSIP = 4,    /* connected peers tell each other whom they know */
    MESHNET_DISCOVER_HEADSCALE = 8, /* the nodes of a Headscale server */
    MESHNET_DISCOVER_TAILSCALE = 16, /* the nodes of a tailnet: by tailscaled on this machine, or by the API of Tailscale */
    MESHNET_DISCOVER_DEFAULT = 32768 /* alone: what the variable MESHNET_DISCOVERY_MODE says, else mDNS and gossip */
};

/* Who speaks mDNS. */
enum meshnet_mdns_backend {
    MESHNET_MDNS_AUTO = 0,     /* our own responder, and Avahi too where its daemon answers */
    MESHNET_MDNS_EMBEDDED = 1,
    MESHNET_MDNS_AVAHI = 2
};

/* What happens with a peer that was found. */
enum meshnet_discovery_policy {
    MESHNET_POLICY_DIAL = 0,
    MESHNET_POLICY_OFFER = 1 /* MESHNET_EVENT_DISCOVERED only: you decide, and connect */
};

/* A Headscale server, 0.22 or newer. Initialise with meshnet_headscale_options_default. */
typedef struct meshnet_headscale_options {
    uint32_t struct_size;
    uint32_t poll_interval_secs;            /* 30; from 1 to 3,600 */
    const char *api_base_url;               /* required: "https://host[:port][/path]" */
    const char *api_key;                    /* required: of `headscale apikeys create`. It rules the whole tailnet. Shown in no log, error or event */
    uint16_t port;                          /* the libp2p port of nodes whose tags name none; 0: such nodes are not dialled */
    bool tags_itself;                       /* false; true: write peer id and port as tags of our own node. Not to be undone: see docs/headscale.md */
    const char *required_tag;               /* only nodes with this tag are dialled; NULL: all */
    const char *certificate_authority_file; /* certificates to trust in place of the system's, PEM; NULL: the system's */
} meshnet_headscale_options_t;

/* A tailnet: through tailscaled on this machine, or through the API when a key or a client is given. Initialise with
   meshnet_tailscale_options_default. */
typedef struct meshnet_tailscale_options {
    uint32_t struct_size;
    uint32_t poll_interval_secs;            /* 30; from 1 to 3,600 */
    const char *socket_path;                /* of tailscaled; NULL: the usual places */
    const char *api_base_url;               /* NULL: "https://api.tailscale.com" */
    const char *api_key;                    /* an access token; NULL: none. Shown in no log, error or event */
    const char *client_id;                  /* an OAuth client in place of a token; NULL: none */
    const char *client_secret;              /* of the client. Shown in no log, error or event */
    uint16_t port;                          /* the libp2p port of nodes whose tags name none; 0: our own */
    const char *required_tag;               /* only nodes with this tag are dialled; NULL: all */
    const char *certificate_authority_file; /* certificates to trust in place of the system's, PEM; NULL: the system's */
} meshnet_tailscale_options_t;

/* How a node finds others. Initialise with meshnet_discovery_options_default. Each array may be NULL with count 0. */
struct meshnet_discovery_options {
    uint32_t struct_size;
    int32_t modes;                         /* of enum meshnet_discovery_mode, added up; MESHNET_DISCOVER_DEFAULT */
    int32_t mdns_backend;                  /* enum meshnet_mdns_backend; AUTO */
    int32_t policy;                        /* enum meshnet_discovery_policy; DIAL */
    const char *service_tag;               /* nodes of one tag find each other by mDNS; NULL: "_p2p._udp", in a private network one of its own */
    const char *app_id;                    /* told in announcements; when set, only announcements with the same one are dialled. 1 to 64 bytes */
    const char *endpoint_id;               /* told in announcements; nothing follows from it. 1 to 64 bytes */
    const char *const *dns_services;       /* "name:port", "_service._proto.name" or "/dnsaddr/name"; at most 32 */
    size_t dns_service_count;
    uint32_t interval_ms;                  /* 30,000; between two lookups of a name. From 1,000 to 3,600,000 */
    uint32_t offer_queue;                  /* 10; discovered peers that wait for you under POLICY_OFFER. Others are offered again later */
    const char *const *allowed_networks;   /* CIDR prefixes: when not empty, addresses outside them are not dialled */
    size_t allowed_network_count;
    const char *const *denied_networks;    /* addresses inside these are not dialled */
    size_t denied_network_count;
    const char *const *allowed_interfaces; /* names, "*" at the end for any ending: where mDNS runs, and where addresses may be heard */
    size_t allowed_interface_count;
    const char *const *denied_interfaces;
    size_t denied_interface_count;
    const char *const *allowed_peers;      /* peer ids: when not empty, no others are dialled */
    size_t allowed_peer_count;
    const meshnet_headscale_options_t *headscale; /* required by MESHNET_DISCOVER_HEADSCALE */
    const meshnet_tailscale_options_t *tailscale; /* NULL: the defaults */
};

/* Each fills a struct with the defaults and its struct_size. Blocks: no.
   Errors: INVALID_ARGUMENT (NULL), STRUCT_SIZE (of no known version). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_discovery_options_default(meshnet_discovery_options_t *options, size_t struct_size);
MESHNET_API MESHNET_CHECK int32_t meshnet_headscale_options_default(meshnet_headscale_options_t *options, size_t struct_size);
MESHNET_API MESHNET_CHECK int32_t meshnet_tailscale_options_default(meshnet_tailscale_options_t *options, size_t struct_size);

/* Changes how a running node finds others, as a whole; NULL: to the defaults. Sources start, stop and change; connections stay. Blocks: one turn.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_PEER_ID (of allowed_peers), STRUCT_SIZE, CLOSED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_discovery_configure(meshnet_node_t *node, const meshnet_discovery_options_t *options);

/* Who found a peer. */
enum meshnet_discovery_source {
    MESHNET_SOURCE_BOOTSTRAP = 1,
    MESHNET_SOURCE_MDNS = 2,  /* our own responder */
    MESHNET_SOURCE_AVAHI = 3, /* mDNS through avahi-daemon */
    MESHNET_SOURCE_DNS = 4,
    MESHNET_SOURCE_GOSSIP = 5,
    MESHNET_SOURCE_HEADSCALE = 6,
    MESHNET_SOURCE_TAILSCALE = 7
};

enum meshnet_source_state {
    MESHNET_SOURCE_STATE_OFF = 0,
    MESHNET_SOURCE_STATE_STARTING = 1, /* on, and not heard of yet */
    MESHNET_SOURCE_STATE_RUNNING = 2,
    MESHNET_SOURCE_STATE_FAILED = 3    /* it tries again by itself; what it knew before holds on */
};

/* Why a source does not work. */
enum meshnet_source_failure {
    MESHNET_SOURCE_FAILURE_NOT_AVAILABLE = 1,     /* the daemon or its socket is not there */
    MESHNET_SOURCE_FAILURE_NO_INTERFACE = 2,
    MESHNET_SOURCE_FAILURE_PORT_IN_USE = 3,
    MESHNET_SOURCE_FAILURE_PERMISSION = 4,
    MESHNET_SOURCE_FAILURE_UNREACHABLE = 5,
    MESHNET_SOURCE_FAILURE_UNRESOLVED = 6,
    MESHNET_SOURCE_FAILURE_UNAUTHORIZED = 7,      /* the key is not accepted */
    MESHNET_SOURCE_FAILURE_KEY_EXPIRED = 8,
    MESHNET_SOURCE_FAILURE_WRONG_KEY_KIND = 9,    /* such as a pre-auth key in place of an API key */
    MESHNET_SOURCE_FAILURE_BAD_CONFIGURATION = 10,
    MESHNET_SOURCE_FAILURE_SERVER_ERROR = 11,     /* the server says that it has a problem */
    MESHNET_SOURCE_FAILURE_BAD_ANSWER = 12,       /* not what was asked for */
    MESHNET_SOURCE_FAILURE_CLOCK_OFF = 13,        /* the clocks differ so much that certificates or keys do not hold */
    MESHNET_SOURCE_FAILURE_INSECURE = 14,
    MESHNET_SOURCE_FAILURE_TIMED_OUT = 15,
    MESHNET_SOURCE_FAILURE_LIMIT_REACHED = 16,
    MESHNET_SOURCE_FAILURE_SYSTEM = 17
};

/* Why something that was found is not dialled. */
enum meshnet_discovery_filter {
    MESHNET_FILTER_OWN = 1,         /* ourselves */
    MESHNET_FILTER_APP_ID = 2,
    MESHNET_FILTER_SERVICE_TAG = 3,
    MESHNET_FILTER_NETWORK = 4,     /* outside the allowed networks, or in a denied one */
    MESHNET_FILTER_INTERFACE = 5,
    MESHNET_FILTER_PEER = 6,        /* not one of the allowed peers */
    MESHNET_FILTER_OFFLINE = 7,     /* the control server says that it is not there */
    MESHNET_FILTER_EXPIRED = 8,
    MESHNET_FILTER_NO_ADDRESS = 9,  /* nothing that a transport here dials */
    MESHNET_FILTER_MALFORMED = 10,
    MESHNET_FILTER_LIMIT = 11,      /* a bound of the table or of the source */
    MESHNET_FILTER_NOT_SIGNED = 12, /* a peer record that its peer did not sign */
    MESHNET_FILTER_NOT_TAGGED = 13  /* a node of the tailnet that does not run us, or may not be dialled */
};

enum meshnet_entry_state {
    MESHNET_ENTRY_CONNECTED = 1,
    MESHNET_ENTRY_DIALLING = 2,
    MESHNET_ENTRY_WAITING = 3,  /* for its next try */
    MESHNET_ENTRY_OFFERED = 4,  /* you decide */
    MESHNET_ENTRY_FILTERED = 5
};

/* How often something happened, by kind. */
typedef struct meshnet_count {
    int32_t kind;
    uint64_t count;
} meshnet_count_t;

typedef struct meshnet_count_list {
    size_t count;
    const meshnet_count_t *const *items;
} meshnet_count_list_t;

typedef struct meshnet_interface_status {
    const char *name;
    uint64_t sent;
    uint64_t heard;
    int32_t failure;    /* of the last try, enum meshnet_source_failure; 0: it works */
    const char *detail; /* of the failure; NULL without one */
    const char *hint;
} meshnet_interface_status_t;

/* One source. Times are milliseconds ago; -1: never. */
typedef struct meshnet_source_status {
    int32_t source;  /* enum meshnet_discovery_source */
    int32_t state;   /* enum meshnet_source_state */
    int32_t failure; /* enum meshnet_source_failure; 0: none */
    const char *detail; /* of the failure; NULL without one */
    const char *hint;
    int64_t retry_after_ms; /* -1: nobody knows */
    uint64_t heard;
    uint64_t dialled;
    uint64_t succeeded;
    meshnet_count_list_t filtered; /* by enum meshnet_discovery_filter, ascending */
    meshnet_count_list_t failed;   /* dials, by enum meshnet_dial_cause, ascending */
    int64_t last_heard_ms;
    int64_t last_success_ms;
    size_t interface_count;
    const meshnet_interface_status_t *const *interfaces;
} meshnet_source_status_t;

/* One address of one source. */
typedef struct meshnet_discovery_entry {
    const char *peer_id; /* NULL: whoever answers there */
    const char *address;
    int32_t source;      /* enum meshnet_discovery_source */
    int32_t state;       /* enum meshnet_entry_state */
    int32_t filter;      /* enum meshnet_discovery_filter; 0: none */
    const char *interface_name; /* where it was heard; NULL: nowhere in particular */
    int64_t heard_ms;    /* ago */
    int64_t expires_ms;  /* from now; -1: not by itself */
    uint64_t attempts;
    int32_t last_cause;  /* enum meshnet_dial_cause of the last failed dial; 0: none */
    const char *last_detail; /* of it; NULL without one */
    int64_t next_try_ms; /* from now; -1: none is planned */
} meshnet_discovery_entry_t;

/* What the sources told, and what became of it. */
struct meshnet_discovery_table {
    size_t source_count;
    const meshnet_source_status_t *const *sources;
    size_t entry_count;
    const meshnet_discovery_entry_t *const *entries;
};

/* The table as it is now. Blocks: one turn. Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_discovery_table(meshnet_node_t *node, meshnet_discovery_table_t **table);

/* Releases a table. NULL does nothing. Since 0.1. */
MESHNET_API void meshnet_discovery_table_free(meshnet_discovery_table_t *table);

/* What a diagnosis found. */
enum meshnet_diagnosis_cause {
    MESHNET_CAUSE_CONNECTED = 1,
    MESHNET_CAUSE_UNKNOWN_PEER = 2,          /* no source told of the peer, and none fails */
    MESHNET_CAUSE_NOTHING_HEARD = 3,         /* mDNS runs and hears nobody: multicast is blocked, or nobody is there */
    MESHNET_CAUSE_NO_MULTICAST_INTERFACE = 4,
    MESHNET_CAUSE_OTHER_SUBNET = 5,          /* heard, or asked for, in a subnet that is not ours */
    MESHNET_CAUSE_FILTERED_APP_ID = 6,
    MESHNET_CAUSE_FILTERED_SERVICE_TAG = 7,
    MESHNET_CAUSE_FILTERED_BY_LIST = 8,      /* an allow or deny list of ours */
    MESHNET_CAUSE_FIREWALL = 9,              /* no answer at all: something on the way drops it */
    MESHNET_CAUSE_REFUSED = 10,              /* nobody listens there: the node is down, or its port is another one now */
    MESHNET_CAUSE_ISOLATED = 11,             /* in our own subnet, and not reachable: isolation, a privacy permission, or it is off */
    MESHNET_CAUSE_UNREACHABLE = 12,
    MESHNET_CAUSE_OTHER_NETWORK = 13,        /* another network or secret */
    MESHNET_CAUSE_WRONG_PEER = 14,           /* another node answers there */
    MESHNET_CAUSE_NO_COMMON_PROTOCOL = 15,
    MESHNET_CAUSE_DUPLICATE_IDENTITY = 16,
    MESHNET_CAUSE_LIMIT_REACHED = 17,
    MESHNET_CAUSE_UNRESOLVED = 18,
    MESHNET_CAUSE_CONTROL_KEY_REFUSED = 19,
    MESHNET_CAUSE_CONTROL_KEY_EXPIRED = 20,
    MESHNET_CAUSE_CONTROL_KEY_WRONG_KIND = 21,
    MESHNET_CAUSE_CONTROL_SERVER_DOWN = 22,
    MESHNET_CAUSE_CLOCK_OFF = 23,
    MESHNET_CAUSE_OWN = 24,                  /* it is ourselves */
    MESHNET_CAUSE_HANDSHAKE_FAILED = 25,
    MESHNET_CAUSE_BAD_TARGET = 26,           /* what was asked about cannot be read or dialled */
    MESHNET_CAUSE_SOURCE_FAILED = 27,        /* a source that could know does not work for another reason */
    MESHNET_CAUSE_REACHABLE = 28             /* now: it was not when last tried, or nobody tried */
};

typedef struct meshnet_finding {
    int32_t cause;        /* enum meshnet_diagnosis_cause */
    const char *evidence; /* what was seen, with the values */
    const char *remedy;   /* what to do; empty where there is nothing to do */
} meshnet_finding_t;

/* Why a peer or an address is not connected, or that it is. */
struct meshnet_diagnosis {
    const char *target;  /* as it was given */
    const char *peer_id; /* NULL when it is not known */
    size_t finding_count; /* at least 1: the first is the verdict, the others are what else was found */
    const meshnet_finding_t *const *findings;
};

/* Finds out why a peer id or a multiaddr is not connected; takes 10 s at most. A target that cannot be read is a finding, not an error.
   Blocks: up to timeout_ms.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED, TIMED_OUT. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_diagnose(meshnet_node_t *node, const char *target, int32_t timeout_ms, meshnet_diagnosis_t **diagnosis);

/* Releases a diagnosis. NULL does nothing. Since 0.1. */
MESHNET_API void meshnet_diagnosis_free(meshnet_diagnosis_t *diagnosis);

/* Never trims the connections of a peer, connected or not. *changed (may be NULL) is false when it was protected already. Blocks: one turn.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_PEER_ID, CLOSED, LIMIT_REACHED. Since 0.1. */
MESHNET_API int32_t meshnet_protect(meshnet_node_t *node, const char *peer_id, bool *changed);

/* Takes the protection of meshnet_protect or protected_peers back; bootstrap peers stay protected. *changed (may be NULL) is false when there was
   none. Blocks: one turn. Errors: as meshnet_protect. Since 0.1. */
MESHNET_API int32_t meshnet_unprotect(meshnet_node_t *node, const char *peer_id, bool *changed);

/* The twins that do not block, as in section 10: each completes with the field named here. Blocks: no. Errors: as in section 10. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_discovery_configure_start(meshnet_node_t *node, const meshnet_discovery_options_t *options,
                                                                    meshnet_ticket_t *ticket);
MESHNET_API MESHNET_CHECK int32_t meshnet_discovery_table_start(meshnet_node_t *node, meshnet_ticket_t *ticket); /* discovery */
MESHNET_API MESHNET_CHECK int32_t meshnet_diagnose_start(meshnet_node_t *node, const char *target, meshnet_ticket_t *ticket); /* diagnosis */
MESHNET_API MESHNET_CHECK int32_t meshnet_protect_start(meshnet_node_t *node, const char *peer_id, meshnet_ticket_t *ticket); /* changed */
MESHNET_API MESHNET_CHECK int32_t meshnet_unprotect_start(meshnet_node_t *node, const char *peer_id, meshnet_ticket_t *ticket); /* changed */

/* The names of numbers, such as "mdns" or "nothing heard"; static, NULL for unknown ones. Blocks: no. Since 0.1. */
MESHNET_API const char *meshnet_discovery_source_name(int32_t source);
MESHNET_API const char *meshnet_source_state_name(int32_t state);
MESHNET_API const char *meshnet_source_failure_name(int32_t failure);
MESHNET_API const char *meshnet_discovery_filter_name(int32_t filter);
MESHNET_API const char *meshnet_entry_state_name(int32_t state);
MESHNET_API const char *meshnet_diagnosis_cause_name(int32_t cause);

/* ---- 13 Messages to one peer ------------------------------------------------------------------------------------------------ */

/* A channel to a peer exists for each peer id, whether or not there is a connection: messages wait, the peer is dialled again and again, and what it has
   not acknowledged is sent again when it is back. Each message arrives once and in the order of its lane. With a state directory all of that outlives both
   processes. docs/messages.md explains it; docs/protocols/message.md is the protocol. */

/* Importance of a message. Each lane of a peer keeps its order; a more important one overtakes the others. */
enum meshnet_lane {
    MESHNET_LANE_CONTROL = 0,
    MESHNET_LANE_NORMAL = 1,
    MESHNET_LANE_BULK = 2
};

/* What a send does that finds the queue of its peer full. */
enum meshnet_when_full {
    MESHNET_WHEN_FULL_WAIT = 0,
    MESHNET_WHEN_FULL_FAIL = 1,       /* ends with QUEUE_FULL */
    MESHNET_WHEN_FULL_DROP_OLDEST = 2 /* the oldest waiting messages of the same lane make room, and end with DISPLACED */
};

/* How messages are queued, kept and taken, and how peers are reached again. Initialise with meshnet_message_options_default. Rates: 0 is without limit. */
struct meshnet_message_options {
    uint32_t struct_size;
    bool synchronizes_disk;              /* false; true: waits for the disk at every commit, so that a power failure loses nothing either */
    const char *state_directory;         /* where queues, numbers and the address book outlive the process; made when missing. NULL: in memory only */
    uint64_t queue_bytes;                /* that may wait for one peer, 64 for each message beside its own; 67,108,864 */
    uint32_t queue_messages;             /* that may wait for one peer; 10,000 */
    uint64_t total_queue_bytes;          /* that may wait for all peers together; 536,870,912 */
    uint64_t receive_bytes;              /* received of one peer and lane, and not freed by you; beyond it the peer waits. 4,194,304 */
    uint64_t maximum_message_size;       /* both ways; 1,073,741,824 */
    uint64_t spool_threshold;            /* a larger message lies in a file and not in memory; 1,048,576 */
    uint64_t spool_bytes;                /* in such files, of messages that arrive; 8,589,934,592 */
    uint32_t acknowledgement_delay_ms;   /* how long an acknowledgement waits for others; 50 */
    uint32_t request_timeout_ms;         /* how long a request waits for its reply where the call names no time; 30,000 */
    uint32_t requests_per_peer;          /* of ours, without reply; 4,096 */
    uint32_t send_messages_per_second;   /* to one peer; what is more waits. 0 */
    uint64_t send_bytes_per_second;      /* 0 */
    uint32_t receive_messages_per_second; /* from one peer; 0 */
    uint64_t receive_bytes_per_second;   /* 0 */
    uint32_t channels;                   /* peers that are remembered; beyond it the idlest with nothing waiting is forgotten. 10,000 */

    uint32_t reconnect_first_ms;         /* the n-th delay is random between 0 and first * factor^n, at most the cap; 500 */
    uint32_t reconnect_cap_ms;           /* 10,000 */
    double reconnect_factor;             /* 2; from 1 to 100 */
    uint32_t reconnect_attempts;         /* failed rounds in a row after which messages end with GAVE_UP; 0: never */
    uint32_t reconnect_lasting_ms;       /* a connection that lasted so long resets the delays; 5,000 */
    uint32_t permanent_after;            /* so many failures of one kind in a row look permanent, and are reported; 5 */
    uint32_t permanent_delay_ms;         /* between tries from then on; 60,000 */
    uint32_t dials_per_minute;           /* rounds to one peer; 0 */

    uint32_t wake_interval_ms;           /* between two looks at the clocks; 15,000 */
    uint32_t wake_jump_ms;               /* a look that comes so much too late is a wake from sleep; 30,000 */
    uint32_t wake_stored_gap_ms;         /* a node that starts so long after it was last alive starts as after a wake; 3,600,000 */
    uint32_t stale_after_ms;             /* a peer away for so long and with nothing waiting is not dialled until you send; 86,400,000. 0: it is for ever */
};

/* How one message is sent. Initialise with meshnet_send_options_default; NULL in a call: the defaults. */
typedef struct meshnet_send_options {
    uint32_t struct_size;
    int32_t lane;            /* enum meshnet_lane; NORMAL */
    int64_t deadline_ms;     /* from now; what is not delivered by then ends with EXPIRED. -1: it is tried for ever */
    int32_t when_full;       /* enum meshnet_when_full; WAIT */
    bool waits_for_delivery; /* false; true: meshnet_send, _send_many and _send_file return when the peer has it, and not when it is in its queue */
    bool reports_acceptance; /* false; true: MESHNET_EVENT_ACCEPTED comes before the completion of a _start */
} meshnet_send_options_t;

/* Each fills a struct with the defaults and its struct_size. Blocks: no.
   Errors: INVALID_ARGUMENT (NULL), STRUCT_SIZE (of no known version). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_message_options_default(meshnet_message_options_t *options, size_t struct_size);
MESHNET_API MESHNET_CHECK int32_t meshnet_send_options_default(meshnet_send_options_t *options, size_t struct_size);

/* Sends a message to a peer, connected or not. MESHNET_OK means that it is in its queue, and on disk where there is a state directory; with
   waits_for_delivery that the peer has it. `data` may be NULL with length 0. When the time is over the message is taken back: TIMED_OUT; the peer may have
   got it all the same if it was on its way. Blocks: up to timeout_ms; without waits_for_delivery one turn, unless the queue is full.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_PEER_ID, STRUCT_SIZE, CLOSED, TIMED_OUT, LIMIT_REACHED, MESSAGE_TOO_LARGE, SELF_DIAL, QUEUE_FULL,
   DISPLACED, EXPIRED, PEER_RESTARTED, PEER_CLOSED, GAVE_UP, STORAGE. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_send(meshnet_node_t *node, const char *peer_id, const uint8_t *data, size_t length,
                                               const meshnet_send_options_t *options, int32_t timeout_ms);

/* As meshnet_send, for `count` (at least 1) messages in order, at the cost of one call. *sent (may be NULL) tells how many were accepted (delivered, with
   waits_for_delivery), also after an error; the first message that was not is the cause, and those behind it may have been accepted or not.
   Blocks and errors: as meshnet_send. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_send_many(meshnet_node_t *node, const char *peer_id, const meshnet_bytes_t *messages, size_t count,
                                                    const meshnet_send_options_t *options, int32_t timeout_ms, size_t *sent);

/* As meshnet_send, with the content of a file as it is now. Blocks: for the file, and up to timeout_ms.
   Errors: as meshnet_send, SYSTEM (the file cannot be read). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_send_file(meshnet_node_t *node, const char *peer_id, const char *path,
                                                    const meshnet_send_options_t *options, int32_t timeout_ms);

/* The twins that do not block, as in section 10: each completes when the message ends, with MESHNET_OK when the peer has it. meshnet_cancel takes a message
   back that is not acknowledged. meshnet_send_file_start blocks for the file. Blocks: no. Errors: as in section 10, MESSAGE_TOO_LARGE, SYSTEM. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_send_start(meshnet_node_t *node, const char *peer_id, const uint8_t *data, size_t length,
                                                     const meshnet_send_options_t *options, meshnet_ticket_t *ticket);
MESHNET_API MESHNET_CHECK int32_t meshnet_send_file_start(meshnet_node_t *node, const char *peer_id, const char *path,
                                                          const meshnet_send_options_t *options, meshnet_ticket_t *ticket);

/* A message that arrived, or a reply. Everything in it lives until meshnet_message_free. Made by the library, and longer than it looks. */
struct meshnet_message {
    const char *peer_id;
    const uint8_t *data;     /* followed by a NUL that is not counted; NULL when the message lies in a file: see meshnet_message_read */
    size_t data_length;      /* of the whole message, also where data is NULL */
    int32_t lane;            /* enum meshnet_lane */
    bool is_request;         /* the peer waits for meshnet_reply */
    bool is_redelivered;     /* it was given to you before the process ended, and not freed */
    uint64_t sequence;       /* from 1; 0 in a reply */
    const char *incarnation; /* 32 digits: with lane and sequence it names a message of this peer for ever. Empty in a reply */
};

/* The next message, to be freed with meshnet_message_free. Control messages come first, then normal ones, then bulk. Several threads may wait; each
   message goes to one of them. Nothing is dropped: what you do not fetch holds its sender back. Without a state directory, what waits when the node is closed
   can still be fetched; with one it comes again at the next start.
   Blocks: up to timeout_ms. Errors: INVALID_ARGUMENT, INVALID_HANDLE, TIMED_OUT (nothing came), CLOSED, NO_MEMORY. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_receive(meshnet_node_t *node, int32_t timeout_ms, meshnet_message_t **message);

/* As meshnet_receive, but waits for the first only and takes up to `capacity` messages that wait. `messages` is an array of `capacity` (at least 1)
   pointers; *count (required) tells how many were filled. Each is freed when you like, alone or by meshnet_messages_free; small ones share memory of up to
   16 KiB, which goes with the last of them. Blocks: up to timeout_ms. Errors: as meshnet_receive. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_receive_many(meshnet_node_t *node, int32_t timeout_ms,
                                                       meshnet_message_t **messages, size_t capacity, size_t *count);

/* A descriptor that is readable while messages wait, and for good once the node is closed. Otherwise as meshnet_event_fd. Blocks: no.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, CLOSED (after fork). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_message_fd(meshnet_node_t *node);

/* Releases a message, and tells the node that you are done with it: it makes room for others of its peer, and with a state directory it does not come
   again after a restart. Valid also after meshnet_node_free. NULL does nothing. Blocks: no. Since 0.1. */
MESHNET_API void meshnet_message_free(meshnet_message_t *message);

/* As meshnet_message_free for each of `count` messages, of whatever node, at the cost of one call. Entries may be NULL, and `messages` with count 0.
   Blocks: no. Since 0.1. */
MESHNET_API void meshnet_messages_free(meshnet_message_t *const *messages, size_t count);

/* Copies bytes of a message, in memory or in a file, from `offset` on. *count (required) is less than `capacity` at the end only. Blocks: for the file.
   Errors: INVALID_ARGUMENT (also an offset beyond the end), SYSTEM. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_message_read(const meshnet_message_t *message, uint64_t offset, uint8_t *buffer, size_t capacity, size_t *count);

/* Writes a message into a file, which is complete or not there; one that exists is replaced. Mode 0600. Blocks: for the file.
   Errors: INVALID_ARGUMENT, SYSTEM. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_message_save(const meshnet_message_t *message, const char *path);

/* Sends a request and waits for its reply, which is freed with meshnet_message_free. timeout_ms is also the time that the request has: MESHNET_FOREVER is
   as long as request_timeout_ms says. options->deadline_ms is not used. Blocks: up to timeout_ms. Errors: as meshnet_send. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_request(meshnet_node_t *node, const char *peer_id, const uint8_t *data, size_t length,
                                                  const meshnet_send_options_t *options, int32_t timeout_ms, meshnet_message_t **reply);

/* The twin that does not block; deadline_ms of the options is the time that the request has, -1: request_timeout_ms. Completes with: reply. Blocks: no.
   Errors: as meshnet_send_start. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_request_start(meshnet_node_t *node, const char *peer_id, const uint8_t *data, size_t length,
                                                        const meshnet_send_options_t *options, meshnet_ticket_t *ticket);

/* Answers a request, once; the message is still to be freed. It goes out on the lane of the request. MESHNET_OK means that the reply is in its queue.
   Blocks: up to timeout_ms; one turn, unless the queue is full.
   Errors: as meshnet_send, INVALID_ARGUMENT (no request, or answered already). Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_reply(meshnet_node_t *node, const meshnet_message_t *message, const uint8_t *data, size_t length,
                                                int32_t timeout_ms);

/* The twin that does not block: completes when the peer has the reply, which it says with what it sends next, or after its acknowledgement delay.
   Blocks: no. Errors: as meshnet_send_start. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_reply_start(meshnet_node_t *node, const meshnet_message_t *message, const uint8_t *data, size_t length,
                                                      meshnet_ticket_t *ticket);

/* Wants the channel to a peer, whatever closed it or gave it up: the peer is dialled now, and again until it is there. `addresses` are multiaddrs where it may
   be found, beside those that are known; NULL with count 0: none. Blocks: one turn.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_PEER_ID, INVALID_ADDRESS, CLOSED, LIMIT_REACHED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_reconnect(meshnet_node_t *node, const char *peer_id, const char *const *addresses, size_t address_count);

/* Tells the peer goodbye and keeps apart from it: messages to it end with PEER_CLOSED and neither side dials, until meshnet_reconnect here. There it tries, and
   is refused as long as the channel is closed here. The peer is told the reason (NULL: none; at most 256 bytes are used). Blocks: one turn.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_PEER_ID, CLOSED. Since 0.1. */
MESHNET_API int32_t meshnet_close_peer(meshnet_node_t *node, const char *peer_id, const char *reason);

/* What happened to the channel of a peer, and the fields of meshnet_event_t that tell more. */
enum meshnet_channel_change {
    MESHNET_CHANNEL_RESUMED = 1,        /* messages flow. message_count: sent before, not acknowledged, and sent again */
    MESHNET_CHANNEL_PEER_RESTARTED = 2, /* the peer lost its state. message_count: messages of ours that failed */
    MESHNET_CHANNEL_CLOSED = 3,         /* by_us detail (the reason, or NULL); the peer is not dialled until meshnet_reconnect */
    MESHNET_CHANNEL_GAVE_UP = 4,        /* attempts cause code detail hint (of the last failure) retry_after_ms; failures look permanent, or are too many */
    MESHNET_CHANNEL_LIMITED = 5         /* inbound detail (the limit); a rate holds messages back */
};

/* Why the state directory cannot be used: `storage_problem` of MESHNET_EVENT_STORAGE. */
enum meshnet_storage_problem {
    MESHNET_STORAGE_FULL = 1,
    MESHNET_STORAGE_DAMAGED = 2, /* it was set aside under another name, and a new one begun */
    MESHNET_STORAGE_FAILED = 3,
    MESHNET_STORAGE_IN_USE = 4   /* by another process */
};

enum meshnet_channel_state {
    MESHNET_CHANNEL_STATE_CONNECTED = 1,
    MESHNET_CHANNEL_STATE_CONNECTING = 2,
    MESHNET_CHANNEL_STATE_WAITING = 3, /* for its next try: retry_after_ms */
    MESHNET_CHANNEL_STATE_GAVE_UP = 4, /* failures look permanent; still tried, seldom: retry_after_ms */
    MESHNET_CHANNEL_STATE_CLOSED = 5,  /* on purpose: closed_by_us closed_reason */
    MESHNET_CHANNEL_STATE_IDLE = 6     /* nothing waits, and nobody asked for a connection */
};

/* A failed round of dialling. */
typedef struct meshnet_dial_failure {
    int32_t cause; /* enum meshnet_dial_cause */
    const char *detail;
} meshnet_dial_failure_t;

/* The state of the channel to one peer. Arrays of three are by lane. Counts are since the start of the node. */
typedef struct meshnet_channel {
    const char *peer_id;
    int32_t state;              /* enum meshnet_channel_state */
    int64_t retry_after_ms;     /* -1: no try is planned */
    bool closed_by_us;
    const char *closed_reason;  /* in the words of who closed; NULL when it is not closed */
    const char *incarnation;    /* of the peer, 32 digits; NULL when it is not known yet */
    uint64_t queued_messages[3]; /* waiting, unacknowledged ones included */
    uint64_t queued_bytes[3];
    uint64_t unsettled_messages; /* received and not freed by you */
    uint64_t unsettled_bytes;
    uint64_t delivered;
    uint64_t received;
    uint64_t expired;
    uint64_t displaced;
    uint64_t failed;
    uint64_t duplicates;        /* arrived again, and dropped */
    uint64_t attempts;          /* failed rounds of dialling in a row */
    size_t failure_count;       /* the latest of them, newest last; at most 5 */
    const meshnet_dial_failure_t *const *failures;
    int64_t silence_ms;         /* since bytes of the peer came last; -1: never */
    int64_t round_trip_ns;      /* -1: not measured */
    uint64_t sending_bytes;     /* of a large message that is being sent: bytes handed to the connection */
    uint64_t sending_total;     /* and its size; 0 without one */
    bool is_sending_limited;    /* a rate of yours holds messages back now: send_messages_per_second, send_bytes_per_second */
    bool is_receiving_limited;  /* the same of the peer's messages: receive_messages_per_second, receive_bytes_per_second */
} meshnet_channel_t;

struct meshnet_channel_list {
    size_t count;
    const meshnet_channel_t *const *items;
};

/* The channels, ordered by peer id; with `peer_id` (or NULL) that of one peer alone, none when there is none. Blocks: one turn.
   Errors: INVALID_ARGUMENT, INVALID_HANDLE, INVALID_PEER_ID, CLOSED. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_channels(meshnet_node_t *node, const char *peer_id, meshnet_channel_list_t **channels);

/* Releases a list. NULL does nothing. Since 0.1. */
MESHNET_API void meshnet_channel_list_free(meshnet_channel_list_t *list);

/* The twins that do not block, as in section 10. Blocks: no. Errors: as in section 10. Since 0.1. */
MESHNET_API MESHNET_CHECK int32_t meshnet_reconnect_start(meshnet_node_t *node, const char *peer_id, const char *const *addresses, size_t address_count,
                                                          meshnet_ticket_t *ticket);
MESHNET_API MESHNET_CHECK int32_t meshnet_close_peer_start(meshnet_node_t *node, const char *peer_id, const char *reason, meshnet_ticket_t *ticket);
MESHNET_API MESHNET_CHECK int32_t meshnet_channels_start(meshnet_node_t *node, const char *peer_id, meshnet_ticket_t *ticket); /* channels */

/* The names of numbers, such as "normal" or "peer restarted"; static, NULL for unknown ones. Blocks: no. Since 0.1. */
MESHNET_API const char *meshnet_lane_name(int32_t lane);
MESHNET_API const char *meshnet_channel_change_name(int32_t change);
MESHNET_API const char *meshnet_channel_state_name(int32_t state);
MESHNET_API const char *meshnet_storage_problem_name(int32_t problem);

#ifdef __cplusplus
}
#endif

#endif /* MESHNET_H */
