/* Versions and the table of errors. codes.h is made from the header by run.sh: CODE(NAME) for each enumerator of enum meshnet_error. */
#include "check.h"

static const struct {
    int32_t code;
    const char *name;
} codes[] = {
#define CODE(name) {name, #name},
#include "codes.h"
#undef CODE
};
#define CODE_COUNT (sizeof codes / sizeof codes[0])

static void library_and_header_have_one_version(void) {
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", MESHNET_VERSION_MAJOR, MESHNET_VERSION_MINOR, MESHNET_VERSION_PATCH);
    REQUIRE(strcmp(meshnet_version(), MESHNET_VERSION_TEXT) == 0);
    REQUIRE(strcmp(text, MESHNET_VERSION_TEXT) == 0);
    REQUIRE(meshnet_abi_version() == MESHNET_ABI_VERSION);
    REQUIRE(meshnet_secret_size() == MESHNET_SECRET_SIZE);
    REQUIRE(meshnet_peer_id_text_size() == MESHNET_PEER_ID_TEXT_SIZE);
}

static void every_code_of_the_header_has_its_row(void) {
    size_t index;
    REQUIRE(CODE_COUNT > 30);
    for (index = 0; index < CODE_COUNT; index++) {
        const char *name = meshnet_error_name(codes[index].code);
        REQUIRE(name != NULL && strcmp(name, codes[index].name) == 0);
        REQUIRE(strlen(meshnet_strerror(codes[index].code)) > 3);
        REQUIRE(codes[index].code == MESHNET_OK || strlen(meshnet_error_hint(codes[index].code)) > 10);
        REQUIRE(strlen(meshnet_error_hint(codes[index].code)) < sizeof((meshnet_error_info_t *)0)->hint);
    }
}

static void every_row_is_a_code_of_the_header(void) {
    int32_t code;
    size_t named = 0;
    for (code = 1000; code >= -1000; code--) named += meshnet_error_name(code) != NULL;
    REQUIRE(named == CODE_COUNT);
}

static void unknown_codes_have_texts(void) {
    REQUIRE(strlen(meshnet_strerror(-9999)) > 3);
    REQUIRE(meshnet_error_hint(-9999)[0] == 0);
    REQUIRE(meshnet_error_name(-9999) == NULL);
    REQUIRE(meshnet_error_name(INT32_MIN) == NULL);
}

static void event_types_and_causes_have_names(void) {
    int32_t number;
    for (number = MESHNET_EVENT_LISTENING; number <= MESHNET_EVENT_ACCEPTED; number++) REQUIRE(meshnet_event_type_name(number) != NULL);
    for (number = MESHNET_DISCONNECT_CLOSED_BY_US; number <= MESHNET_DISCONNECT_LIMIT_REACHED; number++) {
        REQUIRE(meshnet_disconnect_cause_name(number) != NULL);
    }
    for (number = MESHNET_DIAL_REFUSED; number <= MESHNET_DIAL_OTHER_NETWORK; number++) REQUIRE(meshnet_dial_cause_name(number) != NULL);
    REQUIRE(meshnet_event_type_name(0) == NULL && meshnet_event_type_name(MESHNET_EVENT_ACCEPTED + 1) == NULL && meshnet_event_type_name(-1) == NULL);
    REQUIRE(meshnet_disconnect_cause_name(0) == NULL && meshnet_disconnect_cause_name(INT32_MAX) == NULL);
    REQUIRE(meshnet_dial_cause_name(0) == NULL && meshnet_dial_cause_name(INT32_MIN) == NULL);
    REQUIRE(strcmp(meshnet_event_type_name(MESHNET_EVENT_CLOSED), "closed") == 0);
    REQUIRE(strcmp(meshnet_event_type_name(MESHNET_EVENT_DIAL_FAILED), "dial failed") == 0);
    REQUIRE(strcmp(meshnet_disconnect_cause_name(MESHNET_DISCONNECT_DUPLICATE), "duplicate") == 0);
    REQUIRE(strcmp(meshnet_dial_cause_name(MESHNET_DIAL_HANDSHAKE_FAILED), "handshake failed") == 0);
}

/* Runs first: nothing has failed on this thread. */
static void before_a_failure_the_account_is_empty(void) {
    meshnet_error_info_t info;
    memset(&info, 0xAA, sizeof info);
    REQUIRE(meshnet_last_error(&info, sizeof info) == MESHNET_OK);
    REQUIRE(info.struct_size == sizeof info);
    REQUIRE(info.code == MESHNET_OK && info.system_errno == 0 && info.detail[0] == 0 && info.hint[0] == 0);
}

static void the_account_has_the_values_and_survives_success(void) {
    meshnet_keypair_t *keys = (meshnet_keypair_t *)&keys;
    meshnet_error_info_t info;
    REQUIRE(meshnet_keypair_load("/nonexistent/node.key", &keys) == MESHNET_ERROR_KEY_FILE);
    REQUIRE(keys == NULL);
    REQUIRE_OK(meshnet_keypair_generate(&keys));
    meshnet_keypair_free(keys);
    REQUIRE(meshnet_last_error(&info, sizeof info) == MESHNET_OK);
    REQUIRE(info.code == MESHNET_ERROR_KEY_FILE && info.system_errno == ENOENT);
    REQUIRE(strstr(info.detail, "/nonexistent/node.key") != NULL);
    REQUIRE(strcmp(info.hint, meshnet_error_hint(MESHNET_ERROR_KEY_FILE)) == 0);
}

static void long_details_are_cut_between_characters(void) {
    char path[4001];
    meshnet_keypair_t *keys;
    meshnet_error_info_t info;
    size_t shift, length;
    for (shift = 0; shift < 2; shift++) {
        size_t index;
        path[0] = 'x';
        for (index = shift; index + 1 < sizeof path - 1; index += 2) memcpy(path + index, "\xC3\xA9", 2);
        path[index] = 0;
        REQUIRE(meshnet_keypair_load(path, &keys) == MESHNET_ERROR_KEY_FILE);
        REQUIRE(meshnet_last_error(&info, sizeof info) == MESHNET_OK);
        length = strlen(info.detail);
        REQUIRE(length >= sizeof info.detail - 2 && length < sizeof info.detail);
        REQUIRE((unsigned char)info.detail[length - 1] == 0xA9);
    }
}

static void older_structs_of_the_account_are_filled_as_far_as_they_go(void) {
    union {
        meshnet_error_info_t info;
        unsigned char bytes[sizeof(meshnet_error_info_t) + 64];
    } space;
    meshnet_keypair_t *keys;
    size_t size = offsetof(meshnet_error_info_t, detail) + 8;
    REQUIRE(meshnet_keypair_load("/nonexistent/node.key", &keys) == MESHNET_ERROR_KEY_FILE);
    memset(&space, 0xAA, sizeof space);
    REQUIRE(meshnet_last_error(&space.info, size) == MESHNET_OK);
    REQUIRE(space.info.struct_size == size && space.info.code == MESHNET_ERROR_KEY_FILE);
    REQUIRE(strlen(space.info.detail) == 7);
    REQUIRE(space.bytes[size] == 0xAA);
    memset(&space, 0xAA, sizeof space);
    REQUIRE(meshnet_last_error(&space.info, sizeof space) == MESHNET_OK);
    REQUIRE(space.info.struct_size == sizeof space.info && space.bytes[sizeof space.info] == 0xAA);
    REQUIRE(meshnet_last_error(&space.info, 0) == MESHNET_ERROR_STRUCT_SIZE);
    REQUIRE(meshnet_last_error(&space.info, 8) == MESHNET_ERROR_STRUCT_SIZE);
    REQUIRE(meshnet_last_error(&space.info, SIZE_MAX) == MESHNET_ERROR_STRUCT_SIZE);
    REQUIRE(meshnet_last_error(NULL, sizeof space.info) == MESHNET_ERROR_INVALID_ARGUMENT);
}

int main(void) {
    RUN(before_a_failure_the_account_is_empty);
    RUN(library_and_header_have_one_version);
    RUN(every_code_of_the_header_has_its_row);
    RUN(every_row_is_a_code_of_the_header);
    RUN(unknown_codes_have_texts);
    RUN(event_types_and_causes_have_names);
    RUN(the_account_has_the_values_and_survives_success);
    RUN(long_details_are_cut_between_characters);
    RUN(older_structs_of_the_account_are_filled_as_far_as_they_go);
    FINISH();
}
