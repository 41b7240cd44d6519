// SPDX-License-Identifier: Apache-2.0
// What the ingest log learns of topics, and what it refuses because of them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>

#include "ingest_fixture.h"

#define TIME "\"timestamp\":1700000000000"

static int setup(void **state)
{
    struct ingest_fixture *fixture = fixture_new("/tmp");
    fixture_open(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture_free(&fixture);
    return 0;
}

static const struct schema *get_topic(struct ingest_fixture *fixture, const char *organization_id,
                                      const char *name)
{
    const struct schema *schema = NULL;
    assert_done(topic_get(fixture->catalog, organization_id, slice_text(name), &fixture->arena,
                          &schema, &fact));
    return schema;
}

static void test_learns_fields_before_the_answer(void **state)
{
    struct ingest_fixture *fixture = *state;
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    assert_sends(fixture, &spec, "{" TIME ",\"a\":1,\"b\":null}\n{" TIME ",\"c\":\"x\"}\n",
                 "{\"accepted\":2}");
    const struct schema *schema = get_topic(fixture, fixture->organization_id, "my_topic");
    assert_int_not_equal(schema->topic_id, 0);
    assert_int_equal(schema_find(schema, slice_text("a"))->type, FIELD_INT64);
    assert_null(schema_find(schema, slice_text("b")));
    assert_int_equal(schema_find(schema, slice_text("c"))->type, FIELD_TEXT);
    const int64_t schema_id = schema->schema_id;
    // The same again changes nothing; another type widens.
    assert_sends(fixture, &spec, "{" TIME ",\"a\":2}", "{\"accepted\":1}");
    assert_int_equal(get_topic(fixture, fixture->organization_id, "my_topic")->schema_id,
                     schema_id);
    assert_sends(fixture, &spec, "{" TIME ",\"\\u0061\":2.5}", "{\"accepted\":1}");
    schema = get_topic(fixture, fixture->organization_id, "my_topic");
    assert_int_equal(schema_find(schema, slice_text("a"))->type, FIELD_DOUBLE);
    assert_true(schema->schema_id > schema_id);
    assert_sends(fixture, &spec, "{" TIME ",\"a\":\"text\"}", "{\"accepted\":1}");
    schema = get_topic(fixture, fixture->organization_id, "my_topic");
    assert_int_equal(schema_find(schema, slice_text("a"))->type, FIELD_TEXT);
}

static void test_fixed_fields_keep_their_type(void **state)
{
    struct ingest_fixture *fixture = *state;
    const struct schema_field fields[] = {
        {.name = "price", .type = FIELD_DOUBLE, .origin = FIELD_DECLARED},
        {.name = "at", .type = FIELD_TIME, .origin = FIELD_DECLARED},
    };
    const struct schema *schema;
    assert_done(topic_declare(fixture->catalog, fixture->organization_id, slice_text("declared"),
                              fields, ARRAY_COUNT(fields), 1000, &fixture->arena, &schema, &fact));
    struct ingest_batch_spec spec = fixture_spec(fixture);
    spec.topic_name = "declared";
    assert_sends(fixture, &spec, "{" TIME ",\"price\":1,\"at\":\"2024-01-01\"}",
                 "{\"accepted\":1}");
    assert_refuses(fixture, &spec, "{" TIME "}\n{" TIME ",\"price\":\"1\"}", ERR_INVALID,
                   "Invalid value for field on line 2: price");
    assert_refuses(fixture, &spec, "{" TIME ",\"at\":\"soon\"}", ERR_INVALID,
                   "Invalid value for field on line 1: at");
    // A bad line leaves nothing behind, also no field.
    spec.is_partial = true;
    assert_sends(fixture, &spec, "{" TIME ",\"fresh\":1,\"price\":true}\n{" TIME "}",
                 "{\"accepted\":1,\"rejected\":[{\"line\":1,\"message\":"
                 "\"Invalid value for field on line 1: price\"}]}");
    schema = get_topic(fixture, fixture->organization_id, "declared");
    assert_null(schema_find(schema, slice_text("fresh")));
}

static void test_bounds_the_fields(void **state)
{
    struct ingest_fixture *fixture = *state;
    struct ingest_batch_spec spec = fixture_spec(fixture);
    struct buf body;
    buf_init(&body, 1024 * 1024);
    for (int i = 0; i < 2000; i++)
        buf_append_format(&body, "{" TIME ",\"f%d\":%d}\n", i, i);
    assert_sends(fixture, &spec, buf_text(&body), "{\"accepted\":2000}");
    assert_sends(fixture, &spec, "{" TIME ",\"f7\":\"now text\"}", "{\"accepted\":1}");
    assert_refuses(fixture, &spec, "{" TIME ",\"one_more\":1}", ERR_INVALID,
                   "Too many fields on line 1");
    buf_clear(&body);
}

static void test_numbers_widen_exactly(void **state)
{
    struct ingest_fixture *fixture = *state;
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    assert_sends(fixture, &spec, "{" TIME ",\"w\":1,\"v\":1}", "{\"accepted\":1}");
    assert_sends(fixture, &spec, "{" TIME ",\"w\":9007199254740993}", "{\"accepted\":1}");
    const struct schema *schema = get_topic(fixture, fixture->organization_id, "my_topic");
    assert_int_equal(schema_find(schema, slice_text("w"))->type, FIELD_INT64);
    assert_true(schema_find(schema, slice_text("w"))->is_wide);
    assert_sends(fixture, &spec, "{" TIME ",\"w\":1.5,\"v\":1.5}", "{\"accepted\":1}");
    schema = get_topic(fixture, fixture->organization_id, "my_topic");
    assert_int_equal(schema_find(schema, slice_text("w"))->type, FIELD_TEXT);
    assert_int_equal(schema_find(schema, slice_text("v"))->type, FIELD_DOUBLE);
    // All of it within one batch.
    assert_sends(fixture, &spec,
                 "{" TIME ",\"x\":9007199254740993}\n{" TIME ",\"x\":0.5}\n{" TIME ",\"y\":[]}\n",
                 "{\"accepted\":3}");
    schema = get_topic(fixture, fixture->organization_id, "my_topic");
    assert_int_equal(schema_find(schema, slice_text("x"))->type, FIELD_TEXT);
    assert_int_equal(schema_find(schema, slice_text("y"))->type, FIELD_JSON);
}

static void test_lines_with_many_fields(void **state)
{
    struct ingest_fixture *fixture = *state;
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    struct buf body;
    buf_init(&body, 1024 * 1024);
    // The same fields in another order: guesses by position are wrong.
    for (int round = 0; round < 3; round++) {
        buf_append_text(&body, "{" TIME);
        for (int i = 0; i < 100; i++)
            buf_append_format(&body, ",\"f%d\":%d", (i + round * 7) % 100, i);
        buf_append_text(&body, "}\n");
    }
    assert_sends(fixture, &spec, buf_text(&body), "{\"accepted\":3}");
    assert_sends(fixture, &spec, buf_text(&body), "{\"accepted\":3}");
    const struct schema *schema = get_topic(fixture, fixture->organization_id, "my_topic");
    assert_int_equal(schema->field_count, 100);
    assert_int_equal(schema_find(schema, slice_text("f99"))->type, FIELD_INT64);
    buf_clear(&body);
}

// Declared by somebody else while the batch was on its way.
static void test_a_field_that_was_declared_meanwhile(void **state)
{
    struct ingest_fixture *fixture = *state;
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    const char *line = "{" TIME ",\"late\":\"text\"}\n";
    struct ingest_batch *batch CLEANUP(ingest_batch_free) = NULL;
    assert_done(ingest_batch_begin(fixture->log, &spec, &batch, &fact));
    assert_done(ingest_batch_write(batch, slice_text(line), &fact));
    assert_done(ingest_batch_end(batch, &fact));
    const struct schema_field field = {
        .name = "late", .type = FIELD_INT64, .origin = FIELD_DECLARED};
    const struct schema *schema;
    assert_done(topic_declare(fixture->catalog, fixture->organization_id, slice_text("my_topic"),
                              &field, 1, 1000, &fixture->arena, &schema, &fact));
    fixture_submit_and_wait(batch);
    struct slice answer;
    struct err err = {0};
    assert_false(ingest_batch_answer(batch, &answer, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(ingest_log_last_seq(fixture->log), 0);
    // Soon the line itself is told.
    for (int i = 0; i < 500 && strstr(err.message, " on line 1: late") == NULL; i++) {
        (void)usleep(10000);
        assert_null(fixture_send_spec(fixture, &spec, slice_text(line), 0, &err));
    }
    assert_string_equal(err.message, "Invalid value for field on line 1: late");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_learns_fields_before_the_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fixed_fields_keep_their_type, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds_the_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_numbers_widen_exactly, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lines_with_many_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_field_that_was_declared_meanwhile, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
