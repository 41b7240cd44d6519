// SPDX-License-Identifier: Apache-2.0
// Seals a data directory's closed log files in this process, without the server, and prints what
// that took as one JSON object.
//
// usage: bench_seal DATA
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "base/arena.h"
#include "base/mem.h"
#include "catalog/segments.h"
#include "lake/seal.h"

// The server's defaults.
#define BENCH_STEP_BYTES INT64_C(67108864)
#define BENCH_OWN_ROWS   INT64_C(20000)
#define BENCH_FILES_MAX  INT64_C(64)

static double bench_seconds(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool bench_run(const char *data, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct catalog *catalog CLEANUP(catalog_close) = NULL;
    TRY(catalog_open(arena_format(&arena, "%s/milkrun.db", data), &catalog, err));
    const struct seal_config config = {
        .data_directory = data,
        .clock = clock_system(),
        .step_bytes = BENCH_STEP_BYTES,
        .own_file_rows = BENCH_OWN_ROWS,
        .file_limit = BENCH_FILES_MAX,
    };
    int64_t seq_before = 0;
    int64_t seq_after = 0;
    int64_t step_count = 0;
    TRY(segment_seal_point(catalog, &seq_before, err));
    const double start = bench_seconds(CLOCK_MONOTONIC);
    const double cpu_start = bench_seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (bool has_sealed = true; has_sealed; step_count++)
        TRY(seal_step(&config, catalog, &has_sealed, err));
    const double seconds = bench_seconds(CLOCK_MONOTONIC) - start;
    TRY(segment_seal_point(catalog, &seq_after, err));
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)printf("{\"rows\":%" PRId64 ",\"steps\":%" PRId64
                 ",\"seconds\":%.4f,\"cpu_seconds\":%.4f,\"peak_bytes\":%ld}\n",
                 seq_after - seq_before, step_count - 1, seconds,
                 bench_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_start, usage.ru_maxrss * 1024);
    return true;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 2) {
        (void)fputs("usage: bench_seal DATA\n", stderr);
        return 2;
    }
    struct err err = {0};
    if (bench_run(arguments[1], &err))
        return 0;
    (void)fprintf(stderr, "bench_seal: %s\n", err.message);
    return 1;
}
