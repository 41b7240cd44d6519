// SPDX-License-Identifier: Apache-2.0
// Destinations of a report. The shape alone is checked: whether clouds and mail are enabled, and
// whether a bucket can be written to, is found out by others. Names are checked by what may go into
// a URL, an object key or a mail header, so nothing behind this point needs to escape a surprise.
#include "base/check.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "model/report_internal.h"

#define REPORT_ROLE_BYTES_MAX    ((size_t)2048)
#define REPORT_MAIL_BYTES_MAX    ((size_t)254)
#define REPORT_LOCAL_BYTES_MAX   ((size_t)64)
#define REPORT_LABEL_BYTES_MAX   ((size_t)63)
#define REPORT_DESTINATION_BYTES ((size_t)64 * 1024)

static bool report_is_lower(char character)
{
    return character >= 'a' && character <= 'z';
}

static bool report_is_digit(char character)
{
    return character >= '0' && character <= '9';
}

static bool report_is_alphanumeric(char character)
{
    return report_is_lower(character) || report_is_digit(character) ||
           (character >= 'A' && character <= 'Z');
}

// Every character is a letter, a digit or one of `others`.
static bool report_has_only(struct slice text, const char *others)
{
    const char *bytes = slice_chars(text);
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (!report_is_alphanumeric(bytes[i]) &&
            (bytes[i] == '\0' || strchr(others, bytes[i]) == NULL))
            return false;
    }
    return true;
}

// The part before the next separator, which is dropped from *rest as well. False at the end.
static bool report_next_part(struct slice *rest, char separator, struct slice *ret_part)
{
    if (rest->data == NULL)
        return false;
    const char *bytes = slice_chars(*rest);
    const char *end = rest->size_bytes == 0 ? NULL : memchr(bytes, separator, rest->size_bytes);
    if (end == NULL) {
        *ret_part = *rest;
        *rest = slice_of(NULL, 0);
    } else {
        *ret_part = slice_of(bytes, (size_t)(end - bytes));
        *rest = slice_from(*rest, ret_part->size_bytes + 1);
    }
    return true;
}

// --- Names of clouds.

// 3 to 63 of [a-z0-9.-] (GCS: also '_'), letters and digits around every dot, not an IPv4 address.
static bool report_bucket_is_valid(struct slice bucket, bool is_gcs)
{
    if (bucket.size_bytes < 3 || bucket.size_bytes > 63)
        return false;
    bool is_number = true;
    struct slice rest = bucket;
    struct slice label;
    while (report_next_part(&rest, '.', &label)) {
        const char *bytes = slice_chars(label);
        if (label.size_bytes == 0 || !report_is_alphanumeric(bytes[0]) ||
            !report_is_alphanumeric(bytes[label.size_bytes - 1]) ||
            !report_has_only(label, is_gcs ? "-_" : "-"))
            return false;
        for (size_t i = 0; i < label.size_bytes; i++) {
            if (bytes[i] >= 'A' && bytes[i] <= 'Z')
                return false;
            is_number = is_number && report_is_digit(bytes[i]);
        }
    }
    return !is_number || memchr(bucket.data, '.', bucket.size_bytes) == NULL;
}

static bool report_check_prefix(struct slice prefix, struct err *err)
{
    if (prefix.size_bytes > REPORT_PREFIX_BYTES_MAX)
        return err_set(err, ERR_INVALID, "Prefix too long");
    const char *bytes = slice_chars(prefix);
    for (size_t i = 0; i < prefix.size_bytes; i++) {
        if (bytes[i] == '{' || bytes[i] == '}' || bytes[i] == '%')
            return err_set(err, ERR_INVALID, "Unknown placeholder in prefix");
        if ((unsigned char)bytes[i] < ' ' || bytes[i] == 0x7f || bytes[i] == '\\')
            return err_set(err, ERR_INVALID, "Invalid prefix");
    }
    struct slice rest = prefix;
    struct slice part;
    while (report_next_part(&rest, '/', &part)) {
        if (part.size_bytes == 0 || slice_equal_text(part, ".") || slice_equal_text(part, ".."))
            return err_set(err, ERR_INVALID, "Invalid prefix");
    }
    return true;
}

// arn:aws:iam::123456789012:role/path/name
static bool report_role_is_valid(struct slice role)
{
    static const char *const partitions[] = {"aws", "aws-cn", "aws-us-gov"};
    if (role.size_bytes > REPORT_ROLE_BYTES_MAX)
        return false;
    struct slice parts[6];
    struct slice rest = role;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        if (!report_next_part(&rest, ':', &parts[i]))
            return false;
    }
    if (rest.data != NULL)
        return false;
    bool is_partition = false;
    for (size_t i = 0; i < ARRAY_COUNT(partitions); i++)
        is_partition = is_partition || slice_equal_text(parts[1], partitions[i]);
    if (!slice_equal_text(parts[0], "arn") || !is_partition || !slice_equal_text(parts[2], "iam") ||
        parts[3].size_bytes != 0 || parts[4].size_bytes != 12)
        return false;
    for (size_t i = 0; i < parts[4].size_bytes; i++) {
        if (!report_is_digit(slice_chars(parts[4])[i]))
            return false;
    }
    const struct slice resource = slice_text("role/");
    if (!slice_starts_with(parts[5], resource))
        return false;
    struct slice path = slice_from(parts[5], resource.size_bytes);
    struct slice name = path;
    while (report_next_part(&path, '/', &name)) {
        if (name.size_bytes == 0 || !report_has_only(name, "+=,.@_-"))
            return false;
    }
    return name.size_bytes <= 64;
}

// name@project.iam.gserviceaccount.com
static bool report_service_account_is_valid(struct slice account)
{
    const struct slice domain = slice_text(".iam.gserviceaccount.com");
    if (account.size_bytes <= domain.size_bytes || account.size_bytes > REPORT_MAIL_BYTES_MAX)
        return false;
    const size_t size = account.size_bytes - domain.size_bytes;
    if (!slice_equal(slice_from(account, size), domain))
        return false;
    struct slice rest = slice_part(account, 0, size);
    struct slice name;
    if (!report_next_part(&rest, '@', &name) || name.size_bytes == 0 || rest.size_bytes == 0)
        return false;
    struct slice label;
    while (report_next_part(&rest, '.', &label)) {
        if (label.size_bytes == 0 || !report_has_only(label, "-"))
            return false;
    }
    return report_is_alphanumeric(slice_chars(name)[0]) && report_has_only(name, "-");
}

// --- Mail addresses: the unquoted form of RFC 5321 with a domain of at least two labels, ASCII
// only.

static bool report_local_part_is_valid(struct slice local)
{
    // A leading '-' could be an option to some program, "=?" an encoded word.
    if (local.size_bytes == 0 || local.size_bytes > REPORT_LOCAL_BYTES_MAX ||
        slice_chars(local)[0] == '-' || slice_starts_with(local, slice_text("=?")))
        return false;
    struct slice rest = local;
    struct slice atom;
    while (report_next_part(&rest, '.', &atom)) {
        if (atom.size_bytes == 0 || !report_has_only(atom, "!#$%&'*+/=?^_`{|}~-"))
            return false;
    }
    return true;
}

static bool report_domain_is_valid(struct slice domain)
{
    size_t label_count = 0;
    struct slice rest = domain;
    struct slice label = domain;
    while (report_next_part(&rest, '.', &label)) {
        const char *bytes = slice_chars(label);
        if (label.size_bytes == 0 || label.size_bytes > REPORT_LABEL_BYTES_MAX || bytes[0] == '-' ||
            bytes[label.size_bytes - 1] == '-' || !report_has_only(label, "-"))
            return false;
        label_count++;
    }
    return label_count >= 2 && !report_is_digit(slice_chars(label)[0]);
}

bool report_mail_is_valid(struct slice address)
{
    if (address.size_bytes > REPORT_MAIL_BYTES_MAX)
        return false;
    struct slice rest = address;
    struct slice local;
    if (!report_next_part(&rest, '@', &local) || rest.data == NULL)
        return false;
    return report_local_part_is_valid(local) && report_domain_is_valid(rest);
}

// --- Destinations.

static bool report_parse_cloud(const struct json_node *destination, struct json_text *json,
                               struct err *err)
{
    const struct json_node *bucket_node = report_member(destination, "bucket");
    const struct json_node *cloud_node = report_member(destination, "cloud");
    const struct json_node *role_node = report_member(destination, "resource_access_id");
    const struct json_node *prefix_node = report_member(destination, "prefix");
    if (bucket_node == NULL)
        return report_set_missing(err, "destination.bucket");
    if (cloud_node == NULL)
        return report_set_missing(err, "destination.cloud");
    if (role_node == NULL)
        return report_set_missing(err, "destination.resource_access_id");
    struct slice bucket;
    struct slice cloud;
    struct slice role;
    TRY(report_take_text(cloud_node, &cloud, err));
    const bool is_gcs = slice_equal_text(cloud, "gcs");
    if (!is_gcs && !slice_equal_text(cloud, "s3"))
        return err_set(err, ERR_INVALID, "Invalid cloud");
    TRY(report_take_text(bucket_node, &bucket, err));
    if (!report_bucket_is_valid(bucket, is_gcs))
        return err_set(err, ERR_INVALID, "Invalid bucket name");
    TRY(report_take_text(role_node, &role, err));
    if (is_gcs && !report_service_account_is_valid(role))
        return err_set(err, ERR_INVALID, "Invalid service account");
    if (!is_gcs && !report_role_is_valid(role))
        return err_set(err, ERR_INVALID, "Invalid role ARN");
    const struct slice prefix = json_node_text(prefix_node);
    if (prefix_node != NULL && json_node_kind(prefix_node) != JSON_KIND_TEXT)
        return err_set(err, ERR_INVALID, "Invalid type: string expected");
    if (!slice_is_empty(prefix)) // "" is the bucket's root, as is no prefix
        TRY(report_check_prefix(prefix, err));

    json_text_key(json, "cloud");
    json_text_string(json, cloud);
    json_text_key(json, "bucket");
    json_text_string(json, bucket);
    if (!slice_is_empty(prefix)) {
        json_text_key(json, "prefix");
        json_text_string(json, prefix);
    }
    json_text_key(json, "resource_access_id");
    json_text_string(json, role);
    return true;
}

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

static bool report_parse_email(const struct json_node *destination, struct json_text *json,
                               struct err *err)
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
    json_text_key(json, "recipient_emails");
    json_text_open(json, '[');
    for (size_t i = 0; i < count; i++) {
        struct slice address;
        TRY(report_take_text(json_node_at(recipients, i), &address, err));
        if (!report_mail_is_valid(address))
            return err_set(err, ERR_INVALID, "Invalid e-mail address");
        if (!report_is_repeated(recipients, i))
            json_text_string(json, address);
    }
    json_text_close(json, ']');
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
    json_text_key(&json, "subscription_type");
    json_text_string(&json, type);
    if (kind == REPORT_CLOUD)
        TRY(report_parse_cloud(destination, &json, err));
    if (kind == REPORT_EMAIL)
        TRY(report_parse_email(destination, &json, err));
    json_text_close(&json, '}');
    ASSERT(!bytes.overflowed); // every member has a bound of its own
    ret_report->destination = kind;
    ret_report->destination_json = arena_copy_slice(arena, buf_slice(&bytes));
    return true;
}
