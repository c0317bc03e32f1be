/* The methods of Node that wait for their result, with the interpreter lock released. */
#include "module.h"

/* Runs `call`, an expression that gives a code, without the interpreter lock. */
#define WITHOUT_LOCK(code, call)                                                                                            \
    int32_t code;                                                                                                           \
    Py_BEGIN_ALLOW_THREADS                                                                                                  \
    code = (call);                                                                                                          \
    Py_END_ALLOW_THREADS

#define RETURN_NONE_OR_RAISE(self, code)                                                                                    \
    do {                                                                                                                    \
        if ((code) != MESHNET_OK) {                                                                                         \
            return raise_code(state_of(self), (code));                                                                      \
        }                                                                                                                   \
        Py_RETURN_NONE;                                                                                                     \
    } while (0)

/* A method of one text that returns nothing. */
#define TEXT_METHOD(name)                                                                                                   \
    static PyObject *node_##name(PyObject *self, PyObject *argument) {                                                      \
        meshnet_node_t *node = handle_of(self);                                                                             \
        const char *text;                                                                                                   \
        if (node == NULL || text_argument(argument, #name, &text) < 0) {                                                    \
            return NULL;                                                                                                    \
        }                                                                                                                   \
        WITHOUT_LOCK(code, meshnet_##name(node, text))                                                                      \
        RETURN_NONE_OR_RAISE(self, code);                                                                                   \
    }

/* A method of one text that tells whether it changed something. */
#define CHANGING_METHOD(name)                                                                                               \
    static PyObject *node_##name(PyObject *self, PyObject *argument) {                                                      \
        meshnet_node_t *node = handle_of(self);                                                                             \
        const char *text;                                                                                                   \
        bool changed = false;                                                                                               \
        if (node == NULL || text_argument(argument, #name, &text) < 0) {                                                    \
            return NULL;                                                                                                    \
        }                                                                                                                   \
        WITHOUT_LOCK(code, meshnet_##name(node, text, &changed))                                                            \
        return code == MESHNET_OK ? PyBool_FromLong(changed) : raise_code(state_of(self), code);                            \
    }

/* A method of a stream's id that returns nothing. */
#define STREAM_METHOD(name)                                                                                                 \
    static PyObject *node_##name(PyObject *self, PyObject *argument) {                                                      \
        meshnet_node_t *node = handle_of(self);                                                                             \
        meshnet_stream_t stream = {PyLong_AsUnsignedLongLong(argument)};                                                    \
        if (node == NULL || PyErr_Occurred()) {                                                                             \
            return NULL;                                                                                                    \
        }                                                                                                                   \
        WITHOUT_LOCK(code, meshnet_##name(node, stream))                                                                    \
        RETURN_NONE_OR_RAISE(self, code);                                                                                   \
    }

TEXT_METHOD(disconnect)
TEXT_METHOD(add_bootstrap_peer)
TEXT_METHOD(remove_bootstrap_peer)
CHANGING_METHOD(subscribe)
CHANGING_METHOD(unsubscribe)
CHANGING_METHOD(accept)
CHANGING_METHOD(stop_accepting)
CHANGING_METHOD(protect)
CHANGING_METHOD(unprotect)
STREAM_METHOD(stream_close_write)
STREAM_METHOD(stream_close)
STREAM_METHOD(stream_reset)

static PyObject *node_connect(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *address;
    int timeout_ms;
    char peer_id[MESHNET_PEER_ID_TEXT_SIZE];
    if (node == NULL || !PyArg_ParseTuple(arguments, "si:connect", &address, &timeout_ms)) {
        return NULL;
    }
    WITHOUT_LOCK(code, meshnet_connect(node, address, timeout_ms, peer_id, sizeof peer_id))
    return code == MESHNET_OK ? text_or_none(peer_id) : raise_code(state_of(self), code);
}

static PyObject *node_peers(PyObject *self, PyObject *Py_UNUSED(nothing)) {
    meshnet_node_t *node = handle_of(self);
    meshnet_peer_list_t *peers = NULL;
    if (node == NULL) {
        return NULL;
    }
    WITHOUT_LOCK(code, meshnet_peers(node, &peers))
    PyObject *result = code == MESHNET_OK ? peers_to_list(peers) : raise_code(state_of(self), code);
    meshnet_peer_list_free(peers);
    return result;
}

static PyObject *node_topic_peers(PyObject *self, PyObject *argument) {
    meshnet_node_t *node = handle_of(self);
    const char *topic;
    meshnet_peer_list_t *peers = NULL;
    if (node == NULL || text_argument(argument, "topic", &topic) < 0) {
        return NULL;
    }
    WITHOUT_LOCK(code, meshnet_topic_peers(node, topic, &peers))
    PyObject *result = code == MESHNET_OK ? peers_to_list(peers) : raise_code(state_of(self), code);
    meshnet_peer_list_free(peers);
    return result;
}

static PyObject *node_wait_for_peers(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *topic;
    Py_ssize_t count;
    int timeout_ms;
    meshnet_peer_list_t *peers = NULL;
    if (node == NULL || !PyArg_ParseTuple(arguments, "sni:wait_for_peers", &topic, &count, &timeout_ms)) {
        return NULL;
    }
    WITHOUT_LOCK(code, meshnet_wait_for_peers(node, topic, (size_t)count, timeout_ms, &peers))
    PyObject *result = code == MESHNET_OK ? peers_to_list(peers) : raise_code(state_of(self), code);
    meshnet_peer_list_free(peers);
    return result;
}

static PyObject *node_address_problems(PyObject *self, PyObject *Py_UNUSED(nothing)) {
    meshnet_node_t *node = handle_of(self);
    meshnet_address_problem_list_t *problems = NULL;
    if (node == NULL) {
        return NULL;
    }
    WITHOUT_LOCK(code, meshnet_address_problems(node, &problems))
    PyObject *result = code == MESHNET_OK ? problems_to_list(problems) : raise_code(state_of(self), code);
    meshnet_address_problem_list_free(problems);
    return result;
}

static PyObject *node_discovery_table(PyObject *self, PyObject *Py_UNUSED(nothing)) {
    meshnet_node_t *node = handle_of(self);
    meshnet_discovery_table_t *table = NULL;
    if (node == NULL) {
        return NULL;
    }
    WITHOUT_LOCK(code, meshnet_discovery_table(node, &table))
    PyObject *result = code == MESHNET_OK ? table_to_tuple(table) : raise_code(state_of(self), code);
    meshnet_discovery_table_free(table);
    return result;
}

static PyObject *node_diagnose(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *target;
    int timeout_ms;
    meshnet_diagnosis_t *diagnosis = NULL;
    if (node == NULL || !PyArg_ParseTuple(arguments, "si:diagnose", &target, &timeout_ms)) {
        return NULL;
    }
    WITHOUT_LOCK(code, meshnet_diagnose(node, target, timeout_ms, &diagnosis))
    PyObject *result = code == MESHNET_OK ? diagnosis_to_tuple(diagnosis) : raise_code(state_of(self), code);
    meshnet_diagnosis_free(diagnosis);
    return result;
}

static PyObject *node_discovery_configure(PyObject *self, PyObject *options) {
    meshnet_node_t *node = handle_of(self);
    discovery_request request = {0};
    PyObject *result = NULL;
    if (node == NULL) {
        return NULL;
    }
    if (discovery_request_fill(state_of(self), &request, options) == 0) {
        WITHOUT_LOCK(code, meshnet_discovery_configure(node, &request.options))
        result = code == MESHNET_OK ? text_or_none(NULL) : raise_code(state_of(self), code);
    }
    discovery_request_clear(&request);
    return result;
}

static PyObject *node_publish(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *topic;
    Py_buffer data;
    if (node == NULL || !PyArg_ParseTuple(arguments, "sy*:publish", &topic, &data)) {
        return NULL;
    }
    WITHOUT_LOCK(code, meshnet_publish(node, topic, data.buf, (size_t)data.len))
    PyBuffer_Release(&data);
    RETURN_NONE_OR_RAISE(self, code);
}

static PyObject *node_publish_retained(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *topic;
    Py_buffer data;
    if (node == NULL || !PyArg_ParseTuple(arguments, "sy*:publish_retained", &topic, &data)) {
        return NULL;
    }
    WITHOUT_LOCK(code, meshnet_publish_retained(node, topic, data.buf, (size_t)data.len))
    PyBuffer_Release(&data);
    RETURN_NONE_OR_RAISE(self, code);
}

static PyObject *node_stream_open(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *peer_id;
    PyObject *sequence;
    int timeout_ms;
    text_array protocols;
    meshnet_stream_t stream = {0};
    size_t index = 0;
    if (node == NULL || !PyArg_ParseTuple(arguments, "sOi:stream_open", &peer_id, &sequence, &timeout_ms)
        || text_array_fill(&protocols, sequence, "protocol_ids") < 0) {
        return NULL;
    }
    WITHOUT_LOCK(code, meshnet_stream_open(node, peer_id, protocols.items, protocols.count, timeout_ms, &stream, &index))
    text_array_clear(&protocols);
    return code == MESHNET_OK ? Py_BuildValue("Kn", (unsigned long long)stream.id, (Py_ssize_t)index) : raise_code(state_of(self), code);
}

static PyObject *node_stream_read(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    unsigned long long id;
    Py_ssize_t capacity;
    int timeout_ms;
    size_t count = 0;
    if (node == NULL || !PyArg_ParseTuple(arguments, "Kni:stream_read", &id, &capacity, &timeout_ms)) {
        return NULL;
    }
    if (capacity < 1) {
        return raise_detail(state_of(self), MESHNET_ERROR_INVALID_ARGUMENT, "capacity must be at least 1");
    }
    uint8_t *block = PyMem_Malloc((size_t)capacity);
    if (block == NULL) {
        return PyErr_NoMemory();
    }
    meshnet_stream_t stream = {id};
    WITHOUT_LOCK(code, meshnet_stream_read(node, stream, block, (size_t)capacity, timeout_ms, &count))
    PyObject *result = code == MESHNET_OK ? PyBytes_FromStringAndSize((const char *)block, (Py_ssize_t)count)
                                          : raise_code(state_of(self), code);
    PyMem_Free(block);
    return result;
}

static PyObject *node_stream_write(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    unsigned long long id;
    Py_buffer data;
    int timeout_ms;
    if (node == NULL || !PyArg_ParseTuple(arguments, "Ky*i:stream_write", &id, &data, &timeout_ms)) {
        return NULL;
    }
    meshnet_stream_t stream = {id};
    WITHOUT_LOCK(code, meshnet_stream_write(node, stream, data.buf, (size_t)data.len, timeout_ms))
    PyBuffer_Release(&data);
    RETURN_NONE_OR_RAISE(self, code);
}

static PyObject *node_ping(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *peer_id;
    int timeout_ms;
    int64_t round_trip_ns = 0;
    if (node == NULL || !PyArg_ParseTuple(arguments, "si:ping", &peer_id, &timeout_ms)) {
        return NULL;
    }
    WITHOUT_LOCK(code, meshnet_ping(node, peer_id, timeout_ms, &round_trip_ns))
    return code == MESHNET_OK ? PyLong_FromLongLong(round_trip_ns) : raise_code(state_of(self), code);
}

static PyObject *node_perf(PyObject *self, PyObject *arguments) {
    meshnet_node_t *node = handle_of(self);
    const char *peer_id;
    unsigned long long upload, download;
    int timeout_ms;
    int64_t upload_ns = 0, download_ns = 0;
    if (node == NULL || !PyArg_ParseTuple(arguments, "sKKi:perf", &peer_id, &upload, &download, &timeout_ms)) {
        return NULL;
    }
    WITHOUT_LOCK(code, meshnet_perf(node, peer_id, upload, download, timeout_ms, &upload_ns, &download_ns))
    return code == MESHNET_OK ? Py_BuildValue("LL", (long long)upload_ns, (long long)download_ns) : raise_code(state_of(self), code);
}

#define ENTRY(name, flags, signature) {#name, node_##name, flags, #name "($self" signature ")\n--\n\nSee meshnet_" #name " in meshnet.h."}

const PyMethodDef node_blocking_methods[] = {
    ENTRY(connect, METH_VARARGS, ", address, timeout_ms, /"),
    ENTRY(disconnect, METH_O, ", peer_id, /"),
    ENTRY(peers, METH_NOARGS, ""),
    ENTRY(address_problems, METH_NOARGS, ""),
    ENTRY(add_bootstrap_peer, METH_O, ", address, /"),
    ENTRY(remove_bootstrap_peer, METH_O, ", address, /"),
    ENTRY(protect, METH_O, ", peer_id, /"),
    ENTRY(unprotect, METH_O, ", peer_id, /"),
    ENTRY(discovery_table, METH_NOARGS, ""),
    ENTRY(discovery_configure, METH_O, ", options, /"),
    ENTRY(diagnose, METH_VARARGS, ", target, timeout_ms, /"),
    ENTRY(subscribe, METH_O, ", topic, /"),
    ENTRY(unsubscribe, METH_O, ", topic, /"),
    ENTRY(publish, METH_VARARGS, ", topic, data, /"),
    ENTRY(publish_retained, METH_VARARGS, ", topic, data, /"),
    ENTRY(topic_peers, METH_O, ", topic, /"),
    ENTRY(wait_for_peers, METH_VARARGS, ", topic, count, timeout_ms, /"),
    ENTRY(stream_open, METH_VARARGS, ", peer_id, protocol_ids, timeout_ms, /"),
    ENTRY(accept, METH_O, ", protocol_id, /"),
    ENTRY(stop_accepting, METH_O, ", protocol_id, /"),
    ENTRY(stream_read, METH_VARARGS, ", stream, capacity, timeout_ms, /"),
    ENTRY(stream_write, METH_VARARGS, ", stream, data, timeout_ms, /"),
    ENTRY(stream_close_write, METH_O, ", stream, /"),
    ENTRY(stream_close, METH_O, ", stream, /"),
    ENTRY(stream_reset, METH_O, ", stream, /"),
    ENTRY(ping, METH_VARARGS, ", peer_id, timeout_ms, /"),
    ENTRY(perf, METH_VARARGS, ", peer_id, upload, download, timeout_ms, /"),
    {NULL, NULL, 0, NULL},
};
