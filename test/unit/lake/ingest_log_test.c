// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>

#include "catalog/jobs.h"
#include "catalog/leases.h"
#include "catalog/subscriptions.h"
#include "db/db.h"
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

// --- Lines

static void test_accepts_lines_in_any_cut(void **state)
{
    struct ingest_fixture *fixture = *state;
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    const char *body = "{" TIME ",\"a\":1}\r\n\n \t\r\n{" TIME ",\"a\":2}\n{" TIME ",\"a\":3}";
    for (size_t piece_bytes = 1; piece_bytes < 40; piece_bytes++) {
        struct err err = {0};
        char *answer CLEANUP(mem_free_at) = fixture_send_spec(fixture, &spec, slice_text(body),
                                                              piece_bytes, &err);
        assert_non_null(answer);
        assert_string_equal(answer, "{\"accepted\":3}");
    }
    assert_int_equal(ingest_log_last_seq(fixture->log), 39 * 3);
    ingest_log_close(&fixture->log);
    struct buf lines;
    buf_init(&lines, 1024 * 1024);
    assert_int_equal(fixture_read_lines(fixture, false, &lines), 39 * 3);
    const char *first = "{" TIME ",\"a\":1}\n{" TIME ",\"a\":2}\n{" TIME ",\"a\":3}\n{" TIME;
    assert_true(slice_starts_with(buf_slice(&lines), slice_text(first)));
    buf_clear(&lines);
}

static void test_refuses_bad_batches(void **state)
{
    struct ingest_fixture *fixture = *state;
    struct ingest_batch_spec spec = fixture_spec(fixture);
    assert_refuses(fixture, &spec, "", ERR_INVALID, "No events in request");
    assert_refuses(fixture, &spec, "\n\r\n  \n", ERR_INVALID, "No events in request");
    assert_refuses(fixture, &spec, "{" TIME "}\n\n{\n}\n", ERR_INVALID, "Invalid event on line 3");
    assert_refuses(fixture, &spec, "{\"a\":1}", ERR_INVALID, "Missing field on line 1: timestamp");
    assert_refuses(fixture, &spec, "\xef\xbb\xbf{" TIME "}", ERR_INVALID,
                   "Invalid event on line 1");
    assert_refuses(fixture, &spec, "{" TIME ",\"app_id\":\"123456789012345678\"}", ERR_INVALID,
                   "Invalid app_id on line 1");
    assert_int_equal(ingest_log_last_seq(fixture->log), 0);
    spec.topic_name = "no topic";
    assert_refuses(fixture, &spec, "{" TIME "}", ERR_INVALID, "Invalid topic name");
    spec = fixture_spec(fixture);
    char key[130];
    memset(key, 'k', sizeof key);
    spec.idempotency_key = slice_of(key, 129);
    assert_refuses(fixture, &spec, "{" TIME "}", ERR_INVALID, "Invalid Idempotency-Key");
}

static char *make_line(size_t size_bytes)
{
    // Many properties, each below its own bound.
    struct buf line;
    buf_init(&line, 4 * 1024 * 1024);
    buf_append_text(&line, "{" TIME);
    for (int i = 0; line.size_bytes + 40020 < size_bytes; i++) {
        buf_append_format(&line, ",\"p%d\":\"", i);
        for (int j = 0; j < 40000; j++)
            buf_append_char(&line, 'x');
        buf_append_char(&line, '"');
    }
    buf_append_text(&line, ",\"rest\":\"");
    while (line.size_bytes + 2 < size_bytes)
        buf_append_char(&line, 'y');
    buf_append_text(&line, "\"}");
    assert_int_equal(line.size_bytes, size_bytes);
    return buf_take(&line);
}

static void test_bounds_the_line(void **state)
{
    struct ingest_fixture *fixture = *state;
    struct ingest_batch_spec spec = fixture_spec(fixture);
    char *longest CLEANUP(mem_free_at) = make_line(1048576);
    assert_sends(fixture, &spec, longest, "{\"accepted\":1}");
    char *too_long CLEANUP(mem_free_at) = make_line(1048577);
    for (size_t piece_bytes = 0; piece_bytes < 300000; piece_bytes += 100000) {
        struct err err = {0};
        assert_null(fixture_send_spec(fixture, &spec, slice_text(too_long), piece_bytes, &err));
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_string_equal(err.message, "Event too large on line 1");
    }
    // Far too long: refused before its end came.
    struct buf body;
    buf_init(&body, 4 * 1024 * 1024);
    buf_append_format(&body, "{" TIME "}\n%s%s", too_long, too_long);
    struct err err = {0};
    assert_null(fixture_send_spec(fixture, &spec, buf_slice(&body), 70000, &err));
    assert_string_equal(err.message, "Event too large on line 2");
    spec.is_partial = true;
    char *partial CLEANUP(mem_free_at) = fixture_send_spec(fixture, &spec, buf_slice(&body), 70000,
                                                           &err);
    assert_string_equal(partial, "{\"accepted\":1,\"rejected\":[{\"line\":2,\"message\":"
                                 "\"Event too large on line 2\"}]}");
    buf_append_text(&body, "\n\n{" TIME "}\nx\n");
    char *rest CLEANUP(mem_free_at) = fixture_send_spec(fixture, &spec, buf_slice(&body), 70000,
                                                        &err);
    assert_string_equal(rest, "{\"accepted\":2,\"rejected\":[{\"line\":2,\"message\":"
                              "\"Event too large on line 2\"},{\"line\":5,\"message\":"
                              "\"Invalid event on line 5\"}]}");
    buf_reset(&body);
    buf_append_format(&body, "{" TIME "}\n%s\n{" TIME "}\n", too_long);
    for (size_t piece_bytes = 0; piece_bytes < 300000; piece_bytes += 100000) {
        char *answer CLEANUP(mem_free_at) = fixture_send_spec(fixture, &spec, buf_slice(&body),
                                                              piece_bytes, &err);
        assert_non_null(answer);
        assert_string_equal(answer, "{\"accepted\":2,\"rejected\":[{\"line\":2,\"message\":"
                                    "\"Event too large on line 2\"}]}");
    }
    buf_clear(&body);
}

static void test_bounds_the_count(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture->config.batch_event_limit = 2;
    fixture_reopen(fixture);
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    assert_sends(fixture, &spec, "{" TIME "}\n{" TIME "}\n\n", "{\"accepted\":2}");
    assert_refuses(fixture, &spec, "{" TIME "}\n{" TIME "}\n{" TIME "}", ERR_LIMIT,
                   "Too many events in request");
}

static void test_partial_mode(void **state)
{
    struct ingest_fixture *fixture = *state;
    struct ingest_batch_spec spec = fixture_spec(fixture);
    spec.is_partial = true;
    assert_sends(
        fixture, &spec, "{" TIME "}\nx\n{" TIME "}\n[]\n",
        "{\"accepted\":2,\"rejected\":[{\"line\":2,\"message\":\"Invalid event on line 2\"},"
        "{\"line\":4,\"message\":\"Invalid event on line 4\"}]}");
    assert_sends(fixture, &spec, "{" TIME "}\n", "{\"accepted\":1,\"rejected\":[]}");
    const int64_t seq = ingest_log_last_seq(fixture->log);
    assert_sends(fixture, &spec, "x\n",
                 "{\"accepted\":0,\"rejected\":[{\"line\":1,\"message\":\"Invalid event on line "
                 "1\"}]}");
    assert_int_equal(ingest_log_last_seq(fixture->log), seq);
    struct buf body;
    buf_init(&body, 1024 * 1024);
    for (int i = 0; i < 1500; i++)
        buf_append_text(&body, "{}\n");
    struct err err = {0};
    char *answer CLEANUP(mem_free_at) = fixture_send_spec(fixture, &spec, buf_slice(&body), 0,
                                                          &err);
    assert_non_null(answer);
    assert_non_null(strstr(answer, "{\"line\":1000,"));
    assert_null(strstr(answer, "{\"line\":1001,"));
    assert_non_null(strstr(answer, "],\"rejected_count\":1500}"));
    buf_clear(&body);
}

static const struct schema *get_topic(struct ingest_fixture *fixture, const char *organization_id,
                                      const char *name)
{
    const struct schema *schema = NULL;
    assert_done(topic_get(fixture->catalog, organization_id, slice_text(name), &fixture->arena,
                          &schema, &fact));
    return schema;
}

// --- Idempotency

static void test_idempotency(void **state)
{
    struct ingest_fixture *fixture = *state;
    struct ingest_batch_spec spec = fixture_spec(fixture);
    spec.is_partial = true;
    spec.idempotency_key = slice_text("key-1");
    const char *body = "{" TIME "}\nbad\n";
    const char *answer = "{\"accepted\":1,\"rejected\":[{\"line\":2,\"message\":\"Invalid event on "
                         "line 2\"}]}";
    assert_sends(fixture, &spec, body, answer);
    assert_sends(fixture, &spec, body, answer);
    assert_int_equal(ingest_log_last_seq(fixture->log), 1);
    assert_refuses(fixture, &spec, "{" TIME ",\"a\":1}", ERR_CONFLICT,
                   "Idempotency-Key reused with a different request");
    // Another topic, app or key is another scope.
    struct ingest_batch_spec other = spec;
    other.topic_name = "other_topic";
    assert_sends(fixture, &other, "{" TIME "}", "{\"accepted\":1,\"rejected\":[]}");
    other = spec;
    other.app_id = fixture->other_app_id;
    assert_sends(fixture, &other, "{" TIME "}", "{\"accepted\":1,\"rejected\":[]}");
    other = spec;
    other.idempotency_key = slice_text("key-2");
    assert_sends(fixture, &other, "{" TIME "}", "{\"accepted\":1,\"rejected\":[]}");
    assert_int_equal(ingest_log_last_seq(fixture->log), 4);
    fixture_reopen(fixture);
    assert_sends(fixture, &spec, body, answer);
    assert_refuses(fixture, &spec, "{" TIME ",\"a\":1}", ERR_CONFLICT,
                   "Idempotency-Key reused with a different request");
    assert_int_equal(ingest_log_last_seq(fixture->log), 4);
}

static void test_a_refused_batch_keeps_no_key(void **state)
{
    struct ingest_fixture *fixture = *state;
    struct ingest_batch_spec spec = fixture_spec(fixture);
    spec.idempotency_key = slice_text("key");
    assert_refuses(fixture, &spec, "bad", ERR_INVALID, "Invalid event on line 1");
    assert_sends(fixture, &spec, "{" TIME "}", "{\"accepted\":1}");
}

struct same_key_sender {
    struct ingest_fixture *fixture;
    struct thread thread;
    struct ingest_batch_spec spec;
    int count;
    atomic_int *accepted;
};

static void send_same_keys(void *context)
{
    struct same_key_sender *sender = context;
    for (int i = 0; i < sender->count; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key-%d", i);
        sender->spec.idempotency_key = slice_text(key);
        struct err err = {0};
        char *answer CLEANUP(mem_free_at) = fixture_send_spec(
            sender->fixture, &sender->spec, slice_text("{" TIME ",\"k\":1}\n"), 0, &err);
        if (answer != NULL && strcmp(answer, "{\"accepted\":1}") == 0)
            (void)atomic_fetch_add(sender->accepted, 1);
    }
}

static void test_same_keys_at_the_same_time(void **state)
{
    struct ingest_fixture *fixture = *state;
    atomic_int accepted = 0;
    struct same_key_sender senders[8];
    for (size_t i = 0; i < ARRAY_COUNT(senders); i++) {
        senders[i] = (struct same_key_sender){
            .fixture = fixture,
            .spec = fixture_spec(fixture),
            .count = 20,
            .accepted = &accepted,
        };
        thread_start(&senders[i].thread, send_same_keys, &senders[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(senders); i++)
        thread_join(&senders[i].thread);
    assert_int_equal(atomic_load(&accepted), 160);
    assert_int_equal(ingest_log_last_seq(fixture->log), 20);
}

// --- Operator ingest

static void test_operator_names_apps_in_lines(void **state)
{
    struct ingest_fixture *fixture = *state;
    struct ingest_batch_spec spec = {.topic_name = "shared"};
    char body[1024];
    (void)snprintf(body, sizeof body,
                   "{" TIME ",\"app_id\":\"%s\",\"a\":1}\n"
                   "{" TIME ",\"app_id\":%s,\"b\":1}\n"
                   "{" TIME ",\"app_id\":\"%s\",\"c\":1}\n",
                   fixture->app_id, fixture->foreign_app_id, fixture->app_id);
    assert_sends(fixture, &spec, body, "{\"accepted\":3}");
    const struct schema *mine = get_topic(fixture, fixture->organization_id, "shared");
    const struct schema *foreign = get_topic(fixture, fixture->foreign_organization_id, "shared");
    assert_non_null(schema_find(mine, slice_text("a")));
    assert_null(schema_find(mine, slice_text("b")));
    assert_non_null(schema_find(foreign, slice_text("b")));
    assert_null(schema_find(foreign, slice_text("a")));
    assert_refuses(fixture, &spec, "{" TIME "}", ERR_INVALID, "Missing field on line 1: app_id");
    assert_refuses(fixture, &spec, "{" TIME ",\"app_id\":\"123456789012345678\"}", ERR_INVALID,
                   "App not found on line 1");
    ingest_log_close(&fixture->log);
    const struct ingest_reader_options options = {
        .data_directory = fixture->directory, .file_id = 1, .byte_limit = INT64_MAX};
    struct ingest_reader *reader = NULL;
    assert_done(ingest_reader_open(&options, &reader, &fact));
    struct ingest_piece piece;
    bool is_found;
    assert_done(ingest_reader_next(reader, &is_found, &piece, &fact));
    assert_true(is_found);
    assert_int_equal(piece.line_count, 2);
    assert_int_equal(piece.part->topic_id, mine->topic_id);
    assert_int_equal(piece.part->app_id, strtoll(fixture->app_id, NULL, 10));
    assert_int_equal(piece.part->organization_id, strtoll(fixture->organization_id, NULL, 10));
    assert_false(piece.is_last_of_frame);
    assert_done(ingest_reader_next(reader, &is_found, &piece, &fact));
    assert_int_equal(piece.line_count, 1);
    assert_int_equal(piece.part->app_id, strtoll(fixture->foreign_app_id, NULL, 10));
    assert_true(piece.is_last_of_frame);
    assert_int_equal(piece.frame->line_count, 3);
    ingest_reader_close(&reader);
}

// --- Large batches and bounds

static void append_lines(struct buf *body, size_t size_bytes, const char *app_id)
{
    for (int i = 0; body->size_bytes < size_bytes; i++)
        buf_append_format(body, "{" TIME ",\"app_id\":\"%s\",\"n\":%d,\"text\":\"%0200d\"}\n",
                          app_id, i, i);
}

static void test_bulk(void **state)
{
    struct ingest_fixture *fixture = *state;
    struct ingest_batch_spec spec = fixture_spec(fixture);
    spec.idempotency_key = slice_text("bulk");
    struct buf body;
    buf_init(&body, 16 * 1024 * 1024);
    append_lines(&body, 8 * 1024 * 1024, fixture->app_id);
    struct err err = {0};
    char *answer CLEANUP(mem_free_at) = fixture_send_spec(fixture, &spec, buf_slice(&body), 100000,
                                                          &err);
    assert_non_null(answer);
    char *again CLEANUP(mem_free_at) = fixture_send_spec(fixture, &spec, buf_slice(&body), 0, &err);
    assert_string_equal(answer, again);
    fixture_send_number(fixture, 1);
    // The second one was a replay: its file is gone. The first one's stays over a restart.
    assert_int_equal(fixture_count_files(fixture, "bulk-"), 1);
    fixture_reopen(fixture);
    assert_int_equal(fixture_count_files(fixture, "bulk-"), 1);
    buf_append_text(&body, "{" TIME ",\"n\":1}\n");
    struct buf lines;
    buf_init(&lines, 16 * 1024 * 1024);
    (void)fixture_read_lines(fixture, false, &lines);
    assert_int_equal(lines.size_bytes, body.size_bytes - strlen("{" TIME ",\"n\":1}\n") +
                                           strlen("{\"timestamp\":1700000000000,\"n\":1}\n"));
    assert_memory_equal(buf_text(&lines), buf_text(&body), body.size_bytes);
    buf_clear(&lines);
    buf_clear(&body);
}

static void test_bulk_of_many_apps(void **state)
{
    struct ingest_fixture *fixture = *state;
    const struct ingest_batch_spec spec = {.topic_name = "shared"};
    struct buf body;
    buf_init(&body, 16 * 1024 * 1024);
    for (size_t size_bytes = 0; size_bytes < 2 * 1024 * 1024; size_bytes = body.size_bytes) {
        append_lines(&body, size_bytes + 1000, fixture->app_id);
        append_lines(&body, size_bytes + 2000, fixture->foreign_app_id);
        append_lines(&body, size_bytes + 3000, fixture->other_app_id);
    }
    struct err err = {0};
    char *answer CLEANUP(mem_free_at) = fixture_send_spec(fixture, &spec, buf_slice(&body), 4096,
                                                          &err);
    assert_non_null(answer);
    char expected[64];
    (void)snprintf(expected, sizeof expected, "{\"accepted\":%lld}",
                   (long long)ingest_log_last_seq(fixture->log));
    assert_string_equal(answer, expected);
    ingest_log_close(&fixture->log);
    assert_int_equal(fixture_count_lines(fixture), strtoll(answer + 12, NULL, 10));
    buf_clear(&body);
}

static void test_an_abandoned_batch_leaves_nothing(void **state)
{
    struct ingest_fixture *fixture = *state;
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    struct buf body;
    buf_init(&body, 1024 * 1024);
    append_lines(&body, 500000, fixture->app_id);
    struct ingest_batch *batch = NULL;
    assert_done(ingest_batch_begin(fixture->log, &spec, &batch, &fact));
    assert_done(ingest_batch_write(batch, buf_slice(&body), &fact));
    assert_int_equal(fixture_count_files(fixture, "bulk-"), 1);
    ingest_batch_free(&batch);
    assert_int_equal(fixture_count_files(fixture, "bulk-"), 0);
    assert_int_equal(ingest_log_last_seq(fixture->log), 0);
    buf_clear(&body);
}

static void test_memory_is_bounded(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture->config.memory_limit_bytes = 100000;
    fixture->config.memory_batch_bytes = 1024 * 1024;
    fixture_reopen(fixture);
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    struct buf body;
    buf_init(&body, 1024 * 1024);
    append_lines(&body, 40000, fixture->app_id);
    struct ingest_batch *batch = NULL;
    assert_done(ingest_batch_begin(fixture->log, &spec, &batch, &fact));
    assert_done(ingest_batch_write(batch, buf_slice(&body), &fact));
    assert_refuses(fixture, &spec, buf_text(&body), ERR_UNAVAILABLE, "Overloaded");
    ingest_batch_free(&batch);
    struct err err = {0};
    char *answer CLEANUP(mem_free_at) = fixture_send_spec(fixture, &spec, buf_slice(&body), 0,
                                                          &err);
    assert_non_null(answer);
    buf_clear(&body);
}

// --- Files

static void wait_for_changes(struct ingest_fixture *fixture, int count)
{
    for (int i = 0; i < 500 && atomic_load(&fixture->change_count) < count; i++)
        (void)usleep(10000);
    assert_true(atomic_load(&fixture->change_count) >= count);
}

static void test_files_are_closed_by_size_and_age(void **state)
{
    struct ingest_fixture *fixture = *state;
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    struct buf body;
    buf_init(&body, 1024 * 1024);
    append_lines(&body, 60000, fixture->app_id);
    for (int i = 0; i < 20; i++) {
        struct err err = {0};
        char *answer CLEANUP(mem_free_at) = fixture_send_spec(fixture, &spec, buf_slice(&body), 0,
                                                              &err);
        assert_non_null(answer);
    }
    bool is_found;
    struct segment_log_file last;
    assert_done(segment_last_log_file(fixture->catalog, &is_found, &last, &fact));
    assert_true(is_found);
    assert_int_equal(last.id, 4);
    assert_true(last.byte_count <= 256 * 1024);
    fixture->config.file_age_ms = 50;
    fixture_reopen(fixture);
    const int before = atomic_load(&fixture->change_count);
    fixture_send_number(fixture, 1);
    wait_for_changes(fixture, before + 1);
    assert_done(segment_last_log_file(fixture->catalog, &is_found, &last, &fact));
    assert_int_equal(last.seq_hi, ingest_log_last_seq(fixture->log));
    buf_clear(&body);
}

static void seal_file(struct ingest_fixture *fixture, int64_t id, int64_t seq_lo, int64_t seq_hi)
{
    const struct segment_seal seal = {
        .log_file_id = id,
        .is_file_done = true,
        .seq_from = seq_lo,
        .seq_to = seq_hi,
        .now_ms = 1000,
    };
    assert_done(segment_commit_seal(fixture->catalog, &seal, &fact));
}

static void test_sealed_files_are_recycled(void **state)
{
    struct ingest_fixture *fixture = *state;
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    struct buf body;
    buf_init(&body, 1024 * 1024);
    append_lines(&body, 500000, fixture->app_id);
    fixture->config.file_age_ms = 20;
    for (int round = 0; round < 4; round++) {
        fixture_reopen(fixture);
        const int64_t seq_lo = ingest_log_last_seq(fixture->log);
        struct err err = {0};
        char *answer CLEANUP(mem_free_at) = fixture_send_spec(fixture, &spec, buf_slice(&body), 0,
                                                              &err);
        assert_non_null(answer);
        bool is_found = false;
        struct segment_log_file file;
        for (int i = 0; i < 300 && !is_found; i++) {
            (void)usleep(10000);
            assert_done(
                segment_next_log_file(fixture->catalog, &fixture->arena, &is_found, &file, &fact));
        }
        assert_true(is_found);
        assert_int_equal(file.seq_lo, seq_lo);
        assert_int_equal(fixture_count_files(fixture, "bulk-"), 1);
        seal_file(fixture, file.id, file.seq_lo, file.seq_hi);
        for (int i = 0; i < 300 && fixture_count_files(fixture, "0") > 0; i++)
            (void)usleep(10000);
        assert_int_equal(fixture_count_files(fixture, "0"), 0);
        assert_int_equal(fixture_count_files(fixture, "bulk-"), 0);
        assert_in_range(fixture_count_files(fixture, "spare-"), 1, 2);
    }
    buf_clear(&body);
}

// A job that waits for its bound: the file is closed long before its time, and the bound covers it.
static const char *make_waiting_job(struct ingest_fixture *fixture)
{
    const char *fields[] = {"n"};
    const struct report report = {
        .topic_name = "my_topic",
        .fields = fields,
        .field_count = 1,
        .destination_json = "{\"subscription_type\":\"branch\"}",
    };
    const struct subscription_request request = {
        .organization_id = fixture->organization_id,
        .app_id = fixture->app_id,
        .report = &report,
        .topic_id = get_topic(fixture, fixture->organization_id, "my_topic")->topic_id,
        .now_ms = INT64_C(1700000000000),
    };
    struct subscription subscription;
    assert_done(
        subscription_create(fixture->catalog, &request, &fixture->arena, &subscription, &fact));
    assert_done(
        subscription_settle(fixture->catalog, subscription.id, true, NULL, request.now_ms, &fact));
    int64_t window_count;
    int64_t created_count;
    assert_done(job_backfill(fixture->catalog, subscription.id, INT64_C(1699992000000),
                             INT64_C(1699995600000), INT64_C(1700000000000), &window_count,
                             &created_count, &fact));
    assert_int_equal(created_count, 1);
    return subscription.id;
}

static void test_waiting_jobs_get_their_bound(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture_send_number(fixture, 1);
    fixture_send_number(fixture, 2);
    const char *subscription_id = make_waiting_job(fixture);
    int64_t ordinal = 1;
    for (int i = 0; i < 500 && ordinal != 0; i++) {
        (void)usleep(10000);
        assert_done(job_bound_wanted(fixture->catalog, &ordinal, &fact));
    }
    assert_int_equal(ordinal, 0);
    bool is_found;
    struct segment_log_file last;
    assert_done(segment_last_log_file(fixture->catalog, &is_found, &last, &fact));
    assert_true(is_found);
    assert_int_equal(last.seq_hi, 2);
    struct db *db = NULL;
    assert_done(db_sqlite_open(fixture->catalog_path, false, &db, &fact));
    struct db_rows *rows = NULL;
    const struct db_value values[] = {db_text(subscription_id), db_int64(JOB_BACKFILL)};
    assert_done(db_query(db, "SELECT bound_seq FROM jobs WHERE subscription_id = $1 AND kind = $2",
                         values, 2, &rows, &fact));
    struct err err = {0};
    assert_true(db_rows_next(rows, &err));
    assert_int_equal(db_rows_int64(rows, 0), 2);
    db_rows_close(&rows);
    db_close(&db);
    // Nothing new: the bound is given all the same, and no empty file is made.
    ingest_log_close(&fixture->log);
    assert_done(segment_last_log_file(fixture->catalog, &is_found, &last, &fact));
    assert_int_equal(last.id, 1);
}

// The catalog has the file although it said that it failed: telling it again is fine.
static void test_a_file_that_the_catalog_has_already(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture_send_number(fixture, 1);
    const struct ingest_reader_options options = {
        .data_directory = fixture->directory, .file_id = 1, .byte_limit = INT64_MAX};
    struct ingest_reader *reader = NULL;
    assert_done(ingest_reader_open(&options, &reader, &fact));
    const struct ingest_frame *frame;
    assert_done(ingest_reader_next_frame(reader, &frame, &fact));
    const struct segment_log_file file = {
        .id = 1, .seq_hi = 1, .byte_count = ingest_reader_end_offset(reader)};
    ingest_reader_close(&reader);
    assert_done(segment_add_log_file(fixture->catalog, &file, &fact));
    fixture_reopen(fixture);
    fixture_send_number(fixture, 2);
    assert_int_equal(ingest_log_last_seq(fixture->log), 2);
    ingest_log_close(&fixture->log);
    assert_int_equal(fixture_count_lines(fixture), 2);
}

static void test_one_process_writes(void **state)
{
    struct ingest_fixture *fixture = *state;
    struct ingest_log *second = NULL;
    struct err err = {0};
    assert_false(ingest_log_open(&fixture->config, &second, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_null(second);
}

// --- Threads

struct number_sender {
    struct ingest_fixture *fixture;
    struct thread thread;
    int count;
    atomic_int *refused;
};

static void send_numbers(void *context)
{
    struct number_sender *sender = context;
    const struct ingest_batch_spec spec = fixture_spec(sender->fixture);
    for (int i = 0; i < sender->count; i++) {
        char body[200];
        (void)snprintf(body, sizeof body, "{" TIME ",\"field_%d\":1}\n{" TIME ",\"n\":%d.5}\n",
                       i % 30, i);
        struct err err = {0};
        char *answer CLEANUP(mem_free_at) = fixture_send_spec(sender->fixture, &spec,
                                                              slice_text(body), 0, &err);
        if (answer == NULL)
            (void)atomic_fetch_add(sender->refused, 1);
    }
}

static void test_many_threads(void **state)
{
    struct ingest_fixture *fixture = *state;
    atomic_int refused = 0;
    struct number_sender senders[8];
    for (size_t i = 0; i < ARRAY_COUNT(senders); i++) {
        senders[i] = (struct number_sender){.fixture = fixture, .count = 50, .refused = &refused};
        thread_start(&senders[i].thread, send_numbers, &senders[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(senders); i++)
        thread_join(&senders[i].thread);
    assert_int_equal(atomic_load(&refused), 0);
    assert_int_equal(ingest_log_last_seq(fixture->log), 800);
    const struct ingest_log_stats stats = ingest_log_stats(fixture->log);
    assert_int_equal(stats.batch_count, 400);
    assert_int_equal(stats.event_count, 800);
    assert_true(stats.sync_count <= 400);
    assert_true(stats.byte_count > 800 * 30);
    ingest_log_close(&fixture->log);
    assert_int_equal(fixture_count_lines(fixture), 800);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accepts_lines_in_any_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_bad_batches, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds_the_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds_the_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_partial_mode, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idempotency, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_refused_batch_keeps_no_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_keys_at_the_same_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_operator_names_apps_in_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bulk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bulk_of_many_apps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_abandoned_batch_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_are_closed_by_size_and_age, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sealed_files_are_recycled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting_jobs_get_their_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_the_catalog_has_already, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_process_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
