// SPDX-License-Identifier: Apache-2.0
// Group commit. A batch on its way:
//
//   key known? -> replay or conflict        (in memory for unsealed files, else in the catalog)
//   key in this group? -> next group, when the first one's fate is known
//   new topics and fields -> the catalog    (durable before the frame, hence before the answer)
//   frame -> log file, one write and one sync for the whole group -> answers
// Upholds INV-4, INV-15 (docs/invariants.md).
#include <inttypes.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"
#include "lake/ingest_internal.h"

// --- Preparing a batch

enum ingest_prepared {
    INGEST_READY,
    INGEST_ANSWERED, // no frame: it is answered already
    INGEST_DEFERRED, // its key belongs to a batch of this group
};

static void ingest_batch_build_answer(struct ingest_batch *batch)
{
    struct json_text json;
    json_text_init(&json, &batch->answer);
    json_text_open(&json, '{');
    json_text_member_int64(&json, "accepted", batch->accepted_count);
    if (batch->is_partial) {
        json_text_key(&json, "rejected");
        json_text_open(&json, '[');
        json_text_raw(&json, buf_slice(&batch->rejected));
        json_text_close(&json, ']');
        if (batch->rejected_count > INGEST_REJECTED_MAX)
            json_text_member_int64(&json, "rejected_count", batch->rejected_count);
    }
    json_text_close(&json, '}');
    ASSERT(!batch->answer.overflowed); // 1,000 texts of at most 512 bytes
}

static enum ingest_prepared ingest_batch_replay(struct ingest_batch *batch, struct slice answer,
                                                bool is_same_body)
{
    if (is_same_body)
        buf_append(&batch->answer, answer);
    else
        (void)err_set(&batch->failure, ERR_CONFLICT,
                      "Idempotency-Key reused with a different request");
    return INGEST_ANSWERED;
}

static enum ingest_prepared ingest_batch_check_catalog(struct ingest_log *log,
                                                       struct ingest_batch *batch, int64_t now_ms)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    char scope[SHA256_HEX_CHARS + 1];
    char body[SHA256_HEX_CHARS + 1];
    hex_encode(slice_of(batch->scope, SHA256_BYTES), scope);
    hex_encode(slice_of(batch->body_sha256, SHA256_BYTES), body);
    struct segment_idempotency known;
    struct err err = {0};
    if (segment_get_idempotency(log->catalog, scope, now_ms, &arena, &known, &err))
        return ingest_batch_replay(batch, slice_text(known.answer),
                                   strcmp(known.body_sha256, body) == 0);
    if (err.kind == ERR_NOT_FOUND)
        return INGEST_READY;
    (void)ingest_log_fail_storage(log, &err);
    batch->failure = err;
    return INGEST_ANSWERED;
}

static enum ingest_prepared ingest_batch_check_key(struct ingest_log *log,
                                                   struct ingest_batch *batch)
{
    const int64_t now_ms = clock_wall_ms(log->config.clock);
    const struct ingest_key *key = ingest_keys_find(&log->keys, batch->scope);
    if (key == NULL)
        return ingest_batch_check_catalog(log, batch, now_ms);
    if (key->is_pending)
        return INGEST_DEFERRED;
    if (key->expires_at_ms <= now_ms)
        return INGEST_READY; // its entry is replaced
    return ingest_batch_replay(batch, slice_text(key->answer),
                               memcmp(key->body_sha256, batch->body_sha256, SHA256_BYTES) == 0);
}

// The part's topic and all its fields are in the catalog afterwards, and part->topic says so.
static bool ingest_part_learn(struct ingest_log *log, struct ingest_batch *batch,
                              struct ingest_batch_part *part, struct err *err)
{
    struct ingest_topic *current CLEANUP(ingest_topic_release) = NULL;
    TRY(ingest_topics_get(&log->topics, part->organization_id, batch->topic_name, &current, err));
    if (current->schema->topic_id == 0 || !ingest_sightings_are_known(&part->sightings, current)) {
        struct topic_sighting *list CLEANUP(mem_free_at) = ingest_sightings_list(&part->sightings);
        ingest_topic_release(&current);
        current = ingest_topic_new();
        TRY(topic_learn(log->catalog, part->organization_id, slice_text(batch->topic_name), list,
                        part->sightings.count, clock_wall_ms(log->config.clock), &current->arena,
                        &current->schema, err));
        ingest_topic_seal(current);
        ingest_topics_put(&log->topics, part->organization_id, current);
    }
    struct ingest_topic *old = part->topic;
    part->topic = current;
    current = old;
    return true;
}

static bool ingest_batch_learn(struct ingest_log *log, struct ingest_batch *batch, struct err *err)
{
    for (size_t i = 0; i < batch->part_count; i++) {
        if (ingest_part_learn(log, batch, &batch->parts[i], err))
            continue;
        const bool is_of_client = err->kind == ERR_INVALID || err->kind == ERR_LIMIT;
        return is_of_client ? false : ingest_log_fail_storage(log, err);
    }
    return true;
}

static int64_t ingest_id_number(const char *id)
{
    int64_t number = 0;
    const bool is_number = number_parse_int64(slice_text(id), &number);
    ASSERT(is_number); // ids come from the catalog
    return number;
}

static void ingest_batch_build_meta(struct ingest_batch *batch)
{
    struct buf *meta = &batch->meta;
    const struct ingest_disk_meta head = {
        .part_count = (uint32_t)batch->part_count,
        .has_key = batch->has_key ? 1 : 0,
        .answer_bytes = batch->has_key ? (uint32_t)batch->answer.size_bytes : 0,
    };
    buf_append(meta, slice_of(&head, sizeof head));
    for (size_t i = 0; i < batch->part_count; i++) {
        const struct ingest_batch_part *part = &batch->parts[i];
        const struct ingest_part record = {
            .organization_id = ingest_id_number(part->organization_id),
            .app_id = ingest_id_number(part->app_id),
            .topic_id = part->topic->schema->topic_id,
            .schema_id = part->topic->schema->schema_id,
        };
        ASSERT(record.topic_id > 0);
        buf_append(meta, slice_of(&record, sizeof record));
    }
    if (batch->has_key) {
        char hex[SHA256_HEX_CHARS + 1];
        hex_encode(slice_of(batch->scope, SHA256_BYTES), hex);
        buf_append_text(meta, hex);
        hex_encode(slice_of(batch->body_sha256, SHA256_BYTES), hex);
        buf_append_text(meta, hex);
        buf_append(meta, buf_slice(&batch->answer));
    }
    ASSERT(!meta->overflowed);
}

static enum ingest_prepared ingest_batch_prepare(struct ingest_log *log, struct ingest_batch *batch)
{
    if (batch->accepted_count == 0) {
        ingest_batch_build_answer(batch);
        return INGEST_ANSWERED;
    }
    if (batch->has_key) {
        const enum ingest_prepared state = ingest_batch_check_key(log, batch);
        if (state != INGEST_READY)
            return state;
    }
    if (!ingest_batch_learn(log, batch, &batch->failure))
        return INGEST_ANSWERED;
    ingest_batch_build_answer(batch);
    ingest_batch_build_meta(batch);
    if (batch->has_key) {
        struct ingest_key *key = ingest_keys_add(&log->keys, batch->scope, batch->body_sha256,
                                                 buf_slice(&batch->answer));
        key->is_pending = true;
    }
    batch->outgoing = (struct ingest_outgoing){
        .chunks = batch->chunks,
        .chunk_count = batch->chunk_count,
        .line_count = batch->accepted_count,
        .meta = buf_slice(&batch->meta),
        .bulk_nonce = batch->bulk_nonce,
        .bulk_bytes = batch->bulk_bytes,
    };
    return INGEST_READY;
}

// --- Writing a group

static void ingest_batch_hand_back(struct ingest_batch *batch)
{
    batch->next = NULL;
    batch->done(batch->context); // the batch may be gone now
}

static void ingest_batch_succeed(struct ingest_log *log, struct ingest_batch *batch)
{
    if (batch->has_key) {
        struct ingest_key *key = ingest_keys_find(&log->keys, batch->scope);
        ASSERT(key != NULL);
        key->is_pending = false;
        key->file_id = log->writer.file_id;
        key->expires_at_ms = batch->outgoing.received_at_ms + INGEST_IDEMPOTENCY_MS;
    }
    if (batch->bulk_bytes > 0) {
        struct ingest_bulk *bulk = mem_alloc(sizeof *bulk);
        *bulk = (struct ingest_bulk){log->bulks, log->writer.file_id, batch->bulk_nonce};
        log->bulks = bulk;
    }
    (void)atomic_fetch_add(&log->batch_count, 1);
    (void)atomic_fetch_add(&log->event_count, batch->accepted_count);
    (void)atomic_fetch_add(&log->byte_count,
                           ingest_outgoing_bytes(&batch->outgoing) + batch->bulk_bytes);
    ingest_batch_hand_back(batch);
}

static void ingest_batch_fail(struct ingest_log *log, struct ingest_batch *batch,
                              const struct err *err)
{
    if (batch->has_key)
        ingest_keys_remove(&log->keys, batch->scope);
    buf_reset(&batch->answer);
    batch->failure = *err;
    ingest_batch_hand_back(batch);
}

// Frames that go into the open file together.
struct ingest_run {
    struct ingest_outgoing **frames;
    size_t count;
};

// Takes batches off *batches as long as they fit the open file, which is made when the first does
// not.
static bool ingest_run_fill(struct ingest_log *log, struct ingest_batch *batches,
                            struct ingest_run *run, struct err *err)
{
    run->count = 0;
    int64_t size_bytes = ingest_outgoing_bytes(&batches->outgoing);
    if (!ingest_writer_has_room(&log->writer, size_bytes)) {
        TRY(ingest_close_file(log, err));
        TRY(ingest_writer_open(&log->writer, size_bytes, err));
        log->file_opened_at_ms = clock_boot_ms(log->config.clock);
    }
    for (struct ingest_batch *batch = batches; batch != NULL; batch = batch->next) {
        if (run->count > 0)
            size_bytes += ingest_outgoing_bytes(&batch->outgoing);
        if (!ingest_writer_has_room(&log->writer, size_bytes))
            break;
        batch->outgoing.received_at_ms = log->received_at_ms;
        run->frames[run->count++] = &batch->outgoing;
    }
    ASSERT(run->count > 0);
    return true;
}

// Nobody's clock steps back in the log, and lines pass their check again at received_at_ms.
static void ingest_advance_received_at(struct ingest_log *log, const struct ingest_batch *batches)
{
    const int64_t now_ms = clock_wall_ms(log->config.clock);
    if (now_ms > log->received_at_ms)
        log->received_at_ms = now_ms;
    for (const struct ingest_batch *batch = batches; batch != NULL; batch = batch->next) {
        if (batch->now_ms > log->received_at_ms)
            log->received_at_ms = batch->now_ms;
    }
}

// A run is durable or none of it is. *batches is moved behind those that are.
static bool ingest_write_run(struct ingest_log *log, struct ingest_batch **batches,
                             struct ingest_run *run, struct err *err)
{
    TRY(ingest_run_fill(log, *batches, run, err));
    struct ingest_batch *kept = *batches;
    for (size_t i = 0; i < run->count; i++, kept = kept->next)
        kept->is_bulk_kept =
            true; // should the frame be on disk after a failed sync: it can be read
    TRY(ingest_writer_write(&log->writer, run->frames, run->count, err));
    (void)atomic_fetch_add(&log->sync_count, 1);
    atomic_store(&log->last_seq, log->writer.seq);
    for (size_t i = 0; i < run->count; i++) {
        struct ingest_batch *batch = *batches;
        *batches = batch->next;
        ingest_batch_succeed(log, batch);
    }
    return true;
}

static void ingest_write_batches(struct ingest_log *log, struct ingest_batch *batches,
                                 size_t batch_count)
{
    if (batch_count == 0)
        return;
    struct ingest_outgoing **frames CLEANUP(mem_free_at) = mem_alloc_array(batch_count,
                                                                           sizeof *frames);
    struct ingest_run run = {.frames = frames};
    ingest_advance_received_at(log, batches);
    struct err err = {0};
    while (batches != NULL && ingest_write_run(log, &batches, &run, &err))
        continue;
    if (batches == NULL)
        return;
    (void)ingest_log_fail_storage(log, &err);
    // A refused client sends its batch again: it must not be in the log when the client hears of
    // it.
    if (log->writer.is_abandoned)
        ingest_close_abandoned(log);
    while (batches != NULL) {
        struct ingest_batch *batch = batches;
        batches = batch->next;
        ingest_batch_fail(log, batch, &err);
    }
}

void ingest_commit_group(struct ingest_log *log, struct ingest_batch *batches)
{
    while (batches != NULL) {
        struct ingest_batch *ready = NULL;
        struct ingest_batch **ready_end = &ready;
        size_t ready_count = 0;
        struct ingest_batch *deferred = NULL;
        struct ingest_batch **deferred_end = &deferred;
        while (batches != NULL) {
            struct ingest_batch *batch = batches;
            batches = batch->next;
            batch->next = NULL;
            switch (ingest_batch_prepare(log, batch)) {
            case INGEST_READY:
                *ready_end = batch;
                ready_end = &batch->next;
                ready_count++;
                break;
            case INGEST_ANSWERED:
                ingest_batch_hand_back(batch);
                break;
            case INGEST_DEFERRED:
                *deferred_end = batch;
                deferred_end = &batch->next;
                break;
            }
        }
        ingest_write_batches(log, ready, ready_count);
        batches = deferred;
    }
}
