/* Discovery: its options from dicts, its table and diagnoses as tuples. */
#include "module.h"

#include <string.h>

static const option_field discovery_fields[] = {
    FIELD(meshnet_discovery_options_t, modes, FIELD_I32),
    FIELD(meshnet_discovery_options_t, mdns_backend, FIELD_I32),
    FIELD(meshnet_discovery_options_t, policy, FIELD_I32),
    FIELD(meshnet_discovery_options_t, service_tag, FIELD_TEXT),
    FIELD(meshnet_discovery_options_t, app_id, FIELD_TEXT),
    FIELD(meshnet_discovery_options_t, endpoint_id, FIELD_TEXT),
    FIELD(meshnet_discovery_options_t, interval_ms, FIELD_U32),
    FIELD(meshnet_discovery_options_t, offer_queue, FIELD_U32),
    {NULL, 0, FIELD_BOOL},
};

static const option_field headscale_fields[] = {
    FIELD(meshnet_headscale_options_t, api_base_url, FIELD_TEXT),
    FIELD(meshnet_headscale_options_t, api_key, FIELD_TEXT),
    FIELD(meshnet_headscale_options_t, poll_interval_secs, FIELD_U32),
    FIELD(meshnet_headscale_options_t, port, FIELD_U16),
    FIELD(meshnet_headscale_options_t, tags_itself, FIELD_BOOL),
    FIELD(meshnet_headscale_options_t, required_tag, FIELD_TEXT),
    FIELD(meshnet_headscale_options_t, certificate_authority_file, FIELD_TEXT),
    {NULL, 0, FIELD_BOOL},
};

static const option_field tailscale_fields[] = {
    FIELD(meshnet_tailscale_options_t, socket_path, FIELD_TEXT),
    FIELD(meshnet_tailscale_options_t, api_base_url, FIELD_TEXT),
    FIELD(meshnet_tailscale_options_t, api_key, FIELD_TEXT),
    FIELD(meshnet_tailscale_options_t, client_id, FIELD_TEXT),
    FIELD(meshnet_tailscale_options_t, client_secret, FIELD_TEXT),
    FIELD(meshnet_tailscale_options_t, poll_interval_secs, FIELD_U32),
    FIELD(meshnet_tailscale_options_t, port, FIELD_U16),
    FIELD(meshnet_tailscale_options_t, required_tag, FIELD_TEXT),
    FIELD(meshnet_tailscale_options_t, certificate_authority_file, FIELD_TEXT),
    {NULL, 0, FIELD_BOOL},
};

/* The lists, with the places of their pointer and their count. */
static const struct {
    const char *name;
    size_t items, count;
} lists[DISCOVERY_LISTS] = {
#define LIST(name, counter) {#name, offsetof(meshnet_discovery_options_t, name), offsetof(meshnet_discovery_options_t, counter)}
    LIST(dns_services, dns_service_count),
    LIST(allowed_networks, allowed_network_count),
    LIST(denied_networks, denied_network_count),
    LIST(allowed_interfaces, allowed_interface_count),
    LIST(denied_interfaces, denied_interface_count),
    LIST(allowed_peers, allowed_peer_count),
};

static int set_list(discovery_request *request, const char *name, PyObject *value) {
    for (size_t index = 0; index < DISCOVERY_LISTS; index++) {
        if (strcmp(lists[index].name, name) == 0) {
            char *base = (char *)&request->options;
            return set_texts(&request->lists[index], value, name, (const char *const **)(base + lists[index].items),
                             (size_t *)(base + lists[index].count));
        }
    }
    PyErr_Format(PyExc_TypeError, "discovery: there is no option '%s'", name);
    return -1;
}

static int set_option(module_state *state, discovery_request *request, const char *name, PyObject *value) {
    if (strcmp(name, "headscale") == 0) {
        request->options.headscale = &request->headscale;
        return set_fields(state, &request->headscale, headscale_fields, value, name);
    }
    if (strcmp(name, "tailscale") == 0) {
        request->options.tailscale = &request->tailscale;
        return set_fields(state, &request->tailscale, tailscale_fields, value, name);
    }
    const option_field *field = find_field(discovery_fields, name);
    return field != NULL ? set_field(state, &request->options, field, value) : set_list(request, name, value);
}

int discovery_request_fill(module_state *state, discovery_request *request, PyObject *options) {
    PyObject *key, *value;
    Py_ssize_t position = 0;
    int32_t code = meshnet_discovery_options_default(&request->options, sizeof request->options);
    if (code == MESHNET_OK) {
        code = meshnet_headscale_options_default(&request->headscale, sizeof request->headscale);
    }
    if (code == MESHNET_OK) {
        code = meshnet_tailscale_options_default(&request->tailscale, sizeof request->tailscale);
    }
    if (code != MESHNET_OK) {
        raise_code(state, code);
        return -1;
    }
    if (!PyDict_Check(options)) {
        PyErr_Format(PyExc_TypeError, "discovery: a dict is wanted, not %R", (PyObject *)Py_TYPE(options));
        return -1;
    }
    while (PyDict_Next(options, &position, &key, &value)) {
        const char *name;
        if (text_argument(key, "discovery", &name) < 0 || set_option(state, request, name, value) < 0) {
            return -1;
        }
    }
    return 0;
}

void discovery_request_clear(discovery_request *request) {
    for (size_t index = 0; index < DISCOVERY_LISTS; index++) {
        text_array_clear(&request->lists[index]);
    }
}

/* ---- What comes back ---- */

/* A list of `count` items that `item`, an expression of `index`, makes; NULL when one cannot be made. */
#define MAKE_LIST(list, count, item)                                              \
    PyObject *list = PyList_New((Py_ssize_t)(count));                             \
    for (size_t index = 0; list != NULL && index < (count); index++) {            \
        PyObject *made = item;                                                    \
        if (made == NULL || PyList_SetItem(list, (Py_ssize_t)index, made) < 0) {  \
            Py_CLEAR(list);                                                       \
        }                                                                         \
    }

static PyObject *counts_to_list(const meshnet_count_list_t *counts) {
    MAKE_LIST(list, counts->count, Py_BuildValue("iK", (int)counts->items[index]->kind, (unsigned long long)counts->items[index]->count))
    return list;
}

static PyObject *interface_to_tuple(const meshnet_interface_status_t *status) {
    return Py_BuildValue("NKKiNN", text_or_none(status->name), (unsigned long long)status->sent, (unsigned long long)status->heard,
                         (int)status->failure, text_or_none(status->detail), text_or_none(status->hint));
}

static PyObject *source_to_tuple(const meshnet_source_status_t *status) {
    MAKE_LIST(interfaces, status->interface_count, interface_to_tuple(status->interfaces[index]))
    return Py_BuildValue("iiiNNLKKKNNLLN", (int)status->source, (int)status->state, (int)status->failure, text_or_none(status->detail),
                         text_or_none(status->hint), (long long)status->retry_after_ms, (unsigned long long)status->heard,
                         (unsigned long long)status->dialled, (unsigned long long)status->succeeded, counts_to_list(&status->filtered),
                         counts_to_list(&status->failed), (long long)status->last_heard_ms, (long long)status->last_success_ms, interfaces);
}

static PyObject *entry_to_tuple(const meshnet_discovery_entry_t *entry) {
    return Py_BuildValue("NNiiiNLLKiNL", text_or_none(entry->peer_id), text_or_none(entry->address), (int)entry->source, (int)entry->state,
                         (int)entry->filter, text_or_none(entry->interface_name), (long long)entry->heard_ms, (long long)entry->expires_ms,
                         (unsigned long long)entry->attempts, (int)entry->last_cause, text_or_none(entry->last_detail),
                         (long long)entry->next_try_ms);
}

PyObject *table_to_tuple(const meshnet_discovery_table_t *table) {
    MAKE_LIST(sources, table->source_count, source_to_tuple(table->sources[index]))
    MAKE_LIST(entries, table->entry_count, entry_to_tuple(table->entries[index]))
    return Py_BuildValue("NN", sources, entries);
}

static PyObject *finding_to_tuple(const meshnet_finding_t *finding) {
    return Py_BuildValue("iNN", (int)finding->cause, text_or_none(finding->evidence), text_or_none(finding->remedy));
}

PyObject *diagnosis_to_tuple(const meshnet_diagnosis_t *diagnosis) {
    MAKE_LIST(findings, diagnosis->finding_count, finding_to_tuple(diagnosis->findings[index]))
    return Py_BuildValue("NNN", text_or_none(diagnosis->target), text_or_none(diagnosis->peer_id), findings);
}
