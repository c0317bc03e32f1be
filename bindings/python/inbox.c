/*
 * Inbox: the messages of a node that were fetched and not given out, by lane and peer. Peers take turns; each keeps its order.
 *
 * They count as not done with, so that what lies here is bounded by receive_bytes for each peer and lane. Everything here is done with the
 * interpreter lock held, and without Python code in between: any number of threads may take from one Inbox.
 */
#include "module.h"

#include <stddef.h>
#include <structmember.h>
#include <time.h>

/* Messages that one call fetches at most: their pointers lie on the stack. */
#define LARGEST_BATCH 512
/* Bytes that one call fetches, about: what is still in the cache of the processor when it is given out, and is soon used again. */
#define BATCH_BYTES (128 * 1024)
#define SMALLEST_BATCH 16
/* What lies here at most when newer messages are fetched before those that wait are given out. */
#define AHEAD 1024

/* ---- Peers and their turns ---- */

static void append_turn(lane_queue *lane, peer_queue *queue) {
    queue->before = lane->last;
    queue->after = NULL;
    *(lane->last == NULL ? &lane->first : &lane->last->after) = queue;
    lane->last = queue;
}

static void remove_turn(lane_queue *lane, peer_queue *queue) {
    *(queue->before == NULL ? &lane->first : &queue->before->after) = queue->after;
    *(queue->after == NULL ? &lane->last : &queue->after->before) = queue->before;
}

/* NULL: none waits of this peer, or with the exception set. */
static peer_queue *find_peer(const lane_queue *lane, PyObject *peer_id) {
    PyObject *address = lane->by_peer == NULL ? NULL : PyDict_GetItemWithError(lane->by_peer, peer_id);
    return address == NULL ? NULL : PyLong_AsVoidPtr(address);
}

static peer_queue *add_peer(lane_queue *lane, PyObject *peer_id) {
    if (lane->by_peer == NULL && (lane->by_peer = PyDict_New()) == NULL) {
        return NULL;
    }
    peer_queue *queue = PyMem_Calloc(1, sizeof *queue);
    PyObject *address = queue == NULL ? PyErr_NoMemory() : PyLong_FromVoidPtr(queue);
    if (address == NULL || PyDict_SetItem(lane->by_peer, peer_id, address) < 0) {
        Py_XDECREF(address);
        PyMem_Free(queue);
        return NULL;
    }
    Py_DECREF(address);
    Py_INCREF(peer_id);
    queue->peer_id = peer_id;
    append_turn(lane, queue);
    return queue;
}

static int remove_peer(lane_queue *lane, peer_queue *queue) {
    int result = PyDict_DelItem(lane->by_peer, queue->peer_id);
    remove_turn(lane, queue);
    Py_DECREF(queue->peer_id);
    PyMem_Free(queue);
    return result;
}

/* ---- Putting in ---- */

/* Takes the message over, also when it fails. `recent`: where the one before of the same lane went, or NULL. */
static peer_queue *put(inbox_object *self, message_object *message, peer_queue *recent) {
    peer_queue *queue = recent;
    if (queue == NULL || queue->peer_id != message->peer_id) {
        lane_queue *lane = &self->lanes[message->lane];
        queue = find_peer(lane, message->peer_id);
        if (queue == NULL && !PyErr_Occurred()) {
            queue = add_peer(lane, message->peer_id);
        }
    }
    if (queue == NULL) {
        Py_DECREF(message);
        return NULL;
    }
    *(queue->first == NULL ? &queue->first : &queue->last->next) = message;
    queue->last = message;
    self->count++;
    return queue;
}

/* Of those in memory. */
static size_t total_size(meshnet_message_t *const *sources, size_t count) {
    size_t total = 0;
    for (size_t index = 0; index < count; index++) {
        total += sources[index]->data == NULL ? 0 : sources[index]->data_length;
    }
    return total;
}

static size_t next_batch(meshnet_message_t *const *sources, size_t count) {
    size_t each = count == 0 ? 0 : total_size(sources, count) / count;
    size_t wanted = BATCH_BYTES / (each + 1);
    return wanted < SMALLEST_BATCH ? SMALLEST_BATCH : wanted > LARGEST_BATCH ? LARGEST_BATCH : wanted;
}

/* Takes the messages over; those that cannot become objects are released. */
static int put_all(inbox_object *self, meshnet_message_t **sources, size_t count) {
    peer_queue *recent = NULL;
    int recent_lane = -1, result = 0;
    for (size_t index = 0; index < count; index++) {
        message_object *message = message_of(self->state, self->kind, sources[index], &self->peer_id, &self->incarnation);
        if (message == NULL) {
            meshnet_message_free(sources[index]);
            result = -1;
            continue;
        }
        Py_XINCREF(self->owner);
        message->owner = self->owner;
        if (message->lane < 0 || message->lane >= LANE_COUNT) {
            message->lane = LANE_COUNT - 1; /* of a later library */
        }
        int lane = message->lane;
        recent = put(self, message, recent_lane == lane ? recent : NULL);
        recent_lane = lane;
        if (recent == NULL) {
            result = -1;
        }
    }
    return result;
}

static long coarse_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

/* What was fetched, into its queues; messages fetched, or -1. */
static Py_ssize_t keep_batch(inbox_object *self, int32_t code, meshnet_message_t **messages, size_t count) {
    self->fetched_at = coarse_clock();
    if (code == MESHNET_ERROR_CLOSED) {
        self->finished = true;
        return 0;
    }
    if (code == MESHNET_ERROR_TIMED_OUT) {
        return 0;
    }
    if (code != MESHNET_OK) {
        if (code != WAIT_RAISED) {
            raise_code(self->state, code);
        }
        return -1;
    }
    self->batch = next_batch(messages, count);
    return put_all(self, messages, count) < 0 ? -1 : (Py_ssize_t)count;
}

static Py_ssize_t fetch(inbox_object *self, int timeout_ms) {
    meshnet_message_t *messages[LARGEST_BATCH];
    size_t count = 0;
    if (self->finished) {
        return 0;
    }
    meshnet_node_t *node = ((node_object *)self->node)->handle;
    if (node == NULL) {
        self->finished = true;
        return 0;
    }
    int32_t code = wait_for_messages(node, timeout_ms, messages, self->batch, &count);
    return keep_batch(self, code, messages, count);
}

/* ---- Taking out ---- */

static message_object *pop(inbox_object *self, lane_queue *lane, peer_queue *queue) {
    message_object *message = queue->first;
    queue->first = message->next;
    message->next = NULL;
    self->count--;
    if (queue->first == NULL) {
        if (remove_peer(lane, queue) < 0) {
            Py_DECREF(message);
            return NULL;
        }
    } else if (lane->first != lane->last) {
        remove_turn(lane, queue);
        append_turn(lane, queue);
    }
    return message;
}

/* A reference for the caller. */
static message_object *pop_any(inbox_object *self, PyObject *peer, int lane) {
    int last = lane < 0 ? LANE_COUNT - 1 : lane;
    for (int index = lane < 0 ? 0 : lane; index <= last && self->count > 0; index++) {
        peer_queue *queue = peer == NULL ? self->lanes[index].first : find_peer(&self->lanes[index], peer);
        if (queue != NULL) {
            return pop(self, &self->lanes[index], queue);
        }
        if (peer != NULL && PyErr_Occurred()) {
            return NULL;
        }
    }
    return NULL;
}

message_object *inbox_take(inbox_object *self, PyObject *peer, int lane) {
    /* Once in a tick newer messages are looked for, so that a control message need not wait for those that lie here. */
    bool is_fresh = self->is_waiting || self->count == 0 || self->count >= AHEAD || self->fetched_at == coarse_clock();
    if (!is_fresh && fetch(self, 0) < 0) {
        return NULL;
    }
    for (;;) {
        message_object *message = pop_any(self, peer, lane);
        if (message != NULL || self->is_waiting || PyErr_Occurred()) {
            return message;
        }
        if (fetch(self, 0) <= 0) {
            return NULL;
        }
    }
}

/* ---- The type ---- */

static PyObject *inbox_make(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords)) {
    module_state *state = PyType_GetModuleState(type);
    PyObject *node, *kind, *owner = NULL;
    if (!PyArg_ParseTuple(arguments, "O!O!|O:Inbox", state->node_type, &node, &PyType_Type, &kind, &owner)) {
        return NULL;
    }
    if (!PyType_IsSubtype((PyTypeObject *)kind, state->message_type)) {
        return PyErr_Format(PyExc_TypeError, "kind: a type that derives from Message is wanted, not %R", kind);
    }
    inbox_object *self = (inbox_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    Py_INCREF(node);
    Py_INCREF(kind);
    Py_XINCREF(owner);
    self->state = state;
    self->batch = LARGEST_BATCH;
    self->node = node;
    self->kind = (PyTypeObject *)kind;
    self->owner = owner;
    return (PyObject *)self;
}

static void clear_lane(lane_queue *lane) {
    for (peer_queue *queue = lane->first, *after; queue != NULL; queue = after) {
        after = queue->after;
        for (message_object *message = queue->first, *next; message != NULL; message = next) {
            next = message->next;
            Py_DECREF(message);
        }
        Py_DECREF(queue->peer_id);
        PyMem_Free(queue);
    }
    Py_CLEAR(lane->by_peer);
}

static void inbox_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    inbox_object *self = (inbox_object *)object;
    /* The node first: messages that nobody was given come again after a restart, and must not be taken as done with. */
    Py_CLEAR(self->node);
    for (size_t index = 0; index < LANE_COUNT; index++) {
        clear_lane(&self->lanes[index]);
    }
    Py_XDECREF(self->kind);
    Py_XDECREF(self->owner);
    Py_XDECREF(self->peer_id);
    Py_XDECREF(self->incarnation);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

bool is_inbox(PyObject *object) {
    return PyType_GetSlot(Py_TYPE(object), Py_tp_dealloc) == (void *)inbox_dealloc;
}

static PyObject *inbox_fetch(PyObject *object, PyObject *argument) {
    inbox_object *self = (inbox_object *)object;
    long timeout_ms = PyLong_AsLong(argument);
    if (timeout_ms == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (timeout_ms != 0 && self->is_waiting) {
        return raise_detail(self->state, MESHNET_ERROR_BUSY, "another thread waits in this inbox");
    }
    int limited = timeout_ms < 0 ? -1 : timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms;
    self->is_waiting = self->is_waiting || limited != 0;
    Py_ssize_t count = fetch(self, limited);
    if (limited != 0) {
        self->is_waiting = false;
    }
    return count < 0 ? NULL : PyLong_FromSsize_t(count);
}

static PyObject *inbox_take_method(PyObject *object, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 2) {
        return PyErr_Format(PyExc_TypeError, "take: a peer and a lane are wanted");
    }
    long lane = arguments[1] == Py_None ? -1 : PyLong_AsLong(arguments[1]);
    if (lane == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (lane < -1 || lane >= LANE_COUNT) {
        return raise_detail(state_of(object), MESHNET_ERROR_INVALID_ARGUMENT, "there is no such lane");
    }
    PyObject *message = (PyObject *)inbox_take((inbox_object *)object, arguments[0] == Py_None ? NULL : arguments[0], (int)lane);
    return message != NULL || PyErr_Occurred() ? message : text_or_none(NULL);
}

static PyMethodDef methods[] = {
    {"fetch", inbox_fetch, METH_O,
     "fetch($self, timeout_ms, /)\n--\n\nFetches a batch, and returns how many messages it brought. Finishes after the last one. "
     "One thread at a time may wait."},
    {"take", (PyCFunction)(void (*)(void))inbox_take_method, METH_FASTCALL,
     "take($self, peer_id, lane, /)\n--\n\nThe next message of a peer and lane, or of any; None when none waits."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"finished", T_BOOL, offsetof(inbox_object, finished), 0, "No message will come any more. May be set."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Inbox(node, kind, owner=None, /)\n--\n\nMessages of a node that were fetched and not given out, as objects of the type `kind`."},
    {Py_tp_new, inbox_make},
    {Py_tp_dealloc, inbox_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "meshnet._meshnet.Inbox",
    .basicsize = sizeof(inbox_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int add_inbox_type(PyObject *module, module_state *state) {
    state->inbox_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->inbox_type == NULL ? -1 : PyModule_AddType(module, state->inbox_type);
}
