// SPDX-License-Identifier: Apache-2.0
// A data directory with a catalog, an organization, two apps and an ingest log, for the tests of
// the log. Include after cmocka.h.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "catalog/segments.h"
#include "catalog/tenants.h"
#include "catalog/topics.h"
#include "lake/ingest_disk.h"
#include "lake/ingest_log.h"

struct ingest_fixture {
    char directory[64];
    char catalog_path[96];
    struct arena arena;
    struct catalog *catalog;
    const char *organization_id;
    const char *app_id;
    const char *other_app_id; // of the same organization
    const char *foreign_organization_id;
    const char *foreign_app_id;
    struct ingest_log_config config;
    struct ingest_log *log;
    atomic_int change_count;
};

// The call's last argument is &fact.
#define assert_done(call)                                                                          \
    do {                                                                                           \
        struct err fact = {0};                                                                     \
        if (!(call))                                                                               \
            fail_msg("%s: %s: %s", #call, err_kind_name(fact.kind), fact.message);                 \
    } while (0)

static inline void fixture_on_change(void *context)
{
    struct ingest_fixture *fixture = context;
    (void)atomic_fetch_add(&fixture->change_count, 1);
}

static inline const char *fixture_make_app(struct ingest_fixture *fixture,
                                           const char *organization_id)
{
    struct tenant_app app;
    const char *secret;
    assert_done(tenant_create_app(fixture->catalog, organization_id, "app", 1000, &fixture->arena,
                                  &app, &secret, &fact));
    return app.id;
}

static inline struct ingest_fixture *fixture_new(const char *parent)
{
    struct ingest_fixture *fixture = mem_alloc(sizeof *fixture);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "%s/milkrun-ingest-XXXXXX",
                   parent);
    assert_non_null(mkdtemp(fixture->directory));
    (void)snprintf(fixture->catalog_path, sizeof fixture->catalog_path, "%s/catalog.db",
                   fixture->directory);
    arena_init(&fixture->arena);
    assert_done(catalog_create(fixture->catalog_path, &fixture->catalog, &fact));
    struct tenant_organization organization;
    assert_done(tenant_create_organization(fixture->catalog, "one", 1000, &fixture->arena,
                                           &organization, &fact));
    fixture->organization_id = organization.id;
    fixture->app_id = fixture_make_app(fixture, organization.id);
    fixture->other_app_id = fixture_make_app(fixture, organization.id);
    assert_done(tenant_create_organization(fixture->catalog, "two", 1000, &fixture->arena,
                                           &organization, &fact));
    fixture->foreign_organization_id = organization.id;
    fixture->foreign_app_id = fixture_make_app(fixture, organization.id);
    fixture->config = (struct ingest_log_config){
        .data_directory = fixture->directory,
        .catalog_path = fixture->catalog_path,
        .clock = clock_system(),
        .file_bytes = 256 * 1024,
        .file_age_ms = 60000,
        .memory_batch_bytes = 64 * 1024,
        .memory_limit_bytes = 64 * 1024 * 1024,
        .on_change = fixture_on_change,
        .context = fixture,
    };
    return fixture;
}

static inline void fixture_open(struct ingest_fixture *fixture)
{
    assert_done(ingest_log_open(&fixture->config, &fixture->log, &fact));
}

static inline void fixture_reopen(struct ingest_fixture *fixture)
{
    ingest_log_close(&fixture->log);
    fixture_open(fixture);
}

static inline bool fixture_remove_file(const char *path, void *context, struct err *err)
{
    (void)context;
    return file_remove(path, err);
}

static inline void fixture_free(struct ingest_fixture **fixture)
{
    struct ingest_fixture *old = *fixture;
    *fixture = NULL;
    ingest_log_close(&old->log);
    catalog_close(&old->catalog);
    arena_clear(&old->arena);
    assert_done(file_walk(old->directory, "", fixture_remove_file, NULL, &fact));
    char path[128];
    (void)snprintf(path, sizeof path, "%s/log", old->directory);
    (void)rmdir(path); // absent when the log was never opened
    assert_int_equal(rmdir(old->directory), 0);
    mem_free(old);
}

// --- Sending

struct fixture_wait {
    struct mutex mutex;
    struct condition condition;
    bool is_done;
};

static inline void fixture_done(void *context)
{
    struct fixture_wait *wait = context;
    mutex_lock(&wait->mutex);
    wait->is_done = true;
    condition_signal(&wait->condition);
    mutex_unlock(&wait->mutex);
}

static inline void fixture_submit_and_wait(struct ingest_batch *batch)
{
    struct fixture_wait wait = {.is_done = false};
    mutex_init(&wait.mutex);
    condition_init(&wait.condition);
    ingest_batch_submit(batch, fixture_done, &wait);
    mutex_lock(&wait.mutex);
    while (!wait.is_done)
        condition_wait(&wait.condition, &wait.mutex);
    mutex_unlock(&wait.mutex);
    condition_clear(&wait.condition);
    mutex_clear(&wait.mutex);
}

// Sends a body in pieces of piece_bytes (0: at once). The answer is text to be freed, or NULL and
// err.
static inline char *fixture_send_spec(struct ingest_fixture *fixture,
                                      const struct ingest_batch_spec *spec, struct slice body,
                                      size_t piece_bytes, struct err *err)
{
    struct ingest_batch *batch CLEANUP(ingest_batch_free) = NULL;
    if (!ingest_batch_begin(fixture->log, spec, &batch, err))
        return NULL;
    while (!slice_is_empty(body)) {
        const size_t size = piece_bytes == 0 || piece_bytes > body.size_bytes ? body.size_bytes
                                                                              : piece_bytes;
        // An exact copy, so that reading past the piece is seen.
        void *piece CLEANUP(mem_free_at) = mem_alloc(size);
        memcpy(piece, body.data, size);
        if (!ingest_batch_write(batch, slice_of(piece, size), err))
            return NULL;
        body = slice_from(body, size);
    }
    if (!ingest_batch_end(batch, err))
        return NULL;
    fixture_submit_and_wait(batch);
    struct slice answer;
    if (!ingest_batch_answer(batch, &answer, err))
        return NULL;
    char *text = mem_alloc(answer.size_bytes + 1);
    memcpy(text, answer.data, answer.size_bytes);
    return text;
}

static inline struct ingest_batch_spec fixture_spec(const struct ingest_fixture *fixture)
{
    return (struct ingest_batch_spec){
        .organization_id = fixture->organization_id,
        .app_id = fixture->app_id,
        .topic_name = "my_topic",
    };
}

static inline void assert_sends(struct ingest_fixture *fixture,
                                const struct ingest_batch_spec *spec, const char *body,
                                const char *expected)
{
    struct err err = {0};
    char *answer CLEANUP(mem_free_at) = fixture_send_spec(fixture, spec, slice_text(body), 0, &err);
    if (answer == NULL)
        fail_msg("refused: %s", err.message);
    assert_string_equal(answer, expected);
}

static inline void assert_refuses(struct ingest_fixture *fixture,
                                  const struct ingest_batch_spec *spec, const char *body,
                                  enum err_kind kind, const char *message)
{
    struct err err = {0};
    char *answer CLEANUP(mem_free_at) = fixture_send_spec(fixture, spec, slice_text(body), 0, &err);
    if (answer != NULL)
        fail_msg("accepted: %s", body);
    assert_string_equal(err.message, message);
    assert_int_equal(err.kind, kind);
}

// One event with a number in it.
static inline void fixture_send_number(struct ingest_fixture *fixture, int number)
{
    char body[64];
    (void)snprintf(body, sizeof body, "{\"timestamp\":1700000000000,\"n\":%d}\n", number);
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    assert_sends(fixture, &spec, body, "{\"accepted\":1}");
}

// --- Looking

// Concatenates the lines of all closed files that the catalog knows and that are not sealed; checks
// that seqs have no gaps unless may_have_gaps. Returns the count of lines.
static inline int64_t fixture_read_lines(struct ingest_fixture *fixture, bool may_have_gaps,
                                         struct buf *ret_lines)
{
    bool is_found;
    struct segment_log_file first;
    struct segment_log_file last;
    assert_done(segment_next_log_file(fixture->catalog, &fixture->arena, &is_found, &first, &fact));
    if (!is_found)
        return 0;
    assert_done(segment_last_log_file(fixture->catalog, &is_found, &last, &fact));
    int64_t count = 0;
    int64_t seq = first.seq_lo;
    for (int64_t id = first.id; id <= last.id; id++) {
        const struct ingest_reader_options options = {
            .data_directory = fixture->directory,
            .file_id = id,
            .byte_limit = id == last.id ? last.byte_count : INT64_MAX,
        };
        struct ingest_reader *reader = NULL;
        assert_done(ingest_reader_open(&options, &reader, &fact));
        bool has_piece = true;
        // Files before the last end where the next begins; what is behind does not check.
        for (;;) {
            struct ingest_piece piece;
            struct err err = {0};
            if (!ingest_reader_next(reader, &has_piece, &piece, &err)) {
                assert_int_not_equal(id, last.id);
                break;
            }
            if (!has_piece)
                break;
            if (!may_have_gaps)
                assert_int_equal(piece.seq_lo, seq);
            struct slice lines = piece.lines;
            struct slice line;
            int64_t line_count = 0;
            while (ingest_lines_next(&lines, &line))
                line_count++;
            assert_int_equal(line_count, piece.line_count);
            count += line_count;
            seq = piece.seq_lo + piece.line_count;
            buf_append(ret_lines, piece.lines);
        }
        ingest_reader_close(&reader);
    }
    assert_false(ret_lines->overflowed);
    return count;
}

static inline int64_t fixture_count_lines(struct ingest_fixture *fixture)
{
    struct buf lines;
    buf_init(&lines, 64 * 1024 * 1024);
    const int64_t count = fixture_read_lines(fixture, false, &lines);
    buf_clear(&lines);
    return count;
}

// Files in log/ whose names begin with prefix.
static inline int fixture_count_files(const struct ingest_fixture *fixture, const char *prefix)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/log", fixture->directory);
    DIR *entries = opendir(path);
    assert_non_null(entries);
    int count = 0;
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL)
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0 ? 1 : 0;
    (void)closedir(entries);
    return count;
}

// The descriptor by which this process has the file open, or -1.
static inline int fixture_find_descriptor(const char *path)
{
    char real[4096];
    assert_non_null(realpath(path, real));
    for (int fd = 3; fd < 256; fd++) {
        char name[64];
        char target[4096];
        (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        const ssize_t size = readlink(name, target, sizeof target - 1);
        if (size > 0 && (size_t)size == strlen(real) && memcmp(target, real, (size_t)size) == 0)
            return fd;
    }
    return -1;
}
