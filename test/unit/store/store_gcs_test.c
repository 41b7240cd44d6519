// SPDX-License-Identifier: Apache-2.0
// What is particular to Google's storage: who may do what, what is said about it, and how an upload
// goes on.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "gcs_fixture.h"

#define PREFIX "exports/of them/"
#define KEY    "v2/y=2026/file+1 ~\xc3\xa9.csv"

struct fixture {
    struct gcs_server server;
    struct test_tokens tokens;
    struct store *store;
    struct store_file_spec spec;
    struct buf bytes;
};

static struct fixture fixture;

static void open_store(uint64_t piece_bytes)
{
    char endpoint[64];
    struct err err = {0};
    store_close(&fixture.store);
    struct store_gcs_config config = test_gcs_config(&fixture.server, endpoint, &fixture.tokens);
    config.prefix = PREFIX;
    config.piece_bytes = piece_bytes;
    if (!store_gcs_open(&config, &fixture.store, &err))
        fail_msg("%s", err.message);
}

static void make_file(size_t size_bytes)
{
    struct err err = {0};
    if (fixture.spec.fd > 0)
        (void)close(fixture.spec.fd);
    fixture.spec = (struct store_file_spec){.key = KEY,
                                            .fd = memfd_create("file", MFD_CLOEXEC),
                                            .size_bytes = size_bytes,
                                            .content_type = "text/csv"};
    buf_clear(&fixture.bytes);
    buf_init(&fixture.bytes, size_bytes + 1);
    char *bytes = buf_reserve(&fixture.bytes, size_bytes);
    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = (char)(i * 31 + i / 251);
    buf_advance(&fixture.bytes, size_bytes);
    sha256_of(buf_slice(&fixture.bytes), fixture.spec.sha256);
    assert_true(file_write_all(fixture.spec.fd, buf_slice(&fixture.bytes), "file", &err));
}

static int set_up(void **state)
{
    (void)state;
    fixture = (struct fixture){0};
    gcs_server_open(&fixture.server);
    open_store(TEST_GCS_PIECE_BYTES);
    make_file(1000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(&fixture.store);
    gcs_server_close(&fixture.server);
    (void)close(fixture.spec.fd);
    buf_clear(&fixture.bytes);
    return 0;
}

static void expect_put(enum store_put_outcome outcome)
{
    struct err err = {0};
    enum store_put_outcome got;
    if (!store_put_file(fixture.store, &fixture.spec, NULL, &got, &err))
        fail_msg("%s", err.message);
    assert_int_equal(got, outcome);
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, fixture.spec.size_bytes + 1);
    assert_true(gcs_server_get(&fixture.server, PREFIX KEY, &bytes));
    assert_true(slice_equal(buf_slice(&bytes), buf_slice(&fixture.bytes)));
    assert_int_equal(gcs_server_open_uploads(&fixture.server), 0);
    assert_int_equal(fixture.server.refused_count, 0);
}

static void expect_error(bool is_done, const struct err *err, enum err_kind kind,
                         const char *expected)
{
    assert_false(is_done);
    if (err->kind != kind || strstr(err->message, expected) == NULL)
        fail_msg("%s: %s", err_kind_name(err->kind), err->message);
    assert_null(strstr(err->message, "ya29"));
    assert_int_equal(gcs_server_open_uploads(&fixture.server), 0);
}

static void expect_refusal(enum err_kind kind, const char *expected)
{
    struct err err = {0};
    enum store_put_outcome got;
    const bool is_done = store_put_file(fixture.store, &fixture.spec, NULL, &got, &err);
    expect_error(is_done, &err, kind, expected);
}

static void expect_state(const char *key, const char *text, enum store_state state)
{
    struct err err = {0};
    enum store_state got;
    uint8_t sha256[SHA256_BYTES];
    sha256_of(slice_text(text), sha256);
    if (!store_check(fixture.store, key, strlen(text), sha256, &got, &err))
        fail_msg("%s", err.message);
    assert_int_equal(got, state);
}

// --- Uploads

static void test_what_google_is_told(void **state)
{
    (void)state;
    expect_put(STORE_WRITTEN);
    const struct gcs_server_object *object = fixture.server.objects;
    char hex[SHA256_HEX_CHARS + 1];
    hex_encode(slice_of(fixture.spec.sha256, SHA256_BYTES), hex);
    assert_string_equal(object->sha256, hex);
    assert_string_equal(object->content_type, "text/csv");
    assert_int_equal(gcs_server_requests(&fixture.server), 1 + 4); // 300, 300, 300, 100
    expect_put(STORE_WAS_THERE);
    assert_int_equal(gcs_server_requests(&fixture.server), 5 + 2); // 412, and a look
}

static void test_a_broken_piece_goes_on_where_it_stopped(void **state)
{
    (void)state;
    open_store(2000);
    make_file(5000);
    gcs_server_fail(&fixture.server, GCS_FAULT_HALF_RESET, 3, 3);
    expect_put(STORE_WRITTEN);
    static const char expected[] = "308\n"  // 0-1999
                                   "308\n"  // 2000-3999, of which 1000 arrive
                                   "308\n"  // how far?
                                   "200\n"; // 3000-4999
    struct buf statuses CLEANUP(buf_clear);
    buf_init(&statuses, 1000);
    const char *line = strchr(buf_text(&fixture.server.log), '\n') + 1;
    for (; *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *end = strchr(line, '\n');
        buf_append(&statuses, slice_of(end - 3, 4));
    }
    assert_string_equal(buf_text(&statuses), expected);
}

static void test_a_large_file_has_few_requests(void **state)
{
    (void)state;
    open_store(0);
    fixture.server.granule_bytes = STORE_GCS_GRANULE_BYTES;
    make_file((size_t)40 * 1024 * 1024 + 1);
    expect_put(STORE_WRITTEN);
    assert_int_equal(gcs_server_requests(&fixture.server), 1 + 3);
}

static bool spoil(void *context, const char *key, const char *upload_id, struct err *err)
{
    (void)key;
    (void)upload_id;
    (void)err;
    return pwrite(*(int *)context, "spoilt", 6, 450) == 6;
}

static void test_a_file_that_changes_on_the_way_does_not_appear(void **state)
{
    (void)state;
    const struct store_hooks hooks = {.upload_begun = spoil, .context = &fixture.spec.fd};
    struct err err = {0};
    enum store_put_outcome got;
    const bool is_done = store_put_file(fixture.store, &fixture.spec, &hooks, &got, &err);
    expect_error(is_done, &err, ERR_CORRUPT, "other bytes came to Google than were sent");
    assert_int_equal(gcs_server_object_count(&fixture.server), 0);
}

static void test_an_answer_that_was_lost_is_not_another_writer(void **state)
{
    (void)state;
    gcs_server_fail(&fixture.server, GCS_FAULT_CLOSE_AFTER, 5, 5);
    expect_put(STORE_WRITTEN);
}

struct patience {
    struct gcs_server *server;
    int requests_max;
    int over_count;
};

static bool is_patient(void *context)
{
    const struct patience *patience = context;
    return gcs_server_requests(patience->server) < patience->requests_max;
}

static bool note_over(void *context, const char *key, const char *upload_id, struct err *err)
{
    (void)err;
    assert_string_equal(key, KEY);
    assert_non_null(strstr(upload_id, "ABg5-x_"));
    ((struct patience *)context)->over_count++;
    return true;
}

static void test_a_put_that_is_given_up_ends_its_upload(void **state)
{
    (void)state;
    for (int count = 1; count < 5; count++) {
        gcs_server_reset(&fixture.server);
        struct patience patience = {&fixture.server, count, 0};
        const struct store_hooks hooks = {
            .keep_going = is_patient, .upload_over = note_over, .context = &patience};
        struct err err = {0};
        enum store_put_outcome got;
        const bool is_done = store_put_file(fixture.store, &fixture.spec, &hooks, &got, &err);
        expect_error(is_done, &err, ERR_CANCELED, "canceled");
        assert_int_equal(patience.over_count, 1);
        assert_int_equal(gcs_server_requests(&fixture.server), count + 1);
    }
}

static bool keep_id(void *context, const char *key, const char *upload_id, struct err *err)
{
    assert_string_equal(key, KEY);
    (void)snprintf(context, 64, "%s", upload_id);
    // As if the process had been killed here: nobody answers the call that ends the upload.
    gcs_server_fail(&fixture.server, GCS_FAULT_503, 1, 1);
    return err_set(err, ERR_CANCELED, "killed");
}

static void test_an_upload_is_ended_by_somebody_else(void **state)
{
    (void)state;
    char id[64];
    const struct store_hooks hooks = {.upload_begun = keep_id, .context = id};
    struct err err = {0};
    enum store_put_outcome got;
    assert_false(store_put_file(fixture.store, &fixture.spec, &hooks, &got, &err));
    assert_int_equal(gcs_server_open_uploads(&fixture.server), 1);
    assert_true(store_abort_upload(fixture.store, KEY, id, &err));
    assert_int_equal(gcs_server_open_uploads(&fixture.server), 0);
    assert_true(store_abort_upload(fixture.store, KEY, id, &err));
    assert_true(store_abort_upload(fixture.store, KEY, "no/such&upload", &err));
}

// --- Who may do what

static void test_a_token_that_is_not_taken_is_renewed_once(void **state)
{
    (void)state;
    fixture.server.is_expired = true;
    expect_put(STORE_WRITTEN);
    assert_int_equal(fixture.tokens.refresh_count, 1);
    fixture.tokens = (struct test_tokens){.never_fresh = true};
    expect_refusal(ERR_DENIED,
                   "create object: Google does not take the token of " TEST_GCS_ACCOUNT);
    assert_int_equal(fixture.tokens.refresh_count, 2); // and once for a look
}

static void test_refusals_say_what_to_grant(void **state)
{
    (void)state;
    fixture.server.denies_create = true;
    expect_refusal(
        ERR_DENIED,
        "create object: storage.objects.create is not permitted in the bucket " GCS_SERVER_BUCKET
        ": grant the role roles/storage.objectCreator on it to " TEST_GCS_ACCOUNT
        ". Google says: x does not have storage.objects.create access.");
    fixture.server.denies_create = false;
    fixture.server.has_no_bucket = true;
    expect_refusal(ERR_NOT_FOUND, "create object: there is no bucket " GCS_SERVER_BUCKET);
    fixture.server.has_no_bucket = false;
    struct err err = {0};
    fixture.server.denies_delete = true;
    const bool is_deleted = store_delete(fixture.store, "x", &err);
    expect_error(is_deleted, &err, ERR_DENIED,
                 "delete object: storage.objects.delete is not permitted");
    gcs_server_fail(&fixture.server, GCS_FAULT_301, 1, 1);
    expect_refusal(ERR_INVALID, "leads elsewhere (HTTP 301)");
    gcs_server_fail(&fixture.server, GCS_FAULT_400, 1, 1);
    expect_refusal(ERR_INVALID, "create object: refused (HTTP 400). Google says: ");
}

static void test_who_can_only_create(void **state)
{
    (void)state;
    fixture.server.denies_get = true;
    fixture.server.denies_delete = true;
    fixture.server.denies_list = true;
    for (int is_strict = 0; is_strict <= 1; is_strict++) {
        gcs_server_reset(&fixture.server);
        fixture.server.is_strict = is_strict == 1;
        expect_put(STORE_WRITTEN);
        expect_put(STORE_WAS_THERE); // it must not be replaced
    }
    expect_state(KEY, "x", STORE_UNREADABLE);
    fixture.server.is_strict = false;
    fixture.server.denies_delete = false;
    expect_put(STORE_WRITTEN); // once more
    // Lost answers, too. The last request is the one that ends the upload.
    for (int is_final = 0; is_final <= 1; is_final++) {
        fixture.server.denies_delete = is_final == 1;
        for (int from = 1; from <= 5; from++) {
            gcs_server_reset(&fixture.server);
            gcs_server_fail(&fixture.server, GCS_FAULT_CLOSE_AFTER, from, from);
            expect_put(STORE_WRITTEN);
        }
    }
    // A refusal for another reason is none for an object.
    gcs_server_reset(&fixture.server);
    fixture.server.denies_create = true;
    expect_refusal(ERR_DENIED, "storage.objects.create is not permitted");
}

// --- What is there

static void test_objects_of_others(void **state)
{
    (void)state;
    gcs_server_put(&fixture.server, PREFIX "same", "0123456789");
    gcs_server_put(&fixture.server, PREFIX "empty", "");
    expect_state("same", "0123456789", STORE_SAME);
    expect_state("same", "0123456780", STORE_OTHER);
    expect_state("same", "012345678", STORE_OTHER);
    expect_state("empty", "", STORE_SAME);
    expect_state("none", "", STORE_ABSENT);
    gcs_server_put(&fixture.server, PREFIX KEY, "other");
    expect_refusal(ERR_CONFLICT, "an object with other bytes is there already: " GCS_SERVER_BUCKET
                                 "/" PREFIX KEY);
    fixture.server.has_no_metadata = true;
    gcs_server_reset(&fixture.server);
    expect_put(STORE_WRITTEN);
    expect_put(STORE_WAS_THERE); // by its MD5
}

static void test_answers_to_a_look_are_not_believed_at_once(void **state)
{
    (void)state;
    expect_put(STORE_WRITTEN);
    static const enum gcs_fault faults[] = {GCS_FAULT_EMPTY, GCS_FAULT_HUGE, GCS_FAULT_DEEP};
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        struct err err = {0};
        enum store_state got;
        gcs_server_fail(&fixture.server, faults[i], 1, 100);
        const bool is_done = store_check(fixture.store, KEY, fixture.spec.size_bytes,
                                         fixture.spec.sha256, &got, &err);
        expect_error(is_done, &err, ERR_UNAVAILABLE, "");
    }
}

// --- Probe

static void expect_probe(bool is_readable, bool is_deletable)
{
    struct err err = {0};
    struct store_probe probe;
    if (!store_probe(fixture.store, ".milkrun/probe 1", &probe, &err))
        fail_msg("%s", err.message);
    assert_int_equal(probe.is_readable, is_readable);
    assert_int_equal(probe.is_deletable, is_deletable);
    assert_int_equal(gcs_server_object_count(&fixture.server), is_deletable ? 0 : 1);
}

static void test_probes(void **state)
{
    (void)state;
    expect_probe(true, true);
    fixture.server.denies_get = true;
    expect_probe(false, true);
    fixture.server.denies_delete = true;
    expect_probe(false, false);
    expect_probe(false, false); // it is there already
    fixture.server.denies_get = false;
    fixture.server.denies_create = true;
    struct err err = {0};
    struct store_probe probe;
    bool is_done = store_probe(fixture.store, "other", &probe, &err);
    expect_error(is_done, &err, ERR_DENIED, "grant the role roles/storage.objectCreator on it");
    fixture.server.denies_create = false;
    gcs_server_fail(&fixture.server, GCS_FAULT_FLIPPED, 1, 1);
    is_done = store_probe(fixture.store, "other", &probe, &err);
    expect_error(is_done, &err, ERR_CORRUPT, "other bytes came back than were written");
}

static void test_probes_survive_every_fault(void **state)
{
    (void)state;
    for (int fault = 1; fault < GCS_FAULT_FINAL; fault++) {
        if (fault == GCS_FAULT_STALL || fault == GCS_FAULT_HALF_STALL)
            continue; // takes five seconds here
        for (int from = 1; from <= 3; from++) {
            // Each has its own connection: a late second answer is for nobody.
            open_store(TEST_GCS_PIECE_BYTES);
            gcs_server_reset(&fixture.server);
            gcs_server_fail(&fixture.server, (enum gcs_fault)fault, from, from);
            struct err err = {0};
            struct store_probe probe;
            const bool is_done = store_probe(fixture.store, "probe", &probe, &err);
            // A lie about the bytes that come back is not told from other bytes.
            const bool may_fail = err.kind == ERR_CORRUPT;
            if (!is_done && !may_fail)
                fail_msg("fault %d at %d: %s", fault, from, err.message);
        }
    }
}

// --- Sweep

struct list {
    int asked_count;
    bool replaces;
};

static bool is_wanted(const char *key, void *context, bool *ret_is_listed, struct err *err)
{
    (void)err;
    struct list *list = context;
    list->asked_count++;
    *ret_is_listed = strstr(key, "wanted") != NULL;
    if (list->replaces) {
        char full_key[200];
        (void)snprintf(full_key, sizeof full_key, PREFIX "%s", key);
        gcs_server_put(&fixture.server, full_key, "new");
    }
    return true;
}

static void test_a_sweep_turns_pages_and_stays_within(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, PREFIX "%s+&%d", i % 3 == 0 ? "wanted" : "old", i);
        gcs_server_put(&fixture.server, key, "x");
    }
    gcs_server_put(&fixture.server, "elsewhere/old", "x");
    gcs_server_age(&fixture.server, CIVIL_HOUR_MS);
    gcs_server_put(&fixture.server, PREFIX "young", "x");
    struct err err = {0};
    struct list list = {0};
    assert_true(store_sweep(fixture.store, CIVIL_HOUR_MS / 2, NULL, NULL, &err));
    assert_int_equal(gcs_server_object_count(&fixture.server), 12);
    if (!store_sweep(fixture.store, CIVIL_HOUR_MS / 2, is_wanted, &list, &err))
        fail_msg("%s", err.message);
    assert_int_equal(list.asked_count, 10);
    assert_int_equal(gcs_server_object_count(&fixture.server), 4 + 1 + 1);
    assert_int_equal(fixture.server.refused_count, 0);
    fixture.server.denies_list = true;
    const bool is_done = store_sweep(fixture.store, 0, is_wanted, &list, &err);
    expect_error(is_done, &err, ERR_DENIED, "list objects: storage.objects.list is not permitted");
}

static void test_a_sweep_leaves_what_comes_meanwhile(void **state)
{
    (void)state;
    gcs_server_put(&fixture.server, PREFIX "old", "x");
    gcs_server_age(&fixture.server, CIVIL_HOUR_MS);
    struct err err = {0};
    struct list list = {.replaces = true};
    assert_true(store_sweep(fixture.store, CIVIL_HOUR_MS / 2, is_wanted, &list, &err));
    assert_int_equal(list.asked_count, 1);
    assert_int_equal(gcs_server_object_count(&fixture.server), 1);
}

static void test_it_takes_finished_files_only(void **state)
{
    (void)state;
    struct err err = {0};
    struct sink *sink = NULL;
    int fd;
    uint64_t size_bytes;
    assert_false(store_put_begin(fixture.store, KEY, &sink, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_false(store_open_object(fixture.store, KEY, &fd, &size_bytes, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    struct store *store = NULL;
    char endpoint[64];
    struct store_gcs_config config = test_gcs_config(&fixture.server, endpoint, &fixture.tokens);
    config.gcs.endpoint = "https://storage.example/path";
    assert_false(store_gcs_open(&config, &store, &err));
    assert_int_equal(err.kind, ERR_INVALID);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_what_google_is_told),
        WITH_STORE(test_a_broken_piece_goes_on_where_it_stopped),
        WITH_STORE(test_a_large_file_has_few_requests),
        WITH_STORE(test_a_file_that_changes_on_the_way_does_not_appear),
        WITH_STORE(test_an_answer_that_was_lost_is_not_another_writer),
        WITH_STORE(test_a_put_that_is_given_up_ends_its_upload),
        WITH_STORE(test_an_upload_is_ended_by_somebody_else),
        WITH_STORE(test_a_token_that_is_not_taken_is_renewed_once),
        WITH_STORE(test_refusals_say_what_to_grant),
        WITH_STORE(test_who_can_only_create),
        WITH_STORE(test_objects_of_others),
        WITH_STORE(test_answers_to_a_look_are_not_believed_at_once),
        WITH_STORE(test_probes),
        WITH_STORE(test_probes_survive_every_fault),
        WITH_STORE(test_a_sweep_turns_pages_and_stays_within),
        WITH_STORE(test_a_sweep_leaves_what_comes_meanwhile),
        WITH_STORE(test_it_takes_finished_files_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
