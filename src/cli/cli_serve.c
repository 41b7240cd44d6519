// SPDX-License-Identifier: Apache-2.0
// `milkrun serve`: reads the configuration, takes the data directory and the port, and hands
// processes to the supervisor. What each process opens is in serve_roles.c.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/gzip.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/cli.h"
#include "cli/serve_roles.h"
#include "cli/supervisor.h"
#include "net/http_server.h"

#define SERVE_LOCK_WAIT_MS INT64_C(3000)
// A catalog transaction takes 50 ms at most; writers wait 30 s before they give up.
#define SERVE_WRITER_LIMIT_MS INT64_C(10000)
#define SERVE_PEM_BYTES_MAX   ((size_t)256 * 1024)
#define SERVE_PROCESSES_MAX   (WAKE_COUNT_MAX)
#define SERVE_SUPERVISOR_ID   ((size_t)16)

static const struct option serve_option_table[] = {
    {.name = "data",
     .type = OPTION_TEXT,
     .offset = offsetof(struct serve_options, data),
     .flags = OPTION_REQUIRED,
     .doc = "The data directory, made by `milkrun init`"},
    {.name = "listen",
     .type = OPTION_TEXT,
     .offset = offsetof(struct serve_options, listen),
     .default_text = "127.0.0.1:8080",
     .doc = "HOST:PORT to serve; port 0 picks a free one"},
    {.name = "roles",
     .type = OPTION_LIST,
     .offset = offsetof(struct serve_options, roles),
     .default_text = "api,scheduler,worker",
     .doc = "What runs here: api, scheduler, worker"},
    {.name = "workers",
     .type = OPTION_INT64,
     .offset = offsetof(struct serve_options, worker_count),
     .default_text = "2",
     .min = 0,
     .max = 48,
     .doc = "Worker processes that run jobs, besides the one that keeps the lake; where there are "
            "several organizations, one of several workers leaves backfills, custom exports and "
            "deliveries to the others"},
    {.name = "config",
     .type = OPTION_TEXT,
     .offset = offsetof(struct serve_options, config),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Configuration file"},
    {.name = "tls_cert",
     .type = OPTION_TEXT,
     .offset = offsetof(struct serve_options, tls_cert),
     .doc = "Certificate chain (PEM): serve HTTPS"},
    {.name = "tls_key",
     .type = OPTION_TEXT,
     .offset = offsetof(struct serve_options, tls_key),
     .doc = "Private key of the certificate (PEM)"},
    {.name = "log_level",
     .type = OPTION_TEXT,
     .offset = offsetof(struct serve_options, log_level),
     .default_text = "info",
     .doc = "Least level that is logged: debug, info, warn, error"},
    {.name = "drain_ms",
     .type = OPTION_INT64,
     .offset = offsetof(struct serve_options, drain_ms),
     .default_text = "10000",
     .min = 0,
     .max = 3600000,
     .unit = "ms",
     .doc = "Time that requests and jobs in progress have after SIGTERM"},
    {.name = "accept_loss",
     .type = OPTION_BOOL,
     .offset = offsetof(struct serve_options, accept_loss),
     .default_text = "false",
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Start although acknowledged bytes of the ingest log are damaged: they are set aside"},
    {.name = "accept_clock",
     .type = OPTION_BOOL,
     .offset = offsetof(struct serve_options, accept_clock),
     .default_text = "false",
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "The wall clock is right although it jumped: deletion of files and events goes on"},
    {.name = "ingest.memory_bytes",
     .type = OPTION_INT64,
     .offset = offsetof(struct serve_options, ingest_memory_bytes),
     .default_text = "50331648",
     .min = 4194304,
     .max = 17179869184,
     .unit = "bytes",
     .doc = "Memory for batches on their way into the log; beyond it 503"},
    {.name = "ingest.file_bytes",
     .type = OPTION_INT64,
     .offset = offsetof(struct serve_options, ingest_file_bytes),
     .default_text = "67108864",
     .min = 4194304,
     .max = 1073741824,
     .unit = "bytes",
     .doc = "Size of a file of the ingest log"},
    {.name = "ingest.file_age_ms",
     .type = OPTION_INT64,
     .offset = offsetof(struct serve_options, ingest_file_age_ms),
     .default_text = "1000",
     .min = 10,
     .max = 600000,
     .unit = "ms",
     .doc = "A log file is closed, to be sealed, so long after its first batch"},
};

static size_t serve_fill_sets(struct serve_options *options,
                              struct option_set ret_sets[CLI_SETS_MAX])
{
    size_t count = 0;
    ret_sets[count++] = (struct option_set){serve_option_table, ARRAY_COUNT(serve_option_table),
                                            options};
    ret_sets[count++] = (struct option_set){api_options, api_option_count,
                                            options == NULL ? NULL : &options->api};
    ret_sets[count++] = (struct option_set){scheduler_option_table, scheduler_option_count,
                                            options == NULL ? NULL : &options->scheduler};
    ret_sets[count++] = (struct option_set){worker_option_table, worker_option_count,
                                            options == NULL ? NULL : &options->worker};
    ret_sets[count++] = (struct option_set){keeper_option_table, keeper_option_count,
                                            options == NULL ? NULL : &options->keeper};
    ret_sets[count++] = (struct option_set){destination_option_table, destination_option_count,
                                            options == NULL ? NULL : &options->destination};
    ret_sets[count++] = (struct option_set){notify_option_table, notify_option_count,
                                            options == NULL ? NULL : &options->notify};
    ret_sets[count++] = (struct option_set){hosted_option_table, hosted_option_count,
                                            options == NULL ? NULL : &options->hosted};
    ret_sets[count++] = (struct option_set){aws_option_table, aws_option_count,
                                            options == NULL ? NULL : &options->aws};
    ret_sets[count++] = (struct option_set){gcp_option_table, gcp_option_count,
                                            options == NULL ? NULL : &options->gcp};
    ret_sets[count++] = (struct option_set){smtp_option_table, smtp_option_count,
                                            options == NULL ? NULL : &options->smtp};
    ASSERT(count <= CLI_SETS_MAX);
    return count;
}

static size_t serve_list_options(struct option_set ret_sets[CLI_SETS_MAX])
{
    return serve_fill_sets(NULL, ret_sets);
}

static bool serve_read_roles(const struct serve_options *options, struct serve *serve,
                             struct err *err)
{
    for (size_t i = 0; i < options->roles.count; i++) {
        const char *role = options->roles.items[i];
        if (strcmp(role, "api") == 0)
            serve->has_api = true;
        else if (strcmp(role, "scheduler") == 0)
            serve->has_scheduler = true;
        else if (strcmp(role, "worker") == 0)
            serve->has_worker = true;
        else
            return err_set(err, ERR_INVALID, "--roles: unknown role %s", role);
    }
    return true;
}

static bool serve_read_pem(const char *path, struct arena *arena, const char **ret_pem,
                           struct err *err)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, SERVE_PEM_BYTES_MAX);
    TRY(file_read(path, &text, err));
    *ret_pem = arena_copy_text(arena, buf_text(&text));
    return true;
}

static bool serve_read_tls(struct serve *serve, struct arena *arena, struct err *err)
{
    const struct serve_options *options = &serve->options;
    if ((options->tls_cert == NULL) != (options->tls_key == NULL))
        return err_set(err, ERR_INVALID, "--tls-cert and --tls-key belong together");
    if (options->tls_cert == NULL)
        return true;
    TRY(serve_read_pem(options->tls_cert, arena, &serve->tls_certificate_pem, err));
    return serve_read_pem(options->tls_key, arena, &serve->tls_key_pem, err);
}

// "127.0.0.1:0" and the port that it became -> "127.0.0.1:43210".
static bool serve_listen(struct serve *serve, struct arena *arena, struct err *err)
{
    int port = 0;
    TRY(http_listen(serve->options.listen, &serve->listen_fd, &port, err));
    const char *colon = strrchr(serve->options.listen, ':');
    ASSERT(colon != NULL);
    serve->address = arena_format(arena, "%.*s:%d", (int)(colon - serve->options.listen),
                                  serve->options.listen, port);
    return true;
}

// The first base URL that was given, without a slash at its end; else the address.
static const char *serve_base_url(const struct serve *serve, struct arena *arena)
{
    const struct option_list *base_urls = &serve->options.api.base_urls;
    if (base_urls->count == 0)
        return arena_format(arena, "%s://%s", serve->tls_certificate_pem == NULL ? "http" : "https",
                            serve->address == NULL ? serve->options.listen : serve->address);
    char *url = arena_copy_text(arena, base_urls->items[0]);
    for (size_t size = strlen(url); size > 0 && url[size - 1] == '/'; size--)
        url[size - 1] = '\0';
    return url;
}

static bool serve_describe(struct serve *serve, const struct cli_invocation *invocation,
                           struct err *err)
{
    const struct serve_options *options = &serve->options;
    serve->destinations = (struct destinations_net_config){
        .settings = &options->destination,
        .hosted = &options->hosted,
        .aws = &options->aws,
        .gcp = &options->gcp,
        .smtp = &options->smtp,
        .environment = invocation->input.environment,
        .secret_keys = serve->data.secret_keys,
        .secret_key_count = serve->data.secret_key_count,
        .base_url = serve_base_url(serve, invocation->arena),
        .url_key = slice_of(serve->data.url_key, sizeof serve->data.url_key),
        .clock = clock_system(),
    };
    return destinations_net_check(&serve->destinations, err);
}

static size_t serve_list_processes(struct serve *serve,
                                   struct supervisor_process ret_processes[SERVE_PROCESSES_MAX])
{
    size_t count = 0;
    if (serve->has_api)
        ret_processes[count++] =
            (struct supervisor_process){.name = "api", .run = serve_run_api, .is_awaited = true};
    if (serve->has_scheduler)
        ret_processes[count++] = (struct supervisor_process){.name = "scheduler",
                                                             .run = serve_run_scheduler};
    if (serve->has_worker)
        ret_processes[count++] = (struct supervisor_process){.name = "keeper",
                                                             .run = serve_run_keeper};
    if (serve->has_worker)
        ret_processes[count++] = (struct supervisor_process){.name = "notifier",
                                                             .run = serve_run_notifier};
    for (int64_t i = 0; serve->has_worker && i < serve->options.worker_count; i++)
        ret_processes[count++] = (struct supervisor_process){
            .name = "worker", .run = serve_run_worker, .is_first = i == 0};
    ASSERT(count <= SERVE_PROCESSES_MAX);
    for (size_t i = 0; i < count; i++) {
        ret_processes[i].index = i;
        ret_processes[i].context = serve;
    }
    return count;
}

static void serve_on_ready(void *context)
{
    const struct serve *serve = context;
    if (!serve->has_api)
        return;
    const char *scheme = serve->tls_certificate_pem == NULL ? "http" : "https";
    (void)printf("listening on %s://%s\n", scheme, serve->address);
    (void)fflush(stdout);
    log_event(LOG_INFO, "ready", "address", serve->address, NULL);
}

static bool serve_prepare(struct serve *serve, const struct cli_invocation *invocation,
                          struct err *err)
{
    struct option_set sets[CLI_SETS_MAX];
    const size_t set_count = serve_fill_sets(&serve->options, sets);
    TRY(option_read(sets, set_count, &invocation->input, invocation->arena, NULL, NULL, err));
    enum log_level level;
    if (!log_level_parse(serve->options.log_level, &level))
        return err_set(err, ERR_INVALID, "--log-level: debug, info, warn or error");
    log_setup(level, "supervisor");
    TRY(serve_read_roles(&serve->options, serve, err));
    TRY(serve_read_tls(serve, invocation->arena, err));
    TRY(smtp_settings_check(&serve->options.smtp, err));
    if (!gzip_self_check())
        return err_set(
            err, ERR_UNAVAILABLE,
            "this CPU compresses to other bytes than the supported ones (SSE4.2 needed)");
    TRY(data_directory_open(serve->options.data, invocation->arena, &serve->data, err));
    TRY(data_directory_lock(&serve->data, SERVE_LOCK_WAIT_MS, err));
    TRY(data_directory_load_secrets(&serve->data, err));
    TRY(data_directory_empty(serve->data.temp_path, err));
    char *supervisor_id = arena_alloc(invocation->arena, SERVE_SUPERVISOR_ID + 1);
    rng_text(rng_system(), supervisor_id, SERVE_SUPERVISOR_ID);
    serve->supervisor_id = supervisor_id;
    if (serve->has_api)
        TRY(serve_listen(serve, invocation->arena, err));
    return serve_describe(serve, invocation, err);
}

static bool serve_run(const struct cli_invocation *invocation, struct err *err)
{
    struct serve serve = {.listen_fd = -1};
    TRY(serve_prepare(&serve, invocation, err));
    TRY(serve_accept_clock(&serve, err));
    struct supervisor_process processes[SERVE_PROCESSES_MAX];
    const size_t process_count = serve_list_processes(&serve, processes);
    if (process_count == 0)
        return err_set(err, ERR_INVALID, "--roles: nothing to run");
    wake_init(&serve.wake, process_count);
    const struct supervisor_config config = {
        .processes = processes,
        .process_count = process_count,
        .drain_ms = serve.options.drain_ms,
        .catalog_path = serve.data.catalog_path,
        .writer_limit_ms = SERVE_WRITER_LIMIT_MS,
        .on_ready = serve_on_ready,
        .context = &serve,
    };
    const bool is_done = supervisor_run(&config, err);
    wake_clear(&serve.wake);
    return is_done;
}

const struct cli_command cli_serve_command = {
    .name = "serve",
    .usage = "serve --data DIR [--listen HOST:PORT] [OPTION...]",
    .summary = "run the server: api, scheduler and workers",
    .details =
        "Serves until SIGTERM, which lets requests and jobs in progress end. When it is ready,\n"
        "standard output has one line: listening on http://HOST:PORT. Logs go to standard\n"
        "error. One process serves a data directory at a time.",
    .run = serve_run,
    .list_options = serve_list_options,
};
