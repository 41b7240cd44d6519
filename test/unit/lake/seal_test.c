// SPDX-License-Identifier: Apache-2.0
// Events go in through the ingest log, are sealed, and come back through the engine: every one in
// exactly one segment, every value as it was.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/civil.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/thread.h"
#include "catalog/segments.h"
#include "catalog/tenants.h"
#include "catalog/topics.h"
#include "engine/duckdb.h"
#include "lake/compact.h"
#include "lake/ingest_disk.h"
#include "lake/ingest_log.h"
#include "lake/seal.h"
#include "model/field.h"

#define NOW_MS  INT64_C(1700100000000)
#define HOUR_MS INT64_C(1699999200000) // start of an hour

// One cell as text, "12 name:t=value", so that tables compare as sorted lists of texts.
struct facts {
    const char **texts;
    size_t count;
    size_t capacity;
};

struct fixture {
    char directory[64];
    struct arena arena;
    struct err err;
    struct engine *engine;
    struct catalog *catalog;
    struct clock_fixed clock;
    struct ingest_log *log;
    struct seal_config config;
    const char *organization_id;
    const char *apps[2];
    int64_t last_seq;
    struct facts expected;
};

static void check(struct fixture *fixture, bool is_fine)
{
    if (!is_fine)
        fail_msg("%s", fixture->err.message);
}

static const char *in_directory(struct fixture *fixture, const char *path)
{
    return arena_format(&fixture->arena, "%s/%s", fixture->directory, path);
}

static void ignore_change(void *context)
{
    (void)context;
}

static void open_log(struct fixture *fixture)
{
    const struct ingest_log_config config = {
        .data_directory = fixture->directory,
        .catalog_path = in_directory(fixture, "catalog.db"),
        .clock = &fixture->clock.base,
        .file_bytes = INT64_C(8) << 20,
        .file_age_ms = 3600000,
        .memory_batch_bytes = 1 << 20,
        .memory_limit_bytes = INT64_C(64) << 20,
        .on_change = ignore_change,
    };
    check(fixture, ingest_log_open(&config, &fixture->log, &fixture->err));
}

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/milkrun-seal-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    arena_init(&fixture->arena);
    clock_fixed_init(&fixture->clock, NOW_MS, 0);
    const struct engine_config engine = {
        .memory_limit_bytes = INT64_C(512) << 20,
        .thread_count = 1,
        .temp_directory = fixture->directory,
    };
    check(fixture, engine_open(&engine, &fixture->engine, &fixture->err));
    check(fixture,
          catalog_create(in_directory(fixture, "catalog.db"), &fixture->catalog, &fixture->err));
    struct tenant_organization organization;
    check(fixture, tenant_create_organization(fixture->catalog, "dairy", NOW_MS, &fixture->arena,
                                              &organization, &fixture->err));
    fixture->organization_id = organization.id;
    for (size_t i = 0; i < 2; i++) {
        struct tenant_app app;
        const char *secret = NULL;
        check(fixture, tenant_create_app(fixture->catalog, organization.id, "app", NOW_MS,
                                         &fixture->arena, &app, &secret, &fixture->err));
        fixture->apps[i] = app.id;
    }
    fixture->config = (struct seal_config){
        .data_directory = fixture->directory,
        .clock = &fixture->clock.base,
        .step_bytes = INT64_C(64) << 20,
        .own_file_rows = 1000000,
        .file_limit = 64,
    };
    open_log(fixture);
    *state = fixture;
    return 0;
}

static bool remove_file(const char *path, void *context, struct err *err)
{
    (void)context;
    return file_remove(path, err);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    ingest_log_close(&fixture->log);
    engine_close(&fixture->engine);
    catalog_close(&fixture->catalog);
    check(fixture, file_walk(fixture->directory, "", remove_file, NULL, &fixture->err));
    const char *const directories[] = {"lake/2023-11-16", "lake", "log", ""};
    for (size_t i = 0; i < 4; i++)
        (void)rmdir(in_directory(fixture, directories[i]));
    assert_int_not_equal(access(fixture->directory, F_OK), 0);
    arena_clear(&fixture->arena);
    mem_free(fixture->expected.texts);
    mem_free(fixture);
    return 0;
}

// --- Facts

static void add_fact(struct facts *facts, const char *text)
{
    if (facts->count == facts->capacity) {
        facts->capacity = facts->capacity == 0 ? 1024 : facts->capacity * 2;
        facts->texts = mem_resize(facts->texts, facts->capacity * sizeof facts->texts[0]);
    }
    facts->texts[facts->count++] = text;
}

static int compare_texts(const void *left, const void *right)
{
    const char *const *one = left;
    const char *const *other = right;
    return strcmp(*one, *other);
}

static void sort_facts(struct facts *facts)
{
    if (facts->count > 0)
        qsort(facts->texts, facts->count, sizeof facts->texts[0], compare_texts);
}

static void assert_same_facts(struct facts *found, struct facts *expected)
{
    sort_facts(found);
    sort_facts(expected);
    for (size_t i = 0; i < found->count && i < expected->count; i++)
        assert_string_equal(found->texts[i], expected->texts[i]);
    assert_int_equal(found->count, expected->count);
}

static void expect(struct fixture *fixture, int64_t seq, const char *column, const char *value)
{
    add_fact(&fixture->expected,
             arena_format(&fixture->arena, "%" PRId64 " %s=%s", seq, column, value));
}

static int64_t topic_id_of(struct fixture *fixture, const char *topic)
{
    const struct schema *schema = NULL;
    check(fixture, topic_get(fixture->catalog, fixture->organization_id, slice_text(topic),
                             &fixture->arena, &schema, &fixture->err));
    assert_true(schema->topic_id > 0);
    return schema->topic_id;
}

static void expect_row(struct fixture *fixture, int64_t seq, const char *topic, size_t app,
                       int64_t time_ms)
{
    const int64_t topic_id = topic_id_of(fixture, topic);
    expect(fixture, seq, "_topic", arena_format(&fixture->arena, "%" PRId64, topic_id));
    expect(fixture, seq, "_app", fixture->apps[app]);
    expect(fixture, seq, "_time", arena_format(&fixture->arena, "%" PRId64, time_ms));
}

// --- Ingest

struct waiter {
    struct mutex mutex;
    struct condition condition;
    bool is_done;
};

static void wake(void *context)
{
    struct waiter *waiter = context;
    mutex_lock(&waiter->mutex);
    waiter->is_done = true;
    condition_signal(&waiter->condition);
    mutex_unlock(&waiter->mutex);
}

static struct ingest_batch *begin_batch(struct fixture *fixture, size_t app, const char *topic,
                                        const char *key, const char *lines)
{
    const struct ingest_batch_spec spec = {
        .organization_id = fixture->organization_id,
        .app_id = fixture->apps[app],
        .topic_name = topic,
        .idempotency_key = slice_text(key),
    };
    struct ingest_batch *batch = NULL;
    check(fixture, ingest_batch_begin(fixture->log, &spec, &batch, &fixture->err));
    check(fixture, ingest_batch_write(batch, slice_text(lines), &fixture->err));
    check(fixture, ingest_batch_end(batch, &fixture->err));
    return batch;
}

// Frees the batch; returns the answer.
static const char *submit_batch(struct fixture *fixture, struct ingest_batch *given)
{
    struct ingest_batch *batch CLEANUP(ingest_batch_free) = given;
    struct waiter waiter = {.is_done = false};
    mutex_init(&waiter.mutex);
    condition_init(&waiter.condition);
    ingest_batch_submit(batch, wake, &waiter);
    mutex_lock(&waiter.mutex);
    while (!waiter.is_done)
        condition_wait(&waiter.condition, &waiter.mutex);
    mutex_unlock(&waiter.mutex);
    condition_clear(&waiter.condition);
    mutex_clear(&waiter.mutex);
    struct slice answer;
    check(fixture, ingest_batch_answer(batch, &answer, &fixture->err));
    fixture->last_seq = ingest_log_last_seq(fixture->log);
    return arena_copy_slice(&fixture->arena, answer);
}

static const char *ingest(struct fixture *fixture, size_t app, const char *topic, const char *key,
                          const char *lines)
{
    return submit_batch(fixture, begin_batch(fixture, app, topic, key, lines));
}

// Ends the log file, so that it can be sealed.
static void end_file(struct fixture *fixture)
{
    ingest_log_close(&fixture->log);
    open_log(fixture);
}

// --- Sealing and reading back

static size_t seal_all(struct fixture *fixture)
{
    for (size_t steps = 0;; steps++) {
        bool has_sealed = false;
        assert_true(steps < 1000);
        check(fixture, seal_step(&fixture->config, fixture->catalog, &has_sealed, &fixture->err));
        if (!has_sealed)
            return steps;
    }
}

static void list_segments(struct fixture *fixture, struct segment **ret_segments, size_t *ret_count)
{
    check(fixture, segment_list(fixture->catalog, 0, 1000, &fixture->arena, ret_segments, ret_count,
                                &fixture->err));
}

static enum field_type column_type(const char *physical)
{
    struct buf name CLEANUP(buf_clear);
    enum field_type type = FIELD_INT64;
    buf_init(&name, 1024);
    if (field_parse_physical_name(slice_text(physical), &name, &type) && type == FIELD_TIME)
        return FIELD_INT64;
    return type;
}

static const char *cell_text(struct fixture *fixture, const struct batch_column *column, size_t row)
{
    switch (column->type) {
    case FIELD_TEXT:
    case FIELD_JSON:
        return arena_copy_slice(&fixture->arena, batch_text(column, row));
    case FIELD_INT64:
    case FIELD_TIME:
        return arena_format(&fixture->arena, "%" PRId64, batch_int64(column, row));
    case FIELD_DOUBLE:
        return arena_format(&fixture->arena, "%.17g", batch_double(column, row));
    case FIELD_BOOL:
        return batch_bool(column, row) ? "true" : "false";
    }
    return "";
}

struct file_columns {
    const char *names[600];
    enum field_type types[600];
    size_t count;
};

static void parse_columns(struct fixture *fixture, const char *json, struct file_columns *ret)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    check(fixture, json_tree_parse(slice_text(json), &tree, &fixture->err));
    const struct json_node *array = json_tree_root(tree);
    ret->count = json_node_count(array);
    assert_true(ret->count <= sizeof ret->names / sizeof ret->names[0]);
    for (size_t i = 0; i < ret->count; i++) {
        ret->names[i] = arena_copy_slice(&fixture->arena, json_node_text(json_node_at(array, i)));
        ret->types[i] = column_type(ret->names[i]);
    }
}

// Rows of a file come in the order of topic, app, time, seq.
static void check_order(const struct batch *batch, size_t row, int64_t last[4])
{
    int64_t now[4];
    int order = 0;
    for (size_t i = 0; i < 4; i++) {
        now[i] = batch_int64(&batch->columns[i], row);
        if (order == 0)
            order = (now[i] > last[i]) - (now[i] < last[i]);
        last[i] = now[i];
    }
    assert_int_equal(order, 1);
}

static void read_segment(struct fixture *fixture, const struct segment *segment,
                         struct facts *found)
{
    struct file_columns columns;
    struct buf sql CLEANUP(buf_clear);
    buf_init(&sql, 1 << 20);
    check(fixture, compact_verify_segment(fixture->directory, segment, &fixture->err));
    parse_columns(fixture, segment->columns, &columns);
    assert_string_equal(columns.names[0], "_topic");
    assert_string_equal(columns.names[3], "_seq");
    // All columns, so that one that is not listed would be noticed.
    buf_append_format(&sql, "SELECT * FROM '%s'", in_directory(fixture, segment->path));
    struct engine_stream *stream CLEANUP(engine_stream_close) = NULL;
    check(fixture, engine_query(fixture->engine, buf_slice(&sql), columns.types, columns.count,
                                &stream, &fixture->err));
    int64_t last[4] = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN};
    int64_t row_count = 0;
    for (;;) {
        const struct batch *batch = NULL;
        check(fixture, engine_stream_next(stream, &batch, &fixture->err));
        if (batch->row_count == 0)
            break;
        for (size_t row = 0; row < batch->row_count; row++, row_count++) {
            const int64_t seq = batch_int64(&batch->columns[3], row);
            check_order(batch, row, last);
            assert_true(seq > segment->seq_lo);
            assert_true(seq <= segment->seq_hi);
            for (size_t i = 0; i < columns.count; i++)
                if (i != 3 && batch_is_valid(&batch->columns[i], row))
                    add_fact(found, arena_format(&fixture->arena, "%" PRId64 " %s=%s", seq,
                                                 columns.names[i],
                                                 cell_text(fixture, &batch->columns[i], row)));
        }
    }
    assert_int_equal(row_count, segment->row_count);
}

static size_t check_lake(struct fixture *fixture)
{
    struct facts found = {.texts = NULL};
    struct segment *segments = NULL;
    size_t count = 0;
    list_segments(fixture, &segments, &count);
    for (size_t i = 0; i < count; i++)
        read_segment(fixture, &segments[i], &found);
    assert_same_facts(&found, &fixture->expected);
    mem_free(found.texts);
    return count;
}

static int64_t seal_point(struct fixture *fixture)
{
    int64_t seq = -1;
    check(fixture, segment_seal_point(fixture->catalog, &seq, &fixture->err));
    return seq;
}

static bool count_file(const char *path, void *context, struct err *err)
{
    size_t *count = context;
    (void)path;
    (void)err;
    (*count)++;
    return true;
}

static size_t count_lake_files(struct fixture *fixture)
{
    size_t count = 0;
    check(fixture, file_walk(in_directory(fixture, "lake"), "", count_file, &count, &fixture->err));
    return count;
}

// --- Tests

static void test_nothing_to_seal(void **state)
{
    struct fixture *fixture = *state;
    bool has_sealed = true;
    check(fixture, seal_step(&fixture->config, fixture->catalog, &has_sealed, &fixture->err));
    assert_false(has_sealed);
    assert_int_equal(seal_point(fixture), 0);
}

struct value_case {
    const char *json;
    const char *column; // NULL: nothing is stored
    const char *value;
};

static void ingest_value_cases(struct fixture *fixture, const char *topic,
                               const struct value_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int64_t time_ms = HOUR_MS + (int64_t)i;
        ingest(fixture, 0, topic, NULL,
               arena_format(&fixture->arena, "{%s,\"timestamp\":%" PRId64 "}\n", cases[i].json,
                            time_ms));
        expect_row(fixture, fixture->last_seq, topic, 0, time_ms);
        if (cases[i].column != NULL)
            expect(fixture, fixture->last_seq, cases[i].column, cases[i].value);
    }
}

static void declare_every_type(struct fixture *fixture)
{
    const struct schema_field fields[] = {
        {.name = "t", .type = FIELD_TEXT, .origin = FIELD_DECLARED},
        {.name = "i", .type = FIELD_INT64, .origin = FIELD_DECLARED},
        {.name = "d", .type = FIELD_DOUBLE, .origin = FIELD_DECLARED},
        {.name = "b", .type = FIELD_BOOL, .origin = FIELD_DECLARED},
        {.name = "m", .type = FIELD_TIME, .origin = FIELD_DECLARED},
        {.name = "j", .type = FIELD_JSON, .origin = FIELD_DECLARED},
    };
    const struct schema *schema = NULL;
    check(fixture, topic_declare(fixture->catalog, fixture->organization_id, slice_text("typed"),
                                 fields, 6, NOW_MS, &fixture->arena, &schema, &fixture->err));
}

static void test_values_of_declared_fields(void **state)
{
    static const struct value_case cases[] = {
        {"\"t\":\"\"", "t:t", ""},
        {"\"t\":\"h\\u00e9\\n\\\"\\ud83e\\udd5b\\\\\"", "t:t", "h\xc3\xa9\n\"\xf0\x9f\xa5\x9b\\"},
        {"\"\\u0074\":\"escaped name\"", "t:t", "escaped name"},
        {"\"t\":null", NULL, NULL},
        {"\"i\":-9223372036854775808", "i:i", "-9223372036854775808"},
        {"\"i\":9223372036854775807", "i:i", "9223372036854775807"},
        {"\"d\":0.1", "d:d", "0.10000000000000001"},
        {"\"d\":3", "d:d", "3"},
        {"\"d\":1e300", "d:d", "1.0000000000000001e+300"},
        {"\"b\":true", "b:b", "true"},
        {"\"b\":false", "b:b", "false"},
        {"\"m\":1234567890123", "m:m", "1234567890123"},
        {"\"m\":\"2009-02-13T23:31:30.123Z\"", "m:m", "1234567890123"},
        {"\"j\":[1, {\"a b\" : \"c \\\" d\"} ]", "j:j", "[1,{\"a b\":\"c \\\" d\"}]"},
        {"\"j\":\"text \\u00e9\"", "j:j", "\"text \\u00e9\""},
        {"\"j\":1.50", "j:j", "1.50"},
        {"\"j\":true", "j:j", "true"},
        {"\"j\":{}", "j:j", "{}"},
    };
    struct fixture *fixture = *state;
    declare_every_type(fixture);
    ingest_value_cases(fixture, "typed", cases, sizeof cases / sizeof cases[0]);
    end_file(fixture);
    assert_int_equal(seal_all(fixture), 1);
    assert_int_equal(check_lake(fixture), 1);
    assert_int_equal(seal_point(fixture), fixture->last_seq);
}

// The type at the time of sealing holds for all: what came before it widened is brought to it.
static void test_values_of_learned_fields(void **state)
{
    static const struct value_case cases[] = {
        {"\"grew\":1", "grew:t", "1"},
        {"\"grew\":true", "grew:t", "true"},
        {"\"grew\":-1.50", "grew:t", "-1.50"},
        {"\"grew\":\"text\"", "grew:t", "text"},
        {"\"grew\":[1, 2]", "grew:t", "[1,2]"},
        {"\"grew\":{\"a\": null}", "grew:t", "{\"a\":null}"},
        {"\"number\":5", "number:d", "5"},
        {"\"number\":5.5", "number:d", "5.5"},
        {"\"Upper\":5", "^upper:i", "5"},
        {"\"upper\":\"six\"", "upper:t", "six"},
        {"\"list\":[\"x\"]", "list:j", "[\"x\"]"},
        {"\"flag\":false", "flag:b", "false"},
        {"\"nothing\":null", NULL, NULL},
    };
    struct fixture *fixture = *state;
    ingest_value_cases(fixture, "learned", cases, sizeof cases / sizeof cases[0]);
    end_file(fixture);
    assert_int_equal(seal_all(fixture), 1);
    assert_int_equal(check_lake(fixture), 1);
}

// A field that widens between two seals has a column of each type.
static void test_a_type_that_changes_between_seals(void **state)
{
    static const struct value_case before[] = {{"\"x\":1", "x:i", "1"}};
    static const struct value_case after[] = {{"\"x\":\"one\"", "x:t", "one"},
                                              {"\"x\":2", "x:t", "2"}};
    struct fixture *fixture = *state;
    ingest_value_cases(fixture, "changing", before, 1);
    end_file(fixture);
    assert_int_equal(seal_all(fixture), 1);
    ingest_value_cases(fixture, "changing", after, 2);
    end_file(fixture);
    assert_int_equal(seal_all(fixture), 1);
    assert_int_equal(check_lake(fixture), 2);
}

static void ingest_many(struct fixture *fixture, struct rng *rng, size_t batch_count)
{
    static const char *const topics[] = {"clicks", "opens", "rare"};
    struct buf lines CLEANUP(buf_clear);
    buf_init(&lines, 1 << 20);
    for (size_t i = 0; i < batch_count; i++) {
        const char *topic = topics[i % 10 == 9 ? 2 : i % 2];
        const size_t app = (size_t)rng_below(rng, 2);
        const int64_t first_seq = fixture->last_seq + 1;
        const size_t row_count = 1 + (size_t)rng_below(rng, 40);
        int64_t times[40];
        int64_t numbers[40];
        buf_reset(&lines);
        for (size_t row = 0; row < row_count; row++) {
            // Most rows are of one hour; ties of time are common.
            const int64_t hour = rng_below(rng, 4) == 0 ? (int64_t)rng_below(rng, 20) : 0;
            times[row] = HOUR_MS - hour * CIVIL_HOUR_MS + (int64_t)rng_below(rng, 500);
            numbers[row] = (int64_t)rng_below(rng, 1000);
            buf_append_format(
                &lines,
                "{\"n\":%" PRId64 ",\"timestamp\":%" PRId64 ",\"%s\":\"value %" PRId64 "\"}\n",
                numbers[row], times[row], app == 0 ? "name" : "other", numbers[row] % 7);
        }
        ingest(fixture, app, topic, NULL, buf_text(&lines));
        assert_int_equal(fixture->last_seq, first_seq + (int64_t)row_count - 1);
        for (size_t row = 0; row < row_count; row++) {
            const int64_t seq = first_seq + (int64_t)row;
            expect_row(fixture, seq, topic, app, times[row]);
            expect(fixture, seq, "n:i", arena_format(&fixture->arena, "%" PRId64, numbers[row]));
            expect(fixture, seq, app == 0 ? "name:t" : "other:t",
                   arena_format(&fixture->arena, "value %" PRId64, numbers[row] % 7));
        }
    }
}

// What the catalog tells of an app's rows in an hour is what the files hold.
static void check_slices(struct fixture *fixture, const char *topic, size_t app)
{
    for (int64_t hour = 0; hour < 21; hour++) {
        const struct segment_slice wanted = {
            .topic_id = topic_id_of(fixture, topic),
            .app_id = strtoll(fixture->apps[app], NULL, 10),
            .time_min_ms = HOUR_MS - hour * CIVIL_HOUR_MS,
            .time_max_ms = HOUR_MS - (hour - 1) * CIVIL_HOUR_MS,
            .seq_min = 0,
            .seq_max = INT64_MAX,
        };
        struct segment *segments = NULL;
        struct segment_slice *slices = NULL;
        size_t count = 0;
        check(fixture, segment_find(fixture->catalog, &wanted, &fixture->arena, &segments, &slices,
                                    &count, &fixture->err));
        for (size_t i = 0; i < count; i++) {
            const enum field_type types[] = {FIELD_INT64, FIELD_INT64, FIELD_INT64};
            const char *sql = arena_format(
                &fixture->arena,
                "SELECT count(*), min(_time), max(_time) FROM '%s' WHERE _topic = %" PRId64
                " AND _app = %" PRId64 " AND _time >= %" PRId64 " AND _time < %" PRId64,
                in_directory(fixture, segments[i].path), wanted.topic_id, wanted.app_id,
                wanted.time_min_ms, wanted.time_max_ms);
            struct engine_stream *stream CLEANUP(engine_stream_close) = NULL;
            const struct batch *batch = NULL;
            check(fixture,
                  engine_query(fixture->engine, slice_text(sql), types, 3, &stream, &fixture->err));
            check(fixture, engine_stream_next(stream, &batch, &fixture->err));
            assert_int_equal(batch_int64(&batch->columns[0], 0), slices[i].row_count);
            assert_int_equal(batch_int64(&batch->columns[1], 0), slices[i].time_min_ms);
            assert_int_equal(batch_int64(&batch->columns[2], 0), slices[i].time_max_ms);
        }
    }
}

static void test_every_row_is_in_one_segment(void **state)
{
    struct fixture *fixture = *state;
    struct rng_seeded rng;
    rng_seeded_init(&rng, 6);
    fixture->config.own_file_rows = 50;
    fixture->config.file_limit = 4;
    fixture->config.step_bytes = 20000;
    for (size_t file = 0; file < 3; file++) {
        ingest_many(fixture, &rng.base, 60);
        end_file(fixture);
    }
    const size_t steps = seal_all(fixture);
    assert_true(steps > 6);
    assert_int_equal(seal_point(fixture), fixture->last_seq);
    const size_t segment_count = check_lake(fixture);
    assert_true(segment_count > steps);
    assert_true(segment_count <= 4 * steps);
    assert_int_equal(count_lake_files(fixture), segment_count);
    check_slices(fixture, "clicks", 0);
    check_slices(fixture, "rare", 1);
}

// The largest hours get files of their own, the rest shares one.
static void test_files_of_a_step(void **state)
{
    struct fixture *fixture = *state;
    static const size_t row_counts[] = {5, 30, 20, 40, 1};
    struct buf lines CLEANUP(buf_clear);
    buf_init(&lines, 1 << 20);
    for (size_t hour = 0; hour < 5; hour++)
        for (size_t row = 0; row < row_counts[hour]; row++)
            buf_append_format(&lines, "{\"timestamp\":%" PRId64 "}\n",
                              HOUR_MS - (int64_t)hour * CIVIL_HOUR_MS + (int64_t)row);
    ingest(fixture, 0, "clicks", NULL, buf_text(&lines));
    end_file(fixture);
    fixture->config.own_file_rows = 20;
    fixture->config.file_limit = 3;
    assert_int_equal(seal_all(fixture), 1);
    struct segment *segments = NULL;
    size_t count = 0;
    list_segments(fixture, &segments, &count);
    assert_int_equal(count, 3);
    assert_int_equal(segments[0].row_count, 40);
    assert_int_equal(segments[1].row_count, 30);
    assert_int_equal(segments[2].row_count, 26);
    assert_string_equal(segments[0].columns, "[\"_topic\",\"_app\",\"_time\",\"_seq\"]");
}

static void test_a_key_is_kept_after_sealing(void **state)
{
    struct fixture *fixture = *state;
    const char *line = "{\"timestamp\":1699999200000,\"a\":1}\n";
    const char *first = ingest(fixture, 0, "keyed", "key-1", line);
    end_file(fixture);
    assert_int_equal(seal_all(fixture), 1);
    struct segment_log_file *files = NULL;
    size_t count = 0;
    check(fixture, segment_sealed_log_files(fixture->catalog, &fixture->arena, &files, &count,
                                            &fixture->err));
    end_file(fixture); // the log forgets what it knew in memory
    const int64_t last_seq = fixture->last_seq;
    assert_string_equal(ingest(fixture, 0, "keyed", "key-1", line), first);
    assert_int_equal(fixture->last_seq, last_seq);
    ingest(fixture, 0, "keyed", "key-2", line);
    assert_int_equal(fixture->last_seq, last_seq + 1);
}

static void damage_log(struct fixture *fixture, int64_t file_id, const char *text)
{
    const char *path = arena_format(&fixture->arena, "%s/log/%010" PRId64 ".log",
                                    fixture->directory, file_id);
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, 64 << 20);
    check(fixture, file_read(path, &bytes, &fixture->err));
    const char *place = memmem(bytes.data, bytes.size_bytes, text, strlen(text));
    assert_non_null(place);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "#", 1, place - bytes.data), 1);
    close(fd);
}

static struct segment_log_file next_file(struct fixture *fixture)
{
    struct segment_log_file file;
    bool is_found = false;
    check(fixture, segment_next_log_file(fixture->catalog, &fixture->arena, &is_found, &file,
                                         &fixture->err));
    assert_true(is_found);
    return file;
}

static void test_damage_stops_sealing_where_it_is(void **state)
{
    static const struct value_case before[] = {{"\"x\":\"fine one\"", "x:t", "fine one"},
                                               {"\"x\":\"fine two\"", "x:t", "fine two"}};
    struct fixture *fixture = *state;
    bool has_sealed = false;
    ingest_value_cases(fixture, "topic", before, 2);
    ingest(fixture, 0, "topic", NULL, "{\"timestamp\":1699999200000,\"x\":\"precious\"}\n");
    ingest_log_close(&fixture->log);
    const struct segment_log_file file = next_file(fixture);
    damage_log(fixture, file.id, "precious");
    check(fixture, seal_step(&fixture->config, fixture->catalog, &has_sealed, &fixture->err));
    assert_true(has_sealed);
    assert_int_equal(seal_point(fixture), 2);
    for (size_t i = 0; i < 2; i++) { // it stays so
        assert_false(seal_step(&fixture->config, fixture->catalog, &has_sealed, &fixture->err));
        assert_int_equal(fixture->err.kind, ERR_CORRUPT);
        assert_non_null(strstr(fixture->err.message, "log file 1, events 3 to 3"));
        assert_true(next_file(fixture).is_corrupt);
        err_clear(&fixture->err);
    }
    assert_int_equal(seal_point(fixture), 2);
    assert_int_equal(check_lake(fixture), 1);
}

// A line that is no event, under checksums that are right: the rows before it are sealed all the
// same.
static void forge_line(struct fixture *fixture, int64_t file_id, const char *line)
{
    struct ingest_disk_chunk chunk;
    char path[INGEST_PATH_CHARS];
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, 64 << 20);
    ingest_disk_log_path(fixture->directory, file_id, path);
    check(fixture, file_read(path, &bytes, &fixture->err));
    char *place = memmem(bytes.data, bytes.size_bytes, line, strlen(line));
    assert_non_null(place);
    memcpy(&chunk, place - sizeof chunk, sizeof chunk);
    assert_int_equal(chunk.line_count, 1);
    *place = '[';
    chunk.data_crc = crc32c(slice_of(place, chunk.size_bytes));
    ingest_disk_seal_chunk(&chunk);
    memcpy(place - sizeof chunk, &chunk, sizeof chunk);
    check(fixture, file_replace(path, buf_slice(&bytes), &fixture->err));
}

static void test_a_line_that_is_no_event(void **state)
{
    static const struct value_case before[] = {{"\"x\":\"fine one\"", "x:t", "fine one"},
                                               {"\"x\":\"fine two\"", "x:t", "fine two"}};
    static const char line[] = "{\"timestamp\":1699999200000,\"x\":\"forged\"}\n";
    struct fixture *fixture = *state;
    bool has_sealed = false;
    ingest_value_cases(fixture, "topic", before, 2);
    ingest(fixture, 0, "topic", NULL, line);
    ingest_log_close(&fixture->log);
    forge_line(fixture, next_file(fixture).id, line);
    check(fixture, seal_step(&fixture->config, fixture->catalog, &has_sealed, &fixture->err));
    assert_int_equal(seal_point(fixture), 2);
    assert_int_equal(check_lake(fixture), 1);
    assert_false(seal_step(&fixture->config, fixture->catalog, &has_sealed, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_CORRUPT);
    assert_non_null(strstr(fixture->err.message, "log file 1, events 3 to 3: event 3: "));
    assert_true(next_file(fixture).is_corrupt);
}

// An event of tomorrow stays acknowledged when the clock steps back before it is in the log.
static void test_a_clock_that_steps_back(void **state)
{
    struct fixture *fixture = *state;
    const int64_t time_ms = NOW_MS + 20 * CIVIL_HOUR_MS;
    struct ingest_batch *batch = begin_batch(
        fixture, 0, "topic", NULL,
        arena_format(&fixture->arena, "{\"timestamp\":%" PRId64 ",\"x\":\"next\"}\n", time_ms));
    fixture->clock.now_wall_ms = NOW_MS - CIVIL_DAY_MS;
    submit_batch(fixture, batch);
    fixture->clock.now_wall_ms = NOW_MS;
    expect_row(fixture, 1, "topic", 0, time_ms);
    expect(fixture, 1, "x:t", "next");
    end_file(fixture);
    assert_int_equal(seal_all(fixture), 1);
    assert_int_equal(check_lake(fixture), 1);
}

static void test_a_log_file_that_is_gone(void **state)
{
    struct fixture *fixture = *state;
    bool has_sealed = false;
    ingest(fixture, 0, "topic", NULL, "{\"timestamp\":1699999200000}\n");
    ingest_log_close(&fixture->log);
    const struct segment_log_file file = next_file(fixture);
    check(fixture, file_remove(arena_format(&fixture->arena, "%s/log/%010" PRId64 ".log",
                                            fixture->directory, file.id),
                               &fixture->err));
    assert_false(seal_step(&fixture->config, fixture->catalog, &has_sealed, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_CORRUPT);
    assert_true(next_file(fixture).is_corrupt);
}

// A clock that, when it is asked, lets another process seal the same rows first.
struct rival_clock {
    struct clock base;
    struct fixture *fixture;
    bool has_run;
};

static int64_t rival_wall_ms(const struct clock *clock)
{
    struct rival_clock *rival = NULL;
    memcpy(&rival, &clock, sizeof rival);
    if (!rival->has_run) {
        struct catalog *catalog CLEANUP(catalog_close) = NULL;
        bool has_sealed = false;
        rival->has_run = true;
        check(rival->fixture, catalog_open(in_directory(rival->fixture, "catalog.db"), &catalog,
                                           &rival->fixture->err));
        check(rival->fixture,
              seal_step(&rival->fixture->config, catalog, &has_sealed, &rival->fixture->err));
    }
    return NOW_MS;
}

static void test_a_rival_seals_first(void **state)
{
    static const struct value_case cases[] = {{"\"x\":\"once\"", "x:t", "once"}};
    struct fixture *fixture = *state;
    struct rival_clock rival = {.base = {.wall_ms = rival_wall_ms}, .fixture = fixture};
    struct seal_config config = fixture->config;
    bool has_sealed = false;
    config.clock = &rival.base;
    ingest_value_cases(fixture, "topic", cases, 1);
    end_file(fixture);
    check(fixture, seal_step(&config, fixture->catalog, &has_sealed, &fixture->err));
    assert_true(rival.has_run);
    assert_true(has_sealed);
    assert_int_equal(check_lake(fixture), 1);
    assert_int_equal(count_lake_files(fixture), 1); // the second file is gone again
    assert_int_equal(seal_all(fixture), 0);
}

static void test_a_lake_that_cannot_be_written(void **state)
{
    static const struct value_case cases[] = {{"\"x\":\"later\"", "x:t", "later"}};
    struct fixture *fixture = *state;
    bool has_sealed = false;
    ingest_value_cases(fixture, "topic", cases, 1);
    end_file(fixture);
    check(fixture,
          file_replace(in_directory(fixture, "lake"), slice_text("in the way"), &fixture->err));
    assert_false(seal_step(&fixture->config, fixture->catalog, &has_sealed, &fixture->err));
    assert_int_not_equal(fixture->err.kind, ERR_CORRUPT);
    assert_int_equal(seal_point(fixture), 0);
    assert_false(next_file(fixture).is_corrupt);
    err_clear(&fixture->err);
    check(fixture, file_remove(in_directory(fixture, "lake"), &fixture->err));
    assert_int_equal(seal_all(fixture), 1);
    assert_int_equal(check_lake(fixture), 1);
}

// A batch so large that it has a file of its own, cut into several steps.
static void test_a_bulk_batch(void **state)
{
    struct fixture *fixture = *state;
    struct buf lines CLEANUP(buf_clear);
    buf_init(&lines, 16 << 20);
    for (size_t i = 0; i < 30000; i++) {
        buf_append_format(&lines, "{\"timestamp\":%" PRId64 ",\"padding\":\"%0100zu\"}\n",
                          HOUR_MS + (int64_t)(i % 1000), i);
    }
    ingest(fixture, 1, "bulk", "bulk-key", buf_text(&lines));
    for (size_t i = 0; i < 30000; i++) {
        expect_row(fixture, (int64_t)i + 1, "bulk", 1, HOUR_MS + (int64_t)(i % 1000));
        expect(fixture, (int64_t)i + 1, "padding:t", arena_format(&fixture->arena, "%0100zu", i));
    }
    end_file(fixture);
    fixture->config.step_bytes = 1 << 20;
    assert_true(seal_all(fixture) > 1);
    assert_true(check_lake(fixture) > 1);
}

// Each slice of a segment is a row of the catalog: a step takes a bounded number of them.
static void test_a_step_has_a_bounded_number_of_slices(void **state)
{
    struct fixture *fixture = *state;
    for (size_t batch = 0; batch < 3; batch++) {
        struct buf lines CLEANUP(buf_clear);
        buf_init(&lines, 1 << 20);
        for (size_t i = 0; i < 600; i++) {
            const int64_t time_ms = HOUR_MS - (int64_t)(600 * batch + i) * CIVIL_HOUR_MS;
            buf_append_format(&lines, "{\"timestamp\":%" PRId64 "}\n", time_ms);
        }
        ingest(fixture, 0, "clicks", NULL, buf_text(&lines));
    }
    for (int64_t i = 0; i < 1800; i++)
        expect_row(fixture, i + 1, "clicks", 0, HOUR_MS - i * CIVIL_HOUR_MS);
    end_file(fixture);
    assert_int_equal(seal_all(fixture), 2); // 1,200 hours, then the rest
    assert_int_equal(seal_point(fixture), 1800);
    assert_true(check_lake(fixture) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_to_seal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_values_of_declared_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_values_of_learned_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_type_that_changes_between_seals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_row_is_in_one_segment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_of_a_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_key_is_kept_after_sealing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage_stops_sealing_where_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_line_that_is_no_event, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_clock_that_steps_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_log_file_that_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_rival_seals_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_lake_that_cannot_be_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_bulk_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_step_has_a_bounded_number_of_slices, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
