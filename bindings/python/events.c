/* Events and lists as tuples. */
#include "module.h"

#include <string.h>

/* A tuple or a list from `count` items that `convert` makes. */
#define FILL(make, set, count, item)                         \
    PyObject *result = make((Py_ssize_t)(count));            \
    for (size_t index = 0; result != NULL && index < (count); index++) { \
        PyObject *made = item;                               \
        if (made == NULL || set(result, (Py_ssize_t)index, made) < 0) { \
            Py_CLEAR(result);                                \
        }                                                    \
    }                                                        \
    return result

PyObject *strings_to_tuple(const meshnet_string_list_t *strings) {
    size_t count = strings == NULL ? 0 : strings->count;
    FILL(PyTuple_New, PyTuple_SetItem, count, text_or_none(strings->items[index]));
}

static PyObject *peer_to_tuple(const meshnet_peer_t *peer) {
    return Py_BuildValue("NNi", text_or_none(peer->peer_id), text_or_none(peer->address), (int)peer->direction);
}

PyObject *peers_to_list(const meshnet_peer_list_t *peers) {
    size_t count = peers == NULL ? 0 : peers->count;
    FILL(PyList_New, PyList_SetItem, count, peer_to_tuple(peers->items[index]));
}

static PyObject *problem_to_tuple(const meshnet_address_problem_t *problem) {
    return Py_BuildValue("NNN", text_or_none(problem->text), text_or_none(problem->reason), text_or_none(problem->used_instead));
}

PyObject *problems_to_list(const meshnet_address_problem_list_t *problems) {
    size_t count = problems == NULL ? 0 : problems->count;
    FILL(PyList_New, PyList_SetItem, count, problem_to_tuple(problems->items[index]));
}

/* A peer's own topic may hold a NUL and need not be UTF-8. */
static PyObject *topic_text(const meshnet_event_t *event) {
    return PyUnicode_DecodeUTF8(event->topic, (Py_ssize_t)event->topic_length, "replace");
}

static PyObject *result_of(module_state *state, const call *entry, meshnet_event_t *event, bool *kept) {
    switch (entry->kind) {
    case CALL_CHANGED: return PyBool_FromLong(event->changed);
    case CALL_CONNECTION: return Py_BuildValue("NNi", text_or_none(event->peer_id), text_or_none(event->address), (int)event->direction);
    case CALL_PEERS: return peers_to_list(event->peers);
    case CALL_PROBLEMS: return problems_to_list(event->problems);
    case CALL_TABLE: return table_to_tuple(event->discovery);
    case CALL_DIAGNOSIS: return diagnosis_to_tuple(event->diagnosis);
    case CALL_CHANNELS: return channels_to_list(event->channels);
    case CALL_REPLY: return reply_of(state, entry->reply_type, event, kept);
    case CALL_STREAM: return Py_BuildValue("KN", (unsigned long long)event->stream.id, text_or_none(event->protocol_id));
    case CALL_PING: return PyLong_FromLongLong(event->round_trip_ns);
    case CALL_PERF: return Py_BuildValue("LL", (long long)event->upload_ns, (long long)event->download_ns);
    case CALL_READ: return PyBytes_FromStringAndSize((const char *)entry->block, (Py_ssize_t)event->length);
    case CALL_READ_INTO:
    case CALL_WRITE: return PyLong_FromSize_t(event->length);
    case CALL_NOTHING: break;
    }
    Py_RETURN_NONE;
}

/* The exception that the blocking call would have raised, as a value. */
static PyObject *failure_of(module_state *state, const meshnet_event_t *event) {
    if (state->error_factory == NULL) {
        return PyLong_FromLong(event->code);
    }
    return PyObject_CallFunction(state->error_factory, "iiNN", (int)event->code, (int)event->system_errno,
                                 text_or_none(event->detail != NULL ? event->detail : meshnet_strerror(event->code)),
                                 text_or_none(event->hint != NULL ? event->hint : meshnet_error_hint(event->code)));
}

static PyObject *completion_to_tuple(module_state *state, call_table *calls, meshnet_event_t *event, bool *kept) {
    call *entry = call_table_take(calls, event->ticket.id);
    PyObject *value;
    if (event->code != MESHNET_OK) {
        value = failure_of(state, event);
    } else if (entry != NULL) {
        value = result_of(state, entry, event, kept);
    } else {
        value = text_or_none(NULL);
    }
    call_free(entry);
    PyObject *succeeded = PyBool_FromLong(event->code == MESHNET_OK);
    return Py_BuildValue("iKNN", (int)event->type, (unsigned long long)event->ticket.id, succeeded, value);
}

PyObject *event_to_tuple(module_state *state, call_table *calls, meshnet_event_t *event, bool *kept) {
    int type = event->type;
    switch (type) {
    case MESHNET_EVENT_LISTENING:
        return Py_BuildValue("iN", type, text_or_none(event->address));
    case MESHNET_EVENT_CONNECTED:
        return Py_BuildValue("iNNi", type, text_or_none(event->peer_id), text_or_none(event->address), (int)event->direction);
    case MESHNET_EVENT_DISCONNECTED:
        return Py_BuildValue("iNNiiNi", type, text_or_none(event->peer_id), text_or_none(event->address), (int)event->direction,
                             (int)event->cause, text_or_none(event->detail), (int)event->system_errno);
    case MESHNET_EVENT_MESSAGE:
        return Py_BuildValue("iNNNNN", type, topic_text(event),
                             PyBytes_FromStringAndSize((const char *)event->data, (Py_ssize_t)event->data_length),
                             text_or_none(event->origin), text_or_none(event->peer_id), PyBool_FromLong(event->retained));
    case MESHNET_EVENT_SUBSCRIPTION:
        return Py_BuildValue("iNNN", type, text_or_none(event->peer_id), topic_text(event), PyBool_FromLong(event->subscribed));
    case MESHNET_EVENT_IDENTIFIED:
        return Py_BuildValue("iNNNNNN", type, text_or_none(event->peer_id), text_or_none(event->agent_version),
                             text_or_none(event->protocol_version), strings_to_tuple(event->protocols),
                             strings_to_tuple(event->listen_addresses), text_or_none(event->observed_address));
    case MESHNET_EVENT_STREAM_OPENED:
        return Py_BuildValue("iKNN", type, (unsigned long long)event->stream.id, text_or_none(event->peer_id),
                             text_or_none(event->protocol_id));
    case MESHNET_EVENT_DIAL_FAILED:
        return Py_BuildValue("iNNiiNNiL", type, text_or_none(event->address), text_or_none(event->peer_id), (int)event->cause,
                             (int)event->code, text_or_none(event->detail), text_or_none(event->hint), (int)event->system_errno,
                             (long long)event->retry_after_ms);
    case MESHNET_EVENT_ADDRESS_PROBLEM:
        return Py_BuildValue("iNNN", type, text_or_none(event->address), text_or_none(event->detail), text_or_none(event->used_instead));
    case MESHNET_EVENT_MESSAGES_DROPPED:
        return Py_BuildValue("iK", type, (unsigned long long)event->dropped_count);
    case MESHNET_EVENT_DISCOVERED:
        return Py_BuildValue("iNNiN", type, text_or_none(event->peer_id), strings_to_tuple(event->addresses), (int)event->source,
                             text_or_none(event->interface_name));
    case MESHNET_EVENT_DISCOVERY_SOURCE:
        return Py_BuildValue("iiiiNNL", type, (int)event->source, (int)event->source_state, (int)event->source_failure,
                             text_or_none(event->detail), text_or_none(event->hint), (long long)event->retry_after_ms);
    case MESHNET_EVENT_DUPLICATE_IDENTITY:
        return Py_BuildValue("iN", type, text_or_none(event->address));
    case MESHNET_EVENT_COMPLETED:
        return completion_to_tuple(state, calls, event, kept);
    case MESHNET_EVENT_ACCEPTED:
        return Py_BuildValue("iK", type, (unsigned long long)event->ticket.id);
    case MESHNET_EVENT_CHANNEL:
        return Py_BuildValue("iNiKNNKiiNNL", type, text_or_none(event->peer_id), (int)event->channel_change,
                             (unsigned long long)event->message_count, PyBool_FromLong(event->by_us), PyBool_FromLong(event->inbound),
                             (unsigned long long)event->attempts, (int)event->cause, (int)event->code, text_or_none(event->detail),
                             text_or_none(event->hint), (long long)event->retry_after_ms);
    case MESHNET_EVENT_MEMBERS:
        return Py_BuildValue("iNN", type, topic_text(event), peers_to_list(event->peers));
    case MESHNET_EVENT_WOKE:
        return Py_BuildValue("iL", type, (long long)event->after_ms);
    case MESHNET_EVENT_STORAGE:
        return Py_BuildValue("iiiNNNN", type, (int)event->storage_problem, (int)event->code, text_or_none(event->detail),
                             text_or_none(event->hint), text_or_none(event->path), text_or_none(event->set_aside_as));
    default: /* MESHNET_EVENT_CLOSED, and types of a later library, which the package skips */
        return Py_BuildValue("(i)", type);
    }
}
