// SPDX-License-Identifier: Apache-2.0
// Upholds INV-5 (docs/invariants.md).
#include "job/parts.h"

#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/hash.h"
#include "base/mem.h"

// 1 GiB each by default: beyond any window that one job should hold.
#define PARTS_COUNT_MAX ((size_t)100000)

struct parts_file {
    uint64_t row_count;
    struct sink_digest digest;
};

struct parts {
    const struct parts_config *config;
    struct encoder *encoder;   // of the open file, NULL between files
    struct sink_digest digest; // filled when the open file finishes
    struct parts_file *files;  // finished ones
    size_t file_count;
    size_t file_capacity;
};

// v2/y=YYYY/m=MM/d=DD[/h=HH]/app_id=A/job_id=J/task_id=T/<topic>-<window
// start>-r<revision>-<part>.<ext>
static int parts_format_dated(const struct parts_config *config, size_t part,
                              char ret_key[STORE_KEY_BYTES_MAX + 1])
{
    const struct job *job = config->job;
    const struct civil start = civil_from_ms(job->start_ms);
    char window[17];
    civil_format_basic(job->start_ms, window);
    char hour[8] = "";
    if (config->layout == PARTS_HOURLY)
        (void)snprintf(hour, sizeof hour, "/h=%02u", (unsigned)start.hour % 24);
    return snprintf(
        ret_key, STORE_KEY_BYTES_MAX + 1,
        "v2/y=%04d/m=%02d/d=%02d%s/app_id=%s/job_id=%s/task_id=%zu/%s-%s-r%lld-%05zu.%s",
        start.year, start.month, start.day, hour, config->app_id, job->id, config->task_id,
        config->topic_name, window, (long long)(job->revision < 0 ? 0 : job->revision), part,
        report_file_extension(config->recipe->format, config->recipe->compression));
}

// api_export/y=YYYY/m=MM/d=DD/app_id=A/topic=T/A-YYYY-MM-DD-T-v2-<job id without dashes>[-n].<ext>
static int parts_format_daily_export(const struct parts_config *config, size_t part,
                                     char ret_key[STORE_KEY_BYTES_MAX + 1])
{
    const struct job *job = config->job;
    const struct civil start = civil_from_ms(job->start_ms);
    char id[64] = "";
    size_t size = 0;
    for (const char *at = job->id; *at != '\0' && size < sizeof id - 1; at++) {
        if (*at != '-')
            id[size++] = *at;
    }
    char number[24] = "";
    if (part > 0)
        (void)snprintf(number, sizeof number, "-%zu", part);
    return snprintf(ret_key, STORE_KEY_BYTES_MAX + 1,
                    "api_export/y=%04d/m=%02d/d=%02d/app_id=%s/topic=%s/"
                    "%s-%04d-%02d-%02d-%s-v2-%s%s.%s",
                    start.year, start.month, start.day, config->app_id, config->topic_name,
                    config->app_id, start.year, start.month, start.day, config->topic_name, id,
                    number,
                    report_file_extension(config->recipe->format, config->recipe->compression));
}

static bool parts_key(const struct parts_config *config, size_t part,
                      char ret_key[STORE_KEY_BYTES_MAX + 1], struct err *err)
{
    const int size = config->layout == PARTS_DAILY_EXPORT
                         ? parts_format_daily_export(config, part, ret_key)
                         : parts_format_dated(config, part, ret_key);
    if (size < 0 || (size_t)size > STORE_KEY_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "object key is too long");
    return true;
}

struct parts *parts_new(const struct parts_config *config)
{
    struct parts *parts = mem_alloc(sizeof *parts);
    parts->config = config;
    return parts;
}

void parts_free(struct parts **parts)
{
    if (*parts == NULL)
        return;
    encoder_free(&(*parts)->encoder);
    mem_free((*parts)->files);
    mem_free(*parts);
    *parts = NULL;
}

// store <- digest <- compressor <- encoder
static bool parts_open_file(struct parts *parts, struct err *err)
{
    const struct parts_config *config = parts->config;
    const struct recipe *recipe = config->recipe;
    if (parts->file_count == PARTS_COUNT_MAX)
        return err_set(err, ERR_LIMIT, "more than %zu files in one job", PARTS_COUNT_MAX);
    char key[STORE_KEY_BYTES_MAX + 1];
    TRY(parts_key(config, parts->file_count, key, err));
    struct sink *object = NULL;
    if (config->store != NULL)
        TRY(store_put_begin(config->store, key, &object, err));
    if (config->budget != NULL)
        object = sink_budget_new(object, config->budget);
    const struct compress_options options = {
        .method = recipe_compress_method(recipe),
        .helper_count = config->compress_helper_count,
    };
    struct sink *chain = compress_sink_new(&options, sink_digest_new(object, &parts->digest));
    const struct encoder_spec spec = {
        .format = recipe_encoder_format(recipe->format),
        .codec = recipe_codec(recipe),
        .columns = recipe->columns,
        .column_count = recipe->column_count,
        .csv_formula_guard = recipe->csv_formula_guard,
    };
    return encoder_open(&spec, chain, &parts->encoder, err);
}

static bool parts_close_file(struct parts *parts, struct err *err)
{
    TRY(encoder_finish(parts->encoder, err));
    if (parts->file_count == parts->file_capacity) {
        parts->file_capacity = parts->file_capacity * 2 + 4;
        parts->files = mem_resize(parts->files, parts->file_capacity * sizeof *parts->files);
    }
    parts->files[parts->file_count++] = (struct parts_file){encoder_row_count(parts->encoder),
                                                            parts->digest};
    encoder_free(&parts->encoder);
    return true;
}

static bool parts_is_full(const struct parts *parts)
{
    const struct recipe *recipe = parts->config->recipe;
    return encoder_byte_count(parts->encoder) >= (uint64_t)recipe->part_bytes ||
           (recipe->part_rows > 0 &&
            encoder_row_count(parts->encoder) >= (uint64_t)recipe->part_rows);
}

// Of `wanted` rows, as many as the open file may still have.
static size_t parts_room(const struct parts *parts, size_t wanted)
{
    const struct recipe *recipe = parts->config->recipe;
    if (recipe->part_rows == 0)
        return wanted;
    const uint64_t room = (uint64_t)recipe->part_rows - encoder_row_count(parts->encoder);
    return room < wanted ? (size_t)room : wanted;
}

bool parts_write(struct parts *parts, const struct source_rows *rows, struct err *err)
{
    const uint64_t limit_bytes = (uint64_t)parts->config->recipe->part_bytes;
    size_t done = 0;
    while (done < rows->row_count) {
        if (parts->encoder != NULL && parts_is_full(parts))
            TRY(parts_close_file(parts, err));
        if (parts->encoder == NULL)
            TRY(parts_open_file(parts, err));
        size_t count = 0;
        TRY(encoder_write(parts->encoder, rows->batch, rows->first_row + done,
                          parts_room(parts, rows->row_count - done), limit_bytes, &count, err));
        done += count;
    }
    return true;
}

bool parts_finish(struct parts *parts, struct arena *arena, struct job_file **ret_files,
                  size_t *ret_count, struct err *err)
{
    if (parts->encoder == NULL && parts->file_count == 0 && !parts->config->skips_empty)
        TRY(parts_open_file(parts, err));
    if (parts->encoder != NULL)
        TRY(parts_close_file(parts, err));
    struct job_file *files = arena_alloc_array(arena, parts->file_count + 1, sizeof *files);
    for (size_t i = 0; i < parts->file_count; i++) {
        const struct parts_file *file = &parts->files[i];
        char key[STORE_KEY_BYTES_MAX + 1];
        TRY(parts_key(parts->config, i, key, err));
        char *sha256 = arena_alloc(arena, SHA256_HEX_CHARS + 1);
        hex_encode(slice_of(file->digest.sha256, SHA256_BYTES), sha256);
        files[i] = (struct job_file){
            .part = (int64_t)i,
            .key = arena_copy_text(arena, key),
            .row_count = (int64_t)file->row_count,
            .byte_count = (int64_t)file->digest.byte_count,
            .sha256 = sha256,
        };
    }
    *ret_files = files;
    *ret_count = parts->file_count;
    return true;
}

static bool parts_exists(struct store *store, const char *key)
{
    int fd = -1;
    uint64_t size_bytes;
    struct err ignored;
    if (!store_open_object(store, key, &fd, &size_bytes, &ignored))
        return false;
    (void)close(fd);
    return true;
}

bool parts_delete(const struct parts_config *config, size_t at_least, struct err *err)
{
    ASSERT(config->store != NULL);
    for (size_t part = 0; part < PARTS_COUNT_MAX; part++) {
        char key[STORE_KEY_BYTES_MAX + 1];
        TRY(parts_key(config, part, key, err));
        if (part >= at_least && !parts_exists(config->store, key))
            return true;
        TRY(store_delete(config->store, key, err));
    }
    return true;
}
