// SPDX-License-Identifier: Apache-2.0
// Destinations of a report. The shape alone is checked: whether clouds and mail are enabled,
// whether a connection exists, and whether a bucket can be written to, is found out by others. What
// is kept is read back by the reader of requests, so nothing is understood in two ways.
#include "base/check.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "model/report_internal.h"

#define REPORT_DESTINATION_BYTES  ((size_t)64 * 1024)
#define REPORT_ENDPOINT_BYTES_MAX ((size_t)2048)

// --- Clouds.

// A text that may be absent; "" is none as well.
static bool report_take_optional_text(const struct json_node *object, const char *key,
                                      struct arena *arena, const char **ret_text, struct err *err)
{
    const struct json_node *node = report_member(object, key);
    if (node != NULL && json_node_kind(node) != JSON_KIND_TEXT)
        return err_set(err, ERR_INVALID, "Invalid type: string expected");
    const struct slice text = json_node_text(node);
    *ret_text = slice_is_empty(text) ? NULL : arena_copy_slice(arena, text);
    return true;
}

static bool report_take_access(struct slice id, struct report_cloud *cloud, struct err *err)
{
    if (report_connection_name_is_valid(id))
        cloud->access = REPORT_CONNECTION;
    else if (cloud->is_gcs && report_service_account_is_valid(id))
        cloud->access = REPORT_ACCOUNT;
    else if (!cloud->is_gcs && report_role_is_valid(id))
        cloud->access = REPORT_ROLE;
    else
        return report_set_no_access(err, cloud->is_gcs);
    return true;
}

bool report_set_no_access(struct err *err, bool is_gcs)
{
    return err_set(err, ERR_INVALID, is_gcs ? "Invalid service account" : "Invalid role ARN");
}

// Whether the endpoint is a URL, and one that may be used, is not the model's to say.
static bool report_take_cloud_options(const struct json_node *destination, struct arena *arena,
                                      struct report_cloud *cloud, struct err *err)
{
    TRY(report_take_optional_text(destination, "endpoint", arena, &cloud->endpoint, err));
    TRY(report_take_optional_text(destination, "kms_key_arn", arena, &cloud->kms_key_arn, err));
    if (slice_text(cloud->endpoint).size_bytes > REPORT_ENDPOINT_BYTES_MAX)
        return err_set(err, ERR_INVALID, "Invalid endpoint URL");
    const struct slice role = slice_text(cloud->access == REPORT_ROLE ? cloud->resource_access_id
                                                                      : NULL);
    if (cloud->kms_key_arn != NULL &&
        (cloud->is_gcs || !report_kms_key_is_valid(slice_text(cloud->kms_key_arn), role)))
        return err_set(err, ERR_INVALID, "Invalid KMS key ARN");
    return true;
}

static bool report_take_cloud(const struct json_node *destination, struct arena *arena,
                              struct report_cloud *ret_cloud, struct err *err)
{
    const struct json_node *bucket_node = report_member(destination, "bucket");
    const struct json_node *cloud_node = report_member(destination, "cloud");
    const struct json_node *access_node = report_member(destination, "resource_access_id");
    if (bucket_node == NULL)
        return report_set_missing(err, "destination.bucket");
    if (cloud_node == NULL)
        return report_set_missing(err, "destination.cloud");
    if (access_node == NULL)
        return report_set_missing(err, "destination.resource_access_id");
    struct report_cloud result = {0};
    struct slice bucket;
    struct slice cloud;
    struct slice access;
    TRY(report_take_text(cloud_node, &cloud, err));
    result.is_gcs = slice_equal_text(cloud, "gcs");
    if (!result.is_gcs && !slice_equal_text(cloud, "s3"))
        return err_set(err, ERR_INVALID, "Invalid cloud");
    TRY(report_take_text(bucket_node, &bucket, err));
    if (!report_bucket_is_valid(bucket, result.is_gcs))
        return err_set(err, ERR_INVALID, "Invalid bucket name");
    TRY(report_take_text(access_node, &access, err));
    TRY(report_take_access(access, &result, err));
    TRY(report_take_optional_text(destination, "prefix", arena, &result.prefix, err));
    if (result.prefix != NULL)
        TRY(report_check_prefix(slice_text(result.prefix), err));
    result.bucket = arena_copy_slice(arena, bucket);
    result.resource_access_id = arena_copy_slice(arena, access);
    TRY(report_take_cloud_options(destination, arena, &result, err));
    *ret_cloud = result;
    return true;
}

static void report_write_cloud(const struct report_cloud *cloud, struct json_text *json)
{
    json_text_member_text(json, "cloud", cloud->is_gcs ? "gcs" : "s3");
    json_text_member_text(json, "bucket", cloud->bucket);
    if (cloud->prefix != NULL)
        json_text_member_text(json, "prefix", cloud->prefix);
    json_text_member_text(json, "resource_access_id", cloud->resource_access_id);
    if (cloud->endpoint != NULL)
        json_text_member_text(json, "endpoint", cloud->endpoint);
    if (cloud->kms_key_arn != NULL)
        json_text_member_text(json, "kms_key_arn", cloud->kms_key_arn);
}

// --- E-mail.

// Whether an earlier item of the array is the same text: nobody wants a mail twice.
static bool report_is_repeated(const struct json_node *array, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (slice_equal(json_node_text(json_node_at(array, i)),
                        json_node_text(json_node_at(array, index))))
            return true;
    }
    return false;
}

static bool report_take_recipients(const struct json_node *destination, struct arena *arena,
                                   struct report_email *email, struct err *err)
{
    const struct json_node *recipients = report_member(destination, "recipient_emails");
    if (recipients == NULL)
        return report_set_missing(err, "destination.recipient_emails");
    if (json_node_kind(recipients) != JSON_KIND_ARRAY)
        return err_set(err, ERR_INVALID, "Invalid type: array expected");
    const size_t count = json_node_count(recipients);
    if (count == 0)
        return report_set_missing(err, "destination.recipient_emails");
    if (count > REPORT_RECIPIENTS_MAX)
        return err_set(err, ERR_INVALID, "Too many recipients");
    const char **addresses = arena_alloc_array(arena, count, sizeof *addresses);
    size_t address_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct json_node *node = json_node_at(recipients, i);
        const struct slice address = json_node_text(node);
        if (json_node_kind(node) != JSON_KIND_TEXT)
            return err_set(err, ERR_INVALID, "Invalid type: string expected");
        if (!report_mail_is_valid(address))
            return err_set(err, ERR_INVALID, "Invalid e-mail address");
        if (!report_is_repeated(recipients, i))
            addresses[address_count++] = arena_copy_slice(arena, address);
    }
    email->addresses = addresses;
    email->count = address_count;
    return true;
}

static bool report_take_email(const struct json_node *destination, struct arena *arena,
                              struct report_email *ret_email, struct err *err)
{
    struct report_email result = {0};
    TRY(report_take_recipients(destination, arena, &result, err));
    const struct json_node *attachment = report_member(destination, "attachment");
    if (attachment != NULL && json_node_kind(attachment) != JSON_KIND_BOOL)
        return err_set(err, ERR_INVALID, "Invalid type: boolean expected");
    result.wants_attachment = json_node_bool(attachment);
    *ret_email = result;
    return true;
}

static void report_write_email(const struct report_email *email, struct json_text *json)
{
    json_text_key(json, "recipient_emails");
    json_text_open(json, '[');
    for (size_t i = 0; i < email->count; i++)
        json_text_string(json, slice_text(email->addresses[i]));
    json_text_close(json, ']');
    if (email->wants_attachment)
        json_text_member_bool(json, "attachment", true);
}

// --- Destinations.

static bool report_write_destination(const struct json_node *destination,
                                     enum report_destination kind, struct arena *arena,
                                     struct json_text *json, struct err *err)
{
    struct report_cloud cloud;
    struct report_email email;
    json_text_member_text(json, "subscription_type", report_destination_name(kind));
    switch (kind) {
    case REPORT_BRANCH:
        break;
    case REPORT_CLOUD:
        TRY(report_take_cloud(destination, arena, &cloud, err));
        report_write_cloud(&cloud, json);
        break;
    case REPORT_EMAIL:
        TRY(report_take_email(destination, arena, &email, err));
        report_write_email(&email, json);
        break;
    }
    return true;
}

bool report_parse_destination(const struct json_node *destination, struct arena *arena,
                              struct report *ret_report, struct err *err)
{
    const struct json_node *type_node = report_member(destination, "subscription_type");
    struct slice type;
    if (type_node == NULL)
        return report_set_missing(err, "destination.subscription_type");
    TRY(report_take_text(type_node, &type, err));
    enum report_destination kind;
    if (!report_destination_parse(type, &kind))
        return err_set(err, ERR_INVALID, "Invalid subscription_type");

    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, REPORT_DESTINATION_BYTES);
    struct json_text json;
    json_text_init(&json, &bytes);
    json_text_open(&json, '{');
    TRY(report_write_destination(destination, kind, arena, &json, err));
    json_text_close(&json, '}');
    ASSERT(!bytes.overflowed); // every member has a bound of its own
    ret_report->destination = kind;
    ret_report->destination_json = arena_copy_slice(arena, buf_slice(&bytes));
    return true;
}

bool report_read_cloud(const struct report *report, struct arena *arena,
                       struct report_cloud *ret_cloud, struct err *err)
{
    ASSERT(report->destination == REPORT_CLOUD);
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct err cause;
    if (json_tree_parse(slice_text(report->destination_json), &tree, &cause) &&
        report_take_cloud(json_tree_root(tree), arena, ret_cloud, &cause))
        return true;
    return err_set(err, ERR_CORRUPT, "stored destination: %s", cause.message);
}

bool report_read_email(const struct report *report, struct arena *arena,
                       struct report_email *ret_email, struct err *err)
{
    ASSERT(report->destination == REPORT_EMAIL);
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct err cause;
    if (json_tree_parse(slice_text(report->destination_json), &tree, &cause) &&
        report_take_email(json_tree_root(tree), arena, ret_email, &cause))
        return true;
    return err_set(err, ERR_CORRUPT, "stored destination: %s", cause.message);
}
