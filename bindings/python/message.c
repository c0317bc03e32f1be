/*
 * Message: one that arrived, or a reply. It owns what the library gave, until free() or until nobody refers to it; both tell the node that the
 * application is done with it. What is read often lies in members, and stays readable afterwards.
 */
#include "module.h"

#include <stddef.h>
#include <string.h>
#include <structmember.h>

/* The text as an object, the same one as for the last message when it is the same text: most messages of a batch come from one peer. */
static PyObject *shared_text(const char *text, PyObject **last) {
    const char *before = *last == NULL ? NULL : PyUnicode_AsUTF8AndSize(*last, NULL);
    if (before == NULL || strcmp(text, before) != 0) {
        PyErr_Clear();
        Py_XDECREF(*last);
        *last = text_or_none(text);
    }
    Py_XINCREF(*last);
    return *last;
}

static message_object *message_make(module_state *state, PyTypeObject *type, const meshnet_message_t *source, PyObject **peer_id,
                                    PyObject **incarnation) {
    message_object *self = (message_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->state = state;
    self->peer_id = shared_text(source->peer_id, peer_id);
    self->incarnation = shared_text(source->incarnation, incarnation);
    self->lane = source->lane;
    self->is_request = (char)source->is_request;
    self->is_redelivered = (char)source->is_redelivered;
    self->in_file = source->data == NULL;
    self->sequence = source->sequence;
    self->size = (Py_ssize_t)source->data_length;
    if (source->data != NULL) {
        self->data = PyBytes_FromStringAndSize((const char *)source->data, (Py_ssize_t)source->data_length);
    }
    if (self->peer_id == NULL || self->incarnation == NULL || (source->data != NULL && self->data == NULL)) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}

message_object *message_of(module_state *state, PyTypeObject *type, meshnet_message_t *source, PyObject **peer_id, PyObject **incarnation) {
    message_object *self = message_make(state, type, source, peer_id, incarnation);
    if (self != NULL) {
        self->message = source;
    }
    return self;
}

PyObject *reply_of(module_state *state, PyTypeObject *type, meshnet_event_t *event, bool *kept) {
    PyObject *peer_id = NULL, *incarnation = NULL;
    message_object *self = message_make(state, type, event->reply, &peer_id, &incarnation);
    Py_XDECREF(peer_id);
    Py_XDECREF(incarnation);
    if (self != NULL) {
        self->message = (meshnet_message_t *)event->reply;
        self->event = event;
        *kept = true;
    }
    return (PyObject *)self;
}

meshnet_message_t *message_use(message_object *self) {
    if (self->message == NULL || self->freed) {
        raise_detail(self->state, MESHNET_ERROR_INVALID_ARGUMENT, "the message was freed");
        return NULL;
    }
    self->users++;
    return self->message;
}

static void release(message_object *self) {
    meshnet_message_t *message = self->message;
    meshnet_event_t *event = self->event;
    self->message = NULL;
    self->event = NULL;
    if (event != NULL) {
        meshnet_event_free(event);
    } else {
        meshnet_message_free(message);
    }
}

void message_release(message_object *self) {
    self->freed = true;
    if (self->users == 0) {
        release(self);
    }
}

void message_unuse(message_object *self) {
    self->users--;
    if (self->freed && self->users == 0) {
        release(self);
    }
}

static void message_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    message_object *self = (message_object *)object;
    release(self);
    Py_XDECREF(self->peer_id);
    Py_XDECREF(self->incarnation);
    Py_XDECREF(self->owner);
    Py_XDECREF(self->data);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static PyObject *message_free(PyObject *object, PyObject *Py_UNUSED(nothing)) {
    message_release((message_object *)object);
    Py_RETURN_NONE;
}

static PyObject *message_read(PyObject *object, PyObject *arguments) {
    message_object *self = (message_object *)object;
    unsigned long long offset;
    Py_buffer buffer;
    size_t count = 0;
    if (!PyArg_ParseTuple(arguments, "Kw*:read", &offset, &buffer)) {
        return NULL;
    }
    meshnet_message_t *message = message_use(self);
    int32_t code = MESHNET_OK;
    if (message != NULL && buffer.len > 0) {
        Py_BEGIN_ALLOW_THREADS
        code = meshnet_message_read(message, offset, buffer.buf, (size_t)buffer.len, &count);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&buffer);
    if (message == NULL) {
        return NULL;
    }
    message_unuse(self);
    return code == MESHNET_OK ? PyLong_FromSize_t(count) : raise_code(self->state, code);
}

static PyObject *message_save(PyObject *object, PyObject *path_object) {
    message_object *self = (message_object *)object;
    const char *path;
    if (text_argument(path_object, "path", &path) < 0) {
        return NULL;
    }
    meshnet_message_t *message = message_use(self);
    if (message == NULL) {
        return NULL;
    }
    int32_t code;
    Py_BEGIN_ALLOW_THREADS
    code = meshnet_message_save(message, path);
    Py_END_ALLOW_THREADS
    message_unuse(self);
    if (code != MESHNET_OK) {
        return raise_code(self->state, code);
    }
    Py_RETURN_NONE;
}

/* All bytes. Those of a file are read once, without the interpreter lock. */
static PyObject *message_data(PyObject *object, void *Py_UNUSED(closure)) {
    message_object *self = (message_object *)object;
    if (self->data == NULL) {
        meshnet_message_t *message = message_use(self);
        PyObject *data = message == NULL ? NULL : PyBytes_FromStringAndSize(NULL, self->size);
        int32_t code = MESHNET_OK;
        if (data != NULL) {
            uint8_t *bytes = (uint8_t *)PyBytes_AsString(data);
            size_t count = 0;
            Py_BEGIN_ALLOW_THREADS
            code = meshnet_message_read(message, 0, bytes, (size_t)self->size, &count);
            Py_END_ALLOW_THREADS
        }
        if (message != NULL) {
            message_unuse(self);
        }
        if (data == NULL || code != MESHNET_OK) {
            Py_XDECREF(data);
            return code == MESHNET_OK ? NULL : raise_code(self->state, code);
        }
        Py_XDECREF(self->data);
        self->data = data;
    }
    Py_INCREF(self->data);
    return self->data;
}

static PyMethodDef methods[] = {
    {"read", message_read, METH_VARARGS, "read($self, offset, buffer, /)\n--\n\nCopies bytes from `offset` on; less than fit at the end only."},
    {"save", message_save, METH_O, "save($self, path, /)\n--\n\nWrites the message into a file, which is complete or not there."},
    {"free", message_free, METH_NOARGS, "free($self)\n--\n\nTells the node that the application is done with the message."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"peer_id", T_OBJECT_EX, offsetof(message_object, peer_id), READONLY, "Who sent it."},
    {"data_length", T_PYSSIZET, offsetof(message_object, size), READONLY, "In bytes."},
    {"in_file", T_BOOL, offsetof(message_object, in_file), READONLY, "It lies in a file and not in memory."},
    {"owner", T_OBJECT, offsetof(message_object, owner), READONLY, "What its Inbox was given as its owner; None of others."},
    {"lane", T_INT, offsetof(message_object, lane), READONLY, "LANE_CONTROL, LANE_NORMAL or LANE_BULK."},
    {"is_request", T_BOOL, offsetof(message_object, is_request), READONLY, "The peer waits for a reply."},
    {"is_redelivered", T_BOOL, offsetof(message_object, is_redelivered), READONLY, "It was given before the process ended, and not freed."},
    {"sequence", T_ULONGLONG, offsetof(message_object, sequence), READONLY, "From 1; 0 in a reply."},
    {"incarnation", T_OBJECT_EX, offsetof(message_object, incarnation), READONLY, "Of the peer, 32 digits; empty in a reply."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef computed[] = {
    {"data", message_data, NULL, "The bytes. Of a message in a file they are read when they are first asked for.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "A message that arrived, or a reply."},
    {Py_tp_dealloc, message_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_getset, computed},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "meshnet._meshnet.Message",
    .basicsize = sizeof(message_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

int add_message_type(PyObject *module, module_state *state) {
    state->message_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->message_type == NULL ? -1 : PyModule_AddType(module, state->message_type);
}

/* ---- Channels ---- */

static PyObject *failure_to_tuple(const meshnet_dial_failure_t *failure) {
    return Py_BuildValue("iN", (int)failure->cause, text_or_none(failure->detail));
}

static PyObject *by_lane(const uint64_t counts[3]) {
    return Py_BuildValue("KKK", (unsigned long long)counts[0], (unsigned long long)counts[1], (unsigned long long)counts[2]);
}

static PyObject *channel_to_tuple(const meshnet_channel_t *channel) {
    PyObject *failures = PyList_New((Py_ssize_t)channel->failure_count);
    for (size_t index = 0; failures != NULL && index < channel->failure_count; index++) {
        PyObject *failure = failure_to_tuple(channel->failures[index]);
        if (failure == NULL || PyList_SetItem(failures, (Py_ssize_t)index, failure) < 0) {
            Py_CLEAR(failures);
        }
    }
    return Py_BuildValue("NiLNNNNNKKKKKKKKKNLLKKNN", text_or_none(channel->peer_id), (int)channel->state, (long long)channel->retry_after_ms,
                         PyBool_FromLong(channel->closed_by_us), text_or_none(channel->closed_reason), text_or_none(channel->incarnation),
                         by_lane(channel->queued_messages), by_lane(channel->queued_bytes), (unsigned long long)channel->unsettled_messages,
                         (unsigned long long)channel->unsettled_bytes, (unsigned long long)channel->delivered,
                         (unsigned long long)channel->received, (unsigned long long)channel->expired, (unsigned long long)channel->displaced,
                         (unsigned long long)channel->failed, (unsigned long long)channel->duplicates, (unsigned long long)channel->attempts,
                         failures, (long long)channel->silence_ms, (long long)channel->round_trip_ns, (unsigned long long)channel->sending_bytes,
                         (unsigned long long)channel->sending_total, PyBool_FromLong(channel->is_sending_limited),
                         PyBool_FromLong(channel->is_receiving_limited));
}

PyObject *channels_to_list(const meshnet_channel_list_t *channels) {
    size_t count = channels == NULL ? 0 : channels->count;
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t index = 0; list != NULL && index < count; index++) {
        PyObject *channel = channel_to_tuple(channels->items[index]);
        if (channel == NULL || PyList_SetItem(list, (Py_ssize_t)index, channel) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}
