// SPDX-License-Identifier: Apache-2.0
#include "cli/cli_admin_options.h"

#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/number.h"

#define ADMIN_FIELD(member)    offsetof(struct admin_options, member)
#define ADMIN_SECRET_BYTES_MAX ((size_t)32 * 1024)

const struct option admin_option_table[] = {
    {.name = "url",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(url),
     .default_text = "http://127.0.0.1:8080",
     .doc = "The server"},
    {.name = "token",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(token),
     .flags = OPTION_REQUIRED,
     .doc = "Operator's token with admin permission; better in MILKRUN_TOKEN than where ps shows "
            "it"},
    {.name = "ca_file",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(ca_file),
     .doc = "Certificates (PEM) to trust instead of the system's"},
    {.name = "json",
     .type = OPTION_BOOL,
     .offset = ADMIN_FIELD(json),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Print the server's JSON on a terminal too; elsewhere it is printed anyway"},
    {.name = "name",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(name),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Name of the organization, app, user, token or connection"},
    {.name = "organization_id",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(organization_id),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Whose it is; users and tokens without it are the operator's, connections are for all"},
    {.name = "app_id",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(app_id),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "The one app that the token is for"},
    {.name = "user_id",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(user_id),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Whose token it is; without it the token is its own user"},
    {.name = "email",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(email),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Address of the user; \"none\" removes it"},
    {.name = "permissions",
     .type = OPTION_LIST,
     .offset = ADMIN_FIELD(permissions),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "export, ingest, sensitive_data; of the operator: admin, operator_ingest"},
    {.name = "expires_at",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(expires_at),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "When the token ends, such as 2027-01-31T12:00:00Z; without it never"},
    {.name = "subscription_limit",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(subscription_limit),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Subscriptions per app, 0 for any number; \"default\" for the server's own"},
    {.name = "grace_seconds",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(grace_seconds),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "How long the old secret stays good: 0 to 2592000; without it a day"},
    {.name = "kind",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(kind),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Of a connection: s3, gcs_hmac (HMAC key of Google Cloud Storage) or gcs_key (JSON key "
            "of a service account)"},
    {.name = "endpoint",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(endpoint),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "URL of the store, http(s)://HOST[:PORT]; without it the cloud's own; \"none\" removes "
            "it"},
    {.name = "region",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(region),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Region of the store; \"none\" removes it"},
    {.name = "path_style",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(path_style),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Whether buckets stand in the path: true, false, or \"default\": where there is an "
            "endpoint"},
    {.name = "store_ca_file",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(store_ca_file),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Certificates (PEM) to trust in the store: an absolute path of the server; \"none\" "
            "removes it"},
    {.name = "access_key_id",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(access_key_id),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Access key id of the store"},
    {.name = "secret_access_key_file",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(secret_access_key_file),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "File with the secret access key; - for standard input"},
    {.name = "service_account_key_file",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(service_account_key_file),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "File with the JSON key of a service account; - for standard input"},
    {.name = "limit",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(limit),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Most entries to show: 1 to 10000; without it 100"},
    {.name = "before",
     .type = OPTION_TEXT,
     .offset = ADMIN_FIELD(before),
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Only entries before the one with this id"},
};

const size_t admin_option_count = ARRAY_COUNT(admin_option_table);

// --- What they become

enum admin_form {
    ADMIN_TEXT,
    ADMIN_LIST,
    ADMIN_TEXT_OR_NONE,      // "none": null
    ADMIN_NUMBER,            // what is no number goes as text
    ADMIN_NUMBER_OR_DEFAULT, // "default": null
    ADMIN_BOOL_OR_DEFAULT,
    ADMIN_FILE, // the text is in the file that it names
};

// Options that are no texts by their own name.
static const struct admin_shape {
    const char *option;
    enum admin_form form;
    const char *member; // NULL: of the same name
} admin_shapes[] = {
    {"permissions", ADMIN_LIST, NULL},
    {"email", ADMIN_TEXT_OR_NONE, NULL},
    {"subscription_limit", ADMIN_NUMBER_OR_DEFAULT, NULL},
    {"grace_seconds", ADMIN_NUMBER, NULL},
    {"endpoint", ADMIN_TEXT_OR_NONE, NULL},
    {"region", ADMIN_TEXT_OR_NONE, NULL},
    {"path_style", ADMIN_BOOL_OR_DEFAULT, NULL},
    {"store_ca_file", ADMIN_TEXT_OR_NONE, "ca_file"},
    {"secret_access_key_file", ADMIN_FILE, "secret_access_key"},
    {"service_account_key_file", ADMIN_FILE, "service_account_key"},
};

static struct admin_shape admin_shape_of(const struct option *option)
{
    struct admin_shape shape = {option->name, ADMIN_TEXT, NULL};
    for (size_t i = 0; i < ARRAY_COUNT(admin_shapes); i++) {
        if (strcmp(option->name, admin_shapes[i].option) == 0)
            shape = admin_shapes[i];
    }
    if (shape.member == NULL)
        shape.member = option->name;
    return shape;
}

const char *admin_text_of(const struct admin_options *options, const struct option *option)
{
    ASSERT(option->type == OPTION_TEXT);
    const char *text;
    memcpy(&text, (const char *)options + option->offset, sizeof text);
    return text;
}

bool admin_is_given(const struct admin_options *options, const struct option *option)
{
    return option->type == OPTION_LIST ? options->permissions.count > 0
                                       : admin_text_of(options, option) != NULL;
}

static void admin_write_list(struct json_text *json, const struct option_list *list)
{
    json_text_open(json, '[');
    for (size_t i = 0; i < list->count; i++)
        json_text_string(json, slice_text(list->items[i]));
    json_text_close(json, ']');
}

static void admin_write_number(struct json_text *json, const char *text)
{
    int64_t number = 0;
    if (number_parse_int64(slice_text(text), &number))
        json_text_int64(json, number);
    else
        json_text_string(json, slice_text(text));
}

static bool admin_write_bool(struct json_text *json, const char *text, struct err *err)
{
    const bool is_true = strcmp(text, "true") == 0;
    if (!is_true && strcmp(text, "false") != 0)
        return err_set(err, ERR_INVALID, "%s: true, false or default expected", text);
    json_text_bool(json, is_true);
    return true;
}

// Without the line feed that most editors leave at the end.
static bool admin_write_file(struct json_text *json, const char *path, struct err *err)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, ADMIN_SECRET_BYTES_MAX);
    if (strcmp(path, "-") == 0)
        TRY(file_read_fd(STDIN_FILENO, "standard input", &text, err));
    else
        TRY(file_read(path, &text, err));
    struct slice secret = buf_slice(&text);
    while (!slice_is_empty(secret) &&
           strchr("\r\n", slice_chars(secret)[secret.size_bytes - 1]) != NULL)
        secret = slice_part(secret, 0, secret.size_bytes - 1);
    json_text_string(json, secret);
    return true;
}

bool admin_write_member(struct json_text *json, const struct admin_options *options,
                        const struct option *option, struct err *err)
{
    const struct admin_shape shape = admin_shape_of(option);
    const char *text = option->type == OPTION_LIST ? "" : admin_text_of(options, option);
    const bool may_be_default = shape.form == ADMIN_NUMBER_OR_DEFAULT ||
                                shape.form == ADMIN_BOOL_OR_DEFAULT;
    json_text_key(json, shape.member);
    if ((shape.form == ADMIN_TEXT_OR_NONE && strcmp(text, "none") == 0) ||
        (may_be_default && strcmp(text, "default") == 0)) {
        json_text_null(json);
        return true;
    }
    switch (shape.form) {
    case ADMIN_LIST:
        admin_write_list(json, &options->permissions);
        return true;
    case ADMIN_NUMBER:
    case ADMIN_NUMBER_OR_DEFAULT:
        admin_write_number(json, text);
        return true;
    case ADMIN_BOOL_OR_DEFAULT:
        return admin_write_bool(json, text, err);
    case ADMIN_FILE:
        return admin_write_file(json, text, err);
    case ADMIN_TEXT:
    case ADMIN_TEXT_OR_NONE:
        break;
    }
    json_text_string(json, slice_text(text));
    return true;
}
