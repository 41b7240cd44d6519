// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"

struct settings {
    const char *data;
    int64_t workers;
    bool guard;
    struct option_list urls;
    const char *password;
};

static const struct option options[] = {
    {.name = "data",
     .type = OPTION_TEXT,
     .offset = offsetof(struct settings, data),
     .flags = OPTION_REQUIRED,
     .doc = "where"},
    {.name = "lake.workers",
     .type = OPTION_INT64,
     .offset = offsetof(struct settings, workers),
     .default_text = "2",
     .min = 1,
     .max = 9,
     .unit = "processes",
     .doc = "how many"},
    {.name = "guard", .type = OPTION_BOOL, .offset = offsetof(struct settings, guard), .doc = "g"},
    {.name = "base_url",
     .type = OPTION_LIST,
     .offset = offsetof(struct settings, urls),
     .doc = "u"},
    {.name = "mail.password",
     .type = OPTION_TEXT,
     .offset = offsetof(struct settings, password),
     .flags = OPTION_SECRET,
     .doc = "p"},
};
#define OPTION_COUNT (sizeof options / sizeof options[0])

static struct arena arena;

static bool read_options(const char *const *arguments, const char *const *environment,
                         const char *config_path, struct settings *settings, struct err *err)
{
    size_t count = 0;
    while (arguments[count] != NULL)
        count++;
    const struct option_set set = {options, OPTION_COUNT, settings};
    const struct option_input input = {arguments, count, environment, config_path};
    return option_read(&set, 1, &input, &arena, NULL, NULL, err);
}

static void test_the_stronger_place_wins(void **state)
{
    (void)state;
    struct err err = {0};
    char path[] = "/tmp/milkrun-option-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_true(
        file_replace(path, slice_text("[lake]\nworkers = 3\n[milkrun]\nguard = true\n"), &err));
    struct settings settings = {0};
    const char *const plain[] = {"--data", "d", NULL};
    assert_true(read_options(plain, NULL, NULL, &settings, &err));
    assert_int_equal(settings.workers, 2);
    assert_false(settings.guard);
    assert_true(read_options(plain, NULL, path, &settings, &err));
    assert_int_equal(settings.workers, 3);
    assert_true(settings.guard);
    const char *const environment[] = {"MILKRUN_LAKE_WORKERS=4", "HOME=/", NULL};
    assert_true(read_options(plain, environment, path, &settings, &err));
    assert_int_equal(settings.workers, 4);
    const char *const arguments[] = {"--data=d", "--lake-workers", "5", "--guard=false", NULL};
    assert_true(read_options(arguments, environment, path, &settings, &err));
    assert_int_equal(settings.workers, 5);
    assert_false(settings.guard);
    (void)unlink(path);
}

static void assert_refused(const char *const *arguments, const char *const *environment,
                           const char *file_text, const char *expected)
{
    struct err err = {0};
    char path[] = "/tmp/milkrun-option-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    if (file_text != NULL)
        assert_true(file_replace(path, slice_text(file_text), &err));
    struct settings settings = {0};
    const bool is_read = read_options(arguments, environment, file_text == NULL ? NULL : path,
                                      &settings, &err);
    (void)unlink(path);
    assert_false(is_read);
    assert_int_equal(err.kind, ERR_INVALID);
    if (strstr(err.message, expected) == NULL)
        fail_msg("%s", err.message);
}

static void test_mistakes_are_refused_with_their_place(void **state)
{
    (void)state;
    static const char *const good[] = {"--data", "d", NULL};
    assert_refused((const char *[]){NULL}, NULL, NULL, "option --data is required");
    assert_refused((const char *[]){"--data", NULL}, NULL, NULL, "--data needs a value");
    assert_refused((const char *[]){"--date", "d", NULL}, NULL, NULL, "unknown option --date");
    assert_refused((const char *[]){"--data", "d", "--data", "e", NULL}, NULL, NULL, "twice");
    assert_refused((const char *[]){"--data", "d", "x", NULL}, NULL, NULL, "unexpected argument x");
    assert_refused((const char *[]){"--data", "d", "--lake-workers", "10", NULL}, NULL, NULL,
                   "must be 1 to 9");
    assert_refused((const char *[]){"--data", "d", "--lake-workers", "2x", NULL}, NULL, NULL,
                   "not a whole number");
    assert_refused(good, (const char *[]){"MILKRUN_GUARD=maybe", NULL}, NULL, "MILKRUN_GUARD");
    assert_refused(good, NULL, "[lake]\nworker = 3\n", "unknown key worker in section [lake]");
    assert_refused(good, NULL, "[lake]\nworkers = 3\nnonsense\n", "line 3");
    assert_refused(good, NULL, "[lake]\nworkers = 3\nworkers = 4\n", "is given twice");
    assert_refused((const char *[]){"--data", "d", "--config", "x", NULL}, NULL, NULL,
                   "unknown option --config");
    assert_refused((const char *[]){"--data", "d", "--base-url", ",", NULL}, NULL, NULL,
                   "empty item");
}

static void test_secrets_are_no_arguments(void **state)
{
    (void)state;
    static const char *const good[] = {"--data", "d", NULL};
    static const char expected[] = "--mail-password: others can see arguments; give it as "
                                   "MILKRUN_MAIL_PASSWORD or in a file";
    assert_refused((const char *[]){"--data", "d", "--mail-password", "hush", NULL}, NULL, NULL,
                   expected);
    assert_refused((const char *[]){"--data", "d", "--mail-password=hush", NULL}, NULL, NULL,
                   expected);
    struct err err = {0};
    struct settings settings = {0};
    const char *const environment[] = {"MILKRUN_MAIL_PASSWORD=hush", NULL};
    assert_true(read_options(good, environment, NULL, &settings, &err));
    assert_string_equal(settings.password, "hush");
}

static void assert_file_with_mode(const char *text, mode_t mode, bool is_good)
{
    struct err err = {0};
    char path[] = "/tmp/milkrun-option-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_true(file_replace(path, slice_text(text), &err));
    assert_int_equal(chmod(path, mode), 0);
    struct settings settings = {0};
    const char *const arguments[] = {"--data", "d", NULL};
    assert_int_equal(read_options(arguments, NULL, path, &settings, &err), is_good);
    (void)unlink(path);
    if (is_good)
        return;
    assert_int_equal(err.kind, ERR_INVALID);
    char expected[100];
    (void)snprintf(expected, sizeof expected, "%s has mode %04o and holds a secret", path,
                   (unsigned)mode);
    assert_non_null(strstr(err.message, expected));
    assert_null(strstr(err.message, "hush"));
}

static void test_a_file_with_a_secret_is_its_owners_alone(void **state)
{
    (void)state;
    static const char secret[] = "[mail]\npassword = hush\n";
    assert_file_with_mode(secret, 0600, true);
    assert_file_with_mode(secret, 0400, true);
    assert_file_with_mode(secret, 0644, false);
    assert_file_with_mode(secret, 0640, false);
    assert_file_with_mode(secret, 0604, false);
    assert_file_with_mode("[lake]\nworkers = 3\n", 0644, true); // it has none
}

static void test_lists_repeat_and_split(void **state)
{
    (void)state;
    struct err err = {0};
    struct settings settings = {0};
    const char *const arguments[] = {"--data",     "d", "--base-url", " a , b\t",
                                     "--base-url", "c", NULL};
    const char *const environment[] = {"MILKRUN_BASE_URL=z", NULL};
    assert_true(read_options(arguments, environment, NULL, &settings, &err));
    assert_int_equal(settings.urls.count, 3);
    assert_string_equal(settings.urls.items[0], "a");
    assert_string_equal(settings.urls.items[1], "b");
    assert_string_equal(settings.urls.items[2], "c");
}

static void test_help_and_page_name_every_option(void **state)
{
    (void)state;
    const struct option_set set = {options, OPTION_COUNT, NULL};
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 10000);
    option_write_help(&set, &text);
    option_write_markdown(&set, &text);
    assert_non_null(strstr(buf_text(&text), "--lake-workers N"));
    assert_non_null(
        strstr(buf_text(&text), "`MILKRUN_LAKE_WORKERS` | `[lake] workers` | 2 | 1 to 9"));
    assert_non_null(
        strstr(buf_text(&text), "  MILKRUN_MAIL_PASSWORD=TEXT (no argument)\n      p\n"));
    assert_non_null(
        strstr(buf_text(&text), "| - | `MILKRUN_MAIL_PASSWORD` | `[mail] password` | - | - | p |"));
    assert_null(strstr(buf_text(&text), "--mail-password"));
}

static int start(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_clear(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_stronger_place_wins),
        cmocka_unit_test(test_mistakes_are_refused_with_their_place),
        cmocka_unit_test(test_secrets_are_no_arguments),
        cmocka_unit_test(test_a_file_with_a_secret_is_its_owners_alone),
        cmocka_unit_test(test_lists_repeat_and_split),
        cmocka_unit_test(test_help_and_page_name_every_option),
    };
    return cmocka_run_group_tests(tests, start, end);
}
