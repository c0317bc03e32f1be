/*
 * The methods of Node that return at once, with a ticket. They keep the interpreter lock from the start of the call until it is in the
 * table, so that nobody can fetch its completion before.
 */
#include "module.h"

/* Before the call is started: everything that can fail on our side. */
call *call_begin(PyObject *self, enum call_kind kind) {
    if (call_table_reserve(&((node_object *)self)->calls) < 0) {
        return NULL;
    }
    return call_new(kind);
}

/* After: the ticket, or the exception. Takes the entry over. */
PyObject *call_finish(PyObject *self, call *entry, int32_t code, meshnet_ticket_t ticket) {
    if (code != MESHNET_OK) {
        raise_code(state_of(self), code);
        call_free(entry);
        return NULL;
    }
    entry->ticket = ticket.id;
    call_table_add(&((node_object *)self)->calls, entry);
    return PyLong_FromUnsignedLongLong(ticket.id);
}

/* A method without arguments, and one of a text. */
#define START_PLAIN(name, kind)                                                                                             \
    static PyObject *node_##name(PyObject *self, PyObject *Py_UNUSED(nothing)) {                                            \
        meshnet_node_t *node = handle_of(self);                                                                             \
        meshnet_ticket_t ticket = {0};                                                                                      \
        call *entry = node == NULL ? NULL : call_begin(self, kind);                                                         \
        if (entry == NULL) {                                                                                                \
            return NULL;                                                                                                    \
        }                                                                                                                   \
        int32_t code = meshnet_##name(node, &ticket);                                                                       \
        return call_finish(self, entry, code, ticket);                                                                      \
    }

#define START_TEXT(name, kind)                                                                                              \
    static PyObject *node_##name(PyObject *self, PyObject *argument) {                                                      \
        meshnet_node_t *node = handle_of(self);                                                                             \
        meshnet_ticket_t ticket = {0};                                                                                      \
        const char *text;                                                                                                   \
        if (node == NULL || text_argument(argument, #name, &text) < 0) {                                                    \
            return NULL;                                                                                                    \
        }                                                                                                                   \
        call *entry = call_begin(self, kind);                                                                               \
        if (entry == NULL) {                                                                                                \
            return NULL;                                                                                                    \
        }                                                                                                                   \
        int32_t code = meshnet_##name(node, text, &ticket);                                                                 \
        return call_finish(self, entry, code, ticket);                                                                      \
    }

START_TEXT(connect_start, CALL_CONNECTION)
START_TEXT(disconnect_start, CALL_NOTHING)
START_TEXT(add_bootstrap_peer_start, CALL_NOTHING)
START_TEXT(remove_bootstrap_peer_start, CALL_NOTHING)
START_TEXT(subscribe_start, CALL_CHANGED)
START_TEXT(unsubscribe_start, CALL_CHANGED)
START_TEXT(topic_peers_start, CALL_PEERS)
START_TEXT(accept_start, CALL_CHANGED)
START_TEXT(stop_accepting_start, CALL_CHANGED)
START_TEXT(ping_start, CALL_PING)
START_TEXT(protect_start, CALL_CHANGED)
START_TEXT(unprotect_start, CALL_CHANGED)
START_TEXT(diagnose_start, CALL_DIAGNOSIS)

START_PLAIN(peers_start, CALL_PEERS)
START_PLAIN(address_problems_start, CALL_PROBLEMS)
START_PLAIN(discovery_table_start, CALL_TABLE)

static PyObject *node_discovery_configure_start(PyObject *self, PyObject *options) {
    meshnet_node_t *node = handle_of(self);
    discovery_request request = {0};
    meshnet_ticket_t ticket = {0};
    PyObject *result = NULL;
    if (node == NULL) {
        return NULL;
    }
    if (discovery_request_fill(state_of(self), &request, options) == 0) {
        call *entry = call_begin(self, CALL_NOTHING);
        if (entry != NULL) {
            int32_t code = meshnet_discovery_configure_start(node, &request.options, &ticket);
            result = call_finish(self, entry, code, ticket);
        }
    }
    discovery_request_clear(&request);
    return result;
}

static PyObject *node_publish_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *topic;
    Py_buffer data;
    meshnet_ticket_t ticket = {0};
    if (node == NULL || !PyArg_ParseTuple(arguments, "sy*:publish_start", &topic, &data)) {
        return NULL;
    }
    call *entry = call_begin(self, CALL_NOTHING);
    PyObject *result = NULL;
    if (entry != NULL) {
        int32_t code = meshnet_publish_start(node, topic, data.buf, (size_t)data.len, &ticket);
        result = call_finish(self, entry, code, ticket);
    }
    PyBuffer_Release(&data);
    return result;
}

static PyObject *node_publish_retained_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *topic;
    Py_buffer data;
    meshnet_ticket_t ticket = {0};
    if (node == NULL || !PyArg_ParseTuple(arguments, "sy*:publish_retained_start", &topic, &data)) {
        return NULL;
    }
    call *entry = call_begin(self, CALL_NOTHING);
    PyObject *result = NULL;
    if (entry != NULL) {
        int32_t code = meshnet_publish_retained_start(node, topic, data.buf, (size_t)data.len, &ticket);
        result = call_finish(self, entry, code, ticket);
    }
    PyBuffer_Release(&data);
    return result;
}

static PyObject *node_wait_for_peers_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *topic;
    Py_ssize_t count;
    meshnet_ticket_t ticket = {0};
    if (node == NULL || !PyArg_ParseTuple(arguments, "sn:wait_for_peers_start", &topic, &count)) {
        return NULL;
    }
    call *entry = call_begin(self, CALL_PEERS);
    if (entry == NULL) {
        return NULL;
    }
    int32_t code = meshnet_wait_for_peers_start(node, topic, (size_t)count, &ticket);
    return call_finish(self, entry, code, ticket);
}

static PyObject *node_stream_open_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *peer_id;
    PyObject *sequence;
    text_array protocols;
    meshnet_ticket_t ticket = {0};
    if (node == NULL || !PyArg_ParseTuple(arguments, "sO:stream_open_start", &peer_id, &sequence)
        || text_array_fill(&protocols, sequence, "protocol_ids") < 0) {
        return NULL;
    }
    call *entry = call_begin(self, CALL_STREAM);
    PyObject *result = NULL;
    if (entry != NULL) {
        int32_t code = meshnet_stream_open_start(node, peer_id, protocols.items, protocols.count, &ticket);
        result = call_finish(self, entry, code, ticket);
    }
    text_array_clear(&protocols);
    return result;
}

static PyObject *node_perf_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *peer_id;
    unsigned long long upload, download;
    meshnet_ticket_t ticket = {0};
    if (node == NULL || !PyArg_ParseTuple(arguments, "sKK:perf_start", &peer_id, &upload, &download)) {
        return NULL;
    }
    call *entry = call_begin(self, CALL_PERF);
    if (entry == NULL) {
        return NULL;
    }
    int32_t code = meshnet_perf_start(node, peer_id, upload, download, &ticket);
    return call_finish(self, entry, code, ticket);
}

static PyObject *node_stream_read_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    unsigned long long id;
    Py_ssize_t capacity;
    meshnet_ticket_t ticket = {0};
    if (node == NULL || !PyArg_ParseTuple(arguments, "Kn:stream_read_start", &id, &capacity)) {
        return NULL;
    }
    if (capacity < 1) {
        return raise_detail(state_of(self), MESHNET_ERROR_INVALID_ARGUMENT, "capacity must be at least 1");
    }
    call *entry = call_begin(self, CALL_READ);
    if (entry == NULL) {
        return NULL;
    }
    entry->block = PyMem_Malloc((size_t)capacity);
    if (entry->block == NULL) {
        call_free(entry);
        return PyErr_NoMemory();
    }
    int32_t code = meshnet_stream_read_start(node, (meshnet_stream_t){id}, entry->block, (size_t)capacity, &ticket);
    return call_finish(self, entry, code, ticket);
}

static PyObject *node_stream_read_into_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    unsigned long long id;
    Py_buffer view;
    meshnet_ticket_t ticket = {0};
    if (node == NULL || !PyArg_ParseTuple(arguments, "Kw*:stream_read_into_start", &id, &view)) {
        return NULL;
    }
    call *entry = call_begin(self, CALL_READ_INTO);
    if (entry == NULL) {
        PyBuffer_Release(&view);
        return NULL;
    }
    entry->view = view;
    int32_t code = meshnet_stream_read_start(node, (meshnet_stream_t){id}, view.buf, (size_t)view.len, &ticket);
    return call_finish(self, entry, code, ticket);
}

static PyObject *node_stream_write_start(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    unsigned long long id;
    Py_buffer view;
    meshnet_ticket_t ticket = {0};
    if (node == NULL || !PyArg_ParseTuple(arguments, "Ky*:stream_write_start", &id, &view)) {
        return NULL;
    }
    call *entry = call_begin(self, CALL_WRITE);
    if (entry == NULL) {
        PyBuffer_Release(&view);
        return NULL;
    }
    entry->view = view;
    int32_t code = meshnet_stream_write_start(node, (meshnet_stream_t){id}, view.buf, (size_t)view.len, &ticket);
    return call_finish(self, entry, code, ticket);
}

static PyObject *node_cancel(PyObject *self, PyObject *argument) {
    meshnet_node_t *node = handle_of(self);
    meshnet_ticket_t ticket = {PyLong_AsUnsignedLongLong(argument)};
    if (node == NULL || PyErr_Occurred()) {
        return NULL;
    }
    int32_t code = meshnet_cancel(node, ticket);
    if (code != MESHNET_OK) {
        return raise_code(state_of(self), code);
    }
    Py_RETURN_NONE;
}

#define ENTRY(name, flags, signature) {#name, node_##name, flags, #name "($self" signature ")\n--\n\nSee meshnet_" #name " in meshnet.h."}

const PyMethodDef node_started_methods[] = {
    ENTRY(connect_start, METH_O, ", address, /"),
    ENTRY(disconnect_start, METH_O, ", peer_id, /"),
    ENTRY(peers_start, METH_NOARGS, ""),
    ENTRY(address_problems_start, METH_NOARGS, ""),
    ENTRY(add_bootstrap_peer_start, METH_O, ", address, /"),
    ENTRY(remove_bootstrap_peer_start, METH_O, ", address, /"),
    ENTRY(protect_start, METH_O, ", peer_id, /"),
    ENTRY(unprotect_start, METH_O, ", peer_id, /"),
    ENTRY(discovery_table_start, METH_NOARGS, ""),
    ENTRY(discovery_configure_start, METH_O, ", options, /"),
    ENTRY(diagnose_start, METH_O, ", target, /"),
    ENTRY(subscribe_start, METH_O, ", topic, /"),
    ENTRY(unsubscribe_start, METH_O, ", topic, /"),
    ENTRY(publish_start, METH_VARARGS, ", topic, data, /"),
    ENTRY(publish_retained_start, METH_VARARGS, ", topic, data, /"),
    ENTRY(topic_peers_start, METH_O, ", topic, /"),
    ENTRY(wait_for_peers_start, METH_VARARGS, ", topic, count, /"),
    ENTRY(stream_open_start, METH_VARARGS, ", peer_id, protocol_ids, /"),
    ENTRY(accept_start, METH_O, ", protocol_id, /"),
    ENTRY(stop_accepting_start, METH_O, ", protocol_id, /"),
    ENTRY(ping_start, METH_O, ", peer_id, /"),
    ENTRY(perf_start, METH_VARARGS, ", peer_id, upload, download, /"),
    ENTRY(stream_read_start, METH_VARARGS, ", stream, capacity, /"),
    {"stream_read_into_start", node_stream_read_into_start, METH_VARARGS,
     "stream_read_into_start($self, stream, buffer, /)\n--\n\nmeshnet_stream_read_start into memory of the caller."},
    ENTRY(stream_write_start, METH_VARARGS, ", stream, data, /"),
    ENTRY(cancel, METH_O, ", ticket, /"),
    {NULL, NULL, 0, NULL},
};
