/*
 * _meshnet: include/meshnet.h for Python, one to one. No policy here: the package meshnet, in Python, has that.
 *
 * Each function of the header is a function or method of the same name. What the header returns by pointer comes as the result,
 * a negative code as an exception that the package makes (errors.c), an event as a tuple that starts with its type (events.c).
 * Calls that can wait release the interpreter lock. Calls ending in _start keep it: they never wait, and what they lend to the node is
 * in the table of calls (calls.c) before anybody can fetch their completion.
 *
 * Limited API of Python 3.10: one binary for 3.10 and all later versions.
 */
#ifndef MESHNET_PYTHON_MODULE_H
#define MESHNET_PYTHON_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "meshnet.h"

#if Py_LIMITED_API + 0 < 0x030B0000
/* The buffer protocol joined the limited API in 3.11, with the layout and functions that 3.10 exports already. */
typedef struct {
    void *buf;
    PyObject *obj;
    Py_ssize_t len;
    Py_ssize_t itemsize;
    int readonly;
    int ndim;
    char *format;
    Py_ssize_t *shape;
    Py_ssize_t *strides;
    Py_ssize_t *suboffsets;
    void *internal;
} Py_buffer;
PyAPI_FUNC(int) PyObject_GetBuffer(PyObject *object, Py_buffer *view, int flags);
PyAPI_FUNC(void) PyBuffer_Release(Py_buffer *view);
#define PyBUF_SIMPLE 0
#endif

/* What one interpreter's copy of the module owns. */
typedef struct {
    PyObject *error_factory; /* makes the exception of a failure: (code, system_errno, detail, hint) -> BaseException */
    PyTypeObject *keypair_type;
    PyTypeObject *node_type;
    PyTypeObject *message_type;
    PyTypeObject *inbox_type;
    PyTypeObject *ready_type;
} module_state;

/* What a started call returns, and so which fields of its completion count. */
enum call_kind {
    CALL_NOTHING,
    CALL_CHANGED,
    CALL_CONNECTION,
    CALL_PEERS,
    CALL_PROBLEMS,
    CALL_TABLE,
    CALL_DIAGNOSIS,
    CALL_CHANNELS,
    CALL_REPLY,
    CALL_STREAM,
    CALL_PING,
    CALL_PERF,
    CALL_READ,
    CALL_READ_INTO,
    CALL_WRITE
};

/* A started call, until its completion was fetched. */
typedef struct call {
    struct call *next;
    uint64_t ticket;
    enum call_kind kind;
    Py_buffer view; /* CALL_READ_INTO, CALL_WRITE: lent to the node */
    uint8_t *block; /* CALL_READ: lent to the node */
    PyTypeObject *reply_type; /* CALL_REPLY: of the object that the reply becomes */
} call;

/* Calls by ticket. Used with the interpreter lock held. */
typedef struct {
    call **buckets;
    size_t bucket_count; /* 0 or a power of two */
    size_t count;
} call_table;

typedef struct {
    PyObject_HEAD
    meshnet_keypair_t *handle;
} keypair_object;

typedef struct {
    PyObject_HEAD
    meshnet_node_t *handle; /* NULL once freed. Handles are looked up, so that a free during another thread's call is harmless */
    call_table calls;
    PyObject *weak_references;
} node_object;

typedef struct message_object {
    PyObject_HEAD
    module_state *state;        /* lives as long as the type */
    meshnet_message_t *message; /* NULL once released */
    meshnet_event_t *event;     /* of a reply: it lives as long */
    struct message_object *next; /* behind it in its inbox */
    PyObject *peer_id, *incarnation;
    PyObject *owner;            /* of an inbox: what was given to it; else NULL */
    PyObject *data;             /* NULL as long as the message lies in a file and nobody asked for all of it */
    Py_ssize_t size;
    unsigned long long sequence;
    int lane;
    int users;                  /* calls that use `message` without the interpreter lock */
    bool freed;                 /* to be released by the last of them */
    char is_request, is_redelivered, in_file;
} message_object;

/* Messages of one peer that wait in an inbox, and their place among those of other peers. */
typedef struct peer_queue {
    struct peer_queue *before, *after;
    PyObject *peer_id;
    message_object *first, *last;
} peer_queue;

/* The peers of a lane, in the order of their turns. */
typedef struct {
    PyObject *by_peer; /* dict: the peer id -> the address of its queue */
    peer_queue *first, *last;
} lane_queue;

#define LANE_COUNT 3

typedef struct {
    PyObject_HEAD
    module_state *state;
    PyObject *node;
    PyTypeObject *kind;              /* what its messages become */
    PyObject *owner;
    lane_queue lanes[LANE_COUNT];
    Py_ssize_t count;
    long fetched_at;                 /* in ticks of the coarse clock */
    PyObject *peer_id, *incarnation; /* of the last message that came: the next one is likely to have the same */
    size_t batch;                    /* messages to fetch at once, by the size of the last */
    char is_waiting;                 /* a thread waits in the node: what comes is its to fetch */
    char finished;
} inbox_object;

/* errors.c. Each returns NULL or -1 with the exception set. */
PyObject *raise_code(module_state *state, int32_t code);                            /* the library's account of this thread's failure */
PyObject *raise_detail(module_state *state, int32_t code, const char *detail);      /* a failure that the library never saw */
module_state *state_of(PyObject *object);                                           /* of a Node, a Keypair or an Inbox */
int text_argument(PyObject *value, const char *what, const char **text);            /* lives as long as `value`; no NUL inside */
PyObject *text_or_none(const char *text);                                           /* what a peer sent may be no UTF-8: it is replaced */

/* calls.c */
call *call_new(enum call_kind kind);
void call_free(call *entry);
int call_table_reserve(call_table *table);                 /* room for one more, so that call_table_add cannot fail */
void call_table_add(call_table *table, call *entry);
call *call_table_take(call_table *table, uint64_t ticket); /* NULL: unknown */
void call_table_clear(call_table *table);

/* events.c. *kept: the result owns the event. */
PyObject *event_to_tuple(module_state *state, call_table *calls, meshnet_event_t *event, bool *kept);
PyObject *peers_to_list(const meshnet_peer_list_t *peers);
PyObject *problems_to_list(const meshnet_address_problem_list_t *problems);
PyObject *strings_to_tuple(const meshnet_string_list_t *strings);

/* A list of str as a C array that lives as long as the holder. */
typedef struct {
    PyObject *holder;
    const char **items;
    size_t count;
} text_array;
int text_array_fill(text_array *array, PyObject *sequence, const char *what);
void text_array_clear(text_array *array);

/* config.c: opens a node from a dict with the fields of meshnet_config_t. Texts in structs live as long as the dict. */
int32_t open_node(module_state *state, const meshnet_keypair_t *identity, PyObject *options, meshnet_node_t **node);

enum field_kind { FIELD_BOOL, FIELD_U16, FIELD_I32, FIELD_U32, FIELD_U64, FIELD_F64, FIELD_TEXT };

/* A field of a struct that is an option of the same name. A table ends with a NULL name. */
typedef struct {
    const char *name;
    size_t offset;
    enum field_kind kind;
} option_field;

#define FIELD(type, name, kind) {#name, offsetof(type, name), kind}

const option_field *find_field(const option_field *fields, const char *name);
int set_field(module_state *state, void *structure, const option_field *field, PyObject *value);
int set_fields(module_state *state, void *structure, const option_field *fields, PyObject *options, const char *what);
int set_texts(text_array *array, PyObject *value, const char *name, const char *const **items, size_t *count);

/* discovery.c: meshnet_discovery_options_t from a dict, with what it points to. Zeroed before the first fill. */
#define DISCOVERY_LISTS 6
typedef struct {
    meshnet_discovery_options_t options;
    meshnet_headscale_options_t headscale;
    meshnet_tailscale_options_t tailscale;
    text_array lists[DISCOVERY_LISTS];
} discovery_request;
int discovery_request_fill(module_state *state, discovery_request *request, PyObject *options);
void discovery_request_clear(discovery_request *request);
PyObject *table_to_tuple(const meshnet_discovery_table_t *table);
PyObject *diagnosis_to_tuple(const meshnet_diagnosis_t *diagnosis);

/* node.c: the handle, or NULL with ClosedError set when it was given up. */
meshnet_node_t *handle_of(PyObject *node);

/* started.c: around the start of a call. call_begin does everything that can fail on our side; call_finish takes the entry over and gives the ticket. */
call *call_begin(PyObject *self, enum call_kind kind);
PyObject *call_finish(PyObject *self, call *entry, int32_t code, meshnet_ticket_t ticket);

/* message.c. Each takes what it is made from over, unless it returns NULL. `type`: message_type, or one that derives from it. */
message_object *message_of(module_state *state, PyTypeObject *type, meshnet_message_t *source, PyObject **peer_id, PyObject **incarnation);
PyObject *reply_of(module_state *state, PyTypeObject *type, meshnet_event_t *event, bool *kept);
void message_release(message_object *self);                                             /* the application is done with it */
meshnet_message_t *message_use(message_object *self);                                   /* NULL with the exception set when it was freed */
void message_unuse(message_object *self);
PyObject *channels_to_list(const meshnet_channel_list_t *channels);

/* wait.c: waits that a signal can end. */
#define WAIT_RAISED 1 /* beside the codes of the library: the exception is set */
int32_t wait_for_events(meshnet_node_t *node, int timeout_ms, meshnet_event_t **events, size_t capacity, size_t *count);
int32_t wait_for_messages(meshnet_node_t *node, int timeout_ms, meshnet_message_t **messages, size_t capacity, size_t *count);

/* inbox.c. */
bool is_inbox(PyObject *object);
message_object *inbox_take(inbox_object *self, PyObject *peer, int lane); /* NULL: none waits, or with the exception set */

/* blocking.c, started.c, messages.c: the methods of Node; node.c joins them. */
extern const PyMethodDef node_blocking_methods[];
extern const PyMethodDef node_started_methods[];
extern const PyMethodDef node_message_methods[];

/* keypair.c, node.c, message.c, inbox.c, iterate.c, constants.c: called once, when the module is made. */
int add_keypair_type(PyObject *module, module_state *state);
int add_node_type(PyObject *module, module_state *state);
int add_message_type(PyObject *module, module_state *state);
int add_inbox_type(PyObject *module, module_state *state);
int add_iterator_types(PyObject *module, module_state *state);
int add_constants(PyObject *module);

#endif
