// SPDX-License-Identifier: Apache-2.0
// What connections may say. Region and access key id go into headers, so they are plain text; a
// JSON key is tried out, since one that cannot sign is found out by customers otherwise.
#include "base/check.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "base/rsa.h"
#include "catalog/connections_internal.h"
#include "model/report_destination.h"

#define CONNECTION_REGION_BYTES_MAX ((size_t)63)
#define CONNECTION_PATH_BYTES_MAX   ((size_t)1024)
#define CONNECTION_KEY_ID_BYTES_MAX ((size_t)256)
#define CONNECTION_KEY_BYTES_MAX    ((size_t)1024)
#define CONNECTION_JSON_BYTES_MAX   ((size_t)16 * 1024)

static const char *const connection_kind_names[] = {
    [CONNECTION_S3] = "s3",
    [CONNECTION_GCS_HMAC] = "gcs_hmac",
    [CONNECTION_GCS_KEY] = "gcs_key",
};

const char *connection_kind_name(enum connection_kind kind)
{
    ASSERT((size_t)kind < ARRAY_COUNT(connection_kind_names));
    return connection_kind_names[kind];
}

bool connection_kind_parse(struct slice name, enum connection_kind *ret_kind)
{
    for (size_t i = 0; i < ARRAY_COUNT(connection_kind_names); i++) {
        if (slice_equal_text(name, connection_kind_names[i])) {
            *ret_kind = (enum connection_kind)i;
            return true;
        }
    }
    return false;
}

bool connection_kind_is_gcs(enum connection_kind kind)
{
    return kind != CONNECTION_S3;
}

// Visible ASCII characters, except for `others`; not empty.
static bool connection_is_plain(struct slice text, size_t bytes_max, const char *others)
{
    const char *bytes = slice_chars(text);
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (bytes[i] <= ' ' || bytes[i] > '~' || strchr(others, bytes[i]) != NULL)
            return false;
    }
    return !slice_is_empty(text) && text.size_bytes <= bytes_max;
}

bool connection_check_name(const char *name, struct err *err)
{
    if (!report_connection_name_is_valid(slice_text(name)))
        return err_set(err, ERR_INVALID, "Invalid connection name");
    return true;
}

bool connection_check_settings(const struct connection_settings *settings, struct err *err)
{
    // A scope of signatures is made of it, with slashes in between.
    if (settings->region != NULL &&
        !connection_is_plain(slice_text(settings->region), CONNECTION_REGION_BYTES_MAX, "/,\"\\"))
        return err_set(err, ERR_INVALID, "Invalid region");
    const struct slice ca_file = slice_text(settings->ca_file);
    if (settings->ca_file != NULL &&
        (ca_file.size_bytes > CONNECTION_PATH_BYTES_MAX || settings->ca_file[0] != '/'))
        return err_set(err, ERR_INVALID, "Invalid ca_file: an absolute path expected");
    return true;
}

static bool connection_refuse_json(struct err *err, const char *reason)
{
    return err_set(err, ERR_INVALID, "Invalid service_account_key: %s", reason);
}

static bool connection_check_json(struct slice text, struct arena *arena, const char **ret_account,
                                  struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct err cause;
    if (text.size_bytes > CONNECTION_JSON_BYTES_MAX || !json_tree_parse(text, &tree, &cause))
        return connection_refuse_json(err, "not the JSON key of a service account");
    const struct json_node *root = json_tree_root(tree);
    const struct slice type = json_node_text(json_node_get(root, "type"));
    const struct slice account = json_node_text(json_node_get(root, "client_email"));
    const struct slice pem = json_node_text(json_node_get(root, "private_key"));
    if (!slice_equal_text(type, "service_account"))
        return connection_refuse_json(err, "type service_account expected");
    if (!report_mail_is_valid(account))
        return connection_refuse_json(err, "no client_email");
    struct slice signature;
    if (!rsa_sign_sha256(pem, slice_text("trial"), arena, &signature, &cause))
        return connection_refuse_json(err, "private_key cannot be used");
    *ret_account = arena_copy_slice(arena, account);
    return true;
}

bool connection_check_key(enum connection_kind kind, const struct connection_key *key,
                          struct arena *arena, const char **ret_account, struct err *err)
{
    if (kind == CONNECTION_GCS_KEY)
        return connection_check_json(key->secret, arena, ret_account, err);
    if (!connection_is_plain(slice_text(key->access_key_id), CONNECTION_KEY_ID_BYTES_MAX, "/,\"\\"))
        return err_set(err, ERR_INVALID, "Invalid access_key_id");
    if (!connection_is_plain(key->secret, CONNECTION_KEY_BYTES_MAX, ""))
        return err_set(err, ERR_INVALID, "Invalid secret_access_key");
    *ret_account = NULL;
    return true;
}
