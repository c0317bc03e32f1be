/* Key pairs and key files. */
#include "check.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/meshnet-keys-XXXXXX";

static void in_folder(char *path, size_t capacity, const char *name) { snprintf(path, capacity, "%s/%s", folder, name); }

/* The peer id of the Ed25519 seed of 32 zero bytes. */
static void a_secret_has_its_peer_id(void) {
    static const uint8_t secret[MESHNET_SECRET_SIZE];
    uint8_t copy[MESHNET_SECRET_SIZE];
    char text[MESHNET_PEER_ID_TEXT_SIZE];
    meshnet_keypair_t *keys;
    REQUIRE_OK(meshnet_keypair_from_secret(secret, sizeof secret, &keys));
    REQUIRE_OK(meshnet_keypair_peer_id(keys, text, sizeof text));
    REQUIRE(strcmp(text, "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN") == 0);
    memset(copy, 0xAA, sizeof copy);
    REQUIRE_OK(meshnet_keypair_secret(keys, copy, sizeof copy));
    REQUIRE(memcmp(copy, secret, sizeof copy) == 0);
    meshnet_keypair_free(keys);
}

static void generated_pairs_differ(void) {
    meshnet_keypair_t *one, *other;
    char first[MESHNET_PEER_ID_TEXT_SIZE], second[MESHNET_PEER_ID_TEXT_SIZE];
    REQUIRE_OK(meshnet_keypair_generate(&one));
    REQUIRE_OK(meshnet_keypair_generate(&other));
    REQUIRE_OK(meshnet_keypair_peer_id(one, first, sizeof first));
    REQUIRE_OK(meshnet_keypair_peer_id(other, second, sizeof second));
    REQUIRE(strcmp(first, second) != 0 && strncmp(first, "12D3KooW", 8) == 0);
    meshnet_keypair_free(one);
    meshnet_keypair_free(other);
}

static void bad_secrets_and_small_buffers_are_refused(void) {
    static const uint8_t secret[MESHNET_SECRET_SIZE + 1] = {1};
    uint8_t copy[MESHNET_SECRET_SIZE];
    char text[MESHNET_PEER_ID_TEXT_SIZE];
    meshnet_keypair_t *keys = (meshnet_keypair_t *)&secret;
    size_t length;
    REQUIRE_CODE(MESHNET_ERROR_INVALID_KEY, meshnet_keypair_from_secret(secret, 0, &keys));
    REQUIRE(keys == NULL);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_KEY, meshnet_keypair_from_secret(secret, 31, &keys));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_KEY, meshnet_keypair_from_secret(secret, 33, &keys));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_KEY, meshnet_keypair_from_secret(secret, SIZE_MAX, &keys));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_keypair_from_secret(NULL, 32, &keys));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_keypair_from_secret(secret, 32, NULL));
    REQUIRE_OK(meshnet_keypair_from_secret(secret, 32, &keys));
    REQUIRE_CODE(MESHNET_ERROR_BUFFER_TOO_SMALL, meshnet_keypair_secret(keys, copy, 31));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_keypair_secret(keys, NULL, 32));
    REQUIRE_OK(meshnet_keypair_peer_id(keys, text, sizeof text));
    length = strlen(text);
    memset(text, 'x', sizeof text);
    REQUIRE_CODE(MESHNET_ERROR_BUFFER_TOO_SMALL, meshnet_keypair_peer_id(keys, text, length));
    REQUIRE(text[0] == 'x');
    REQUIRE_OK(meshnet_keypair_peer_id(keys, text, length + 1));
    REQUIRE(text[length] == 0 && text[length + 1] == 'x');
    REQUIRE_CODE(MESHNET_ERROR_BUFFER_TOO_SMALL, meshnet_keypair_peer_id(keys, text, 0));
    meshnet_keypair_free(keys);
}

static void a_saved_key_is_loaded(void) {
    char path[256], before[MESHNET_PEER_ID_TEXT_SIZE], after[MESHNET_PEER_ID_TEXT_SIZE];
    meshnet_keypair_t *keys, *loaded;
    struct stat status;
    in_folder(path, sizeof path, "node.key");
    REQUIRE_OK(meshnet_keypair_generate(&keys));
    REQUIRE_OK(meshnet_keypair_save(keys, path));
    REQUIRE(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600);
    REQUIRE_OK(meshnet_keypair_load(path, &loaded));
    REQUIRE_OK(meshnet_keypair_peer_id(keys, before, sizeof before));
    REQUIRE_OK(meshnet_keypair_peer_id(loaded, after, sizeof after));
    REQUIRE(strcmp(before, after) == 0);
    meshnet_keypair_free(loaded);
    meshnet_keypair_free(keys);
}

static void an_identity_is_never_overwritten(void) {
    char path[256];
    meshnet_keypair_t *keys;
    meshnet_error_info_t info;
    in_folder(path, sizeof path, "taken.key");
    REQUIRE_OK(meshnet_keypair_generate(&keys));
    REQUIRE_OK(meshnet_keypair_save(keys, path));
    REQUIRE_CODE(MESHNET_ERROR_KEY_FILE, meshnet_keypair_save(keys, path));
    REQUIRE(meshnet_last_error(&info, sizeof info) == MESHNET_OK && info.system_errno == EEXIST && strstr(info.detail, path) != NULL);
    meshnet_keypair_free(keys);
}

static void bad_key_files_are_refused_by_name(void) {
    static const char *const contents[] = {"", "not a key", "\x08\x01\x12\x00"};
    char path[256];
    meshnet_keypair_t *keys;
    meshnet_error_info_t info;
    size_t index;
    for (index = 0; index < sizeof contents / sizeof contents[0]; index++) {
        FILE *file;
        in_folder(path, sizeof path, "bad.key");
        file = fopen(path, "w");
        REQUIRE(file != NULL);
        fwrite(contents[index], 1, index == 2 ? 4 : strlen(contents[index]), file);
        fclose(file);
        REQUIRE_CODE(MESHNET_ERROR_KEY_FILE, meshnet_keypair_load(path, &keys));
        REQUIRE(keys == NULL);
        REQUIRE(meshnet_last_error(&info, sizeof info) == MESHNET_OK && info.system_errno == 0 && strstr(info.detail, path) != NULL);
    }
    REQUIRE_CODE(MESHNET_ERROR_KEY_FILE, meshnet_keypair_load(folder, &keys));
    REQUIRE_CODE(MESHNET_ERROR_KEY_FILE, meshnet_keypair_load("", &keys));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_keypair_load(NULL, &keys));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_keypair_load("\xFF", &keys));
}

static void freed_and_foreign_handles_are_found_out(void) {
    char text[MESHNET_PEER_ID_TEXT_SIZE];
    uint8_t secret[MESHNET_SECRET_SIZE];
    meshnet_keypair_t *keys, *next;
    meshnet_node_t *node;
    REQUIRE_OK(meshnet_keypair_generate(&keys));
    meshnet_keypair_free(keys);
    meshnet_keypair_free(keys);
    meshnet_keypair_free(NULL);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_HANDLE, meshnet_keypair_peer_id(keys, text, sizeof text));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_HANDLE, meshnet_keypair_secret(keys, secret, sizeof secret));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_HANDLE, meshnet_keypair_save(keys, "/nonexistent"));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_HANDLE, meshnet_node_new(keys, NULL, 0, 0, &node));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_HANDLE, meshnet_keypair_peer_id((meshnet_keypair_t *)text, text, sizeof text));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_HANDLE, meshnet_keypair_peer_id((meshnet_keypair_t *)(uintptr_t)1, text, sizeof text));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_ARGUMENT, meshnet_keypair_peer_id(NULL, text, sizeof text));
    REQUIRE_OK(meshnet_keypair_generate(&next));
    REQUIRE(next != keys);
    REQUIRE_CODE(MESHNET_ERROR_INVALID_HANDLE, meshnet_keypair_peer_id(keys, text, sizeof text));
    REQUIRE_CODE(MESHNET_ERROR_INVALID_HANDLE, meshnet_node_close((meshnet_node_t *)next));
    meshnet_node_free((meshnet_node_t *)next);
    REQUIRE_OK(meshnet_keypair_peer_id(next, text, sizeof text));
    meshnet_keypair_free(next);
}

int main(void) {
    if (mkdtemp(folder) == NULL) return 1;
    RUN(a_secret_has_its_peer_id);
    RUN(generated_pairs_differ);
    RUN(bad_secrets_and_small_buffers_are_refused);
    RUN(a_saved_key_is_loaded);
    RUN(an_identity_is_never_overwritten);
    RUN(bad_key_files_are_refused_by_name);
    RUN(freed_and_foreign_handles_are_found_out);
    {
        static const char *const names[] = {"node.key", "taken.key", "bad.key"};
        char path[256];
        size_t index;
        for (index = 0; index < 3; index++) {
            in_folder(path, sizeof path, names[index]);
            unlink(path);
        }
        rmdir(folder);
    }
    FINISH();
}
