// SPDX-License-Identifier: Apache-2.0
// Data directories, and the progress bar of those who fill them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/data_directory.h"
#include "cli/progress.h"

struct fixture {
    char parent[64];
    struct arena arena;
    struct err err;
    const char *path;
};

static void check(struct fixture *fixture, bool is_fine)
{
    if (!is_fine)
        fail_msg("%s", fixture->err.message);
}

static const char *inside(struct fixture *fixture, const char *name)
{
    return arena_format(&fixture->arena, "%s/%s", fixture->path, name);
}

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    arena_init(&fixture->arena);
    (void)snprintf(fixture->parent, sizeof fixture->parent, "/tmp/milkrun-data-XXXXXX");
    assert_non_null(mkdtemp(fixture->parent));
    fixture->path = arena_format(&fixture->arena, "%s/data", fixture->parent);
    check(fixture, data_directory_create(fixture->path, &fixture->err));
    check(fixture, file_replace(inside(fixture, "milkrun.db"), slice_text(""), &fixture->err));
    *state = fixture;
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(nftw(fixture->parent, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
    arena_clear(&fixture->arena);
    mem_free(fixture);
    return 0;
}

static struct data_directory open_it(struct fixture *fixture)
{
    struct data_directory data;
    check(fixture, data_directory_open(fixture->path, &fixture->arena, &data, &fixture->err));
    return data;
}

static enum err_kind open_failure(struct fixture *fixture)
{
    struct data_directory data;
    assert_false(data_directory_open(fixture->path, &fixture->arena, &data, &fixture->err));
    return fixture->err.kind;
}

static void test_what_was_made_opens(void **state)
{
    struct fixture *fixture = *state;
    const struct data_directory data = open_it(fixture);
    const struct data_directory again = open_it(fixture);
    assert_string_equal(data.path, fixture->path);
    assert_string_equal(data.catalog_path, inside(fixture, "milkrun.db"));
    assert_string_equal(data.exports_path, inside(fixture, "exports"));
    assert_string_equal(data.temp_path, inside(fixture, "tmp"));
    assert_int_equal(data.lock_fd, -1);
    assert_int_equal(strlen(data.node_id), 16);
    assert_string_equal(data.node_id, again.node_id);
    assert_memory_equal(data.url_key, again.url_key, DATA_URL_KEY_BYTES);
}

static void test_secrets_are_the_owners_and_differ(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    assert_int_equal(stat(inside(fixture, "keys/url.key"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    const struct data_directory data = open_it(fixture);
    fixture->path = arena_format(&fixture->arena, "%s/other", fixture->parent);
    check(fixture, data_directory_create(fixture->path, &fixture->err));
    check(fixture, file_replace(inside(fixture, "milkrun.db"), slice_text(""), &fixture->err));
    const struct data_directory other = open_it(fixture);
    assert_memory_not_equal(data.url_key, other.url_key, DATA_URL_KEY_BYTES);
    assert_string_not_equal(data.node_id, other.node_id);
}

static void test_other_places_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const char *path = fixture->path;
    fixture->path = fixture->parent;
    assert_int_equal(open_failure(fixture), ERR_NOT_FOUND);
    assert_non_null(strstr(fixture->err.message, "milkrun init --data"));
    fixture->path = path;
    check(fixture, file_remove(inside(fixture, "node_id"), &fixture->err));
    assert_int_equal(open_failure(fixture), ERR_NOT_FOUND);
}

static void test_keys_that_are_not_right_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const char *key = inside(fixture, "keys/url.key");
    assert_int_equal(chmod(key, 0640), 0);
    assert_int_equal(open_failure(fixture), ERR_DENIED);
    assert_non_null(strstr(fixture->err.message, "640"));
    check(fixture, file_replace(key, slice_text("0123"), &fixture->err));
    assert_int_equal(open_failure(fixture), ERR_CORRUPT);
    assert_null(strstr(fixture->err.message, "0123")); // secrets stay secret
    check(fixture, file_remove(key, &fixture->err));
    assert_int_equal(open_failure(fixture), ERR_NOT_FOUND);
}

static struct data_directory open_locked(struct fixture *fixture)
{
    struct data_directory data = open_it(fixture);
    check(fixture, data_directory_lock(&data, 0, &fixture->err));
    return data;
}

static void test_keys_of_secrets_are_made_once_and_kept(void **state)
{
    struct fixture *fixture = *state;
    const char *path = inside(fixture, "keys/secrets.key");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    struct data_directory first = open_locked(fixture);
    check(fixture, data_directory_load_secrets(&first, &fixture->err));
    assert_int_equal(first.secret_key_count, 1);
    assert_memory_not_equal(first.secret_keys[0].bytes, first.url_key, CIPHER_KEY_BYTES);
    // An older version's directory has none.
    check(fixture, file_remove(path, &fixture->err));
    check(fixture, data_directory_load_secrets(&first, &fixture->err));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    struct data_directory again = first;
    check(fixture, data_directory_load_secrets(&again, &fixture->err));
    assert_memory_equal(again.secret_keys[0].bytes, first.secret_keys[0].bytes, CIPHER_KEY_BYTES);
    (void)close(first.lock_fd);
}

static void test_keys_of_secrets_stand_in_lines(void **state)
{
#define KEY_LINE "00112233445566778899aabbccddeeff00112233445566778899aabbccddee"
    static const char *const good[] = {KEY_LINE "01", KEY_LINE "01\n", "\n" KEY_LINE "01\n\n"};
    static const char *const bad[] = {
        "", "\n", KEY_LINE "0", KEY_LINE "0g", KEY_LINE "01 ", KEY_LINE "01\n0123"};
    struct fixture *fixture = *state;
    const char *path = inside(fixture, "keys/secrets.key");
    struct data_directory data = open_locked(fixture);
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        check(fixture, file_replace(path, slice_text(good[i]), &fixture->err));
        check(fixture, data_directory_load_secrets(&data, &fixture->err));
        assert_int_equal(data.secret_key_count, 1);
        assert_int_equal(data.secret_keys[0].bytes[31], 1);
    }
    check(fixture, file_replace(path, slice_text(KEY_LINE "02\n" KEY_LINE "01\n"), &fixture->err));
    check(fixture, data_directory_load_secrets(&data, &fixture->err));
    assert_int_equal(data.secret_key_count, 2);
    assert_int_equal(data.secret_keys[0].bytes[31], 2);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        check(fixture, file_replace(path, slice_text(bad[i]), &fixture->err));
        assert_false(data_directory_load_secrets(&data, &fixture->err));
        assert_int_equal(fixture->err.kind, ERR_CORRUPT);
        assert_null(strstr(fixture->err.message, "0123")); // secrets stay secret
    }
    check(fixture, file_replace(path, slice_text(KEY_LINE "01"), &fixture->err));
    assert_int_equal(chmod(path, 0604), 0);
    assert_false(data_directory_load_secrets(&data, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_DENIED);
    (void)close(data.lock_fd);
}

static void test_one_server_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    struct data_directory first = open_it(fixture);
    struct data_directory second = open_it(fixture);
    check(fixture, data_directory_lock(&first, 0, &fixture->err));
    assert_true(first.lock_fd >= 0);
    assert_false(data_directory_lock(&second, 50, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_CONFLICT);
    assert_int_equal(second.lock_fd, -1);
    (void)close(first.lock_fd);
    check(fixture, data_directory_lock(&second, 0, &fixture->err));
    (void)close(second.lock_fd);
}

static void test_emptying_removes_files_at_any_depth(void **state)
{
    struct fixture *fixture = *state;
    const struct data_directory data = open_it(fixture);
    check(fixture, file_make_directories(inside(fixture, "tmp/1/deep"), &fixture->err));
    check(fixture, file_replace(inside(fixture, "tmp/a"), slice_text("a"), &fixture->err));
    check(fixture, file_replace(inside(fixture, "tmp/1/deep/b"), slice_text("b"), &fixture->err));
    check(fixture, data_directory_empty(data.temp_path, &fixture->err));
    assert_int_not_equal(access(inside(fixture, "tmp/a"), F_OK), 0);
    assert_int_not_equal(access(inside(fixture, "tmp/1/deep/b"), F_OK), 0);
    assert_int_equal(access(inside(fixture, "node_id"), F_OK), 0);
}

// --- Progress

// Shows a file of 100 bytes at `done`, with standard error as given; returns what was printed.
static size_t show(int error_fd, int read_fd, uint64_t done, char *ret_text, size_t capacity)
{
    const int kept_fd = dup(STDERR_FILENO);
    assert_true(kept_fd >= 0);
    (void)dup2(error_fd, STDERR_FILENO);
    struct progress progress;
    progress_start(&progress, "/some/where/events.ndjson", 100);
    progress_show(&progress, done, 7);
    progress_show(&progress, done, 7); // not again so soon
    progress_end(&progress);
    (void)dup2(kept_fd, STDERR_FILENO);
    (void)close(kept_fd);
    (void)close(error_fd);
    memset(ret_text, 0, capacity);
    size_t size = 0;
    ssize_t got;
    while (size + 1 < capacity && (got = read(read_fd, ret_text + size, capacity - 1 - size)) > 0)
        size += (size_t)got;
    (void)close(read_fd);
    return size;
}

static void test_progress_is_for_terminals(void **state)
{
    (void)state;
    char text[1024];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(show(ends[1], ends[0], 50, text, sizeof text), 0);
    int master = -1;
    int terminal = -1;
    assert_int_equal(openpty(&master, &terminal, NULL, NULL, NULL), 0);
    assert_true(show(terminal, master, 50, text, sizeof text) > 0);
    assert_non_null(strstr(text, "events.ndjson [###############...............]  50 %"));
    assert_null(strstr(text, "/some/where"));
    assert_non_null(strstr(text, "7 events"));
    assert_null(strstr(strstr(text, "events.ndjson") + 1, "events.ndjson"));
}

static void test_progress_never_leaves_its_bar(void **state)
{
    (void)state;
    char text[1024];
    int master = -1;
    int terminal = -1;
    assert_int_equal(openpty(&master, &terminal, NULL, NULL, NULL), 0);
    assert_true(show(terminal, master, 1000, text, sizeof text) > 0); // the file has grown
    assert_non_null(strstr(text, "[##############################]"));
}

#define data_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        data_test(test_what_was_made_opens),
        data_test(test_secrets_are_the_owners_and_differ),
        data_test(test_other_places_are_refused),
        data_test(test_keys_that_are_not_right_are_refused),
        data_test(test_keys_of_secrets_are_made_once_and_kept),
        data_test(test_keys_of_secrets_stand_in_lines),
        data_test(test_one_server_at_a_time),
        data_test(test_emptying_removes_files_at_any_depth),
        cmocka_unit_test(test_progress_is_for_terminals),
        cmocka_unit_test(test_progress_never_leaves_its_bar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
