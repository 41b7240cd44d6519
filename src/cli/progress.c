// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define PROGRESS_WIDTH    30
#define PROGRESS_EVERY_MS 100

void progress_start(struct progress *progress, const char *name, uint64_t total_bytes)
{
    const char *slash = strrchr(name, '/');
    *progress = (struct progress){
        .name = slash == NULL ? name : slash + 1,
        .total_bytes = total_bytes > 0 ? total_bytes : 1,
        .started_ms = clock_boot_ms(clock_system()),
        .is_shown = isatty(STDERR_FILENO) == 1,
    };
}

void progress_show(struct progress *progress, uint64_t done_bytes, int64_t event_count)
{
    const int64_t now_ms = clock_boot_ms(clock_system());
    if (!progress->is_shown || now_ms - progress->shown_ms < PROGRESS_EVERY_MS)
        return;
    progress->shown_ms = now_ms;
    char bar[PROGRESS_WIDTH + 1];
    const double share = (double)done_bytes / (double)progress->total_bytes;
    const int filled = share >= 1 ? PROGRESS_WIDTH : (int)(share * PROGRESS_WIDTH);
    memset(bar, '.', PROGRESS_WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[PROGRESS_WIDTH] = '\0';
    const double seconds = (double)(now_ms - progress->started_ms + 1) / 1000;
    (void)fprintf(stderr, "\r%s [%s] %3.0f %%  %lld events  %.1f MB/s ", progress->name, bar,
                  share * 100, (long long)event_count, (double)done_bytes / 1e6 / seconds);
    (void)fflush(stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->is_shown)
        (void)fprintf(stderr, "\r\033[K");
}
