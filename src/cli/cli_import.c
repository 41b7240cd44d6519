// SPDX-License-Identifier: Apache-2.0
// `milkrun import`: sends NDJSON files to a server in batches of whole lines. Each batch has an
// idempotency key made from the file's SHA-256 and the batch's number, so that a repeated import
// stores nothing twice.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "base/uri.h"
#include "cli/cli.h"
#include "cli/cli_call.h"
#include "cli/line_file.h"
#include "cli/progress.h"
#include "net/http_client.h"

#define IMPORT_CONNECT_MS     INT64_C(5000)
#define IMPORT_STALL_MS       INT64_C(60000)
#define IMPORT_BACKOFF_MAX_MS INT64_C(5000)

struct import_options {
    const char *url;
    const char *token;
    const char *app;
    const char *topic;
    int64_t batch_bytes;
    int64_t retry_limit_ms;
};

static const struct option import_option_table[] = {
    {.name = "url",
     .type = OPTION_TEXT,
     .offset = offsetof(struct import_options, url),
     .default_text = "http://127.0.0.1:8080",
     .doc = "The server"},
    {.name = "token",
     .type = OPTION_TEXT,
     .offset = offsetof(struct import_options, token),
     .flags = OPTION_REQUIRED,
     .doc = "Access token with ingest permission"},
    {.name = "app",
     .type = OPTION_TEXT,
     .offset = offsetof(struct import_options, app),
     .doc = "App id of the events (a token with operator_ingest may leave it to each line)"},
    {.name = "topic",
     .type = OPTION_TEXT,
     .offset = offsetof(struct import_options, topic),
     .flags = OPTION_REQUIRED,
     .doc = "Topic of the events"},
    {.name = "batch_bytes",
     .type = OPTION_INT64,
     .offset = offsetof(struct import_options, batch_bytes),
     .default_text = "4194304",
     .min = 1048576,
     .max = 1073741824,
     .unit = "bytes",
     .doc = "Size of one request; part of the idempotency key"},
    {.name = "retry_limit_ms",
     .type = OPTION_INT64,
     .offset = offsetof(struct import_options, retry_limit_ms),
     .default_text = "60000",
     .min = 0,
     .max = 86400000,
     .unit = "ms",
     .doc = "How long one batch is tried while the server is busy or away"},
};

static size_t import_list_options(struct option_set ret_sets[CLI_SETS_MAX])
{
    ret_sets[0] = (struct option_set){import_option_table, ARRAY_COUNT(import_option_table), NULL};
    return 1;
}

struct import {
    const struct import_options *options;
    struct http_client *client;
    char *url;
    int64_t event_count;
    int64_t batch_count;
    int64_t byte_count;
};

static void import_pause(int64_t pause_ms)
{
    const struct timespec pause = {.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static bool import_read_reply(struct import *import, int status, const struct buf *body,
                              struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    if (!json_tree_parse(buf_slice(body), &tree, err))
        return err_set(err, ERR_UNAVAILABLE, "status %d without a JSON body", status);
    const struct json_node *root = json_tree_root(tree);
    if (status == 200) {
        import->event_count += json_node_int64(json_node_get(root, "accepted"));
        return true;
    }
    return cli_call_fail(status, root, err);
}

static bool import_try_batch(struct import *import, struct slice lines, const char *key,
                             int64_t *ret_retry_after_s, struct err *err)
{
    const struct http_client_header headers[] = {
        {"Access-Token", import->options->token},
        {"Idempotency-Key", key},
        {"Content-Type", "application/x-ndjson"},
    };
    struct slice rest = lines;
    const struct http_client_call call = {
        .url = import->url,
        .headers = headers,
        .header_count = ARRAY_COUNT(headers),
        .body_bytes = (int64_t)lines.size_bytes,
        .read = cli_call_read_slice,
        .context = &rest,
    };
    struct buf body CLEANUP(buf_clear);
    buf_init(&body, HTTP_CLIENT_REPLY_BYTES_MAX);
    struct http_client_reply reply;
    TRY(http_client_send(import->client, &call, &reply, &body, err));
    *ret_retry_after_s = reply.retry_after_s;
    return import_read_reply(import, reply.status, &body, err);
}

static bool import_send_batch(struct import *import, struct slice lines, const char *key,
                              struct err *err)
{
    const struct clock *clock = clock_system();
    const int64_t until_ms = clock_boot_ms(clock) + import->options->retry_limit_ms;
    for (int64_t pause_ms = 100;; pause_ms *= 2) {
        int64_t retry_after_s = 0;
        if (import_try_batch(import, lines, key, &retry_after_s, err)) {
            import->batch_count++;
            import->byte_count += (int64_t)lines.size_bytes;
            return true;
        }
        if (err->kind != ERR_UNAVAILABLE || clock_boot_ms(clock) >= until_ms)
            return false;
        if (pause_ms > IMPORT_BACKOFF_MAX_MS)
            pause_ms = IMPORT_BACKOFF_MAX_MS;
        import_pause(retry_after_s * 1000 > pause_ms ? retry_after_s * 1000 : pause_ms);
    }
}

static bool import_file(struct import *import, const char *path, struct err *err)
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_CHARS + 1];
    uint64_t size_bytes = 0;
    TRY(file_digest(path, digest, &size_bytes, err));
    hex_encode(slice_of(digest, sizeof digest), hex);
    struct line_file *file CLEANUP(line_file_close) = NULL;
    TRY(line_file_open(path, (size_t)import->options->batch_bytes, &file, err));
    struct progress progress;
    progress_start(&progress, path, size_bytes);
    for (int64_t number = 0;; number++) {
        struct slice lines;
        TRY(line_file_next(file, &lines, err));
        if (lines.size_bytes == 0)
            break;
        char key[128];
        (void)snprintf(key, sizeof key, "%s-%lld-%lld", hex,
                       (long long)import->options->batch_bytes, (long long)number);
        if (!import_send_batch(import, lines, key, err))
            return err_wrap(err, "%s: batch %lld (from line %lld)", path, (long long)number,
                            (long long)line_file_first_line(file));
        progress_show(&progress, line_file_position(file), import->event_count);
    }
    progress_end(&progress);
    return true;
}

static bool import_run_files(struct import *import, const struct cli_invocation *invocation,
                             size_t file_count, struct err *err)
{
    struct buf url CLEANUP(buf_clear);
    buf_init(&url, 4096);
    const struct import_options *options = import->options;
    TRY(cli_call_append_base(&url, options->url, err));
    buf_append_text(&url, "/v1/events/");
    uri_append_encoded(&url, slice_text(options->topic), "");
    if (options->app != NULL) {
        buf_append_text(&url, "?app_id=");
        uri_append_encoded(&url, slice_text(options->app), "");
    }
    TRY(buf_check(&url, err));
    import->url = arena_copy_text(invocation->arena, buf_text(&url));
    for (size_t i = 0; i < file_count; i++)
        TRY(import_file(import, invocation->operands[i], err));
    return true;
}

static bool import_run(const struct cli_invocation *invocation, struct err *err)
{
    struct import_options options = {0};
    const struct option_set set = {import_option_table, ARRAY_COUNT(import_option_table), &options};
    size_t file_count = 0;
    TRY(option_read(&set, 1, &invocation->input, invocation->arena, invocation->operands,
                    &file_count, err));
    if (file_count == 0)
        return err_set(err, ERR_INVALID, "no files given; see milkrun help import");
    const struct http_client_config config = {
        .connect_timeout_ms = IMPORT_CONNECT_MS,
        .stall_timeout_ms = IMPORT_STALL_MS,
    };
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&config, &client);
    struct import import = {.options = &options, .client = client};
    const int64_t started_ms = clock_boot_ms(clock_system());
    const bool is_done = import_run_files(&import, invocation, file_count, err);
    const double seconds = (double)(clock_boot_ms(clock_system()) - started_ms + 1) / 1000;
    (void)printf("%s %lld events, %.1f MB in %lld batches, %.1f s, %.1f MB/s\n",
                 is_done ? "imported" : "imported before the failure:",
                 (long long)import.event_count, (double)import.byte_count / 1e6,
                 (long long)import.batch_count, seconds, (double)import.byte_count / 1e6 / seconds);
    return is_done;
}

const struct cli_command cli_import_command = {
    .name = "import",
    .usage = "import --url URL --token T --app ID --topic NAME FILE...",
    .summary = "send NDJSON files (plain or .gz) to a server",
    .details =
        "Sends each file in batches. A batch that was stored already is not stored again, so an\n"
        "import that was cut off may simply be repeated with the same --batch-bytes within\n"
        "24 hours. A bad line rejects its batch with the number of the line.",
    .run = import_run,
    .list_options = import_list_options,
};
