// SPDX-License-Identifier: Apache-2.0
#include "cli/serve_roles.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "lake/ingest_log.h"
#include "store/store.h"

#define SERVE_MEMORY_BATCH_BYTES INT64_C(1048576)
#define SERVE_API_POLL_MS        INT64_C(1000)

static void serve_wake(void *context)
{
    wake_all(context);
}

static void serve_leave_socket(const struct serve *serve)
{
    if (serve->listen_fd >= 0)
        (void)close(serve->listen_fd);
}

static void serve_free_api(struct api **api)
{
    api_close(api, 0);
}

static struct api_destination_settings serve_describe_destinations(const struct serve *serve)
{
    const struct serve_options *options = &serve->options;
    return (struct api_destination_settings){
        .has_aws = destinations_have_aws(&serve->destinations),
        .aws_account_id = options->aws.account_id,
        .has_gcp = destinations_have_gcp(&serve->destinations),
        .has_mail = smtp_settings_are_given(&options->smtp),
        .mail_allowed_recipients = options->smtp.allowed_recipients,
        .customer_endpoints = options->destination.customer_endpoints,
        .has_proxy = options->destination.proxy != NULL,
    };
}

bool serve_run_api(const struct supervisor_process *process, int ready_fd, struct err *err)
{
    struct serve *serve = process->context;
    const struct serve_options *options = &serve->options;
    struct stop stop;
    stop_init(&stop);
    const struct ingest_log_config log_config = {
        .data_directory = serve->data.path,
        .catalog_path = serve->data.catalog_path,
        .clock = clock_system(),
        .file_bytes = options->ingest_file_bytes,
        .file_age_ms = options->ingest_file_age_ms,
        .memory_batch_bytes = SERVE_MEMORY_BATCH_BYTES,
        .memory_limit_bytes = options->ingest_memory_bytes,
        .accept_loss = options->accept_loss,
        .on_change = serve_wake,
        .context = &serve->wake,
    };
    struct ingest_log *log CLEANUP(ingest_log_close) = NULL;
    if (!ingest_log_open(&log_config, &log, err)) {
        if (err->kind == ERR_CORRUPT)
            (void)err_wrap(err, "not started (--accept-loss sets the damage aside and goes on)");
        return false;
    }
    const char *report = ingest_log_recovery_report(log);
    if (report[0] != '\0')
        log_event(LOG_ERROR, "events_lost", "report", report, NULL);
    struct store *bucket CLEANUP(store_close) = NULL;
    TRY(store_file_open(serve->data.exports_path, &bucket, err));
    struct api_config config = {
        .settings = options->api,
        .data_directory = serve->data.path,
        .catalog_path = serve->data.catalog_path,
        .clock = clock_system(),
        .listen_fd = serve->listen_fd,
        .listen_address = serve->address,
        .tls_certificate_pem = serve->tls_certificate_pem,
        .tls_key_pem = serve->tls_key_pem,
        .log = log,
        .bucket = bucket,
        .hosted = &options->hosted,
        .secret_keys = serve->data.secret_keys,
        .secret_key_count = serve->data.secret_key_count,
        .on_change = serve_wake,
        .context = &serve->wake,
    };
    config.settings.export_retention_ms = options->worker.file_retention_ms;
    config.settings.hourly_grace_ms = options->scheduler.hourly_grace_ms;
    config.settings.daily_grace_ms = options->scheduler.daily_grace_ms;
    config.settings.destinations = serve_describe_destinations(serve);
    config.settings.notify = (struct api_notify_settings){
        .limit = options->notify.limit,
        .has_mail = smtp_settings_are_given(&options->smtp),
        .has_proxy = options->notify.proxy != NULL,
    };
    config.settings.allowed_networks = options->destination.allowed_networks;
    static_assert(sizeof config.url_key == sizeof serve->data.url_key, "one key");
    memcpy(config.url_key, serve->data.url_key, sizeof config.url_key);
    struct api *api CLEANUP(serve_free_api) = NULL;
    TRY(api_open(&config, &api, err));
    if (ready_fd >= 0) {
        (void)!write(ready_fd, "r", 1); // a supervisor that is gone takes us with it
        (void)close(ready_fd);
    }
    while (!stop_poll(&stop))
        wake_wait(&serve->wake, process->index, stop.fd, SERVE_API_POLL_MS);
    api_close(&api, options->drain_ms / 2);
    return true;
}

bool serve_run_scheduler(const struct supervisor_process *process, int ready_fd, struct err *err)
{
    ASSERT(ready_fd < 0);
    const struct serve *serve = process->context;
    serve_leave_socket(serve);
    struct stop stop;
    stop_init(&stop);
    const struct scheduler_config config = {
        .options = &serve->options.scheduler,
        .catalog_path = serve->data.catalog_path,
        .exports_directory = serve->data.exports_path,
        .spool_directory = serve->data.spool_path,
        .hosted = &serve->options.hosted,
        .node_id = serve->data.node_id,
        .daily_file_rows = serve->options.api.daily.file_rows,
        .late_ms = serve->options.notify.late_ms,
        .notice_retention_ms = serve->options.notify.retention_days * CIVIL_DAY_MS,
        .clock = clock_system(),
        .wake = &serve->wake,
        .wake_index = process->index,
        .stop = &stop,
    };
    return scheduler_run(&config, err);
}

// Each process spills into a directory of its own, which it finds empty also after a kill.
static bool serve_describe_worker(const struct serve *serve,
                                  const struct supervisor_process *process, struct arena *arena,
                                  struct stop *stop, struct worker_config *ret_config,
                                  struct err *err)
{
    const char *temp_directory = arena_format(arena, "%s/%zu", serve->data.temp_path,
                                              process->index);
    TRY(file_make_directories(temp_directory, err));
    TRY(data_directory_empty(temp_directory, err));
    *ret_config = (struct worker_config){
        .worker = &serve->options.worker,
        .keeper = &serve->options.keeper,
        .data_directory = serve->data.path,
        .catalog_path = serve->data.catalog_path,
        .temp_directory = temp_directory,
        .clock = clock_system(),
        .supervisor_id = serve->supervisor_id,
        .destinations = &serve->destinations,
        .spool_directory = serve->data.spool_path,
        .node_id = serve->data.node_id,
        .wake = &serve->wake,
        .wake_index = process->index,
        .is_reserve = process->is_first && serve->options.worker_count > 1,
        .delivery_limit = serve->options.worker_count / 2, // of one: none
        .stop = stop,
    };
    return true;
}

static bool serve_run_as(const struct supervisor_process *process,
                         bool (*run)(const struct worker_config *config, struct err *err),
                         struct err *err)
{
    serve_leave_socket(process->context);
    struct stop stop;
    stop_init(&stop);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct worker_config config;
    TRY(serve_describe_worker(process->context, process, &arena, &stop, &config, err));
    return run(&config, err);
}

bool serve_run_keeper(const struct supervisor_process *process, int ready_fd, struct err *err)
{
    ASSERT(ready_fd < 0);
    return serve_run_as(process, keeper_run, err);
}

bool serve_run_worker(const struct supervisor_process *process, int ready_fd, struct err *err)
{
    ASSERT(ready_fd < 0);
    return serve_run_as(process, worker_run, err);
}

bool serve_run_notifier(const struct supervisor_process *process, int ready_fd, struct err *err)
{
    ASSERT(ready_fd < 0);
    const struct serve *serve = process->context;
    serve_leave_socket(serve);
    struct stop stop;
    stop_init(&stop);
    const struct notifier_config config = {
        .options = &serve->options.notify,
        .smtp = &serve->options.smtp,
        .allowed_networks = &serve->options.destination.allowed_networks,
        .catalog_path = serve->data.catalog_path,
        .node_id = serve->data.node_id,
        .clock = clock_system(),
        .secret_keys = serve->data.secret_keys,
        .secret_key_count = serve->data.secret_key_count,
        .drain_ms = serve->options.drain_ms,
        .wake = &serve->wake,
        .wake_index = process->index,
        .stop = &stop,
    };
    return notifier_run(&config, err);
}

bool serve_accept_clock(const struct serve *serve, struct err *err)
{
    if (!serve->options.accept_clock)
        return true;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct clock_guard guard = {.clock = clock_system()};
    TRY(clock_guard_read_boot_id(&arena, &guard.boot_id, err));
    struct catalog *catalog CLEANUP(catalog_close) = NULL;
    TRY(catalog_open(serve->data.catalog_path, &catalog, err));
    return clock_guard_accept(&guard, catalog, err);
}
