// SPDX-License-Identifier: Apache-2.0
#include "api_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "catalog/leases.h"
#include "destination/hosted.h"

#define FIXTURE_TREES_MAX 512

const struct cipher_key fixture_secret_key = {"0123456789abcdef0123456789abcde"};

// cmocka hands one pointer around; trees are remembered beside it.
struct fixture_all {
    struct fixture fixture;
    struct json_tree *trees[FIXTURE_TREES_MAX];
    size_t tree_count;
};

static void fixture_must(bool is_done, const struct err *err)
{
    if (!is_done)
        fail_msg("%s", err->message);
}

static void fixture_on_change(void *context)
{
    struct fixture *fixture = context;
    (void)__atomic_add_fetch(&fixture->change_count, 1, __ATOMIC_SEQ_CST);
}

// Hints of the log are for others.
static void fixture_ignore_change(void *context)
{
    (void)context;
}

const char *fixture_token(struct fixture *fixture, const struct fixture_tenant *tenant,
                          const char *app_id, unsigned permissions)
{
    struct err err;
    struct tenant_token details;
    const char *token = NULL;
    const struct tenant_token_request request = {
        .organization_id = tenant->organization_id,
        .app_id = app_id,
        .name = "test",
        .permissions = permissions,
    };
    fixture_must(tenant_create_token(fixture->catalog, &request, FIXTURE_NOW_MS, &fixture->arena,
                                     &details, &token, &err),
                 &err);
    return token;
}

static void fixture_make_tenant(struct fixture *fixture, const char *name,
                                struct fixture_tenant *ret_tenant)
{
    struct err err;
    struct tenant_organization organization;
    struct tenant_app apps[2];
    struct tenant_token details;
    const char *secret;
    struct arena *arena = &fixture->arena;
    fixture_must(tenant_create_organization(fixture->catalog, name, FIXTURE_NOW_MS, arena,
                                            &organization, &err),
                 &err);
    for (size_t i = 0; i < 2; i++)
        fixture_must(tenant_create_app(fixture->catalog, organization.id, name, FIXTURE_NOW_MS,
                                       arena, &apps[i], &secret, &err),
                     &err);
    *ret_tenant = (struct fixture_tenant){
        .organization_id = organization.id,
        .app_id = apps[0].id,
        .other_app_id = apps[1].id,
    };
    const struct tenant_token_request request = {
        .organization_id = organization.id,
        .name = "all",
        .permissions = TENANT_EXPORT | TENANT_INGEST | TENANT_SENSITIVE_DATA,
    };
    fixture_must(tenant_create_token(fixture->catalog, &request, FIXTURE_NOW_MS, arena, &details,
                                     &ret_tenant->token, &err),
                 &err);
    ret_tenant->key_id = details.key_id;
    ret_tenant->user_id = details.user_id;
}

static void fixture_open_log(struct fixture *fixture, const char *catalog_path)
{
    struct err err;
    const struct ingest_log_config config = {
        .data_directory = fixture->directory,
        .catalog_path = catalog_path,
        .clock = &fixture->clock.base,
        .file_bytes = 1024 * 1024,
        .file_age_ms = 1000,
        .memory_batch_bytes = 1024 * 1024,
        .memory_limit_bytes = 16 * 1024 * 1024,
        .on_change = fixture_ignore_change,
    };
    fixture_must(ingest_log_open(&config, &fixture->log, &err), &err);
}

static const struct hosted_settings fixture_hosted = {.type = "file"};

struct api_config fixture_config(struct fixture *fixture)
{
    struct err err;
    struct api_config config = {
        .data_directory = fixture->directory,
        .catalog_path = fixture_format(fixture, "%s/catalog.db", fixture->directory),
        .clock = &fixture->clock.base,
        .listen_fd = -1,
        .listen_address = fixture->host,
        .log = fixture->log,
        .bucket = fixture->bucket,
        .hosted = &fixture_hosted,
        .url_key = "0123456789abcdef0123456789abcde",
        .secret_keys = &fixture_secret_key,
        .secret_key_count = 1,
        .on_change = fixture_on_change,
        .context = fixture,
    };
    const struct option_set set = {api_options, api_option_count, &config.settings};
    const struct option_input input = {0};
    fixture_must(option_read(&set, 1, &input, &fixture->arena, NULL, NULL, &err), &err);
    config.settings.export_retention_ms = INT64_C(604800000); // an option of workers
    config.settings.notify = (struct api_notify_settings){.limit = 3, .has_mail = true};
    config.settings.allowed_networks.items[0] = "10.1.0.0/16";
    config.settings.allowed_networks.count = 1;
    return config;
}

struct api *fixture_open_other(struct fixture *fixture, struct api_config *config)
{
    struct err err;
    struct api *api = NULL;
    fixture_must(http_listen("127.0.0.1:0", &config->listen_fd, &fixture->port, &err), &err);
    (void)snprintf(fixture->host, sizeof fixture->host, "127.0.0.1:%d", fixture->port);
    fixture_must(api_open(config, &api, &err), &err);
    return api;
}

static void fixture_open_api(struct fixture *fixture)
{
    struct api_config config = fixture_config(fixture);
    fixture->api = fixture_open_other(fixture, &config);
}

int fixture_set_up(void **state)
{
    struct err err;
    struct fixture_all *all = mem_alloc(sizeof *all);
    struct fixture *fixture = &all->fixture;
    *state = fixture;
    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/milkrun-api-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    arena_init(&fixture->arena);
    clock_fixed_init(&fixture->clock, FIXTURE_NOW_MS, 1000);
    const char *path = fixture_format(fixture, "%s/catalog.db", fixture->directory);
    fixture_must(catalog_create(path, &fixture->catalog, &err), &err);
    fixture_make_tenant(fixture, "Mine", &fixture->mine);
    fixture_make_tenant(fixture, "Theirs", &fixture->theirs);
    const struct fixture_tenant nobody = {0};
    fixture->admin_token = fixture_token(fixture, &nobody, NULL,
                                         TENANT_ADMIN | TENANT_OPERATOR_INGEST);
    const char *exports = fixture_format(fixture, "%s/exports", fixture->directory);
    fixture_must(store_file_open(exports, &fixture->bucket, &err), &err);
    fixture_open_log(fixture, path);
    fixture_open_api(fixture);
    return 0;
}

int fixture_tear_down(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_all *all = *state;
    api_close(&fixture->api, 1000);
    assert_null(fixture->api);
    ingest_log_close(&fixture->log);
    store_close(&fixture->bucket);
    catalog_close(&fixture->catalog);
    for (size_t i = 0; i < all->tree_count; i++)
        json_tree_free(&all->trees[i]);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", fixture->directory);
    FILE *shell = popen(command, "r"); // a directory of our own making
    assert_non_null(shell);
    (void)pclose(shell);
    arena_clear(&fixture->arena);
    mem_free(all);
    return 0;
}

const char *fixture_format(struct fixture *fixture, const char *format, ...)
{
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert_in_range(size, 0, sizeof text - 1);
    return arena_copy_text(&fixture->arena, text);
}

// --- The client

static int fixture_connect(const struct fixture *fixture)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)fixture->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    const struct timeval patience = {.tv_sec = 20};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    return fd;
}

static void fixture_send(int fd, struct slice bytes)
{
    size_t sent = 0;
    while (sent < bytes.size_bytes) {
        const ssize_t count = send(fd, (const char *)bytes.data + sent, bytes.size_bytes - sent,
                                   MSG_NOSIGNAL);
        if (count <= 0)
            return; // refused in the middle of the body: the reply says why
        sent += (size_t)count;
    }
}

static void fixture_receive(int fd, struct buf *ret_bytes)
{
    for (;;) {
        char *room = buf_reserve(ret_bytes, 65536);
        assert_non_null(room);
        const ssize_t count = recv(fd, room, 65536, 0);
        if (count <= 0)
            return;
        buf_advance(ret_bytes, (size_t)count);
    }
}

static struct fixture_reply fixture_parse(struct fixture *fixture, struct slice bytes)
{
    struct fixture_all *all = (struct fixture_all *)fixture;
    struct fixture_reply reply = {0};
    const char *text = arena_copy_slice(&fixture->arena, bytes);
    const char *end = strstr(text, "\r\n\r\n");
    if (end == NULL)
        fail_msg("no reply: %s", text);
    assert_int_equal(sscanf(text, "HTTP/1.1 %d", &reply.status), 1);
    const size_t head_size = (size_t)(end - text) + 2;
    reply.head = arena_copy_slice(&fixture->arena, slice_of(text, head_size));
    reply.body = slice_of(end + 4, bytes.size_bytes - head_size - 2);
    struct err err;
    if (slice_starts_with(reply.body, slice_text("{")) ||
        slice_starts_with(reply.body, slice_text("["))) {
        assert_true(all->tree_count < FIXTURE_TREES_MAX);
        if (json_tree_parse(reply.body, &all->trees[all->tree_count], &err)) {
            reply.tree = all->trees[all->tree_count++];
            reply.json = json_tree_root(reply.tree);
        }
    }
    return reply;
}

struct fixture_reply fixture_call(struct fixture *fixture, const char *method, const char *target,
                                  const char *headers, struct slice body)
{
    struct buf bytes;
    buf_init(&bytes, (size_t)64 * 1024 * 1024);
    buf_append_format(&bytes, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s", method,
                      target, fixture->host, headers == NULL ? "" : headers);
    if (strcmp(method, "POST") == 0 || body.size_bytes > 0)
        buf_append_format(&bytes, "Content-Length: %zu\r\n", body.size_bytes);
    buf_append_text(&bytes, "\r\n");
    buf_append(&bytes, body);
    const int fd = fixture_connect(fixture);
    fixture_send(fd, buf_slice(&bytes));
    buf_reset(&bytes);
    fixture_receive(fd, &bytes);
    assert_int_equal(close(fd), 0);
    const struct fixture_reply reply = fixture_parse(fixture, buf_slice(&bytes));
    buf_clear(&bytes);
    return reply;
}

int fixture_status(const struct fixture *fixture, const char *target, const char *body)
{
    struct buf bytes;
    int status = 0;
    buf_init(&bytes, 1024 * 1024);
    buf_append_format(&bytes,
                      "POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\naccess-token: %s\r\n"
                      "Content-Length: %zu\r\n\r\n%s",
                      target, fixture->host, fixture->mine.token, strlen(body), body);
    const int fd = fixture_connect(fixture);
    fixture_send(fd, buf_slice(&bytes));
    buf_reset(&bytes);
    fixture_receive(fd, &bytes);
    assert_int_equal(close(fd), 0);
    assert_int_equal(sscanf(buf_text(&bytes), "HTTP/1.1 %d", &status), 1);
    buf_clear(&bytes);
    return status;
}

void fixture_leave(struct fixture *fixture, const char *bytes)
{
    const int fd = fixture_connect(fixture);
    fixture_send(fd, slice_text(bytes));
    assert_int_equal(close(fd), 0);
}

static const char *fixture_token_header(struct fixture *fixture, const char *token)
{
    return token == NULL ? NULL : fixture_format(fixture, "access-token: %s\r\n", token);
}

struct fixture_reply fixture_get(struct fixture *fixture, const char *token, const char *target)
{
    return fixture_call(fixture, "GET", target, fixture_token_header(fixture, token),
                        slice_of(NULL, 0));
}

struct fixture_reply fixture_post(struct fixture *fixture, const char *token, const char *target,
                                  const char *body)
{
    return fixture_call(fixture, "POST", target, fixture_token_header(fixture, token),
                        slice_text(body));
}

struct fixture_reply fixture_patch(struct fixture *fixture, const char *token, const char *target,
                                   const char *body)
{
    return fixture_call(fixture, "PATCH", target, fixture_token_header(fixture, token),
                        slice_text(body));
}

struct fixture_reply fixture_delete(struct fixture *fixture, const char *token, const char *target)
{
    return fixture_call(fixture, "DELETE", target, fixture_token_header(fixture, token),
                        slice_of(NULL, 0));
}

const char *fixture_header(struct fixture *fixture, const struct fixture_reply *reply,
                           const char *name)
{
    const size_t size = strlen(name);
    const char *line = strstr(reply->head, "\r\n") + 2;
    for (; *line != '\0'; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, name, size) != 0 || line[size] != ':')
            continue;
        const char *value = line + size + 1 + strspn(line + size + 1, " ");
        return arena_copy_slice(&fixture->arena, slice_of(value, strcspn(value, "\r")));
    }
    return NULL;
}

const char *fixture_text(const struct fixture_reply *reply, const char *key)
{
    const struct json_node *node = json_node_get(reply->json, key);
    if (json_node_kind(node) != JSON_KIND_TEXT)
        fail_msg("no text %s in %s", key, slice_chars(reply->body));
    return slice_chars(json_node_text(node));
}

void fixture_assert_error(const struct fixture_reply *reply, int status, const char *message)
{
    struct buf expected;
    buf_init(&expected, 4096);
    buf_append_format(&expected, "{\"error\":{\"message\":\"%s\",\"code\":%d}}", message, status);
    assert_string_equal(slice_chars(reply->body), buf_text(&expected));
    assert_int_equal(reply->status, status);
    buf_clear(&expected);
}

static void fixture_append_stable_head(const char *head, struct buf *destination)
{
    while (*head != '\0') {
        const size_t size = strcspn(head, "\n") + 1;
        if (strncasecmp(head, "date:", 5) != 0 && strncasecmp(head, "x-request-id:", 13) != 0)
            buf_append(destination, slice_of(head, size));
        head += size;
    }
}

void fixture_assert_same(struct fixture *fixture, const struct fixture_reply *left,
                         const struct fixture_reply *right)
{
    (void)fixture;
    struct buf heads[2];
    const char *const texts[2] = {left->head, right->head};
    for (size_t i = 0; i < 2; i++) {
        buf_init(&heads[i], 65536);
        fixture_append_stable_head(texts[i], &heads[i]);
    }
    assert_string_equal(buf_text(&heads[0]), buf_text(&heads[1]));
    assert_string_equal(slice_chars(left->body), slice_chars(right->body));
    buf_clear(&heads[0]);
    buf_clear(&heads[1]);
}

// --- Work that others do in the whole system

const char *fixture_subscribe(struct fixture *fixture, const char *cadence, const char *fields)
{
    const struct fixture_reply reply =
        fixture_post(fixture, fixture->mine.token,
                     fixture_format(fixture, "/scheduled-exports/logs/subscribe?app_id=%s",
                                    fixture->mine.app_id),
                     fixture_format(fixture,
                                    "{\"report\":{\"cadence\":\"%s\",\"response_format\":\"csv\","
                                    "\"report_type\":\"eo_install\",\"report_fields\":%s},"
                                    "\"destination\":{\"subscription_type\":\"branch\"}}",
                                    cadence, fields));
    if (reply.status != 200)
        fail_msg("%s", slice_chars(reply.body));
    return fixture_text(&reply, "subscription_id");
}

static struct job fixture_claim(struct fixture *fixture)
{
    struct err err;
    int64_t ordinal = 0;
    bool found = false;
    struct job job;
    const struct job_claim_request request = {
        .worker_id = "worker",
        .supervisor_id = "supervisor",
        .now_ms = fixture->clock.now_wall_ms,
        .lease_ms = 10000,
        .lost_limit = 5,
    };
    fixture_must(job_bound_wanted(fixture->catalog, &ordinal, &err), &err);
    if (ordinal > 0) // else the log's own thread was faster
        fixture_must(job_set_bounds(fixture->catalog, ordinal, 0, &err), &err);
    fixture_must(job_claim(fixture->catalog, &request, &fixture->arena, &found, &job, &err), &err);
    assert_true(found);
    return job;
}

static struct job_file fixture_put(struct fixture *fixture, const struct job *job,
                                   const char *bytes)
{
    struct err err;
    struct sink *sink = NULL;
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_CHARS + 1];
    sha256_of(slice_text(bytes), digest);
    hex_encode(slice_of(digest, sizeof digest), hex);
    const struct job_file file = {
        .key = fixture_format(fixture,
                              "v2/y=2026/m=11/d=23/app_id=%s/job_id=%s/task_id=0/part-0.csv.gz",
                              job->app_id, job->id),
        .row_count = 43,
        .byte_count = (int64_t)strlen(bytes),
        .sha256 = fixture_format(fixture, "%s", hex),
    };
    fixture_must(store_put_begin(fixture->bucket, file.key, &sink, &err), &err);
    fixture_must(sink_write(sink, slice_text(bytes), &err), &err);
    fixture_must(sink_finish(sink, &err), &err);
    sink_free(&sink);
    return file;
}

const char *fixture_finish_job(struct fixture *fixture, const char *bytes)
{
    struct err err;
    const struct job job = fixture_claim(fixture);
    const struct job_claim claim = {job.id, job.fence, job.claim_id};
    const char *recipe = NULL;
    fixture_must(job_freeze(fixture->catalog, &claim, "{}", &fixture->arena, &recipe, &err), &err);
    fixture_must(job_mark_uploading(fixture->catalog, &claim, &err), &err);
    const struct job_file file = fixture_put(fixture, &job, bytes);
    const struct job_result result = {
        .files = &file,
        .file_count = 1,
        .row_count = 43,
        .byte_count = file.byte_count,
        .manifest = "{\"rows\":43}",
        .now_ms = fixture->clock.now_wall_ms,
        .expires_at_ms = fixture->clock.now_wall_ms + INT64_C(604800000),
    };
    fixture_must(job_succeed(fixture->catalog, &claim, &result, &err), &err);
    return job.id;
}

const char *fixture_fail_job(struct fixture *fixture, const char *reason)
{
    struct err err;
    const struct job job = fixture_claim(fixture);
    const struct job_claim claim = {job.id, job.fence, job.claim_id};
    fixture_must(job_fail(fixture->catalog, &claim, reason, fixture->clock.now_wall_ms, 0, &err),
                 &err);
    return job.id;
}

void fixture_backfill(struct fixture *fixture, const char *subscription_id, int64_t hour_count)
{
    struct err err;
    int64_t window_count = 0;
    int64_t created_count = 0;
    const int64_t hour_ms = INT64_C(3600000);
    const int64_t end_ms = FIXTURE_NOW_MS / hour_ms * hour_ms;
    (void)fixture_finish_job(fixture, "sample");
    fixture_must(job_backfill(fixture->catalog, subscription_id, end_ms - hour_count * hour_ms,
                              end_ms, FIXTURE_NOW_MS, &window_count, &created_count, &err),
                 &err);
    assert_int_equal(created_count, hour_count);
}
