/* Failures as exceptions, and texts in both directions. */
#include "module.h"

#include <string.h>

static PyObject *raise_account(module_state *state, int32_t code, int32_t system_errno, const char *detail, const char *hint) {
    if (state->error_factory == NULL) {
        return PyErr_Format(PyExc_RuntimeError, "%s: %s", meshnet_strerror(code), detail);
    }
    PyObject *exception = PyObject_CallFunction(state->error_factory, "iiNN", (int)code, (int)system_errno,
                                                text_or_none(detail), text_or_none(hint));
    if (exception != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
    }
    return NULL;
}

PyObject *raise_code(module_state *state, int32_t code) {
    meshnet_error_info_t info;
    /* The account may be of an earlier failure: next_event's "nothing came" leaves none, for example. */
    if (meshnet_last_error(&info, sizeof info) != MESHNET_OK || info.code != code) {
        return raise_account(state, code, 0, meshnet_strerror(code), meshnet_error_hint(code));
    }
    return raise_account(state, code, info.system_errno, info.detail, info.hint);
}

PyObject *raise_detail(module_state *state, int32_t code, const char *detail) {
    return raise_account(state, code, 0, detail, meshnet_error_hint(code));
}

module_state *state_of(PyObject *object) {
    /* These types cannot be subclassed, so that the type of an instance is the one that belongs to the module. */
    return PyType_GetModuleState(Py_TYPE(object));
}

int text_argument(PyObject *value, const char *what, const char **text) {
    Py_ssize_t length;
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s: a str is wanted, not %R", what, (PyObject *)Py_TYPE(value));
        return -1;
    }
    *text = PyUnicode_AsUTF8AndSize(value, &length);
    if (*text == NULL) {
        return -1;
    }
    if (strlen(*text) != (size_t)length) {
        PyErr_Format(PyExc_ValueError, "%s: %R has a NUL character inside", what, value);
        return -1;
    }
    return 0;
}

PyObject *text_or_none(const char *text) {
    if (text == NULL) {
        Py_RETURN_NONE;
    }
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

int text_array_fill(text_array *array, PyObject *sequence, const char *what) {
    memset(array, 0, sizeof *array);
    if (PyUnicode_Check(sequence)) {
        PyErr_Format(PyExc_TypeError, "%s: a list of str is wanted, not the single text %R", what, sequence);
        return -1;
    }
    PyObject *holder = PySequence_Tuple(sequence);
    if (holder == NULL) {
        return -1;
    }
    Py_ssize_t count = PyTuple_Size(holder);
    const char **items = PyMem_Calloc((size_t)count + 1, sizeof *items);
    if (items == NULL) {
        Py_DECREF(holder);
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        if (text_argument(PyTuple_GetItem(holder, index), what, &items[index]) < 0) {
            PyMem_Free(items);
            Py_DECREF(holder);
            return -1;
        }
    }
    *array = (text_array){holder, items, (size_t)count};
    return 0;
}

void text_array_clear(text_array *array) {
    PyMem_Free(array->items);
    Py_XDECREF(array->holder);
    memset(array, 0, sizeof *array);
}
