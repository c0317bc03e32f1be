/* The methods of Node for messages to one peer. Those ending in _start keep the interpreter lock, but for files. */
#include "module.h"

#include <string.h>

/* Messages that one call fetches at most, whatever the caller asks for: their pointers lie on the stack. */
#define LARGEST_BATCH 256

/* How a message is sent, as methods take it: lane, milliseconds or -1, what a full queue does. */
static int32_t fill_options(meshnet_send_options_t *options, int lane, long long deadline_ms, int when_full) {
    int32_t code = meshnet_send_options_default(options, sizeof *options);
    options->lane = lane;
    options->deadline_ms = deadline_ms;
    options->when_full = when_full;
    return code;
}

static PyObject *none_or_raise(PyObject *self, int32_t code) {
    if (code != MESHNET_OK) {
        return raise_code(state_of(self), code);
    }
    Py_RETURN_NONE;
}

/* ---- Sending ---- */

static PyObject *node_send(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    meshnet_send_options_t options;
    const char *peer_id;
    Py_buffer data;
    int lane, when_full, waits, timeout_ms;
    long long deadline_ms;
    if (node == NULL || !PyArg_ParseTuple(arguments, "sy*iLipi:send", &peer_id, &data, &lane, &deadline_ms, &when_full, &waits, &timeout_ms)) {
        return NULL;
    }
    int32_t code = fill_options(&options, lane, deadline_ms, when_full);
    options.waits_for_delivery = waits;
    if (code == MESHNET_OK) {
        Py_BEGIN_ALLOW_THREADS
        code = meshnet_send(node, peer_id, data.buf, (size_t)data.len, &options, timeout_ms);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&data);
    return none_or_raise(self, code);
}

static PyObject *node_send_file(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    meshnet_send_options_t options;
    const char *peer_id, *path;
    int lane, when_full, waits, timeout_ms;
    long long deadline_ms;
    if (node == NULL
        || !PyArg_ParseTuple(arguments, "ssiLipi:send_file", &peer_id, &path, &lane, &deadline_ms, &when_full, &waits, &timeout_ms)) {
        return NULL;
    }
    int32_t code = fill_options(&options, lane, deadline_ms, when_full);
    options.waits_for_delivery = waits;
    if (code == MESHNET_OK) {
        Py_BEGIN_ALLOW_THREADS
        code = meshnet_send_file(node, peer_id, path, &options, timeout_ms);
        Py_END_ALLOW_THREADS
    }
    return none_or_raise(self, code);
}

/* Bytes of Python objects, as the library takes them. */
typedef struct {
    Py_buffer *views; /* of those that are no bytes objects: these need none */
    meshnet_bytes_t *items;
    size_t view_count;
} bytes_array;

static void bytes_array_clear(bytes_array *array) {
    for (size_t index = 0; index < array->view_count; index++) {
        PyBuffer_Release(&array->views[index]);
    }
    PyMem_Free(array->views);
    PyMem_Free(array->items);
}

static int bytes_array_add_view(bytes_array *array, PyObject *object, meshnet_bytes_t *item, size_t left) {
    if (array->views == NULL && (array->views = PyMem_Calloc(left, sizeof *array->views)) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    Py_buffer *view = &array->views[array->view_count];
    if (PyObject_GetBuffer(object, view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    array->view_count++;
    *item = (meshnet_bytes_t){view->buf, (size_t)view->len};
    return 0;
}

static int bytes_array_fill(bytes_array *array, PyObject *tuple) {
    size_t count = (size_t)PyTuple_Size(tuple);
    array->items = PyMem_Malloc((count + 1) * sizeof *array->items);
    if (array->items == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t index = 0; index < count; index++) {
        PyObject *object = PyTuple_GetItem(tuple, (Py_ssize_t)index);
        if (PyBytes_CheckExact(object)) {
            array->items[index] = (meshnet_bytes_t){(const uint8_t *)PyBytes_AsString(object), (size_t)PyBytes_Size(object)};
        } else if (bytes_array_add_view(array, object, &array->items[index], count - index) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *node_send_many(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    meshnet_send_options_t options;
    const char *peer_id;
    PyObject *sequence;
    int lane, when_full, waits, timeout_ms;
    long long deadline_ms;
    size_t sent = 0;
    if (node == NULL
        || !PyArg_ParseTuple(arguments, "sOiLipi:send_many", &peer_id, &sequence, &lane, &deadline_ms, &when_full, &waits, &timeout_ms)) {
        return NULL;
    }
    bytes_array messages = {0};
    PyObject *result = NULL;
    PyObject *holder = PySequence_Tuple(sequence);
    if (holder != NULL && bytes_array_fill(&messages, holder) == 0) {
        int32_t code = fill_options(&options, lane, deadline_ms, when_full);
        options.waits_for_delivery = waits;
        if (code == MESHNET_OK) {
            Py_BEGIN_ALLOW_THREADS
            code = meshnet_send_many(node, peer_id, messages.items, (size_t)PyTuple_Size(holder), &options, timeout_ms, &sent);
            Py_END_ALLOW_THREADS
        }
        result = code == MESHNET_OK ? PyLong_FromSize_t(sent) : raise_code(state_of(self), code);
    }
    bytes_array_clear(&messages);
    Py_XDECREF(holder);
    return result;
}

static PyObject *node_publish_many(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *topic;
    PyObject *sequence;
    size_t published = 0;
    if (node == NULL || !PyArg_ParseTuple(arguments, "sO:publish_many", &topic, &sequence)) {
        return NULL;
    }
    bytes_array messages = {0};
    PyObject *result = NULL;
    PyObject *holder = PySequence_Tuple(sequence);
    if (holder != NULL && bytes_array_fill(&messages, holder) == 0) {
        int32_t code;
        Py_BEGIN_ALLOW_THREADS
        code = meshnet_publish_many(node, topic, messages.items, (size_t)PyTuple_Size(holder), &published);
        Py_END_ALLOW_THREADS
        result = code == MESHNET_OK ? PyLong_FromSize_t(published) : raise_code(state_of(self), code);
    }
    bytes_array_clear(&messages);
    Py_XDECREF(holder);
    return result;
}

static PyObject *node_send_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    meshnet_send_options_t options;
    meshnet_ticket_t ticket = {0};
    const char *peer_id;
    Py_buffer data;
    int lane, when_full, reports;
    long long deadline_ms;
    if (node == NULL || !PyArg_ParseTuple(arguments, "sy*iLip:send_start", &peer_id, &data, &lane, &deadline_ms, &when_full, &reports)) {
        return NULL;
    }
    call *entry = call_begin(self, CALL_NOTHING);
    PyObject *result = NULL;
    if (entry != NULL) {
        int32_t code = fill_options(&options, lane, deadline_ms, when_full);
        options.reports_acceptance = reports;
        if (code == MESHNET_OK) {
            code = meshnet_send_start(node, peer_id, data.buf, (size_t)data.len, &options, &ticket);
        }
        result = call_finish(self, entry, code, ticket);
    }
    PyBuffer_Release(&data);
    return result;
}

/* It copies a file, so that it releases the interpreter lock; another thread may fetch its completion first. That is why it has no entry in the
   table of calls: nothing comes with its completion. */
static PyObject *node_send_file_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    meshnet_send_options_t options;
    meshnet_ticket_t ticket = {0};
    const char *peer_id, *path;
    int lane, when_full, reports;
    long long deadline_ms;
    if (node == NULL || !PyArg_ParseTuple(arguments, "ssiLip:send_file_start", &peer_id, &path, &lane, &deadline_ms, &when_full, &reports)) {
        return NULL;
    }
    int32_t code = fill_options(&options, lane, deadline_ms, when_full);
    options.reports_acceptance = reports;
    if (code == MESHNET_OK) {
        Py_BEGIN_ALLOW_THREADS
        code = meshnet_send_file_start(node, peer_id, path, &options, &ticket);
        Py_END_ALLOW_THREADS
    }
    return code == MESHNET_OK ? PyLong_FromUnsignedLongLong(ticket.id) : raise_code(state_of(self), code);
}

/* ---- Receiving ---- */

/* Takes the messages over; those that cannot become objects go back. */
static PyObject *messages_to_list(module_state *state, meshnet_message_t **messages, size_t count) {
    PyObject *list = PyList_New((Py_ssize_t)count), *peer_id = NULL, *incarnation = NULL;
    for (size_t index = 0; index < count; index++) {
        PyObject *message = NULL;
        if (list != NULL) {
            message = (PyObject *)message_of(state, state->message_type, messages[index], &peer_id, &incarnation);
        }
        if (message == NULL) {
            meshnet_message_free(messages[index]);
            Py_CLEAR(list);
        } else if (PyList_SetItem(list, (Py_ssize_t)index, message) < 0) {
            Py_CLEAR(list);
        }
    }
    Py_XDECREF(peer_id);
    Py_XDECREF(incarnation);
    return list;
}

static PyObject *node_receive_many(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    int timeout_ms, capacity;
    meshnet_message_t *messages[LARGEST_BATCH];
    size_t count = 0;
    int32_t code;
    if (node == NULL || !PyArg_ParseTuple(arguments, "ii:receive_many", &timeout_ms, &capacity)) {
        return NULL;
    }
    if (capacity < 1) {
        return raise_detail(state_of(self), MESHNET_ERROR_INVALID_ARGUMENT, "capacity must be at least 1");
    }
    size_t wanted = capacity < LARGEST_BATCH ? (size_t)capacity : LARGEST_BATCH;
    code = wait_for_messages(node, timeout_ms, messages, wanted, &count);
    if (code == MESHNET_ERROR_TIMED_OUT) {
        return PyList_New(0);
    }
    if (code != MESHNET_OK) {
        return code == WAIT_RAISED ? NULL : raise_code(state_of(self), code);
    }
    return messages_to_list(state_of(self), messages, count);
}

static PyObject *node_message_fd(PyObject *self, PyObject *Py_UNUSED(nothing)) {
    meshnet_node_t *node = handle_of(self);
    if (node == NULL) {
        return NULL;
    }
    int32_t descriptor = meshnet_message_fd(node);
    return descriptor >= 0 ? PyLong_FromLong(descriptor) : raise_code(state_of(self), descriptor);
}

/* ---- Requests ---- */

static PyObject *node_request(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    meshnet_send_options_t options;
    meshnet_message_t *reply = NULL;
    const char *peer_id;
    Py_buffer data;
    int lane, when_full, timeout_ms;
    if (node == NULL || !PyArg_ParseTuple(arguments, "sy*iii:request", &peer_id, &data, &lane, &when_full, &timeout_ms)) {
        return NULL;
    }
    int32_t code = fill_options(&options, lane, -1, when_full);
    if (code == MESHNET_OK) {
        Py_BEGIN_ALLOW_THREADS
        code = meshnet_request(node, peer_id, data.buf, (size_t)data.len, &options, timeout_ms, &reply);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&data);
    if (code != MESHNET_OK) {
        return raise_code(state_of(self), code);
    }
    PyObject *list = messages_to_list(state_of(self), &reply, 1);
    PyObject *message = list == NULL ? NULL : PyList_GetItem(list, 0);
    Py_XINCREF(message);
    Py_XDECREF(list);
    return message;
}

static PyObject *node_request_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    meshnet_send_options_t options;
    meshnet_ticket_t ticket = {0};
    const char *peer_id;
    Py_buffer data;
    int lane, when_full;
    long long deadline_ms;
    PyObject *kind;
    if (node == NULL
        || !PyArg_ParseTuple(arguments, "sy*iLiO!:request_start", &peer_id, &data, &lane, &deadline_ms, &when_full, &PyType_Type, &kind)) {
        return NULL;
    }
    call *entry = NULL;
    PyObject *result = NULL;
    if (!PyType_IsSubtype((PyTypeObject *)kind, state_of(self)->message_type)) {
        PyErr_Format(PyExc_TypeError, "kind: a type that derives from Message is wanted, not %R", kind);
    } else {
        entry = call_begin(self, CALL_REPLY);
    }
    if (entry != NULL) {
        Py_INCREF(kind);
        entry->reply_type = (PyTypeObject *)kind;
        int32_t code = fill_options(&options, lane, deadline_ms, when_full);
        if (code == MESHNET_OK) {
            code = meshnet_request_start(node, peer_id, data.buf, (size_t)data.len, &options, &ticket);
        }
        result = call_finish(self, entry, code, ticket);
    }
    PyBuffer_Release(&data);
    return result;
}

static message_object *message_argument(PyObject *self, PyObject *object) {
    if (!PyObject_TypeCheck(object, state_of(self)->message_type)) {
        PyErr_Format(PyExc_TypeError, "a Message is wanted, not %R", (PyObject *)Py_TYPE(object));
        return NULL;
    }
    return (message_object *)object;
}

static PyObject *node_reply(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    PyObject *object;
    Py_buffer data;
    int timeout_ms;
    if (node == NULL || !PyArg_ParseTuple(arguments, "Oy*i:reply", &object, &data, &timeout_ms)) {
        return NULL;
    }
    message_object *message = message_argument(self, object);
    meshnet_message_t *used = message == NULL ? NULL : message_use(message);
    int32_t code = MESHNET_ERROR_INVALID_ARGUMENT;
    if (used != NULL) {
        Py_BEGIN_ALLOW_THREADS
        code = meshnet_reply(node, used, data.buf, (size_t)data.len, timeout_ms);
        Py_END_ALLOW_THREADS
        message_unuse(message);
    }
    PyBuffer_Release(&data);
    return used == NULL ? NULL : none_or_raise(self, code);
}

static PyObject *node_reply_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    meshnet_ticket_t ticket = {0};
    PyObject *object, *result = NULL;
    Py_buffer data;
    if (node == NULL || !PyArg_ParseTuple(arguments, "Oy*:reply_start", &object, &data)) {
        return NULL;
    }
    message_object *message = message_argument(self, object);
    meshnet_message_t *used = message == NULL ? NULL : message_use(message);
    call *entry = used == NULL ? NULL : call_begin(self, CALL_NOTHING);
    if (entry != NULL) {
        int32_t code = meshnet_reply_start(node, used, data.buf, (size_t)data.len, &ticket);
        result = call_finish(self, entry, code, ticket);
    }
    if (used != NULL) {
        message_unuse(message);
    }
    PyBuffer_Release(&data);
    return result;
}

/* ---- Channels ---- */

static PyObject *node_reconnect(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *peer_id;
    PyObject *sequence;
    text_array addresses;
    if (node == NULL || !PyArg_ParseTuple(arguments, "sO:reconnect", &peer_id, &sequence)
        || text_array_fill(&addresses, sequence, "addresses") < 0) {
        return NULL;
    }
    int32_t code;
    Py_BEGIN_ALLOW_THREADS
    code = meshnet_reconnect(node, peer_id, addresses.items, addresses.count);
    Py_END_ALLOW_THREADS
    text_array_clear(&addresses);
    return none_or_raise(self, code);
}

static PyObject *node_reconnect_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *peer_id;
    PyObject *sequence, *result = NULL;
    text_array addresses;
    meshnet_ticket_t ticket = {0};
    if (node == NULL || !PyArg_ParseTuple(arguments, "sO:reconnect_start", &peer_id, &sequence)
        || text_array_fill(&addresses, sequence, "addresses") < 0) {
        return NULL;
    }
    call *entry = call_begin(self, CALL_NOTHING);
    if (entry != NULL) {
        int32_t code = meshnet_reconnect_start(node, peer_id, addresses.items, addresses.count, &ticket);
        result = call_finish(self, entry, code, ticket);
    }
    text_array_clear(&addresses);
    return result;
}

static PyObject *node_close_peer(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *peer_id, *reason;
    if (node == NULL || !PyArg_ParseTuple(arguments, "sz:close_peer", &peer_id, &reason)) {
        return NULL;
    }
    int32_t code;
    Py_BEGIN_ALLOW_THREADS
    code = meshnet_close_peer(node, peer_id, reason);
    Py_END_ALLOW_THREADS
    return none_or_raise(self, code);
}

static PyObject *node_close_peer_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *peer_id, *reason;
    meshnet_ticket_t ticket = {0};
    if (node == NULL || !PyArg_ParseTuple(arguments, "sz:close_peer_start", &peer_id, &reason)) {
        return NULL;
    }
    call *entry = call_begin(self, CALL_NOTHING);
    if (entry == NULL) {
        return NULL;
    }
    int32_t code = meshnet_close_peer_start(node, peer_id, reason, &ticket);
    return call_finish(self, entry, code, ticket);
}

static PyObject *node_channels(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *peer_id;
    meshnet_channel_list_t *channels = NULL;
    if (node == NULL || !PyArg_ParseTuple(arguments, "z:channels", &peer_id)) {
        return NULL;
    }
    int32_t code;
    Py_BEGIN_ALLOW_THREADS
    code = meshnet_channels(node, peer_id, &channels);
    Py_END_ALLOW_THREADS
    PyObject *result = code == MESHNET_OK ? channels_to_list(channels) : raise_code(state_of(self), code);
    meshnet_channel_list_free(channels);
    return result;
}

static PyObject *node_channels_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *peer_id;
    meshnet_ticket_t ticket = {0};
    if (node == NULL || !PyArg_ParseTuple(arguments, "z:channels_start", &peer_id)) {
        return NULL;
    }
    call *entry = call_begin(self, CALL_CHANNELS);
    if (entry == NULL) {
        return NULL;
    }
    int32_t code = meshnet_channels_start(node, peer_id, &ticket);
    return call_finish(self, entry, code, ticket);
}

#define ENTRY(name, flags, signature) {#name, node_##name, flags, #name "($self" signature ")\n--\n\nSee meshnet_" #name " in meshnet.h."}

const PyMethodDef node_message_methods[] = {
    ENTRY(send, METH_VARARGS, ", peer_id, data, lane, deadline_ms, when_full, waits_for_delivery, timeout_ms, /"),
    ENTRY(publish_many, METH_VARARGS, ", topic, messages, /"),
    ENTRY(send_many, METH_VARARGS, ", peer_id, messages, lane, deadline_ms, when_full, waits_for_delivery, timeout_ms, /"),
    ENTRY(send_file, METH_VARARGS, ", peer_id, path, lane, deadline_ms, when_full, waits_for_delivery, timeout_ms, /"),
    ENTRY(send_start, METH_VARARGS, ", peer_id, data, lane, deadline_ms, when_full, reports_acceptance, /"),
    ENTRY(send_file_start, METH_VARARGS, ", peer_id, path, lane, deadline_ms, when_full, reports_acceptance, /"),
    ENTRY(receive_many, METH_VARARGS, ", timeout_ms, capacity, /"),
    ENTRY(message_fd, METH_NOARGS, ""),
    ENTRY(request, METH_VARARGS, ", peer_id, data, lane, when_full, timeout_ms, /"),
    ENTRY(request_start, METH_VARARGS, ", peer_id, data, lane, deadline_ms, when_full, kind, /"),
    ENTRY(reply, METH_VARARGS, ", message, data, timeout_ms, /"),
    ENTRY(reply_start, METH_VARARGS, ", message, data, /"),
    ENTRY(reconnect, METH_VARARGS, ", peer_id, addresses, /"),
    ENTRY(reconnect_start, METH_VARARGS, ", peer_id, addresses, /"),
    ENTRY(close_peer, METH_VARARGS, ", peer_id, reason, /"),
    ENTRY(close_peer_start, METH_VARARGS, ", peer_id, reason, /"),
    ENTRY(channels, METH_VARARGS, ", peer_id, /"),
    ENTRY(channels_start, METH_VARARGS, ", peer_id, /"),
    {NULL, NULL, 0, NULL},
};
