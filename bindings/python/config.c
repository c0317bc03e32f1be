/* meshnet_config_t from a dict with the names of its fields; "gossipsub", "limits", "discovery" and "messages" are dicts of the same kind. */
#include "module.h"

#include <stdio.h>
#include <string.h>

static const option_field config_fields[] = {
    FIELD(meshnet_config_t, listen_port, FIELD_U16),
    FIELD(meshnet_config_t, listens, FIELD_BOOL),
    FIELD(meshnet_config_t, ping_interval_ms, FIELD_U32),
    FIELD(meshnet_config_t, ping_timeout_ms, FIELD_U32),
    FIELD(meshnet_config_t, dial_timeout_ms, FIELD_U32),
    FIELD(meshnet_config_t, backoff_first_ms, FIELD_U32),
    FIELD(meshnet_config_t, backoff_cap_ms, FIELD_U32),
    FIELD(meshnet_config_t, agent_version, FIELD_TEXT),
    FIELD(meshnet_config_t, network, FIELD_TEXT),
    FIELD(meshnet_config_t, secret, FIELD_TEXT),
    FIELD(meshnet_config_t, connections_low_water, FIELD_U32),
    FIELD(meshnet_config_t, connections_high_water, FIELD_U32),
    FIELD(meshnet_config_t, trim_grace_ms, FIELD_U32),
    FIELD(meshnet_config_t, reads_environment, FIELD_BOOL),
    FIELD(meshnet_config_t, keepalive_local_idle_ms, FIELD_U32),
    FIELD(meshnet_config_t, keepalive_local_timeout_ms, FIELD_U32),
    FIELD(meshnet_config_t, keepalive_remote_idle_ms, FIELD_U32),
    FIELD(meshnet_config_t, keepalive_remote_timeout_ms, FIELD_U32),
    {NULL, 0, FIELD_BOOL},
};

static const option_field gossipsub_fields[] = {
    FIELD(meshnet_gossipsub_options_t, signing_policy, FIELD_I32),
    FIELD(meshnet_gossipsub_options_t, maximum_message_size, FIELD_U32),
    FIELD(meshnet_gossipsub_options_t, heartbeat_interval_ms, FIELD_U32),
    FIELD(meshnet_gossipsub_options_t, mesh_degree, FIELD_U32),
    FIELD(meshnet_gossipsub_options_t, mesh_degree_low, FIELD_U32),
    FIELD(meshnet_gossipsub_options_t, mesh_degree_high, FIELD_U32),
    FIELD(meshnet_gossipsub_options_t, mesh_degree_lazy, FIELD_U32),
    FIELD(meshnet_gossipsub_options_t, mesh_outbound_minimum, FIELD_U32),
    FIELD(meshnet_gossipsub_options_t, flood_publish, FIELD_BOOL),
    {NULL, 0, FIELD_BOOL},
};

static const option_field limits_fields[] = {
    FIELD(meshnet_limits_t, connections, FIELD_U32),
    FIELD(meshnet_limits_t, pending_inbound_connections, FIELD_U32),
    FIELD(meshnet_limits_t, pending_outbound_connections, FIELD_U32),
    FIELD(meshnet_limits_t, connections_per_peer, FIELD_U32),
    FIELD(meshnet_limits_t, inbound_connections_per_address, FIELD_U32),
    FIELD(meshnet_limits_t, streams_per_connection, FIELD_U32),
    FIELD(meshnet_limits_t, handshake_timeout_ms, FIELD_U32),
    FIELD(meshnet_limits_t, stream_negotiation_timeout_ms, FIELD_U32),
    FIELD(meshnet_limits_t, maximum_stream_window, FIELD_U32),
    FIELD(meshnet_limits_t, send_buffer, FIELD_U32),
    FIELD(meshnet_limits_t, event_queue_count, FIELD_U32),
    FIELD(meshnet_limits_t, event_queue_bytes, FIELD_U64),
    FIELD(meshnet_limits_t, topics, FIELD_U32),
    FIELD(meshnet_limits_t, pending_accepts, FIELD_U32),
    FIELD(meshnet_limits_t, inbound_rate_per_address, FIELD_F64),
    FIELD(meshnet_limits_t, inbound_rate_per_network, FIELD_F64),
    FIELD(meshnet_limits_t, inbound_burst_per_address, FIELD_U32),
    FIELD(meshnet_limits_t, inbound_burst_per_network, FIELD_U32),
    {NULL, 0, FIELD_BOOL},
};

static const option_field message_fields[] = {
    FIELD(meshnet_message_options_t, synchronizes_disk, FIELD_BOOL),
    FIELD(meshnet_message_options_t, state_directory, FIELD_TEXT),
    FIELD(meshnet_message_options_t, queue_bytes, FIELD_U64),
    FIELD(meshnet_message_options_t, queue_messages, FIELD_U32),
    FIELD(meshnet_message_options_t, total_queue_bytes, FIELD_U64),
    FIELD(meshnet_message_options_t, receive_bytes, FIELD_U64),
    FIELD(meshnet_message_options_t, maximum_message_size, FIELD_U64),
    FIELD(meshnet_message_options_t, spool_threshold, FIELD_U64),
    FIELD(meshnet_message_options_t, spool_bytes, FIELD_U64),
    FIELD(meshnet_message_options_t, acknowledgement_delay_ms, FIELD_U32),
    FIELD(meshnet_message_options_t, request_timeout_ms, FIELD_U32),
    FIELD(meshnet_message_options_t, requests_per_peer, FIELD_U32),
    FIELD(meshnet_message_options_t, send_messages_per_second, FIELD_U32),
    FIELD(meshnet_message_options_t, send_bytes_per_second, FIELD_U64),
    FIELD(meshnet_message_options_t, receive_messages_per_second, FIELD_U32),
    FIELD(meshnet_message_options_t, receive_bytes_per_second, FIELD_U64),
    FIELD(meshnet_message_options_t, channels, FIELD_U32),
    FIELD(meshnet_message_options_t, reconnect_first_ms, FIELD_U32),
    FIELD(meshnet_message_options_t, reconnect_cap_ms, FIELD_U32),
    FIELD(meshnet_message_options_t, reconnect_factor, FIELD_F64),
    FIELD(meshnet_message_options_t, reconnect_attempts, FIELD_U32),
    FIELD(meshnet_message_options_t, reconnect_lasting_ms, FIELD_U32),
    FIELD(meshnet_message_options_t, permanent_after, FIELD_U32),
    FIELD(meshnet_message_options_t, permanent_delay_ms, FIELD_U32),
    FIELD(meshnet_message_options_t, dials_per_minute, FIELD_U32),
    FIELD(meshnet_message_options_t, wake_interval_ms, FIELD_U32),
    FIELD(meshnet_message_options_t, wake_jump_ms, FIELD_U32),
    FIELD(meshnet_message_options_t, wake_stored_gap_ms, FIELD_U32),
    FIELD(meshnet_message_options_t, stale_after_ms, FIELD_U32),
    {NULL, 0, FIELD_BOOL},
};

/* Everything that an option points to, until the node is open. */
typedef struct {
    meshnet_config_t config;
    meshnet_gossipsub_options_t gossipsub;
    meshnet_limits_t limits;
    text_array bootstrap_peers;
    text_array listen_addresses;
    text_array protected_peers;
    discovery_request discovery;
    meshnet_message_options_t messages;
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

int set_field(module_state *state, void *structure, const option_field *field, PyObject *value) {
    char *place = (char *)structure + field->offset;
    if (field->kind == FIELD_TEXT) {
        return text_argument(value, field->name, (const char **)place);
    }
    if (field->kind == FIELD_BOOL) {
        int truth = PyObject_IsTrue(value);
        if (truth >= 0) {
            *(bool *)place = truth != 0;
        }
        return truth < 0 ? -1 : 0;
    }
    if (field->kind == FIELD_F64) {
        double number = PyFloat_AsDouble(value);
        if (number == -1 && PyErr_Occurred()) {
            return -1;
        }
        *(double *)place = number;
        return 0;
    }
    PyObject *whole = PyNumber_Index(value);
    if (whole == NULL) {
        PyErr_Format(PyExc_TypeError, "%s: a whole number is wanted, not %R", field->name, value);
        return -1;
    }
    unsigned long long largest = field->kind == FIELD_U16 ? UINT16_MAX : field->kind == FIELD_I32 ? INT32_MAX
                               : field->kind == FIELD_U32 ? UINT32_MAX : UINT64_MAX;
    unsigned long long number = PyLong_AsUnsignedLongLong(whole);
    Py_DECREF(whole);
    if (PyErr_Occurred() || number > largest) {
        PyErr_Clear();
        return out_of_range(state, field->name, value, largest);
    }
    switch (field->kind) {
    case FIELD_U16: *(uint16_t *)place = (uint16_t)number; break;
    case FIELD_I32: *(int32_t *)place = (int32_t)number; break;
    case FIELD_U32: *(uint32_t *)place = (uint32_t)number; break;
    default: *(uint64_t *)place = number; break;
    }
    return 0;
}

const option_field *find_field(const option_field *fields, const char *name) {
    for (; fields->name != NULL; fields++) {
        if (strcmp(fields->name, name) == 0) {
            return fields;
        }
    }
    return NULL;
}

int set_fields(module_state *state, void *structure, const option_field *fields, PyObject *options, const char *what) {
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
        const option_field *field = find_field(fields, name);
        if (field == NULL) {
            PyErr_Format(PyExc_TypeError, "%s: there is no option %R", what, key);
            return -1;
        }
        if (set_field(state, structure, field, value) < 0) {
            return -1;
        }
    }
    return 0;
}

int set_texts(text_array *array, PyObject *value, const char *name, const char *const **items, size_t *count) {
    text_array_clear(array);
    if (text_array_fill(array, value, name) < 0) {
        return -1;
    }
    *items = array->items;
    *count = array->count;
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
    const option_field *field = find_field(config_fields, name);
    if (field != NULL) {
        return set_field(state, config, field, value);
    }
    if (strcmp(name, "bootstrap_peers") == 0) {
        return set_texts(&request->bootstrap_peers, value, name, &config->bootstrap_peers, &config->bootstrap_peer_count);
    }
    if (strcmp(name, "listen_addresses") == 0) {
        return set_texts(&request->listen_addresses, value, name, &config->listen_addresses, &config->listen_address_count);
    }
    if (strcmp(name, "protected_peers") == 0) {
        return set_texts(&request->protected_peers, value, name, &config->protected_peers, &config->protected_peer_count);
    }
    if (strcmp(name, "pre_shared_key") == 0) {
        return set_pre_shared_key(request, value);
    }
    if (strcmp(name, "gossipsub") == 0) {
        config->gossipsub = &request->gossipsub;
        return set_fields(state, &request->gossipsub, gossipsub_fields, value, name);
    }
    if (strcmp(name, "limits") == 0) {
        config->limits = &request->limits;
        return set_fields(state, &request->limits, limits_fields, value, name);
    }
    if (strcmp(name, "discovery") == 0) {
        config->discovery = &request->discovery.options;
        return discovery_request_fill(state, &request->discovery, value);
    }
    if (strcmp(name, "messages") == 0) {
        config->messages = &request->messages;
        return set_fields(state, &request->messages, message_fields, value, name);
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
    if (code == MESHNET_OK) {
        code = meshnet_message_options_default(&request->messages, sizeof request->messages);
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
    text_array_clear(&request.protected_peers);
    discovery_request_clear(&request.discovery);
    if (request.pre_shared_key.obj != NULL) {
        PyBuffer_Release(&request.pre_shared_key);
    }
    return code;
}
