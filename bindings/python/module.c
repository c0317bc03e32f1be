/* The module itself: versions, names and texts of codes, and who makes exceptions. */
#include "module.h"

static PyObject *version(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(nothing)) {
    return text_or_none(meshnet_version());
}

static PyObject *abi_version(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(nothing)) {
    return PyLong_FromLong(meshnet_abi_version());
}

static PyObject *text_of_code(PyObject *argument, const char *(*text)(int32_t)) {
    long code = PyLong_AsLong(argument);
    if (code == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return text_or_none(text((int32_t)code));
}

static PyObject *strerror_text(PyObject *Py_UNUSED(module), PyObject *code) {
    return text_of_code(code, meshnet_strerror);
}

static PyObject *error_hint(PyObject *Py_UNUSED(module), PyObject *code) {
    return text_of_code(code, meshnet_error_hint);
}

static PyObject *error_name(PyObject *Py_UNUSED(module), PyObject *code) {
    return text_of_code(code, meshnet_error_name);
}

static PyObject *event_type_name(PyObject *Py_UNUSED(module), PyObject *type) {
    return text_of_code(type, meshnet_event_type_name);
}

static PyObject *disconnect_cause_name(PyObject *Py_UNUSED(module), PyObject *cause) {
    return text_of_code(cause, meshnet_disconnect_cause_name);
}

static PyObject *dial_cause_name(PyObject *Py_UNUSED(module), PyObject *cause) {
    return text_of_code(cause, meshnet_dial_cause_name);
}

#define NAME_FUNCTION(name)                                                         \
    static PyObject *name(PyObject *Py_UNUSED(module), PyObject *number) {          \
        return text_of_code(number, meshnet_##name);                                \
    }

NAME_FUNCTION(discovery_source_name)
NAME_FUNCTION(source_state_name)
NAME_FUNCTION(source_failure_name)
NAME_FUNCTION(discovery_filter_name)
NAME_FUNCTION(entry_state_name)
NAME_FUNCTION(diagnosis_cause_name)
NAME_FUNCTION(lane_name)
NAME_FUNCTION(channel_change_name)
NAME_FUNCTION(channel_state_name)
NAME_FUNCTION(storage_problem_name)

static PyObject *set_error_factory(PyObject *module, PyObject *factory) {
    module_state *state = PyModule_GetState(module);
    if (!PyCallable_Check(factory)) {
        return PyErr_Format(PyExc_TypeError, "a callable is wanted, not %R", factory);
    }
    PyObject *old = state->error_factory;
    Py_INCREF(factory);
    state->error_factory = factory;
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

#define NAME_ENTRY(name) {#name, name, METH_O, #name "($module, number, /)\n--\n\nSee meshnet_" #name " in meshnet.h."}

static PyMethodDef functions[] = {
    {"version", version, METH_NOARGS, "version($module)\n--\n\nThe version of the library that is loaded."},
    {"abi_version", abi_version, METH_NOARGS, "abi_version($module)\n--\n\nThe ABI version of the library that is loaded."},
    {"strerror", strerror_text, METH_O, "strerror($module, code, /)\n--\n\nOne sentence about a code."},
    {"error_hint", error_hint, METH_O, "error_hint($module, code, /)\n--\n\nWhat to do about a code."},
    {"error_name", error_name, METH_O, "error_name($module, code, /)\n--\n\nThe name of a code in meshnet.h; None for unknown codes."},
    {"event_type_name", event_type_name, METH_O, "event_type_name($module, type, /)\n--\n\nThe name of an event type."},
    {"disconnect_cause_name", disconnect_cause_name, METH_O,
     "disconnect_cause_name($module, cause, /)\n--\n\nThe name of the cause of a disconnect."},
    {"dial_cause_name", dial_cause_name, METH_O, "dial_cause_name($module, cause, /)\n--\n\nThe name of the cause of a failed dial."},
    NAME_ENTRY(discovery_source_name),
    NAME_ENTRY(source_state_name),
    NAME_ENTRY(source_failure_name),
    NAME_ENTRY(discovery_filter_name),
    NAME_ENTRY(entry_state_name),
    NAME_ENTRY(diagnosis_cause_name),
    NAME_ENTRY(lane_name),
    NAME_ENTRY(channel_change_name),
    NAME_ENTRY(channel_state_name),
    NAME_ENTRY(storage_problem_name),
    {"set_error_factory", set_error_factory, METH_O,
     "set_error_factory($module, factory, /)\n--\n\nfactory(code, system_errno, detail, hint) makes the exception of each failure."},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    if (meshnet_abi_version() != MESHNET_ABI_VERSION) {
        PyErr_Format(PyExc_ImportError, "libmeshnet has ABI version %d, this module was built for %d", (int)meshnet_abi_version(),
                     MESHNET_ABI_VERSION);
        return -1;
    }
    if (add_constants(module) < 0 || add_keypair_type(module, state) < 0 || add_node_type(module, state) < 0
        || add_message_type(module, state) < 0 || add_inbox_type(module, state) < 0 || add_iterator_types(module, state) < 0) {
        return -1;
    }
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
    module_state *state = PyModule_GetState(module);
    Py_VISIT(state->error_factory);
    Py_VISIT(state->keypair_type);
    Py_VISIT(state->node_type);
    Py_VISIT(state->message_type);
    Py_VISIT(state->inbox_type);
    Py_VISIT(state->ready_type);
    return 0;
}

static int module_clear(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    Py_CLEAR(state->error_factory);
    Py_CLEAR(state->keypair_type);
    Py_CLEAR(state->node_type);
    Py_CLEAR(state->message_type);
    Py_CLEAR(state->inbox_type);
    Py_CLEAR(state->ready_type);
    return 0;
}

static void module_free(void *module) {
    module_clear(module);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_meshnet",
    .m_doc = "libmeshnet.so for Python, one to one. Use the package meshnet.",
    .m_size = sizeof(module_state),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__meshnet(void) {
    return PyModuleDef_Init(&definition);
}
