/* Node: its life, its events, and the table of its methods. */
#include "module.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>

/* Events that one call fetches at most, whatever the caller asks for: their pointers lie on the stack. */
#define LARGEST_BATCH 256

meshnet_node_t *handle_of(PyObject *object) {
    meshnet_node_t *handle = ((node_object *)object)->handle;
    if (handle == NULL) {
        raise_detail(state_of(object), MESHNET_ERROR_CLOSED, "the node was closed and freed");
    }
    return handle;
}

static PyObject *node_make(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    module_state *state = PyType_GetModuleState(type);
    PyObject *identity, *options;
    if (keywords != NULL && PyDict_Size(keywords) > 0) {
        return PyErr_Format(PyExc_TypeError, "Node takes no keyword arguments");
    }
    if (!PyArg_ParseTuple(arguments, "OO!:Node", &identity, &PyDict_Type, &options)) {
        return NULL;
    }
    if (Py_TYPE(identity) != state->keypair_type) {
        return PyErr_Format(PyExc_TypeError, "identity: a Keypair is wanted, not %R", (PyObject *)Py_TYPE(identity));
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    node_object *self = (node_object *)allocate(type, 0);
    if (self == NULL) {
        return NULL;
    }
    if (open_node(state, ((keypair_object *)identity)->handle, options, &self->handle) != MESHNET_OK) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void release(node_object *self) {
    meshnet_node_t *handle = self->handle;
    self->handle = NULL;
    if (handle != NULL) {
        Py_BEGIN_ALLOW_THREADS
        meshnet_node_free(handle);
        Py_END_ALLOW_THREADS
    }
    /* Only now is the memory of reads and writes ours again. */
    call_table_clear(&self->calls);
}

static void node_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    PyObject_ClearWeakRefs(object);
    release((node_object *)object);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static PyObject *node_close(PyObject *object, PyObject *Py_UNUSED(nothing)) {
    meshnet_node_t *handle = handle_of(object);
    int32_t code;
    if (handle == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    code = meshnet_node_close(handle);
    Py_END_ALLOW_THREADS
    if (code != MESHNET_OK) {
        return raise_code(state_of(object), code);
    }
    Py_RETURN_NONE;
}

static PyObject *node_free(PyObject *object, PyObject *Py_UNUSED(nothing)) {
    release((node_object *)object);
    Py_RETURN_NONE;
}

static PyObject *node_peer_id(PyObject *object, PyObject *Py_UNUSED(nothing)) {
    meshnet_node_t *handle = handle_of(object);
    char text[MESHNET_PEER_ID_TEXT_SIZE];
    if (handle == NULL) {
        return NULL;
    }
    int32_t code = meshnet_node_peer_id(handle, text, sizeof text);
    return code == MESHNET_OK ? text_or_none(text) : raise_code(state_of(object), code);
}

static PyObject *node_event_fd(PyObject *object, PyObject *Py_UNUSED(nothing)) {
    meshnet_node_t *handle = handle_of(object);
    if (handle == NULL) {
        return NULL;
    }
    int32_t descriptor = meshnet_event_fd(handle);
    return descriptor >= 0 ? PyLong_FromLong(descriptor) : raise_code(state_of(object), descriptor);
}

static PyObject *node_listen_addresses(PyObject *object, PyObject *Py_UNUSED(nothing)) {
    meshnet_node_t *handle = handle_of(object);
    meshnet_string_list_t *addresses = NULL;
    if (handle == NULL) {
        return NULL;
    }
    int32_t code = meshnet_listen_addresses(handle, &addresses);
    PyObject *result = code == MESHNET_OK ? strings_to_tuple(addresses) : raise_code(state_of(object), code);
    meshnet_string_list_free(addresses);
    return result;
}

static PyObject *batch_to_list(node_object *self, meshnet_event_t **events, size_t count) {
    module_state *state = state_of((PyObject *)self);
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t index = 0; index < count; index++) {
        bool kept = false;
        if (list != NULL) {
            PyObject *event = event_to_tuple(state, &self->calls, events[index], &kept);
            if (event == NULL || PyList_SetItem(list, (Py_ssize_t)index, event) < 0) {
                Py_CLEAR(list);
            }
        }
        if (!kept) {
            meshnet_event_free(events[index]);
        }
    }
    return list;
}

static PyObject *node_next_events(PyObject *object, PyObject *arguments) {
    meshnet_node_t *handle = handle_of(object);
    int timeout_ms, capacity;
    meshnet_event_t *events[LARGEST_BATCH];
    size_t count = 0;
    int32_t code;
    if (handle == NULL || !PyArg_ParseTuple(arguments, "ii:next_events", &timeout_ms, &capacity)) {
        return NULL;
    }
    if (capacity < 1) {
        return raise_detail(state_of(object), MESHNET_ERROR_INVALID_ARGUMENT, "capacity must be at least 1");
    }
    size_t wanted = capacity < LARGEST_BATCH ? (size_t)capacity : LARGEST_BATCH;
    code = wait_for_events(handle, timeout_ms, events, wanted, &count);
    if (code == MESHNET_ERROR_TIMED_OUT) {
        return PyList_New(0);
    }
    if (code != MESHNET_OK) {
        return code == WAIT_RAISED ? NULL : raise_code(state_of(object), code);
    }
    return batch_to_list((node_object *)object, events, count);
}

static PyObject *node_look(PyObject *object, PyObject *Py_UNUSED(nothing)) {
    meshnet_node_t *handle = handle_of(object);
    int32_t code;
    if (handle == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    code = meshnet_look(handle);
    Py_END_ALLOW_THREADS
    return code == MESHNET_OK || code == MESHNET_ERROR_TIMED_OUT ? PyBool_FromLong(code == MESHNET_OK) : raise_code(state_of(object), code);
}

static const PyMethodDef life_methods[] = {
    {"close", node_close, METH_NOARGS, "close($self)\n--\n\nStops the node; events that wait can still be fetched."},
    {"free", node_free, METH_NOARGS, "free($self)\n--\n\nCloses the node and gives its descriptor up."},
    {"peer_id", node_peer_id, METH_NOARGS, "peer_id($self)\n--\n\nThe node's peer id."},
    {"event_fd", node_event_fd, METH_NOARGS, "event_fd($self)\n--\n\nA descriptor that is readable while events wait."},
    {"look", node_look, METH_NOARGS,
     "look($self)\n--\n\nServes the node for 0.2 ms at most, without sleeping. True when events or messages wait, or the node is closed."},
    {"listen_addresses", node_listen_addresses, METH_NOARGS,
     "listen_addresses($self)\n--\n\nThe addresses at which the node can be dialled."},
    {"next_events", node_next_events, METH_VARARGS,
     "next_events($self, timeout_ms, capacity, /)\n--\n\nUp to `capacity` events as tuples; an empty list when none came in time."},
    {NULL, NULL, 0, NULL},
};

static size_t append(PyMethodDef *all, size_t count, const PyMethodDef *methods) {
    for (; methods->ml_name != NULL; methods++) {
        all[count++] = *methods;
    }
    return count;
}

static size_t count_of(const PyMethodDef *methods) {
    size_t count = 0;
    while (methods[count].ml_name != NULL) {
        count++;
    }
    return count;
}

/* One table for the type. It must outlive every interpreter, so it is made once in a process and kept. */
static PyMethodDef *all_methods(void) {
    static PyMethodDef *table;
    if (table == NULL) {
        size_t total = count_of(life_methods) + count_of(node_blocking_methods) + count_of(node_started_methods) + count_of(node_message_methods);
        PyMethodDef *made = calloc(total + 1, sizeof *made);
        if (made == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        size_t count = append(made, 0, life_methods);
        count = append(made, count, node_blocking_methods);
        count = append(made, count, node_started_methods);
        append(made, count, node_message_methods);
        table = made;
    }
    return table;
}

static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(node_object, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

int add_node_type(PyObject *module, module_state *state) {
    PyMethodDef *methods = all_methods();
    if (methods == NULL) {
        return -1;
    }
    PyType_Slot slots[] = {
        {Py_tp_doc, "Node(identity, options, /)\n--\n\nA running node; options has the fields of meshnet_config_t."},
        {Py_tp_new, node_make},
        {Py_tp_dealloc, node_dealloc},
        {Py_tp_methods, methods},
        {Py_tp_members, members},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "meshnet._meshnet.Node",
        .basicsize = sizeof(node_object),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = slots,
    };
    state->node_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->node_type == NULL ? -1 : PyModule_AddType(module, state->node_type);
}
