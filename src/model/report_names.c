// SPDX-License-Identifier: Apache-2.0
// Names in destinations: of buckets, prefixes, roles, accounts, connections, keys and recipients.
// They are checked by what may go into a URL, an object key or a mail header, so nothing behind
// this point needs to escape a surprise.
#include "base/check.h"
#include "base/hex.h"
#include "model/report_internal.h"

#define REPORT_ROLE_BYTES_MAX       ((size_t)2048)
#define REPORT_KMS_BYTES_MAX        ((size_t)512)
#define REPORT_ALIAS_BYTES_MAX      ((size_t)250)
#define REPORT_ACCOUNT_DIGITS       ((size_t)12)
#define REPORT_CONNECTION_BYTES_MAX ((size_t)63)
#define REPORT_MAIL_BYTES_MAX       ((size_t)254)
#define REPORT_LOCAL_BYTES_MAX      ((size_t)64)
#define REPORT_LABEL_BYTES_MAX      ((size_t)63)

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

static bool report_has_upper(struct slice text)
{
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (slice_chars(text)[i] >= 'A' && slice_chars(text)[i] <= 'Z')
            return true;
    }
    return false;
}

static bool report_is_number(struct slice text)
{
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (!report_is_digit(slice_chars(text)[i]))
            return false;
    }
    return !slice_is_empty(text);
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

// --- Buckets and prefixes.

// 3 to 63 of [a-z0-9.-] (GCS: also '_'), letters and digits around every dot, not an IPv4 address.
bool report_bucket_is_valid(struct slice bucket, bool is_gcs)
{
    if (bucket.size_bytes < 3 || bucket.size_bytes > 63 || report_has_upper(bucket))
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
        is_number = is_number && report_is_number(label);
    }
    return !is_number || memchr(bucket.data, '.', bucket.size_bytes) == NULL;
}

bool report_check_prefix(struct slice prefix, struct err *err)
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

// --- Names of Amazon: arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE

struct report_arn {
    struct slice partition;
    struct slice service;
    struct slice region;
    struct slice account;
    struct slice resource;
};

// With a known partition and an account of twelve digits.
static bool report_split_arn(struct slice text, struct report_arn *ret_arn)
{
    static const char *const partitions[] = {"aws", "aws-cn", "aws-us-gov"};
    struct slice parts[6];
    struct slice rest = text;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        if (!report_next_part(&rest, ':', &parts[i]))
            return false;
    }
    bool is_partition = false;
    for (size_t i = 0; i < ARRAY_COUNT(partitions); i++)
        is_partition = is_partition || slice_equal_text(parts[1], partitions[i]);
    if (rest.data != NULL || !slice_equal_text(parts[0], "arn") || !is_partition ||
        parts[4].size_bytes != REPORT_ACCOUNT_DIGITS || !report_is_number(parts[4]))
        return false;
    *ret_arn = (struct report_arn){parts[1], parts[2], parts[3], parts[4], parts[5]};
    return true;
}

// arn:aws:iam::123456789012:role/path/name
bool report_role_is_valid(struct slice role)
{
    struct report_arn arn;
    const struct slice resource = slice_text("role/");
    if (role.size_bytes > REPORT_ROLE_BYTES_MAX || !report_split_arn(role, &arn) ||
        !slice_equal_text(arn.service, "iam") || !slice_is_empty(arn.region) ||
        !slice_starts_with(arn.resource, resource))
        return false;
    struct slice path = slice_from(arn.resource, resource.size_bytes);
    struct slice name = path;
    while (report_next_part(&path, '/', &name)) {
        if (name.size_bytes == 0 || !report_has_only(name, "+=,.@_-"))
            return false;
    }
    return name.size_bytes <= 64;
}

struct slice report_role_account(struct slice role)
{
    struct report_arn arn;
    return report_split_arn(role, &arn) ? arn.account : slice_of(NULL, 0);
}

// Of hexadecimal digits alone, in lower case.
static bool report_is_hex(struct slice text, size_t digits)
{
    if (text.size_bytes != digits || report_has_upper(text))
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (hex_digit(slice_chars(text)[i]) < 0)
            return false;
    }
    return true;
}

// A UUID, or "mrk-" and 32 digits for a key of several regions.
static bool report_key_id_is_valid(struct slice id)
{
    static const size_t sizes[] = {8, 4, 4, 4, 12};
    const struct slice multi_region = slice_text("mrk-");
    if (slice_starts_with(id, multi_region))
        return report_is_hex(slice_from(id, multi_region.size_bytes), 32);
    struct slice rest = id;
    struct slice part;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        if (!report_next_part(&rest, '-', &part) || !report_is_hex(part, sizes[i]))
            return false;
    }
    return rest.data == NULL;
}

// arn:aws:kms:us-east-1:123456789012:key/ID or :alias/NAME, in the partition of the role (empty: of
// any).
bool report_kms_key_is_valid(struct slice key, struct slice role)
{
    struct report_arn arn;
    struct report_arn role_arn;
    const struct slice by_id = slice_text("key/");
    const struct slice by_alias = slice_text("alias/");
    if (key.size_bytes > REPORT_KMS_BYTES_MAX || !report_split_arn(key, &arn) ||
        !slice_equal_text(arn.service, "kms") || slice_is_empty(arn.region) ||
        !report_has_only(arn.region, "-") || report_has_upper(arn.region))
        return false;
    if (report_split_arn(role, &role_arn) && !slice_equal(role_arn.partition, arn.partition))
        return false;
    if (slice_starts_with(arn.resource, by_id))
        return report_key_id_is_valid(slice_from(arn.resource, by_id.size_bytes));
    if (!slice_starts_with(arn.resource, by_alias))
        return false;
    const struct slice alias = slice_from(arn.resource, by_alias.size_bytes);
    return !slice_is_empty(alias) && alias.size_bytes <= REPORT_ALIAS_BYTES_MAX &&
           report_has_only(alias, "/_-");
}

// --- Service accounts and connections.

// name@project.iam.gserviceaccount.com
bool report_service_account_is_valid(struct slice account)
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

bool report_connection_name_is_valid(struct slice name)
{
    return !slice_is_empty(name) && name.size_bytes <= REPORT_CONNECTION_BYTES_MAX &&
           slice_chars(name)[0] != '-' && report_has_only(name, "-") && !report_has_upper(name);
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

bool report_mail_domain_is_valid(struct slice domain)
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
    return report_local_part_is_valid(local) && report_mail_domain_is_valid(rest);
}
