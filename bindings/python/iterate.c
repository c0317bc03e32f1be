/*
 * What the iterators of both faces derive from: while messages lie in the inbox, a step of the loop runs no Python code but that of its body.
 * When none lies there, the step is what the method _wait of the derived type returns.
 */
#include "module.h"

#include <stddef.h>
#include <structmember.h>

/* Steps of asynchronous loops after which other tasks get their turn. */
#define IN_A_ROW 256

typedef struct {
    PyObject_HEAD
    inbox_object *inbox;
    PyObject *peer;  /* NULL: any */
    PyObject *given; /* a message, or NULL: done with at the next step */
    PyObject *ready; /* what __anext__ returned last, or NULL: used again when nobody else has it */
    int lane;        /* -1: any */
    int in_a_row;
} messages_object;

static PyObject *messages_make(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords)) {
    PyObject *inbox, *peer, *lane_number;
    if (!PyArg_ParseTuple(arguments, "OOO", &inbox, &peer, &lane_number)) {
        return NULL;
    }
    long lane = lane_number == Py_None ? -1 : PyLong_AsLong(lane_number);
    if (lane == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (!is_inbox(inbox)) {
        return PyErr_Format(PyExc_TypeError, "an Inbox is wanted, not %R", (PyObject *)Py_TYPE(inbox));
    }
    messages_object *self = (messages_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    Py_INCREF(inbox);
    self->inbox = (inbox_object *)inbox;
    if (peer != Py_None) {
        Py_INCREF(peer);
        self->peer = peer;
    }
    self->lane = (int)lane;
    return (PyObject *)self;
}

static void messages_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    messages_object *self = (messages_object *)object;
    Py_XDECREF(self->inbox);
    Py_XDECREF(self->peer);
    Py_XDECREF(self->given);
    Py_XDECREF(self->ready);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

/* Is done with the message that was given out, unless it is a request. */
static void pass_by(messages_object *self) {
    message_object *given = (message_object *)self->given;
    self->given = NULL;
    if (given != NULL) {
        if (!given->is_request) {
            message_release(given);
        }
        Py_DECREF(given);
    }
}

/* A reference for the caller; NULL: none lies there, or with the exception set. */
static PyObject *step(messages_object *self) {
    PyObject *message = (PyObject *)inbox_take(self->inbox, self->peer, self->lane);
    Py_XINCREF(message);
    self->given = message;
    return message;
}

static PyObject *sync_next(PyObject *object) {
    messages_object *self = (messages_object *)object;
    pass_by(self);
    PyObject *message = step(self);
    return message != NULL || PyErr_Occurred() ? message : PyObject_CallMethod(object, "_wait", NULL);
}

/* ---- For `async for` ---- */

/* An awaitable that has its result. */
typedef struct {
    PyObject_HEAD
    PyObject *result;
} ready_object;

static PySendResult ready_send(PyObject *object, PyObject *Py_UNUSED(sent), PyObject **result) {
    ready_object *self = (ready_object *)object;
    *result = self->result;
    self->result = NULL;
    if (*result == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "this step was awaited already");
        return PYGEN_ERROR;
    }
    return PYGEN_RETURN;
}

static PyObject *ready_next(PyObject *object) {
    PyObject *result;
    if (ready_send(object, NULL, &result) == PYGEN_RETURN) {
        PyErr_SetObject(PyExc_StopIteration, result);
        Py_DECREF(result);
    }
    return NULL;
}

static void ready_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(((ready_object *)object)->result);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static PyObject *ready_of(messages_object *self, PyObject *message) {
    ready_object *ready = (ready_object *)self->ready;
    if (ready == NULL || Py_REFCNT(ready) != 1) {
        ready = (ready_object *)PyType_GenericAlloc(self->inbox->state->ready_type, 0);
        if (ready == NULL) {
            Py_DECREF(message);
            return NULL;
        }
        Py_XDECREF(self->ready);
        self->ready = (PyObject *)ready;
    }
    Py_XDECREF(ready->result);
    ready->result = message;
    Py_INCREF(ready);
    return (PyObject *)ready;
}

static PyObject *async_next(PyObject *object) {
    messages_object *self = (messages_object *)object;
    pass_by(self);
    if (++self->in_a_row < IN_A_ROW) {
        PyObject *message = step(self);
        if (message != NULL) {
            return ready_of(self, message);
        }
        if (PyErr_Occurred()) {
            return NULL;
        }
    }
    PyObject *is_turn = PyBool_FromLong(self->in_a_row >= IN_A_ROW);
    self->in_a_row = 0;
    PyObject *waiting = PyObject_CallMethod(object, "_wait", "O", is_turn);
    Py_DECREF(is_turn);
    return waiting;
}

/* ---- The types ---- */

/* For what the derived type fetched by itself. */
static PyObject *messages_give(PyObject *object, PyObject *message) {
    messages_object *self = (messages_object *)object;
    if (!PyObject_TypeCheck(message, self->inbox->state->message_type)) {
        return PyErr_Format(PyExc_TypeError, "a Message is wanted, not %R", (PyObject *)Py_TYPE(message));
    }
    pass_by(self);
    Py_INCREF(message);
    self->given = message;
    Py_INCREF(message);
    return message;
}

static PyObject *messages_pass(PyObject *object, PyObject *Py_UNUSED(nothing)) {
    pass_by((messages_object *)object);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"_give", messages_give, METH_O, "_give($self, message, /)\n--\n\nThe message, which is done with at the next step."},
    {"_pass", messages_pass, METH_NOARGS, "_pass($self, /)\n--\n\nIs done with the message that was given out last, unless it is a request."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"_peer", T_OBJECT, offsetof(messages_object, peer), READONLY, "Whose messages are wanted; None: all."},
    {"_lane", T_INT, offsetof(messages_object, lane), READONLY, "Of which lane; -1: of all."},
    {NULL, 0, 0, 0, NULL},
};

#define COMMON_SLOTS {Py_tp_new, messages_make}, {Py_tp_dealloc, messages_dealloc}, {Py_tp_methods, methods}, {Py_tp_members, members}

static PyType_Slot sync_slots[] = {
    COMMON_SLOTS,
    {Py_tp_doc, "MessageIterator(inbox, peer_id, lane, /)\n--\n\nFor `for`."},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, sync_next},
    {0, NULL},
};

static PyType_Slot async_slots[] = {
    COMMON_SLOTS,
    {Py_tp_doc, "AsyncMessageIterator(inbox, peer_id, lane, /)\n--\n\nFor `async for`."},
    {Py_am_aiter, PyObject_SelfIter},
    {Py_am_anext, async_next},
    {0, NULL},
};

static PyType_Slot ready_slots[] = {
    {Py_tp_doc, "A step that need not wait."},
    {Py_tp_dealloc, ready_dealloc},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, ready_send},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, ready_next},
    {0, NULL},
};

static PyTypeObject *make(PyObject *module, const char *name, int size, unsigned int flags, PyType_Slot *slots) {
    PyType_Spec spec = {.name = name, .basicsize = size, .flags = Py_TPFLAGS_DEFAULT | flags, .slots = slots};
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}

static int add(PyObject *module, const char *name, PyType_Slot *slots) {
    PyTypeObject *type = make(module, name, sizeof(messages_object), Py_TPFLAGS_BASETYPE, slots);
    int result = type == NULL ? -1 : PyModule_AddType(module, type);
    Py_XDECREF(type);
    return result;
}

int add_iterator_types(PyObject *module, module_state *state) {
    state->ready_type = make(module, "meshnet._meshnet.Ready", sizeof(ready_object), Py_TPFLAGS_DISALLOW_INSTANTIATION, ready_slots);
    if (state->ready_type == NULL) {
        return -1;
    }
    return add(module, "meshnet._meshnet.MessageIterator", sync_slots) < 0 || add(module, "meshnet._meshnet.AsyncMessageIterator", async_slots) < 0 ? -1 : 0;
}
