// SPDX-License-Identifier: Apache-2.0
// Lists of the hosted bucket: what is seen, in which order and by whom, page by page, beside a
// plain model; and how much work it is.
#include "jobs_fixture.h"

#include <time.h>

#include "base/rng.h"

#define ROWS_MAX INT64_C(1000000)

// A job of the hour that SUCCEEDED with files of these keys.
static void publish(struct fixture *fixture, const char *subscription_id, int64_t hour,
                    const char *const *keys, size_t count)
{
    const struct job job = fixture_run_hour(fixture, subscription_id, FIXTURE_HOUR(hour));
    struct job_file *files = arena_alloc_array(&fixture->arena, count, sizeof *files);
    for (size_t i = 0; i < count; i++)
        files[i] = (struct job_file){.part = (int64_t)i,
                                     .key = keys[i],
                                     .row_count = 1,
                                     .byte_count = (int64_t)strlen(keys[i]),
                                     .sha256 = "00"};
    const struct job_claim claim = fixture_claim_of(&job);
    const struct job_result result = {
        .files = files,
        .file_count = count,
        .row_count = 1,
        .byte_count = 1,
        .manifest = "{}",
        .now_ms = FIXTURE_NOW_MS + hour,
        .expires_at_ms = FIXTURE_NOW_MS + hour + FIXTURE_EXPIRY_MS,
    };
    assert_done(fixture, job_succeed(fixture->catalog, &claim, &result, &fixture->err));
}

static struct hosted_query query_of(const struct fixture *fixture, const char *prefix,
                                    const char *delimiter)
{
    return (struct hosted_query){
        .scope = {.organization_id = fixture->organization_id, .sees_organization = true},
        .prefix = slice_text(prefix),
        .delimiter = slice_text(delimiter),
        .entry_limit = 1000,
        .row_limit = ROWS_MAX};
}

static struct hosted_page list(struct fixture *fixture, const struct hosted_query *query)
{
    struct hosted_page page;
    assert_done(fixture,
                hosted_file_list(fixture->catalog, query, &fixture->arena, &page, &fixture->err));
    return page;
}

// All pages, each entry in a line; prefixes begin with "+ ".
static const char *listed(struct fixture *fixture, struct hosted_query query,
                          size_t *ret_page_count)
{
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, (size_t)64 * 1024 * 1024);
    size_t page_count = 0;
    for (bool has_more = true; has_more; page_count++) {
        const struct hosted_page page = list(fixture, &query);
        assert_true(page.count <= query.entry_limit);
        for (size_t i = 0; i < page.count; i++) {
            const struct hosted_entry *entry = &page.entries[i];
            buf_append_format(&out, "%s%s\n", entry->is_prefix ? "+ " : "", entry->key);
            if (!entry->is_prefix)
                assert_string_equal(entry->key, entry->file.file.key);
        }
        has_more = page.has_more;
        query.start = page.next;
    }
    if (ret_page_count != NULL)
        *ret_page_count = page_count;
    return arena_copy_slice(&fixture->arena, buf_slice(&out));
}

static void assert_listed(struct fixture *fixture, const char *prefix, const char *delimiter,
                          const char *expected)
{
    struct hosted_query query = query_of(fixture, prefix, delimiter);
    assert_string_equal(listed(fixture, query, NULL), expected);
    for (query.entry_limit = 1; query.entry_limit < 4; query.entry_limit++)
        assert_string_equal(listed(fixture, query, NULL), expected);
    query.row_limit = 1;
    assert_string_equal(listed(fixture, query, NULL), expected);
}

static void keys_come_in_the_order_of_their_bytes(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    static const char *const first[] = {"v2/b/2", "v2/a",   "v2/\xc3\xa9",
                                        "v2/B",   "v2/b-1", "v2/b/10"};
    static const char *const second[] = {"v2/a/x/1", "w", "a"};
    publish(fixture, id, 3, first, ARRAY_COUNT(first));
    publish(fixture, id, 4, second, ARRAY_COUNT(second));
    assert_listed(fixture, "", "",
                  "a\nv2/B\nv2/a\nv2/a/x/1\nv2/b-1\nv2/b/10\nv2/b/2\nv2/\xc3\xa9\nw\n");
    assert_listed(fixture, "v2/b", "", "v2/b-1\nv2/b/10\nv2/b/2\n");
    assert_listed(fixture, "v2/c", "", "");
    assert_listed(fixture, "x", "", "");
    assert_listed(fixture, "", "/", "a\n+ v2/\nw\n");
    assert_listed(fixture, "v2/", "/", "v2/B\nv2/a\n+ v2/a/\nv2/b-1\n+ v2/b/\nv2/\xc3\xa9\n");
    assert_listed(fixture, "v2", "/", "+ v2/\n");
    assert_listed(fixture, "v2/a/", "/", "+ v2/a/x/\n");
    assert_listed(fixture, "v2/a/x/1", "/", "v2/a/x/1\n");
    assert_listed(fixture, "v2/", "/x/",
                  "v2/B\nv2/a\n+ v2/a/x/\nv2/b-1\nv2/b/10\nv2/b/2\n"
                  "v2/\xc3\xa9\n");
    assert_listed(fixture, "", "\xc3\xa9",
                  "a\nv2/B\nv2/a\nv2/a/x/1\nv2/b-1\nv2/b/10\nv2/b/2\n+ v2/\xc3\xa9\nw\n");
    const struct hosted_query query = query_of(fixture, "v2/b", "");
    const struct hosted_page page = list(fixture, &query);
    assert_int_equal(page.count, 3);
    assert_false(page.has_more);
    assert_int_equal(page.entries[1].file.file.byte_count, 7);
    assert_int_equal(page.entries[1].file.published_at_ms, FIXTURE_NOW_MS + 3);
    assert_string_equal(page.entries[1].file.file.sha256, "00");
}

static void a_list_goes_on_behind_an_entry(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    static const char *const keys[] = {"a/1", "a/2", "a0", "b/1", "c"};
    publish(fixture, id, 3, keys, ARRAY_COUNT(keys));
    static const struct {
        const char *prefix;
        const char *delimiter;
        const char *entry;
        bool is_amid;
        const char *expected;
    } cases[] = {
        {"", "", "a/1", false, "a/2\na0\nb/1\nc\n"},
        {"", "", "a/1\x01", false, "a/2\na0\nb/1\nc\n"},
        {"", "", "", false, "a/1\na/2\na0\nb/1\nc\n"},
        {"", "", "c", false, ""},
        {"", "", "\xff\xff", false, ""},
        {"b", "", "a/1", false, "b/1\n"}, // before all that the prefix has
        {"b", "", "b/1", false, ""},
        {"b", "", "c", false, ""},
        {"", "/", "a/", false, "a0\n+ b/\nc\n"},
        {"", "/", "a/1", false, "a0\n+ b/\nc\n"}, // in a prefix that stands before it
        {"", "/", "a/1", true, "+ a/\na0\n+ b/\nc\n"},
        {"", "/", "a/2", true, "a0\n+ b/\nc\n"},
        {"", "/", "a0", false, "+ b/\nc\n"},
        {"", "\xff", "\xff\xff\xff", false, ""},
        {"a/", "/", "a/1", false, "a/2\n"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct hosted_query query = query_of(fixture, cases[i].prefix, cases[i].delimiter);
        query.start = (struct hosted_place){slice_text(cases[i].entry), cases[i].is_amid};
        assert_string_equal(listed(fixture, query, NULL), cases[i].expected);
    }
}

static void pages_are_full_and_say_whether_there_are_more(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    static const char *const keys[] = {"a/1", "a/2", "b", "c/1"};
    publish(fixture, id, 3, keys, ARRAY_COUNT(keys));
    struct hosted_query query = query_of(fixture, "", "/");
    query.entry_limit = 3;
    struct hosted_page page = list(fixture, &query);
    assert_int_equal(page.count, 3);
    assert_false(page.has_more);
    query.entry_limit = 2;
    page = list(fixture, &query);
    assert_int_equal(page.count, 2);
    assert_true(page.has_more);
    assert_memory_equal(page.next.entry.data, "b", 1);
    assert_false(page.next.is_amid);
    query.entry_limit = 1;
    page = list(fixture, &query);
    assert_int_equal(page.count, 1);
    assert_memory_equal(page.next.entry.data, "a/", page.next.entry.size_bytes);
}

// --- Who sees what

static void find(struct fixture *fixture, const struct subscription_scope *scope, const char *key,
                 bool is_found)
{
    struct hosted_file file;
    if (is_found)
        assert_done(fixture, hosted_file_find(fixture->catalog, scope, slice_text(key),
                                              &fixture->arena, &file, &fixture->err));
    else
        assert_refused(fixture,
                       hosted_file_find(fixture->catalog, scope, slice_text(key), &fixture->arena,
                                        &file, &fixture->err),
                       ERR_NOT_FOUND);
}

// A subscription of this app, or of the whole organization (NULL), with one file.
static void publish_as(struct fixture *fixture, const char *organization_id, const char *app_id,
                       const char *key)
{
    struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, key);
    request.organization_id = organization_id;
    request.app_id = app_id;
    const struct subscription made = fixture_create(fixture, &request);
    struct job sample;
    assert_true(fixture_claim(fixture, &sample));
    fixture_succeed(fixture, &sample, 5);
    publish(fixture, made.id, 3, &key, 1);
}

static void a_caller_sees_its_own_files_only(void **state)
{
    struct fixture *fixture = *state;
    const char *foreign_app = NULL;
    const char *foreign = fixture_organization(fixture, "second", &foreign_app);
    const char *other_app = fixture_add_app(fixture, "other");
    publish_as(fixture, fixture->organization_id, fixture->app_id, "ours");
    publish_as(fixture, fixture->organization_id, other_app, "others");
    publish_as(fixture, fixture->organization_id, NULL, "whole");
    publish_as(fixture, foreign, foreign_app, "theirs");
    const struct {
        struct subscription_scope scope;
        const char *expected;
    } callers[] = {
        {{fixture->organization_id, NULL, true}, "others\nours\nwhole\n"},
        {{fixture->organization_id, fixture->app_id, false}, "ours\n"},
        {{fixture->organization_id, other_app, false}, "others\n"},
        {{foreign, NULL, true}, "theirs\n"},
        {{foreign, foreign_app, false}, "theirs\n"},
        {{foreign, fixture->app_id, false}, ""},
        {{"100000000000000001", NULL, true}, ""},
    };
    static const char *const keys[] = {"ours", "others", "whole", "theirs"};
    for (size_t i = 0; i < ARRAY_COUNT(callers); i++) {
        struct hosted_query query = query_of(fixture, "", "");
        query.scope = callers[i].scope;
        assert_string_equal(listed(fixture, query, NULL), callers[i].expected);
        for (size_t k = 0; k < ARRAY_COUNT(keys); k++) {
            const char *line = arena_format(&fixture->arena, "%s\n", keys[k]);
            find(fixture, &callers[i].scope, keys[k], strstr(callers[i].expected, line) != NULL);
        }
    }
    for (size_t k = 0; k < ARRAY_COUNT(keys); k++)
        find(fixture, NULL, keys[k], true);
}

// Samples, jobs that are not over, expired files, and what was delivered elsewhere.
static void what_may_not_be_fetched_is_not_seen(void **state)
{
    struct fixture *fixture = *state;
    const struct subscription_scope scope = fixture_scope(fixture);
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    static const char *const keys[] = {"a/1", "a/2"};
    publish(fixture, id, 3, keys, ARRAY_COUNT(keys));
    (void)fixture_run_hour(fixture, id, FIXTURE_HOUR(4));
    const struct job elsewhere = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    const struct job_claim claim = fixture_claim_of(&elsewhere);
    const struct job_file file = {.key = "a/0", .byte_count = 1, .sha256 = "00"};
    const struct job_result result = {
        .files = &file, .file_count = 1, .manifest = "{}", .now_ms = FIXTURE_NOW_MS};
    assert_done(fixture, job_succeed(fixture->catalog, &claim, &result, &fixture->err));
    assert_listed(fixture, "", "", "a/1\na/2\n");
    assert_listed(fixture, "", "/", "+ a/\n");
    find(fixture, &scope, "a/0", false);
    find(fixture, &scope, "a/1", true);
    int64_t count = 0;
    assert_done(fixture, job_expire(fixture->catalog, FIXTURE_NOW_MS + FIXTURE_EXPIRY_MS + 3, 10,
                                    &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_listed(fixture, "", "", "");
    assert_listed(fixture, "", "/", "");
    find(fixture, &scope, "a/1", false);
    find(fixture, NULL, "a/1", false);
}

// --- Beside a model

static int compare_texts(const void *left, const void *right)
{
    return slice_compare(slice_text(*(const char *const *)left),
                         slice_text(*(const char *const *)right));
}

static const char *modelled(struct fixture *fixture, const char *const *keys, size_t count,
                            const char *prefix, const char *delimiter)
{
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, (size_t)1024 * 1024);
    const char *last = "";
    for (size_t i = 0; i < count; i++) {
        if (strncmp(keys[i], prefix, strlen(prefix)) != 0)
            continue;
        const char *at = delimiter[0] == '\0' ? NULL : strstr(keys[i] + strlen(prefix), delimiter);
        if (at == NULL) {
            buf_append_format(&out, "%s\n", keys[i]);
            continue;
        }
        const size_t size = (size_t)(at - keys[i]) + strlen(delimiter);
        const char *entry = arena_copy_slice(&fixture->arena, slice_of(keys[i], size));
        if (strcmp(entry, last) != 0)
            buf_append_format(&out, "+ %s\n", entry);
        last = entry;
    }
    return arena_copy_slice(&fixture->arena, buf_slice(&out));
}

static void lists_are_as_the_model_has_them(void **state)
{
    struct fixture *fixture = *state;
    struct rng_seeded seeded;
    rng_seeded_init(&seeded, 7);
    struct rng *rng = &seeded.base;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    static const char letters[] = "ab/-";
    const char *keys[400];
    size_t count = 0;
    while (count < ARRAY_COUNT(keys)) {
        char key[12] = {0};
        const uint64_t size = 1 + rng_below(rng, sizeof key - 1);
        for (uint64_t i = 0; i < size; i++)
            key[i] = letters[rng_below(rng, sizeof letters - 1)];
        bool is_new = true;
        for (size_t i = 0; i < count; i++)
            is_new = is_new && strcmp(keys[i], key) != 0;
        if (is_new)
            keys[count++] = arena_copy_text(&fixture->arena, key);
    }
    publish(fixture, id, 3, keys, count);
    qsort(keys, count, sizeof keys[0], compare_texts);
    static const char *const prefixes[] = {"", "a", "a/", "b-", "/", "ab/a", "--", "aaaa"};
    static const char *const delimiters[] = {"", "/", "-", "a", "b/", "/-"};
    for (size_t p = 0; p < ARRAY_COUNT(prefixes); p++)
        for (size_t d = 0; d < ARRAY_COUNT(delimiters); d++)
            for (size_t limit = 1; limit < 1000; limit = 3 * limit + 1) {
                struct hosted_query query = query_of(fixture, prefixes[p], delimiters[d]);
                query.entry_limit = limit;
                query.row_limit = limit % 2 == 0 ? 3 : ROWS_MAX;
                assert_string_equal(listed(fixture, query, NULL),
                                    modelled(fixture, keys, count, prefixes[p], delimiters[d]));
            }
}

// --- 100,000 files

static int64_t cpu_ms(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Budgets are many times what it takes with sanitizers; a scan of all files for each page or each
// prefix would be hundreds of times more.
static void many_files_are_listed_fast(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *other_app = fixture_add_app(fixture, "other");
    publish_as(fixture, fixture->organization_id, other_app, "v2/h=050/last");
    const char *keys[1000];
    for (int64_t hour = 0; hour < 100; hour++) {
        for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
            keys[i] = arena_format(&fixture->arena, "v2/h=%03d/part-%04zu", (int)hour, i);
        publish(fixture, id, hour - 200, keys, ARRAY_COUNT(keys));
    }
    int64_t start_ms = cpu_ms();
    size_t page_count = 0;
    struct hosted_query query = query_of(fixture, "v2/", "/");
    query.entry_limit = 7;
    (void)listed(fixture, query, &page_count);
    assert_int_equal(page_count, 15); // of 100 prefixes
    query = query_of(fixture, "v2/h=099/part-05", "");
    for (int i = 0; i < 20; i++)
        assert_int_equal(list(fixture, &query).count, 100);
    query = query_of(fixture, "", "");
    query.start = (struct hosted_place){slice_text("v2/h=098/part-0999"), false};
    assert_int_equal(list(fixture, &query).count, 1000);
    // One app's file among those of another one.
    query.start = (struct hosted_place){0};
    query.scope = (struct subscription_scope){fixture->organization_id, other_app, false};
    for (int i = 0; i < 100; i++)
        assert_int_equal(list(fixture, &query).count, 1);
    assert_true(cpu_ms() - start_ms < 1000);
    start_ms = cpu_ms();
    query = query_of(fixture, "", "");
    (void)listed(fixture, query, &page_count);
    assert_int_equal(page_count, 101);
    assert_true(cpu_ms() - start_ms < 10000);
}

// What cannot be shown is passed over in steps, without leaving anything out.
static void a_page_looks_at_so_many_files_only(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *keys[50];
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        keys[i] = arena_format(&fixture->arena, "a/%02zu", i);
    publish(fixture, id, -9, keys, ARRAY_COUNT(keys));
    int64_t expired = 0;
    assert_done(fixture, job_expire(fixture->catalog, FIXTURE_NOW_MS + FIXTURE_EXPIRY_MS - 9, 10,
                                    &expired, &fixture->err));
    assert_int_equal(expired, 1);
    static const char *const last[] = {"a/99"};
    publish(fixture, id, 3, last, 1);
    for (size_t d = 0; d < 2; d++) {
        struct hosted_query query = query_of(fixture, "a", d == 0 ? "/" : "");
        query.row_limit = 20;
        size_t page_count = 0;
        assert_string_equal(listed(fixture, query, &page_count), d == 0 ? "+ a/\n" : "a/99\n");
        assert_int_equal(page_count, 3);
        const struct hosted_page page = list(fixture, &query);
        assert_int_equal(page.count, 0);
        assert_true(page.has_more);
        assert_true(page.next.is_amid);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(keys_come_in_the_order_of_their_bytes),
        fixture_test(a_list_goes_on_behind_an_entry),
        fixture_test(pages_are_full_and_say_whether_there_are_more),
        fixture_test(a_caller_sees_its_own_files_only),
        fixture_test(what_may_not_be_fetched_is_not_seen),
        fixture_test(lists_are_as_the_model_has_them),
        fixture_test(many_files_are_listed_fast),
        fixture_test(a_page_looks_at_so_many_files_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
