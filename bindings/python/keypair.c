/* Keypair: section 3 of the header. */
#include "module.h"

#include <string.h>

static PyObject *wrap(module_state *state, int32_t code, meshnet_keypair_t *handle) {
    if (code != MESHNET_OK) {
        return raise_code(state, code);
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(state->keypair_type, Py_tp_alloc);
    keypair_object *self = (keypair_object *)allocate(state->keypair_type, 0);
    if (self == NULL) {
        meshnet_keypair_free(handle);
        return NULL;
    }
    self->handle = handle;
    return (PyObject *)self;
}

static PyObject *keypair_generate(PyObject *module, PyObject *Py_UNUSED(nothing)) {
    meshnet_keypair_t *handle = NULL;
    int32_t code = meshnet_keypair_generate(&handle);
    return wrap(PyModule_GetState(module), code, handle);
}

static PyObject *keypair_from_secret(PyObject *module, PyObject *arguments) {
    Py_buffer secret;
    if (!PyArg_ParseTuple(arguments, "y*:keypair_from_secret", &secret)) {
        return NULL;
    }
    meshnet_keypair_t *handle = NULL;
    int32_t code = meshnet_keypair_from_secret(secret.buf, (size_t)secret.len, &handle);
    PyBuffer_Release(&secret);
    return wrap(PyModule_GetState(module), code, handle);
}

static PyObject *keypair_load(PyObject *module, PyObject *path_object) {
    const char *path;
    if (text_argument(path_object, "path", &path) < 0) {
        return NULL;
    }
    meshnet_keypair_t *handle = NULL;
    int32_t code;
    Py_BEGIN_ALLOW_THREADS
    code = meshnet_keypair_load(path, &handle);
    Py_END_ALLOW_THREADS
    return wrap(PyModule_GetState(module), code, handle);
}

static PyMethodDef functions[] = {
    {"keypair_generate", keypair_generate, METH_NOARGS, "keypair_generate($module)\n--\n\nA new key pair."},
    {"keypair_from_secret", keypair_from_secret, METH_VARARGS,
     "keypair_from_secret($module, secret, /)\n--\n\nThe key pair of a 32-byte secret."},
    {"keypair_load", keypair_load, METH_O, "keypair_load($module, path, /)\n--\n\nReads a key file."},
    {NULL, NULL, 0, NULL},
};

static PyObject *keypair_save(PyObject *object, PyObject *path_object) {
    keypair_object *self = (keypair_object *)object;
    const char *path;
    if (text_argument(path_object, "path", &path) < 0) {
        return NULL;
    }
    int32_t code;
    Py_BEGIN_ALLOW_THREADS
    code = meshnet_keypair_save(self->handle, path);
    Py_END_ALLOW_THREADS
    if (code != MESHNET_OK) {
        return raise_code(state_of(object), code);
    }
    Py_RETURN_NONE;
}

static PyObject *keypair_secret(PyObject *object, PyObject *Py_UNUSED(nothing)) {
    uint8_t secret[MESHNET_SECRET_SIZE];
    int32_t code = meshnet_keypair_secret(((keypair_object *)object)->handle, secret, sizeof secret);
    if (code != MESHNET_OK) {
        return raise_code(state_of(object), code);
    }
    PyObject *result = PyBytes_FromStringAndSize((const char *)secret, sizeof secret);
    explicit_bzero(secret, sizeof secret);
    return result;
}

static PyObject *keypair_peer_id(PyObject *object, PyObject *Py_UNUSED(nothing)) {
    char text[MESHNET_PEER_ID_TEXT_SIZE];
    int32_t code = meshnet_keypair_peer_id(((keypair_object *)object)->handle, text, sizeof text);
    return code == MESHNET_OK ? text_or_none(text) : raise_code(state_of(object), code);
}

static void keypair_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    meshnet_keypair_free(((keypair_object *)object)->handle);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"save", keypair_save, METH_O, "save($self, path, /)\n--\n\nWrites a key file that only its owner can read."},
    {"secret", keypair_secret, METH_NOARGS, "secret($self)\n--\n\nThe 32 bytes of the secret."},
    {"peer_id", keypair_peer_id, METH_NOARGS, "peer_id($self)\n--\n\nThe peer id in its base58 form."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "An Ed25519 key pair."},
    {Py_tp_dealloc, keypair_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "meshnet._meshnet.Keypair",
    .basicsize = sizeof(keypair_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

int add_keypair_type(PyObject *module, module_state *state) {
    state->keypair_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    if (state->keypair_type == NULL || PyModule_AddType(module, state->keypair_type) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
