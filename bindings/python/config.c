/* meshnet_config_t from a dict with the names of its fields; "gossipsub" and "limits" are dicts of the same kind. */
#include "module.h"

#include <stdio.h>
#include <string.h>

enum number_kind { NUMBER_BOOL, NUMBER_U16, NUMBER_I32, NUMBER_U32, NUMBER_U64 };

typedef struct {
    const char *name;
    size_t offset;
    enum number_kind kind;
} number_field;

#define FIELD(type, name, kind) {#name, offsetof(type, name), kind}

static const number_field config_fields[] = {
    FIELD(meshnet_config_t, listen_port, NUMBER_U16),
    FIELD(meshnet_config_t, listens, NUMBER_BOOL),
    FIELD(meshnet_config_t, ping_interval_ms, NUMBER_U32),
    FIELD(meshnet_config_t, ping_timeout_ms, NUMBER_U32),
    FIELD(meshnet_config_t, dial_timeout_ms, NUMBER_U32),
    FIELD(meshnet_config_t, backoff_first_ms, NUMBER_U32),
    FIELD(meshnet_config_t, backoff_cap_ms, NUMBER_U32),
    {NULL, 0, NUMBER_BOOL},
};

static const number_field gossipsub_fields[] = {
    FIELD(meshnet_gossipsub_options_t, signing_policy, NUMBER_I32),
    FIELD(meshnet_gossipsub_options_t, maximum_message_size, NUMBER_U32),
    FIELD(meshnet_gossipsub_options_t, heartbeat_interval_ms, NUMBER_U32),
    FIELD(meshnet_gossipsub_options_t, mesh_degree, NUMBER_U32),
    FIELD(meshnet_gossipsub_options_t, mesh_degree_low, NUMBER_U32),
    FIELD(meshnet_gossipsub_options_t, mesh_degree_high, NUMBER_U32),
    FIELD(meshnet_gossipsub_options_t, mesh_degree_lazy, NUMBER_U32),
    FIELD(meshnet_gossipsub_options_t, mesh_outbound_minimum, NUMBER_U32),
    FIELD(meshnet_gossipsub_options_t, flood_publish, NUMBER_BOOL),
    {NULL, 0, NUMBER_BOOL},
};

static const number_field limits_fields[] = {
    FIELD(meshnet_limits_t, connections, NUMBER_U32),
    FIELD(meshnet_limits_t, pending_inbound_connections, NUMBER_U32),
    FIELD(meshnet_limits_t, pending_outbound_connections, NUMBER_U32),
    FIELD(meshnet_limits_t, connections_per_peer, NUMBER_U32),
    FIELD(meshnet_limits_t, inbound_connections_per_address, NUMBER_U32),
    FIELD(meshnet_limits_t, streams_per_connection, NUMBER_U32),
    FIELD(meshnet_limits_t, handshake_timeout_ms, NUMBER_U32),
    FIELD(meshnet_limits_t, stream_negotiation_timeout_ms, NUMBER_U32),
    FIELD(meshnet_limits_t, maximum_stream_window, NUMBER_U32),
    FIELD(meshnet_limits_t, send_buffer, NUMBER_U32),
    FIELD(meshnet_limits_t, event_queue_count, NUMBER_U32),
    FIELD(meshnet_limits_t, event_queue_bytes, NUMBER_U64),
    FIELD(meshnet_limits_t, topics, NUMBER_U32),
    FIELD(meshnet_limits_t, pending_accepts, NUMBER_U32),
    {NULL, 0, NUMBER_BOOL},
};

/* Everything that an option points to, until the node is open. */
typedef struct {
    meshnet_config_t config;
    meshnet_gossipsub_options_t gossipsub;
    meshnet_limits_t limits;
    text_array bootstrap_peers;
    text_array listen_addresses;
    Py_buffer pre_shared_key;
} open_request;

static int out_of_range(module_state *state, const char *name, PyObject *value, unsigned long long largest) {
    char text[64] = "?", detail[192];
    PyObject *shown = PyObject_Str(value);
    Py_ssize_t length = 0;
    const char *utf8 = shown == NULL ? NULL : PyUnicode_AsUTF8AndSize(shown, &length);
    if (utf8 != NULL) {
        snprintf(text, sizeof text, "%s", utf8);
    }
    PyErr_Clear();
    Py_XDECREF(shown);
    snprintf(detail, sizeof detail, "%s is %s: it must be a whole number from 0 to %llu", name, text, largest);
    raise_detail(state, MESHNET_ERROR_INVALID_ARGUMENT, detail);
    return -1;
}

static int set_number(module_state *state, void *structure, const number_field *field, PyObject *value) {
    char *place = (char *)structure + field->offset;
    if (field->kind == NUMBER_BOOL) {
        int truth = PyObject_IsTrue(value);
        if (truth >= 0) {
            *(bool *)place = truth != 0;
        }
        return truth < 0 ? -1 : 0;
    }
    PyObject *whole = PyNumber_Index(value);
    if (whole == NULL) {
        PyErr_Format(PyExc_TypeError, "%s: a whole number is wanted, not %R", field->name, value);
        return -1;
    }
    unsigned long long largest = field->kind == NUMBER_U16 ? UINT16_MAX : field->kind == NUMBER_I32 ? INT32_MAX
                               : field->kind == NUMBER_U32 ? UINT32_MAX : UINT64_MAX;
    unsigned long long number = PyLong_AsUnsignedLongLong(whole);
    Py_DECREF(whole);
    if (PyErr_Occurred() || number > largest) {
        PyErr_Clear();
        return out_of_range(state, field->name, value, largest);
    }
    switch (field->kind) {
    case NUMBER_U16: *(uint16_t *)place = (uint16_t)number; break;
    case NUMBER_I32: *(int32_t *)place = (int32_t)number; break;
    case NUMBER_U32: *(uint32_t *)place = (uint32_t)number; break;
    default: *(uint64_t *)place = number; break;
    }
    return 0;
}

static const number_field *find_field(const number_field *fields, const char *name) {
    for (; fields->name != NULL; fields++) {
        if (strcmp(fields->name, name) == 0) {
            return fields;
        }
    }
    return NULL;
}

static int set_numbers(module_state *state, void *structure, const number_field *fields, PyObject *options, const char *what) {
    PyObject *key, *value;
    Py_ssize_t position = 0;
    if (!PyDict_Check(options)) {
        PyErr_Format(PyExc_TypeError, "%s: a dict is wanted, not %R", what, options);
        return -1;
    }
    while (PyDict_Next(options, &position, &key, &value)) {
        const char *name;
        if (text_argument(key, what, &name) < 0) {
            return -1;
        }
        const number_field *field = find_field(fields, name);
        if (field == NULL) {
            PyErr_Format(PyExc_TypeError, "%s: there is no option %R", what, key);
            return -1;
        }
        if (set_number(state, structure, field, value) < 0) {
            return -1;
        }
    }
    return 0;
}

static int set_pre_shared_key(open_request *request, PyObject *value) {
    PyObject *arguments = PyTuple_Pack(1, value);
    if (arguments == NULL) {
        return -1;
    }
    /* "s*" takes the text of a key file as str and as bytes. */
    int parsed = PyArg_ParseTuple(arguments, "s*:pre_shared_key", &request->pre_shared_key);
    Py_DECREF(arguments);
    if (!parsed) {
        return -1;
    }
    /* An empty key is a mistake that the library has to see, and NULL would mean "none". */
    request->config.pre_shared_key = request->pre_shared_key.buf != NULL ? request->pre_shared_key.buf : (const uint8_t *)"";
    request->config.pre_shared_key_length = (size_t)request->pre_shared_key.len;
    return 0;
}

static int set_option(module_state *state, open_request *request, PyObject *key, PyObject *value) {
    const char *name;
    meshnet_config_t *config = &request->config;
    if (text_argument(key, "option", &name) < 0) {
        return -1;
    }
    const number_field *field = find_field(config_fields, name);
    if (field != NULL) {
        return set_number(state, config, field, value);
    }
    if (strcmp(name, "bootstrap_peers") == 0) {
        text_array_clear(&request->bootstrap_peers);
        if (text_array_fill(&request->bootstrap_peers, value, name) < 0) {
            return -1;
        }
        config->bootstrap_peers = request->bootstrap_peers.items;
        config->bootstrap_peer_count = request->bootstrap_peers.count;
        return 0;
    }
    if (strcmp(name, "listen_addresses") == 0) {
        text_array_clear(&request->listen_addresses);
        if (text_array_fill(&request->listen_addresses, value, name) < 0) {
            return -1;
        }
        config->listen_addresses = request->listen_addresses.items;
        config->listen_address_count = request->listen_addresses.count;
        return 0;
    }
    if (strcmp(name, "pre_shared_key") == 0) {
        return set_pre_shared_key(request, value);
    }
    if (strcmp(name, "agent_version") == 0) {
        return text_argument(value, name, &config->agent_version);
    }
    if (strcmp(name, "gossipsub") == 0) {
        config->gossipsub = &request->gossipsub;
        return set_numbers(state, &request->gossipsub, gossipsub_fields, value, name);
    }
    if (strcmp(name, "limits") == 0) {
        config->limits = &request->limits;
        return set_numbers(state, &request->limits, limits_fields, value, name);
    }
    PyErr_Format(PyExc_TypeError, "there is no option %R", key);
    return -1;
}

static int32_t prepare(module_state *state, open_request *request, PyObject *options) {
    PyObject *key, *value;
    Py_ssize_t position = 0;
    int32_t code = meshnet_config_default(&request->config, sizeof request->config);
    if (code == MESHNET_OK) {
        code = meshnet_gossipsub_options_default(&request->gossipsub, sizeof request->gossipsub);
    }
    if (code == MESHNET_OK) {
        code = meshnet_limits_default(&request->limits, sizeof request->limits);
    }
    if (code != MESHNET_OK) {
        raise_code(state, code);
        return code;
    }
    while (PyDict_Next(options, &position, &key, &value)) {
        if (set_option(state, request, key, value) < 0) {
            return MESHNET_ERROR_INVALID_ARGUMENT;
        }
    }
    return MESHNET_OK;
}

int32_t open_node(module_state *state, const meshnet_keypair_t *identity, PyObject *options, meshnet_node_t **node) {
    open_request request;
    memset(&request, 0, sizeof request);
    int32_t code = prepare(state, &request, options);
    if (code == MESHNET_OK) {
        request.config.identity = identity;
        Py_BEGIN_ALLOW_THREADS
        code = meshnet_node_open(&request.config, node);
        Py_END_ALLOW_THREADS
        if (code != MESHNET_OK) {
            raise_code(state, code);
        }
    }
    text_array_clear(&request.bootstrap_peers);
    text_array_clear(&request.listen_addresses);
    if (request.pre_shared_key.obj != NULL) {
        PyBuffer_Release(&request.pre_shared_key);
    }
    return code;
}
