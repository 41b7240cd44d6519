// SPDX-License-Identifier: Apache-2.0
// The ledger: every window that a subscription has had since it is active, computed and never taken
// from the jobs that happen to exist (catalog/subscription_windows.h), with what became of it. A
// window without a job is thereby seen.
#include "api/api_handlers.h"
#include "api/api_page.h"
#include "api/api_reply.h"
#include "api/api_subscriptions.h"
#include "api/api_write.h"
#include "base/civil.h"
#include "base/mem.h"
#include "catalog/subscription_windows.h"

#define API_LEDGER_WINDOWS_MAX ((int64_t)API_PAGE_MAX) // per reply
#define API_LEDGER_CHUNK       INT64_C(256)            // windows whose jobs are in memory at a time

struct api_ledger {
    struct api_call *call;
    struct subscription subscription;
    struct subscription_stretch *stretches; // clipped to what was asked, on window edges
    size_t stretch_count;
    struct subscription_pauses pauses;
    bool only_gaps;
    int64_t skip_count; // windows left out at the front
    struct api_page page;
};

struct api_window {
    int64_t start_ms;
    int64_t end_ms;
};

static const char *api_window_state(const struct api_ledger *ledger, struct api_window window,
                                    const struct job *last)
{
    if (last != NULL && last->is_restoring)
        return "SUCCEEDED"; // it was delivered, and comes again
    if (last != NULL) {
        switch (last->state) {
        case JOB_PENDING_GENERATION:
            return "PENDING";
        case JOB_RUNNING:
        case JOB_PENDING_UPLOAD:
            return "RUNNING";
        case JOB_SUCCEEDED:
            return "SUCCEEDED";
        case JOB_FAILED:
            return "FAILED";
        }
    }
    if (window.end_ms > ledger->call->now_ms)
        return "OPEN";
    if (subscription_pauses_leave_out(&ledger->pauses, window.end_ms))
        return "PAUSED";
    const struct subscription *subscription = &ledger->subscription;
    const bool is_scheduled = subscription->status == SUBSCRIPTION_PENDING ||
                              subscription->status == SUBSCRIPTION_ACTIVE;
    // The scheduler makes these next, oldest first.
    if (is_scheduled && window.start_ms >= subscription->scheduled_to_ms)
        return "PENDING";
    return "MISSING";
}

// A late revision is looked at once it is known to have rows, or could not find out.
static bool api_is_shown(const struct job *job)
{
    return job->is_visible || job->state == JOB_FAILED;
}

static void api_write_ledger_job(struct json_text *json, const struct job *job)
{
    json_text_open(json, '{');
    json_text_member_text(json, "job_id", job->id);
    json_text_member_int64(json, "revision", job->revision);
    json_text_member_text(json, "status", job_state_name(job->state));
    json_text_member_int64(json, "lines_exported",
                           job->state == JOB_SUCCEEDED ? job->row_count : 0);
    json_text_member_text(json, "reason", job->state == JOB_SUCCEEDED ? NULL : job->reason);
    json_text_close(json, '}');
}

static void api_write_window(struct api_ledger *ledger, struct api_window window,
                             const struct job *jobs, size_t count)
{
    const struct job *last = NULL;
    for (size_t i = 0; i < count; i++) {
        if (api_is_shown(&jobs[i]))
            last = &jobs[i];
    }
    const char *state = api_window_state(ledger, window, last);
    if (ledger->only_gaps && (strcmp(state, "SUCCEEDED") == 0 || strcmp(state, "OPEN") == 0))
        return;
    if (!api_page_takes(&ledger->page, (struct api_place){.number = window.start_ms}))
        return;
    struct json_text *json = &ledger->call->json;
    json_text_open(json, '{');
    api_write_time(json, "start_date", window.start_ms);
    api_write_time(json, "end_date", window.end_ms);
    json_text_member_text(json, "state", state);
    json_text_key(json, "jobs");
    json_text_open(json, '[');
    for (size_t i = 0; i < count; i++) {
        if (api_is_shown(&jobs[i]))
            api_write_ledger_job(json, &jobs[i]);
    }
    json_text_close(json, ']');
    json_text_close(json, '}');
}

// At most API_LEDGER_CHUNK windows.
static bool api_write_chunk(struct api_ledger *ledger, const struct subscription_stretch *chunk,
                            struct err *err)
{
    const int64_t step_ms = cadence_ms(chunk->cadence);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job *jobs = NULL;
    size_t count = 0;
    TRY(job_ledger(ledger->call->catalog, ledger->subscription.id, chunk->start_ms, chunk->end_ms,
                   &arena, &jobs, &count, err));
    size_t next = 0;
    for (int64_t at_ms = chunk->start_ms; at_ms < chunk->end_ms; at_ms += step_ms) {
        while (next < count && jobs[next].start_ms < at_ms)
            next++;
        size_t last = next;
        while (last < count && jobs[last].start_ms == at_ms)
            last++;
        api_write_window(ledger, (struct api_window){at_ms, at_ms + step_ms}, jobs + next,
                         last - next);
        next = last;
    }
    return true;
}

static bool api_write_stretch(struct api_ledger *ledger, struct subscription_stretch stretch,
                              struct err *err)
{
    const int64_t step_ms = cadence_ms(stretch.cadence);
    const int64_t window_count = (stretch.end_ms - stretch.start_ms) / step_ms;
    if (ledger->skip_count >= window_count) {
        ledger->skip_count -= window_count;
        return true;
    }
    stretch.start_ms += ledger->skip_count * step_ms;
    ledger->skip_count = 0;
    const int64_t chunk_ms = API_LEDGER_CHUNK * step_ms;
    while (stretch.start_ms < stretch.end_ms && !api_page_is_over(&ledger->page)) {
        struct subscription_stretch chunk = stretch;
        if (chunk.end_ms - chunk.start_ms > chunk_ms)
            chunk.end_ms = chunk.start_ms + chunk_ms;
        TRY(api_write_chunk(ledger, &chunk, err));
        stretch.start_ms = chunk.end_ms;
    }
    return true;
}

// Start of the first window at or after the instant.
static int64_t api_edge_from(enum cadence cadence, int64_t time_ms)
{
    const int64_t start_ms = window_start_of(cadence, time_ms);
    return start_ms == time_ms ? time_ms : start_ms + cadence_ms(cadence);
}

static bool api_date_parameter(struct api_call *call, const char *name, int64_t *ret_time_ms,
                               struct err *err)
{
    struct slice text;
    TRY(api_call_query(call, name, &text, err));
    if (slice_is_empty(text) || civil_parse(text, ret_time_ms))
        return true;
    return api_refuse(call, err, 400, "Invalid date");
}

// Cuts the stretches to [from, to) and to the window that is open now; returns the count of
// windows.
static int64_t api_clip_stretches(struct api_ledger *ledger, int64_t from_ms, int64_t to_ms)
{
    int64_t window_count = 0;
    for (size_t i = 0; i < ledger->stretch_count; i++) {
        struct subscription_stretch *stretch = &ledger->stretches[i];
        const enum cadence cadence = stretch->cadence;
        const int64_t step_ms = cadence_ms(cadence);
        const int64_t open_end_ms = window_start_of(cadence, ledger->call->now_ms) + step_ms;
        const int64_t until_ms = to_ms < open_end_ms ? to_ms : open_end_ms;
        const int64_t start_ms = stretch->start_ms > from_ms ? stretch->start_ms : from_ms;
        const int64_t end_ms = stretch->end_ms < until_ms ? stretch->end_ms : until_ms;
        stretch->start_ms = api_edge_from(cadence, start_ms);
        stretch->end_ms = api_edge_from(cadence, end_ms);
        if (stretch->end_ms < stretch->start_ms)
            stretch->end_ms = stretch->start_ms;
        window_count += (stretch->end_ms - stretch->start_ms) / step_ms;
    }
    return window_count;
}

static bool api_open_ledger(struct api_ledger *ledger, struct err *err)
{
    struct api_call *call = ledger->call;
    const int64_t unset = INT64_MIN;
    int64_t from_ms = unset;
    int64_t to_ms = unset;
    TRY(api_date_parameter(call, "start_date", &from_ms, err));
    TRY(api_date_parameter(call, "end_date", &to_ms, err));
    TRY(api_page_open(call, API_PAGE_ASCENDING, &ledger->page, err));
    TRY(api_find_subscription(call, &ledger->subscription, err));
    TRY(subscription_stretches(call->catalog, ledger->subscription.id, call->arena,
                               &ledger->stretches, &ledger->stretch_count, err));
    TRY(subscription_get_pauses(call->catalog, ledger->subscription.id, call->arena,
                                &ledger->pauses, err));
    const bool is_from_oldest = from_ms != unset || ledger->only_gaps || ledger->page.has_limit;
    from_ms = from_ms == unset ? 0 : from_ms;
    if (ledger->page.has_start && ledger->page.start.number > from_ms)
        from_ms = ledger->page.start.number;
    const int64_t window_count = api_clip_stretches(ledger, from_ms,
                                                    to_ms == unset ? INT64_MAX : to_ms);
    // Without a start the newest windows are what is asked for; gaps are looked for from the
    // oldest, and pages begin there.
    if (!is_from_oldest && window_count > API_LEDGER_WINDOWS_MAX)
        ledger->skip_count = window_count - API_LEDGER_WINDOWS_MAX;
    return true;
}

static bool api_write_ledger(struct api_call *call, bool only_gaps, struct err *err)
{
    struct api_ledger ledger = {.call = call, .only_gaps = only_gaps};
    TRY(api_open_ledger(&ledger, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < ledger.stretch_count; i++)
        TRY(api_write_stretch(&ledger, ledger.stretches[i], err));
    json_text_close(&call->json, ']');
    api_page_close(&ledger.page);
    return true;
}

bool api_ledger_windows(struct api_call *call, struct err *err)
{
    return api_write_ledger(call, false, err);
}

bool api_ledger_gaps(struct api_call *call, struct err *err)
{
    return api_write_ledger(call, true, err);
}
