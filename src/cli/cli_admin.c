// SPDX-License-Identifier: Apache-2.0
// `milkrun admin`: the operator's calls of a running server, over HTTP. One table says which there
// are, what each takes and what it sends; help is printed from it. What the server answers goes to
// standard output, also secrets, and nowhere else.
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/json_text.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "base/uri.h"
#include "cli/cli.h"
#include "cli/cli_admin_options.h"
#include "cli/cli_admin_table.h"
#include "cli/cli_call.h"
#include "net/http_client.h"

#define ADMIN_CONNECT_MS      INT64_C(5000)
#define ADMIN_TOTAL_MS        INT64_C(60000)
#define ADMIN_URL_BYTES_MAX   ((size_t)8192)
#define ADMIN_BODY_BYTES_MAX  ((size_t)65536)
#define ADMIN_REPLY_BYTES_MAX ((size_t)64 * 1024 * 1024)

// {} in the path is the operand. Options have their names in the body, or in the query when the
// call is a GET; '!' marks those that it needs.
struct admin_call {
    const char *group;
    const char *verb;
    const char *operand; // NULL: none
    const char *method;
    const char *path;
    const char *options;
    const char *fixed; // members of the body that the verb stands for; NULL: none
    const char *doc;
};

#define ADMIN_ORGANIZATION "ORGANIZATION_ID"

static const struct admin_call admin_calls[] = {
    {"organizations", "list", NULL, "GET", "organizations", "", NULL, "all organizations"},
    {"organizations", "create", NULL, "POST", "organizations", "name!", NULL, "a new one"},
    {"organizations", "get", ADMIN_ORGANIZATION, "GET", "organizations/{}", "", NULL, "one"},
    {"organizations", "update", ADMIN_ORGANIZATION, "PATCH", "organizations/{}",
     "name subscription_limit", NULL, "its name or limit"},
    {"organizations", "disable", ADMIN_ORGANIZATION, "PATCH", "organizations/{}", "",
     "\"disabled\":true", "refuse its tokens, their URLs and its events"},
    {"organizations", "enable", ADMIN_ORGANIZATION, "PATCH", "organizations/{}", "",
     "\"disabled\":false", "take them again"},
    {"apps", "list", NULL, "GET", "apps", "organization_id", NULL, "all apps, or those of one"},
    {"apps", "create", NULL, "POST", "apps", "organization_id! name!", NULL,
     "a new one; shows its branch secret this once"},
    {"apps", "get", "APP_ID", "GET", "apps/{}", "", NULL, "one, also a deleted one"},
    {"apps", "update", "APP_ID", "PATCH", "apps/{}", "name!", NULL, "its name"},
    {"apps", "delete", "APP_ID", "DELETE", "apps/{}", "", NULL,
     "for ever: ends its exports; files stay until they expire"},
    {"apps", "rotate", "APP_ID", "POST", "apps/{}/rotate", "grace_seconds", NULL,
     "a new branch secret, shown this once"},
    {"users", "list", NULL, "GET", "users", "organization_id", NULL, "all users, or those of one"},
    {"users", "create", NULL, "POST", "users", "organization_id name! email", NULL, "a new one"},
    {"users", "get", "USER_ID", "GET", "users/{}", "", NULL, "one"},
    {"users", "update", "USER_ID", "PATCH", "users/{}", "name email", NULL, "name or address"},
    {"users", "disable", "USER_ID", "PATCH", "users/{}", "", "\"disabled\":true",
     "revoke all tokens of the user"},
    {"users", "enable", "USER_ID", "PATCH", "users/{}", "", "\"disabled\":false",
     "let the user have new ones"},
    {"tokens", "list", NULL, "GET", "tokens", "organization_id", NULL,
     "all tokens, or those of one; without secrets"},
    {"tokens", "create", NULL, "POST", "tokens",
     "organization_id app_id user_id name! permissions! expires_at", NULL,
     "a new one, shown this once"},
    {"tokens", "get", "KEY_ID", "GET", "tokens/{}", "", NULL, "one, without its secret"},
    {"tokens", "rotate", "KEY_ID", "POST", "tokens/{}/rotate", "grace_seconds", NULL,
     "a new secret under the same key id, shown this once"},
    {"tokens", "revoke", "KEY_ID", "DELETE", "tokens/{}", "", NULL,
     "for ever, with the URLs that it made"},
    {"connections", "list", NULL, "GET", "connections", "organization_id", NULL,
     "all connections to stores, or those that one organization may use; without keys"},
    {"connections", "create", NULL, "POST", "connections",
     "name! kind! organization_id endpoint region path_style store_ca_file access_key_id"
     " secret_access_key_file service_account_key_file",
     NULL, "a new one, for subscriptions to name"},
    {"connections", "get", "NAME", "GET", "connections/{}", "", NULL, "one, without its key"},
    {"connections", "update", "NAME", "PATCH", "connections/{}",
     "endpoint region path_style store_ca_file access_key_id secret_access_key_file"
     " service_account_key_file",
     NULL, "its settings, or its key: from the next job on"},
    {"connections", "delete", "NAME", "DELETE", "connections/{}", "", NULL,
     "when no live subscription names it"},
    {"audit", "list", NULL, "GET", "audit", "organization_id limit before", NULL,
     "who changed what, newest first"},
};

static size_t admin_list_options(struct option_set ret_sets[CLI_SETS_MAX])
{
    ret_sets[0] = (struct option_set){admin_option_table, admin_option_count, NULL};
    return 1;
}

// "grace_seconds" -> "--grace-seconds"
static void admin_write_option_name(struct slice name, struct buf *text)
{
    buf_append_text(text, "--");
    for (size_t i = 0; i < name.size_bytes; i++) {
        const char character = slice_chars(name)[i];
        buf_append_char(text, character == '_' ? '-' : character);
    }
}

// The next name of a call's options; false at the end.
static bool admin_next_option(const char **options, struct slice *ret_name, bool *ret_is_needed)
{
    const size_t size = strcspn(*options, " ");
    if (size == 0)
        return false;
    *ret_is_needed = (*options)[size - 1] == '!';
    *ret_name = slice_of(*options, size - (*ret_is_needed ? 1 : 0));
    *options += size + ((*options)[size] == ' ' ? 1 : 0);
    return true;
}

static void admin_write_calls(struct buf *destination)
{
    buf_append_text(destination, "\ncalls:\n");
    for (size_t i = 0; i < ARRAY_COUNT(admin_calls); i++) {
        const struct admin_call *call = &admin_calls[i];
        const char *options = call->options;
        struct slice name;
        bool is_needed;
        buf_append_format(destination, "  %s %s", call->group, call->verb);
        if (call->operand != NULL)
            buf_append_format(destination, " %s", call->operand);
        while (admin_next_option(&options, &name, &is_needed)) {
            buf_append_text(destination, is_needed ? " " : " [");
            admin_write_option_name(name, destination);
            buf_append_text(destination, is_needed ? "" : "]");
        }
        buf_append_format(destination, "\n      %s\n", call->doc);
    }
}

// --- The call that is meant

static bool admin_find_call(const char *const *operands, size_t operand_count,
                            const struct admin_call **ret_call, struct err *err)
{
    if (operand_count == 0)
        return err_set(err, ERR_INVALID, "no call given; see milkrun help admin");
    const char *group = operands[0];
    const char *verb = operand_count == 1 ? "list" : operands[1]; // a group alone is its list
    const struct admin_call *found = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(admin_calls) && found == NULL; i++) {
        if (strcmp(admin_calls[i].group, group) == 0 && strcmp(admin_calls[i].verb, verb) == 0)
            found = &admin_calls[i];
    }
    if (found == NULL)
        return err_set(err, ERR_INVALID, "unknown call %s %s; see milkrun help admin", group, verb);
    const size_t wanted_count = found->operand == NULL ? 2 : 3;
    if (operand_count > wanted_count)
        return err_set(err, ERR_INVALID, "unexpected argument %s", operands[wanted_count]);
    if (found->operand != NULL && operand_count < wanted_count)
        return err_set(err, ERR_INVALID, "%s %s needs %s", group, verb, found->operand);
    *ret_call = found;
    return true;
}

static bool admin_takes(const struct admin_call *call, const char *option, bool *ret_is_needed)
{
    const char *options = call->options;
    struct slice name;
    while (admin_next_option(&options, &name, ret_is_needed)) {
        if (slice_equal_text(name, option))
            return true;
    }
    *ret_is_needed = false;
    return false;
}

static bool admin_check_options(const struct admin_call *call, const struct admin_options *options,
                                struct err *err)
{
    for (size_t i = ADMIN_COMMON_COUNT; i < admin_option_count; i++) {
        const struct option *option = &admin_option_table[i];
        const bool is_given = admin_is_given(options, option);
        bool is_needed = false;
        const bool is_taken = admin_takes(call, option->name, &is_needed);
        if (is_given ? is_taken : !is_needed)
            continue;
        struct buf name CLEANUP(buf_clear);
        buf_init(&name, 64);
        admin_write_option_name(slice_text(option->name), &name);
        return err_set(err, ERR_INVALID,
                       is_given ? "option %s is not for %s %s" : "option %s is required for %s %s",
                       buf_text(&name), call->group, call->verb);
    }
    return true;
}

// --- Sending it

static bool admin_write_body(const struct admin_call *call, const struct admin_options *options,
                             struct buf *body, struct err *err)
{
    struct json_text json;
    json_text_init(&json, body);
    json_text_open(&json, '{');
    if (call->fixed != NULL)
        json_text_raw(&json, slice_text(call->fixed));
    for (size_t i = ADMIN_COMMON_COUNT; i < admin_option_count; i++) {
        if (admin_is_given(options, &admin_option_table[i]))
            TRY(admin_write_member(&json, options, &admin_option_table[i], err));
    }
    json_text_close(&json, '}');
    return buf_check(body, err);
}

static void admin_write_query(const struct admin_options *options, struct buf *url)
{
    char separator = '?';
    for (size_t i = ADMIN_COMMON_COUNT; i < admin_option_count; i++) {
        const struct option *option = &admin_option_table[i];
        if (!admin_is_given(options, option))
            continue;
        buf_append_format(url, "%c%s=", separator, option->name);
        uri_append_encoded(url, slice_text(admin_text_of(options, option)), "");
        separator = '&';
    }
}

static bool admin_write_url(const struct admin_call *call, const struct admin_options *options,
                            const char *operand, struct buf *url, struct err *err)
{
    TRY(cli_call_append_base(url, options->url, err));
    const char *hole = strstr(call->path, "{}");
    const size_t head = hole == NULL ? strlen(call->path) : (size_t)(hole - call->path);
    buf_append_format(url, "/v1/admin/%.*s", (int)head, call->path);
    if (hole != NULL) {
        uri_append_encoded(url, slice_text(operand), "");
        buf_append_text(url, hole + 2);
    }
    if (strcmp(call->method, "GET") == 0)
        admin_write_query(options, url);
    return buf_check(url, err);
}

static bool admin_print(const struct admin_options *options, const struct json_node *reply,
                        const struct buf *body, struct err *err)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 4 * ADMIN_REPLY_BYTES_MAX);
    if (options->json || isatty(STDOUT_FILENO) == 0) {
        buf_append(&text, buf_slice(body));
        buf_append_char(&text, '\n');
    } else {
        cli_admin_write_table(reply, &text);
    }
    TRY(buf_check(&text, err));
    return file_write_all(STDOUT_FILENO, buf_slice(&text), "standard output", err);
}

static bool admin_take_reply(const struct admin_options *options, int status,
                             const struct buf *body, struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    if (!json_tree_parse(buf_slice(body), &tree, err))
        return err_set(err, ERR_UNAVAILABLE, "status %d without a JSON body", status);
    if (status != 200)
        return cli_call_fail(status, json_tree_root(tree), err);
    return admin_print(options, json_tree_root(tree), body, err);
}

static bool admin_send(const struct admin_call *call, const struct admin_options *options,
                       const char *operand, struct err *err)
{
    struct buf url CLEANUP(buf_clear);
    struct buf body CLEANUP(buf_clear);
    struct buf answer CLEANUP(buf_clear);
    buf_init(&url, ADMIN_URL_BYTES_MAX);
    buf_init(&body, ADMIN_BODY_BYTES_MAX);
    buf_init(&answer, ADMIN_REPLY_BYTES_MAX);
    TRY(admin_write_url(call, options, operand, &url, err));
    if (strcmp(call->method, "POST") == 0 || strcmp(call->method, "PATCH") == 0)
        TRY(admin_write_body(call, options, &body, err));
    const struct http_client_config config = {
        .connect_timeout_ms = ADMIN_CONNECT_MS,
        .total_timeout_ms = ADMIN_TOTAL_MS,
        .ca_file = options->ca_file,
        .reply_bytes_max = ADMIN_REPLY_BYTES_MAX,
    };
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&config, &client);
    const struct http_client_header headers[] = {
        {"Access-Token", options->token},
        {"Content-Type", "application/json"},
    };
    struct slice rest = buf_slice(&body);
    const struct http_client_call request = {
        .method = call->method,
        .url = buf_text(&url),
        .headers = headers,
        .header_count = ARRAY_COUNT(headers),
        .body_bytes = (int64_t)body.size_bytes,
        .read = cli_call_read_slice,
        .context = &rest,
    };
    struct http_client_reply reply;
    TRY(http_client_send(client, &request, &reply, &answer, err));
    return admin_take_reply(options, reply.status, &answer, err);
}

static bool admin_run(const struct cli_invocation *invocation, struct err *err)
{
    struct admin_options options = {0};
    const struct option_set set = {admin_option_table, admin_option_count, &options};
    size_t operand_count = 0;
    const struct admin_call *call = NULL;
    TRY(option_read(&set, 1, &invocation->input, invocation->arena, invocation->operands,
                    &operand_count, err));
    TRY(admin_find_call(invocation->operands, operand_count, &call, err));
    TRY(admin_check_options(call, &options, err));
    const char *operand = call->operand == NULL ? NULL : invocation->operands[2];
    return admin_send(call, &options, operand, err);
}

const struct cli_command cli_admin_command = {
    .name = "admin",
    .usage = "admin GROUP VERB [ID] --url URL --token T [OPTION...]",
    .summary = "manage organizations, apps, users, tokens and connections of a running server",
    .details =
        "Calls the server as the operator and prints its answer: JSON, or a table on a terminal.\n"
        "Secrets are shown once, on standard output alone. Without VERB a group is listed.",
    .run = admin_run,
    .write_calls = admin_write_calls,
    .list_options = admin_list_options,
};
