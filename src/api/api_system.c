// SPDX-License-Identifier: Apache-2.0
// Pages for operators and their monitors: no credentials, nothing of any tenant.
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/api_digests.h"
#include "api/api_executor.h"
#include "api/api_handlers.h"
#include "api/api_reply.h"
#include "base/check.h"
#include "catalog/notices.h"
#include "catalog/segments.h"
#include "lake/ingest_log.h"

// A server that is not ready gets no batches from its balancer, so it would never see that its disk
// works again: after this time without a failure the next batch finds out.
#define API_LOG_FAILURE_MS INT64_C(30000)

bool api_healthz(struct api_call *call, struct err *err)
{
    (void)err;
    json_text_open(&call->json, '{');
    json_text_member_text(&call->json, "status", "ok");
    json_text_member_text(&call->json, "version", MILKRUN_VERSION);
    json_text_close(&call->json, '}');
    return true;
}

// Looking costs no write: the directory takes files and the file system has room.
static bool api_check_log(const struct api_call *call, struct err *err)
{
    const char *path = arena_format(call->arena, "%s/log", call->api->config.data_directory);
    struct statvfs space;
    if (access(path, W_OK | X_OK) != 0 || statvfs(path, &space) != 0)
        return err_set_errno(err, "ingest log");
    if ((space.f_flag & ST_RDONLY) != 0)
        return err_set(err, ERR_IO, "ingest log: read-only file system");
    if (space.f_bavail == 0)
        return err_set(err, ERR_FULL, "ingest log: no space left");
    return true;
}

// Fails when the log has failed since it was last seen here, until it acknowledges a batch.
static bool api_check_log_writes(const struct api_call *call, struct err *err)
{
    struct api_log_seen *seen = &call->api->log_seen;
    const int64_t now_boot_ms = clock_boot_ms(call->api->config.clock);
    const int64_t batch_count = ingest_log_stats(call->api->config.log).batch_count;
    int64_t failure_count = 0;
    struct err failure = {0};
    ingest_log_last_failure(call->api->config.log, &failure_count, &failure);
    if (failure_count == 0)
        return true;
    if (atomic_load(&seen->failure_count) != failure_count) {
        atomic_store(&seen->batch_count, batch_count);
        atomic_store(&seen->at_boot_ms, now_boot_ms);
        atomic_store(&seen->failure_count, failure_count);
    }
    if (batch_count != atomic_load(&seen->batch_count) ||
        now_boot_ms - atomic_load(&seen->at_boot_ms) >= API_LOG_FAILURE_MS)
        return true;
    return err_set(err, failure.kind == ERR_FULL ? ERR_FULL : ERR_IO, "ingest log: %s",
                   failure.message);
}

static bool api_check_catalog(struct api_call *call, struct err *err)
{
    bool is_changed;
    TRY(api_call_catalog(call, err));
    return catalog_poll(call->catalog, &is_changed, err);
}

static void api_write_readiness(struct api_call *call, const char *part, bool is_ready,
                                const struct err *err)
{
    json_text_member_text(&call->json, part, is_ready ? "ok" : err_kind_name(err->kind));
    if (is_ready)
        return;
    call->status = 503;
    call->failure = arena_copy_text(call->arena, err->message);
}

bool api_readyz(struct api_call *call, struct err *err)
{
    json_text_open(&call->json, '{');
    api_write_readiness(call, "catalog", api_check_catalog(call, err), err);
    const bool takes_batches = api_check_log(call, err) && api_check_log_writes(call, err);
    api_write_readiness(call, "log", takes_batches, err);
    json_text_member_text(&call->json, "status", call->status == 200 ? "ready" : "unavailable");
    json_text_close(&call->json, '}');
    return true;
}

static void api_metric(struct buf *text, const char *name, const char *type, const char *help)
{
    buf_append_format(text, "# TYPE milkrun_%s %s\n# HELP milkrun_%s %s\n", name, type, name, help);
}

static void api_metric_number(struct buf *text, const char *name, int64_t value)
{
    buf_append_format(text, "milkrun_%s %lld\n", name, (long long)value);
}

static void api_write_request_metrics(struct api_call *call)
{
    static const char *const classes[API_STATUS_CLASSES] = {"none", "1xx", "2xx",
                                                            "3xx",  "4xx", "5xx"};
    struct buf *text = &call->reply;
    api_metric(text, "http_requests", "counter", "Requests that ended, by route and status class");
    for (size_t row = 0; row <= api_route_count; row++) {
        const char *pattern = row == api_route_count ? "" : api_routes[row].pattern;
        const char *method = row == api_route_count ? "" : api_routes[row].method;
        for (size_t class = 0; class < API_STATUS_CLASSES; class ++) {
            const uint64_t count = atomic_load_explicit(
                &call->api->request_counts[row * API_STATUS_CLASSES + class], memory_order_relaxed);
            if (count > 0)
                buf_append_format(
                    text,
                    "milkrun_http_requests_total{method=\"%s\",route=\"%s\",status=\"%s\"} %llu\n",
                    method, pattern, classes[class], (unsigned long long)count);
        }
    }
}

static void api_write_ingest_metrics(struct api_call *call)
{
    struct buf *text = &call->reply;
    const struct ingest_log_stats stats = ingest_log_stats(call->api->config.log);
    api_metric(text, "ingest_batches", "counter", "Batches acknowledged");
    api_metric_number(text, "ingest_batches_total", stats.batch_count);
    api_metric(text, "ingest_events", "counter", "Events acknowledged");
    api_metric_number(text, "ingest_events_total", stats.event_count);
    api_metric(text, "ingest_bytes", "counter", "Bytes of acknowledged batches");
    api_metric_number(text, "ingest_bytes_total", stats.byte_count);
    api_metric(text, "ingest_syncs", "counter", "Times the log was made durable");
    api_metric_number(text, "ingest_syncs_total", stats.sync_count);
    api_metric(text, "ingest_last_seq", "gauge", "Last acknowledged sequence number");
    api_metric_number(text, "ingest_last_seq", ingest_log_last_seq(call->api->config.log));
}

// Left out when the catalog cannot be asked: the other numbers matter the more then.
static void api_write_seal_metric(struct api_call *call)
{
    struct err err;
    int64_t sealed_seq = 0;
    if (!api_call_catalog(call, &err) || !segment_seal_point(call->catalog, &sealed_seq, &err))
        return;
    api_metric(&call->reply, "lake_sealed_seq", "gauge",
               "Events up to this sequence number are in segments");
    api_metric_number(&call->reply, "lake_sealed_seq", sealed_seq);
}

static void api_write_notice_metric(struct api_call *call)
{
    struct err err;
    int64_t count = 0;
    if (!api_call_catalog(call, &err) || !notice_count_waiting(call->catalog, &count, &err))
        return;
    api_metric(&call->reply, "notices_waiting", "gauge", "Notices that are still to be sent");
    api_metric_number(&call->reply, "notices_waiting", count);
}

bool api_metrics(struct api_call *call, struct err *err)
{
    (void)err;
    struct buf *text = &call->reply;
    call->content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    api_write_request_metrics(call);
    api_write_ingest_metrics(call);
    api_write_seal_metric(call);
    api_write_notice_metric(call);
    api_metric(text, "bucket_files_verified", "counter",
               "Export files that were read to check their hash");
    api_metric_number(text, "bucket_files_verified_total",
                      api_digests_read_count(call->api->digests));
    api_metric(text, "api_writers_waiting", "gauge", "Calls that wait for a writer thread");
    api_metric_number(text, "api_writers_waiting",
                      (int64_t)api_executor_waiting(call->api->executor));
    api_metric(text, "api_gzip_requests", "gauge", "gzip bodies being decoded");
    api_metric_number(text, "api_gzip_requests", atomic_load(&call->api->gzip_count));
    api_metric(text, "api_start_time_seconds", "gauge", "When this process began to serve");
    api_metric_number(text, "api_start_time_seconds", call->api->started_at_ms / 1000);
    buf_append_text(text, "# EOF\n");
    return true;
}
