// SPDX-License-Identifier: Apache-2.0
// A batch under construction: the body's bytes become lines, the lines are checked as they complete
// and kept in chunks. Nothing here waits, but for the disk of a large batch.
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "lake/ingest_internal.h"
#include "model/event.h"

// --- Beginning

static bool ingest_id_is_valid(const char *id)
{
    return strlen(id) < INGEST_ID_CHARS;
}

static void ingest_copy_id(char ret_id[INGEST_ID_CHARS], const char *id)
{
    ASSERT(ingest_id_is_valid(id));
    memcpy(ret_id, id, strlen(id) + 1);
}

// Parts are few: one, or the apps of an operator's batch.
static bool ingest_batch_find_part(const struct ingest_batch *batch, const char *app_id,
                                   uint32_t *ret_part)
{
    for (size_t i = batch->part_count; i-- > 0;) {
        if (strcmp(batch->parts[i].app_id, app_id) == 0) {
            *ret_part = (uint32_t)i;
            return true;
        }
    }
    return false;
}

static bool ingest_batch_add_part(struct ingest_batch *batch, const char *organization_id,
                                  const char *app_id, struct err *err)
{
    struct ingest_topic *topic = NULL;
    if (!ingest_topics_get(&batch->log->topics, organization_id, batch->topic_name, &topic, err))
        return ingest_log_fail_storage(batch->log, err);
    batch->parts = mem_resize(batch->parts, (batch->part_count + 1) * sizeof *batch->parts);
    struct ingest_batch_part *part = &batch->parts[batch->part_count++];
    *part = (struct ingest_batch_part){.topic = topic};
    ingest_copy_id(part->app_id, app_id);
    ingest_copy_id(part->organization_id, organization_id);
    return true;
}

// Keys of different organizations, apps and topics never meet. None of the parts can hold a '|' but
// the key, which is last.
static void ingest_batch_set_scope(struct ingest_batch *batch, const struct ingest_batch_spec *spec)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 1024);
    buf_append_format(&text, "%s|%s|%s|",
                      spec->organization_id == NULL ? "" : spec->organization_id,
                      spec->app_id == NULL ? "" : spec->app_id, spec->topic_name);
    buf_append(&text, spec->idempotency_key);
    ASSERT(!text.overflowed);
    sha256_of(buf_slice(&text), batch->scope);
    batch->has_key = true;
    batch->body_hash = sha256_new();
}

static struct ingest_batch *ingest_batch_new(struct ingest_log *log,
                                             const struct ingest_batch_spec *spec)
{
    struct ingest_batch *batch = mem_alloc(sizeof *batch);
    batch->log = log;
    batch->topic_name = mem_copy_text(spec->topic_name);
    batch->is_operator = spec->app_id == NULL;
    batch->is_partial = spec->is_partial;
    batch->now_ms = clock_wall_ms(log->config.clock);
    batch->chunks_end = &batch->chunks;
    batch->bulk_fd = -1;
    buf_init(&batch->carry, EVENT_LINE_BYTES_MAX + 2);
    buf_init(&batch->rejected, INGEST_ANSWER_BYTES_MAX);
    buf_init(&batch->answer, INGEST_ANSWER_BYTES_MAX);
    buf_init(&batch->meta, INGEST_META_BYTES_MAX);
    return batch;
}

void ingest_batch_free(struct ingest_batch **batch)
{
    struct ingest_batch *old = *batch;
    *batch = NULL;
    if (old == NULL)
        return;
    ingest_batch_clear_chunks(old);
    for (size_t i = 0; i < old->part_count; i++) {
        ingest_topic_release(&old->parts[i].topic);
        ingest_sightings_clear(&old->parts[i].sightings);
    }
    mem_free(old->parts);
    buf_clear(&old->carry);
    buf_clear(&old->rejected);
    buf_clear(&old->answer);
    buf_clear(&old->meta);
    sha256_free(&old->body_hash);
    ingest_log_give_memory(old->log, old->memory_bytes);
    mem_free(old->topic_name);
    mem_free(old);
}

bool ingest_batch_begin(struct ingest_log *log, const struct ingest_batch_spec *spec,
                        struct ingest_batch **ret_batch, struct err *err)
{
    ASSERT(spec->app_id == NULL || spec->organization_id != NULL);
    if (!schema_topic_name_is_valid(slice_text(spec->topic_name)))
        return err_set(err, ERR_INVALID, "Invalid topic name");
    if (spec->idempotency_key.size_bytes > INGEST_KEY_CHARS_MAX)
        return err_set(err, ERR_INVALID, "Invalid Idempotency-Key");
    TRY(ingest_log_check_recovered(log, err));
    struct ingest_batch *batch CLEANUP(ingest_batch_free) = ingest_batch_new(log, spec);
    if (!batch->is_operator)
        TRY(ingest_batch_add_part(batch, spec->organization_id, spec->app_id, err));
    if (!slice_is_empty(spec->idempotency_key))
        ingest_batch_set_scope(batch, spec);
    *ret_batch = batch;
    batch = NULL;
    return true;
}

// --- Lines

// Finds the part of a line, or makes it. INVALID texts as of event_scan.
static bool ingest_batch_route(struct ingest_batch *batch, const struct event *event,
                               uint32_t *ret_part, struct err *err)
{
    char app_id[INGEST_ID_CHARS] = "";
    ASSERT(event->app_id.size_bytes < sizeof app_id);
    if (!slice_is_empty(event->app_id))
        memcpy(app_id, event->app_id.data, event->app_id.size_bytes);
    *ret_part = 0;
    if (!batch->is_operator) {
        // Naming the app again is fine, naming another one is not.
        if (app_id[0] != '\0' && strcmp(app_id, batch->parts[0].app_id) != 0)
            return err_set(err, ERR_INVALID, "Invalid app_id");
        return true;
    }
    if (ingest_batch_find_part(batch, app_id, ret_part))
        return true;
    char organization_id[INGEST_ID_CHARS];
    bool is_found = false;
    if (strcmp(app_id, batch->missing_app_id) != 0 &&
        !ingest_topics_find_app(&batch->log->topics, app_id, &is_found, organization_id, err))
        return ingest_log_fail_storage(batch->log, err);
    if (!is_found) {
        ingest_copy_id(batch->missing_app_id, app_id);
        return err_set(err, ERR_INVALID, "App not found");
    }
    if (batch->part_count == INGEST_PARTS_MAX)
        return err_set(err, ERR_INVALID, "Too many apps in request");
    *ret_part = (uint32_t)batch->part_count;
    return ingest_batch_add_part(batch, organization_id, app_id, err);
}

// Checks one line and keeps it. Failures other than INVALID and LIMIT are not the line's.
static bool ingest_batch_take_line(struct ingest_batch *batch, struct slice line,
                                   char ret_detail[SCHEMA_NAME_BYTES_MAX + 1],
                                   bool *ret_is_line_error, struct err *err)
{
    struct event event; // 48 KiB
    uint32_t part = 0;
    *ret_is_line_error = true;
    ret_detail[0] = '\0';
    TRY(event_scan(line, batch->now_ms, &event, ret_detail, err));
    if (batch->is_operator && slice_is_empty(event.app_id)) {
        memcpy(ret_detail, "app_id", sizeof "app_id");
        return err_set(err, ERR_INVALID, "Missing field");
    }
    if (!ingest_batch_route(batch, &event, &part, err)) {
        *ret_is_line_error = err->kind == ERR_INVALID;
        return false;
    }
    TRY(ingest_sightings_add_event(&batch->parts[part].sightings, batch->parts[part].topic, &event,
                                   ret_detail, err));
    *ret_is_line_error = false;
    return ingest_batch_append_line(batch, part, line, err);
}

// In partial mode a bad line is noted; else it is the batch's end.
static bool ingest_batch_reject_line(struct ingest_batch *batch, const char *detail,
                                     struct err *err)
{
    struct err text;
    (void)err_set(&text, err->kind, "%s on line %" PRId64 "%s%s", err->message, batch->line_number,
                  detail[0] == '\0' ? "" : ": ", detail);
    if (!batch->is_partial) {
        *err = text;
        return false;
    }
    err_clear(err);
    batch->rejected_count++;
    if (batch->rejected_count > INGEST_REJECTED_MAX)
        return true;
    struct json_text json;
    json_text_init(&json, &batch->rejected);
    if (batch->rejected_count > 1)
        buf_append_char(&batch->rejected, ',');
    const size_t before_bytes = batch->rejected.size_bytes;
    json_text_open(&json, '{');
    json_text_member_int64(&json, "line", batch->line_number);
    json_text_member_text(&json, "message", text.message);
    json_text_close(&json, '}');
    const int64_t grown_bytes = (int64_t)(batch->rejected.size_bytes - before_bytes);
    batch->memory_bytes += grown_bytes;
    return ingest_log_take_memory(batch->log, grown_bytes, err);
}

static bool ingest_line_is_blank(struct slice line)
{
    for (size_t i = 0; i < line.size_bytes; i++) {
        const char character = slice_chars(line)[i];
        if (character != ' ' && character != '\t' && character != '\r')
            return false;
    }
    return true;
}

static struct slice ingest_line_without_cr(struct slice line)
{
    while (line.size_bytes > 0 && slice_chars(line)[line.size_bytes - 1] == '\r')
        line.size_bytes--;
    return line;
}

// One line without its LF.
static bool ingest_batch_line(struct ingest_batch *batch, struct slice line, struct err *err)
{
    batch->line_number++;
    line = ingest_line_without_cr(line);
    if (ingest_line_is_blank(line))
        return true;
    const int64_t limit = batch->log->config.batch_event_limit;
    if (limit > 0 && batch->accepted_count + batch->rejected_count >= limit)
        return err_set(err, ERR_LIMIT, "Too many events in request");
    char detail[SCHEMA_NAME_BYTES_MAX + 1];
    bool is_line_error;
    if (ingest_batch_take_line(batch, line, detail, &is_line_error, err)) {
        batch->accepted_count++;
        return true;
    }
    return is_line_error && ingest_batch_reject_line(batch, detail, err);
}

// --- Bytes into lines

// Adds to the unfinished line; one that is too long is refused before its end came.
static bool ingest_batch_carry(struct ingest_batch *batch, struct slice bytes, struct err *err)
{
    if (batch->is_skipping_line)
        return true;
    if (batch->carry.size_bytes + bytes.size_bytes <= EVENT_LINE_BYTES_MAX + 1) {
        const size_t before_bytes = batch->carry.capacity_bytes;
        buf_append(&batch->carry, bytes);
        const int64_t grown_bytes = (int64_t)(batch->carry.capacity_bytes - before_bytes);
        batch->memory_bytes += grown_bytes;
        return grown_bytes == 0 || ingest_log_take_memory(batch->log, grown_bytes, err);
    }
    batch->line_number++;
    batch->is_skipping_line = true;
    (void)err_set(err, ERR_LIMIT, "Event too large");
    return ingest_batch_reject_line(batch, "", err);
}

// The carried bytes and these, which end at an LF, are a line.
static bool ingest_batch_end_carry(struct ingest_batch *batch, struct slice bytes, struct err *err)
{
    TRY(ingest_batch_carry(batch, bytes, err));
    if (!batch->is_skipping_line)
        TRY(ingest_batch_line(batch, buf_slice(&batch->carry), err));
    batch->is_skipping_line = false;
    buf_reset(&batch->carry);
    return true;
}

static bool ingest_batch_split(struct ingest_batch *batch, struct slice bytes, struct err *err)
{
    while (!slice_is_empty(bytes)) {
        const char *start = slice_chars(bytes);
        const char *end = memchr(start, '\n', bytes.size_bytes);
        if (end == NULL)
            return ingest_batch_carry(batch, bytes, err);
        const struct slice line = slice_of(start, (size_t)(end - start));
        if (batch->carry.size_bytes > 0 || batch->is_skipping_line)
            TRY(ingest_batch_end_carry(batch, line, err));
        else
            TRY(ingest_batch_line(batch, line, err));
        bytes = slice_from(bytes, line.size_bytes + 1);
    }
    return true;
}

bool ingest_batch_write(struct ingest_batch *batch, struct slice bytes, struct err *err)
{
    ASSERT(!batch->is_ended);
    if (batch->has_key)
        sha256_update(batch->body_hash, bytes);
    return ingest_batch_split(batch, bytes, err);
}

bool ingest_batch_end(struct ingest_batch *batch, struct err *err)
{
    ASSERT(!batch->is_ended);
    if (batch->carry.size_bytes > 0 && !batch->is_skipping_line)
        TRY(ingest_batch_line(batch, buf_slice(&batch->carry), err));
    buf_clear(&batch->carry);
    if (batch->accepted_count == 0 && batch->rejected_count == 0)
        return err_set(err, ERR_INVALID, "No events in request");
    TRY(ingest_batch_finish_chunks(batch, err));
    if (batch->has_key)
        sha256_finish(batch->body_hash, batch->body_sha256);
    batch->is_ended = true;
    return true;
}

bool ingest_batch_answer(const struct ingest_batch *batch, struct slice *ret_body, struct err *err)
{
    if (batch->failure.kind != ERR_NONE) {
        *err = batch->failure;
        return false;
    }
    *ret_body = buf_slice(&batch->answer);
    return true;
}
