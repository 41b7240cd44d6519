// SPDX-License-Identifier: Apache-2.0
// The export pipeline of a job in this process, without the server: segments are verified, merged,
// encoded, compressed and stored, and what that took is printed as one JSON object. The server must
// not run: the lake stays as it is.
//
// usage: bench_export DATA OUT ORGANIZATION APP TOPIC START_MS END_MS FORMAT COMPRESSION THREADS
//        FIELD...
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/check.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "base/number.h"
#include "catalog/segments.h"
#include "catalog/topics.h"
#include "job/parts.h"
#include "lake/compact.h"

#define BENCH_ENGINE_BYTES INT64_C(268435456)
#define BENCH_PART_BYTES   INT64_C(1073741824)

enum bench_argument {
    BENCH_DATA = 1,
    BENCH_OUT,
    BENCH_ORGANIZATION,
    BENCH_APP,
    BENCH_TOPIC,
    BENCH_START,
    BENCH_END,
    BENCH_FORMAT,
    BENCH_COMPRESSION,
    BENCH_THREADS,
    BENCH_FIRST_FIELD,
};

struct bench {
    char **arguments;
    struct arena arena;
    struct catalog *catalog;
    struct engine *engine;
    struct store *store;
    struct recipe recipe;
    struct source_spec spec;
    struct source_segment *segments;
};

static void bench_clear(struct bench *bench)
{
    store_close(&bench->store);
    engine_close(&bench->engine);
    catalog_close(&bench->catalog);
    arena_clear(&bench->arena);
}

static double bench_seconds(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool bench_number(const struct bench *bench, enum bench_argument argument,
                         int64_t *ret_number, struct err *err)
{
    if (!number_parse_int64(slice_text(bench->arguments[argument]), ret_number))
        return err_set(err, ERR_INVALID, "%s is not a number", bench->arguments[argument]);
    return true;
}

static bool bench_open(struct bench *bench, struct err *err)
{
    const char *data = bench->arguments[BENCH_DATA];
    const struct engine_config engine_config = {
        .memory_limit_bytes = BENCH_ENGINE_BYTES,
        .thread_count = 1,
        .temp_directory = arena_format(&bench->arena, "%s/tmp", data),
        .fetches_ahead = strcmp(bench->arguments[BENCH_THREADS], "1") != 0,
    };
    TRY(catalog_open(arena_format(&bench->arena, "%s/milkrun.db", data), &bench->catalog, err));
    TRY(engine_open(&engine_config, &bench->engine, err));
    return store_file_open(bench->arguments[BENCH_OUT], &bench->store, err);
}

// By the names that file extensions have: "csv" "gz".
static bool bench_choose_format(const struct bench *bench, struct report *report, struct err *err)
{
    for (report->format = REPORT_CSV; report->format <= REPORT_PARQUET; report->format++) {
        for (report->compression = REPORT_GZ; report->compression <= REPORT_ZSTD;
             report->compression++) {
            if (strcasecmp(bench->arguments[BENCH_FORMAT], report_format_name(report->format)) ==
                    0 &&
                strcasecmp(bench->arguments[BENCH_COMPRESSION],
                           report_compression_name(report->compression)) == 0)
                return true;
        }
    }
    return err_set(err, ERR_INVALID, "unknown format");
}

static bool bench_make_recipe(struct bench *bench, const char **ret_topic, struct err *err)
{
    const struct schema *schema = NULL;
    TRY(topic_get(bench->catalog, bench->arguments[BENCH_ORGANIZATION],
                  slice_text(bench->arguments[BENCH_TOPIC]), &bench->arena, &schema, err));
    size_t field_count = 0;
    while (bench->arguments[BENCH_FIRST_FIELD + field_count] != NULL)
        field_count++;
    const char **fields = arena_alloc_array(&bench->arena, field_count, sizeof *fields);
    for (size_t i = 0; i < field_count; i++)
        fields[i] = bench->arguments[BENCH_FIRST_FIELD + i];
    struct report report = {
        .cadence = CADENCE_DAILY,
        .topic_name = schema->topic_name,
        .fields = fields,
        .field_count = field_count,
    };
    TRY(bench_choose_format(bench, &report, err));
    const struct recipe_request request = {
        .report = &report,
        .schema = schema,
        .seq_hi = INT64_MAX,
        .part_bytes = BENCH_PART_BYTES,
    };
    *ret_topic = schema->topic_name;
    bench->spec.topic_id = schema->topic_id;
    return recipe_make(&request, &bench->arena, &bench->recipe, err);
}

static bool bench_read_columns(struct bench *bench, const struct segment *segment,
                               struct source_segment *ret_segment, struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    TRY(json_tree_parse(slice_text(segment->columns), &tree, err));
    const size_t count = json_node_count(json_tree_root(tree));
    const char **columns = arena_alloc_array(&bench->arena, count + 1, sizeof *columns);
    for (size_t i = 0; i < count; i++)
        columns[i] = arena_copy_slice(&bench->arena,
                                      json_node_text(json_node_at(json_tree_root(tree), i)));
    ret_segment->physical_columns = columns;
    ret_segment->physical_column_count = count;
    return true;
}

// The segments of the day, verified as a job does.
static bool bench_gather(struct bench *bench, struct err *err)
{
    struct source_spec *spec = &bench->spec;
    TRY(bench_number(bench, BENCH_APP, &spec->app_id, err));
    TRY(bench_number(bench, BENCH_ORGANIZATION, &spec->organization_id, err));
    TRY(bench_number(bench, BENCH_START, &spec->start_ms, err));
    TRY(bench_number(bench, BENCH_END, &spec->end_ms, err));
    const struct segment_slice wanted = {
        .topic_id = spec->topic_id,
        .app_id = spec->app_id,
        .time_min_ms = spec->start_ms,
        .time_max_ms = spec->end_ms,
        .seq_max = INT64_MAX,
    };
    struct segment *segments = NULL;
    struct segment_slice *slices = NULL;
    size_t count = 0;
    TRY(segment_find(bench->catalog, &wanted, &bench->arena, &segments, &slices, &count, err));
    bench->segments = arena_alloc_array(&bench->arena, count + 1, sizeof *bench->segments);
    for (size_t i = 0; i < count; i++) {
        TRY(compact_verify_segment(bench->arguments[BENCH_DATA], &segments[i], err));
        TRY(bench_read_columns(bench, &segments[i], &bench->segments[i], err));
        bench->segments[i].path = arena_format(&bench->arena, "%s/%s", bench->arguments[BENCH_DATA],
                                               segments[i].path);
        bench->segments[i].time_min_ms = slices[i].time_min_ms;
        bench->segments[i].time_max_ms = slices[i].time_max_ms;
    }
    spec->seq_hi = INT64_MAX;
    spec->columns = bench->recipe.columns;
    spec->column_count = bench->recipe.column_count;
    spec->segments = bench->segments;
    spec->segment_count = count;
    return true;
}

static bool bench_pump(struct bench *bench, struct parts *parts, struct err *err)
{
    struct source *source CLEANUP(source_close) = NULL;
    TRY(source_lake_open(bench->engine, &bench->spec, &source, err));
    for (;;) {
        struct source_rows rows;
        TRY(source_next(source, &rows, err));
        if (rows.row_count == 0)
            return true;
        TRY(parts_write(parts, &rows, err));
    }
}

static void bench_print(const struct bench *bench, const struct job_file *files, size_t file_count,
                        const double *seconds)
{
    int64_t row_count = 0;
    int64_t byte_count = 0;
    for (size_t i = 0; i < file_count; i++) {
        row_count += files[i].row_count;
        byte_count += files[i].byte_count;
    }
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)printf("{\"rows\":%" PRId64 ",\"bytes\":%" PRId64 ",\"files\":%zu,\"segments\":%zu,"
                 "\"seconds\":%.4f,\"verify_seconds\":%.4f,\"cpu_seconds\":%.4f,"
                 "\"peak_bytes\":%ld}\n",
                 row_count, byte_count, file_count, bench->spec.segment_count,
                 seconds[2] - seconds[0], seconds[1] - seconds[0], seconds[3],
                 usage.ru_maxrss * 1024);
}

static bool bench_run(struct bench *bench, struct err *err)
{
    const char *topic_name = NULL;
    int64_t thread_count = 0;
    TRY(bench_number(bench, BENCH_THREADS, &thread_count, err));
    TRY(bench_open(bench, err));
    TRY(bench_make_recipe(bench, &topic_name, err));
    double seconds[4] = {bench_seconds(CLOCK_MONOTONIC)};
    const double cpu_before = bench_seconds(CLOCK_PROCESS_CPUTIME_ID);
    TRY(bench_gather(bench, err));
    seconds[1] = bench_seconds(CLOCK_MONOTONIC);
    const struct job job = {
        .id = "00000000-0000-0000-0000-000000000000",
        .app_id = bench->arguments[BENCH_APP],
        .start_ms = bench->spec.start_ms,
    };
    const struct parts_config config = {
        .store = bench->store,
        .job = &job,
        .recipe = &bench->recipe,
        .topic_name = topic_name,
        .compress_helper_count = (unsigned)thread_count - 1,
    };
    struct parts *parts CLEANUP(parts_free) = parts_new(&config);
    struct job_file *files = NULL;
    size_t file_count = 0;
    TRY(bench_pump(bench, parts, err));
    TRY(parts_finish(parts, &bench->arena, &files, &file_count, err));
    seconds[2] = bench_seconds(CLOCK_MONOTONIC);
    seconds[3] = bench_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_before;
    bench_print(bench, files, file_count, seconds);
    return true;
}

int main(int argument_count, char **arguments)
{
    if (argument_count <= BENCH_FIRST_FIELD) {
        (void)fputs("usage: bench_export DATA OUT ORGANIZATION APP TOPIC START_MS END_MS FORMAT "
                    "COMPRESSION THREADS FIELD...\n",
                    stderr);
        return 2;
    }
    struct bench bench CLEANUP(bench_clear) = {.arguments = arguments};
    arena_init(&bench.arena);
    struct err err = {0};
    if (bench_run(&bench, &err))
        return 0;
    (void)fprintf(stderr, "bench_export: %s\n", err.message);
    return 1;
}
