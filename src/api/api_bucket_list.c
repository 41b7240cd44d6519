// SPDX-License-Identifier: Apache-2.0
// ListBuckets, HeadBucket, GetBucketLocation, ListObjects and ListObjectsV2. The second list goes
// on by a token, the first by the place itself:
//
//   token    hexadecimal text of 'b' (behind an entry) or 'a' (amid a common prefix), and the place
//   marker   the place; with "//" behind it, which no key has in it, when it is amid a prefix
#include "api/api_bucket.h"
#include "api/api_handlers.h"
#include "api/api_reply.h"
#include "api/api_write.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/uri.h"
#include "base/xml_text.h"
#include "catalog/hosted_files.h"

#define API_LIST_KEYS_MAX INT64_C(1000)
#define API_LIST_ROWS_MAX INT64_C(10000)
#define API_LIST_AMID     "//"
#define API_TOKEN_BEHIND  'b'
#define API_TOKEN_AMID    'a'
#define API_XML_HEAD      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define API_XML_NAMES     " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
#define API_S3_TIME_CHARS ((size_t)24) // 2006-02-03T16:45:09.000Z

struct api_list {
    struct api_call *call;
    struct buf *xml;
    bool is_v2;
    bool is_encoded; // texts are percent-encoded: any byte can stand in XML then
    bool names_owner;
    int64_t key_limit;
    struct slice prefix;
    struct slice delimiter;
    struct slice after; // marker, start-after
    struct slice token; // continuation-token
    struct hosted_place start;
};

// --- What is asked for

static bool api_list_refuse(const struct api_list *list, struct err *err, const char *name)
{
    return api_refuse(list->call, err, 400, "Invalid parameter: %s", name);
}

static bool api_list_text(const struct api_list *list, const char *name, struct slice *ret_text,
                          struct err *err)
{
    size_t count = 0;
    const struct slice text = http_query(list->call->request, name, &count);
    if (count > 1)
        return api_refuse(list->call, err, 400, "Duplicate parameter: %s", name);
    if (!list->is_encoded && !xml_text_is_fit(text))
        return api_list_refuse(list, err, name);
    *ret_text = text;
    return true;
}

static bool api_list_flag(const struct api_list *list, const char *name, const char *word,
                          bool *ret_is_set, struct err *err)
{
    size_t count = 0;
    const struct slice text = http_query(list->call->request, name, &count);
    if (count > 1 || (count == 1 && !slice_equal_text(text, word)))
        return api_list_refuse(list, err, name);
    *ret_is_set = count == 1;
    return true;
}

static bool api_list_limit(struct api_list *list, struct err *err)
{
    struct slice text;
    TRY(api_list_text(list, "max-keys", &text, err));
    list->key_limit = API_LIST_KEYS_MAX;
    if (slice_is_empty(text))
        return true;
    if (!number_parse_int64(text, &list->key_limit) || list->key_limit < 0)
        return api_list_refuse(list, err, "max-keys");
    if (list->key_limit > API_LIST_KEYS_MAX)
        list->key_limit = API_LIST_KEYS_MAX;
    return true;
}

static bool api_list_owner(struct api_list *list, struct err *err)
{
    struct slice text;
    TRY(api_list_text(list, "fetch-owner", &text, err));
    list->names_owner = !list->is_v2 || slice_equal_text(text, "true");
    if (slice_is_empty(text) || slice_equal_text(text, "true") || slice_equal_text(text, "false"))
        return true;
    return api_list_refuse(list, err, "fetch-owner");
}

static bool api_list_parse_token(struct api_list *list, struct err *err)
{
    const size_t size = list->token.size_bytes / 2;
    uint8_t *bytes = arena_alloc(list->call->arena, size + 1);
    if (size < 2 || !hex_decode(list->token, bytes, size) ||
        (bytes[0] != API_TOKEN_BEHIND && bytes[0] != API_TOKEN_AMID))
        return api_list_refuse(list, err, "continuation-token");
    list->start = (struct hosted_place){slice_of(bytes + 1, size - 1), bytes[0] == API_TOKEN_AMID};
    return true;
}

// A token goes before what the first page began with.
static bool api_list_start(struct api_list *list, struct err *err)
{
    TRY(api_list_text(list, list->is_v2 ? "start-after" : "marker", &list->after, err));
    list->start = (struct hosted_place){.entry = list->after};
    if (list->is_v2) {
        TRY(api_list_text(list, "continuation-token", &list->token, err));
        return slice_is_empty(list->token) || api_list_parse_token(list, err);
    }
    const size_t size = list->after.size_bytes;
    const size_t amid_bytes = sizeof API_LIST_AMID - 1;
    if (size <= amid_bytes ||
        !slice_equal_text(slice_from(list->after, size - amid_bytes), API_LIST_AMID))
        return true;
    list->start = (struct hosted_place){slice_part(list->after, 0, size - amid_bytes), true};
    return true;
}

static bool api_list_read(struct api_list *list, struct err *err)
{
    TRY(api_list_flag(list, "list-type", "2", &list->is_v2, err));
    TRY(api_list_flag(list, "encoding-type", "url", &list->is_encoded, err));
    TRY(api_list_limit(list, err));
    TRY(api_list_owner(list, err));
    TRY(api_list_text(list, "prefix", &list->prefix, err));
    TRY(api_list_text(list, "delimiter", &list->delimiter, err));
    return api_list_start(list, err);
}

// --- The page

static void api_xml_text(const struct api_list *list, const char *name, struct slice text)
{
    xml_text_open(list->xml, name);
    if (list->is_encoded)
        uri_append_encoded(list->xml, text, "/");
    else
        xml_text_append(list->xml, text);
    xml_text_close(list->xml, name);
}

static void api_xml_number(struct buf *xml, const char *name, int64_t number)
{
    char text[NUMBER_CHARS_MAX];
    xml_text_member(xml, name, slice_of(text, number_format_int64(number, text)));
}

static void api_xml_time(struct buf *xml, const char *name, int64_t time_ms)
{
    char api_text[CIVIL_API_CHARS + 1];
    char text[API_S3_TIME_CHARS];
    civil_format_api(time_ms - time_ms % CIVIL_SECOND_MS, api_text);
    memcpy(text, api_text, sizeof text - 1);
    text[sizeof text - 1] = 'Z';
    xml_text_member(xml, name, slice_of(text, sizeof text));
}

static void api_xml_owner(const struct api_call *call, struct buf *xml)
{
    const struct slice id = slice_text(call->identity.organization_id);
    xml_text_open(xml, "Owner");
    xml_text_member(xml, "ID", id);
    xml_text_member(xml, "DisplayName", id);
    xml_text_close(xml, "Owner");
}

static void api_list_write_file(const struct api_list *list, const struct hosted_entry *entry)
{
    struct buf *xml = list->xml;
    const char *etag = arena_format(list->call->arena, "\"%s-1\"", entry->file.file.sha256);
    xml_text_open(xml, "Contents");
    api_xml_text(list, "Key", slice_text(entry->key));
    api_xml_time(xml, "LastModified", entry->file.published_at_ms);
    xml_text_member(xml, "ETag", slice_text(etag));
    api_xml_number(xml, "Size", entry->file.file.byte_count);
    xml_text_member(xml, "StorageClass", slice_text("STANDARD"));
    if (list->names_owner)
        api_xml_owner(list->call, xml);
    xml_text_close(xml, "Contents");
}

static void api_list_write_entries(const struct api_list *list, const struct hosted_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        if (!page->entries[i].is_prefix)
            api_list_write_file(list, &page->entries[i]);
    for (size_t i = 0; i < page->count; i++) {
        if (!page->entries[i].is_prefix)
            continue;
        xml_text_open(list->xml, "CommonPrefixes");
        api_xml_text(list, "Prefix", slice_text(page->entries[i].key));
        xml_text_close(list->xml, "CommonPrefixes");
    }
}

static void api_list_write_token(const struct api_list *list, const struct hosted_place *next)
{
    struct arena *arena = list->call->arena;
    const size_t size = next->entry.size_bytes + 1;
    char *bytes = arena_alloc(arena, size);
    char *text = arena_alloc(arena, 2 * size + 1);
    bytes[0] = next->is_amid ? API_TOKEN_AMID : API_TOKEN_BEHIND;
    memcpy(bytes + 1, next->entry.data, next->entry.size_bytes);
    hex_encode(slice_of(bytes, size), text);
    xml_text_member(list->xml, "NextContinuationToken", slice_text(text));
}

static void api_list_write_places(const struct api_list *list, const struct hosted_page *page)
{
    if (list->is_v2) {
        api_xml_number(list->xml, "KeyCount", (int64_t)page->count);
        if (!slice_is_empty(list->after))
            api_xml_text(list, "StartAfter", list->after);
        if (!slice_is_empty(list->token))
            xml_text_member(list->xml, "ContinuationToken", list->token);
        if (page->has_more)
            api_list_write_token(list, &page->next);
        return;
    }
    api_xml_text(list, "Marker", list->after);
    if (!page->has_more)
        return;
    const char *place = arena_copy_slice(list->call->arena, page->next.entry);
    api_xml_text(list, "NextMarker",
                 slice_text(arena_format(list->call->arena, "%s%s", place,
                                         page->next.is_amid ? API_LIST_AMID : "")));
}

static void api_list_write(const struct api_list *list, const struct hosted_page *page)
{
    struct buf *xml = list->xml;
    buf_append_text(xml, API_XML_HEAD "<ListBucketResult" API_XML_NAMES ">");
    xml_text_member(xml, "Name", slice_text(API_BUCKET_NAME));
    api_xml_text(list, "Prefix", list->prefix);
    if (!slice_is_empty(list->delimiter))
        api_xml_text(list, "Delimiter", list->delimiter);
    api_xml_number(xml, "MaxKeys", list->key_limit);
    if (list->is_encoded)
        xml_text_member(xml, "EncodingType", slice_text("url"));
    api_list_write_places(list, page);
    xml_text_member(xml, "IsTruncated", slice_text(page->has_more ? "true" : "false"));
    api_list_write_entries(list, page);
    xml_text_close(xml, "ListBucketResult");
}

static bool api_list_files(struct api_call *call, struct err *err)
{
    struct api_list list = {.call = call, .xml = &call->reply};
    struct hosted_page page = {0};
    TRY(api_list_read(&list, err));
    const struct hosted_query query = {.scope = api_call_scope(call),
                                       .prefix = list.prefix,
                                       .delimiter = list.delimiter,
                                       .start = list.start,
                                       .entry_limit = (size_t)list.key_limit,
                                       .row_limit = API_LIST_ROWS_MAX};
    TRY(api_call_catalog(call, err));
    if (list.key_limit > 0)
        TRY(hosted_file_list(call->catalog, &query, call->arena, &page, err));
    api_list_write(&list, &page);
    return true;
}

// --- Buckets

static bool api_is_asked(const struct api_call *call, const char *name)
{
    size_t count = 0;
    (void)http_query(call->request, name, &count);
    return count > 0;
}

// us-east-1 is the one region whose name is not written.
bool api_bucket_show(struct api_call *call, struct err *err)
{
    http_add_header(call->request, "x-amz-bucket-region", API_URL_REGION);
    if (slice_equal_text(http_method(call->request), "HEAD"))
        return true;
    if (!api_is_asked(call, "location"))
        return api_list_files(call, err);
    buf_append_text(&call->reply,
                    API_XML_HEAD "<LocationConstraint" API_XML_NAMES "></LocationConstraint>");
    return true;
}

bool api_bucket_list(struct api_call *call, struct err *err)
{
    struct tenant_organization organization;
    TRY(api_call_catalog(call, err));
    TRY(tenant_get_organization(call->catalog, call->identity.organization_id, call->arena,
                                &organization, err));
    struct buf *xml = &call->reply;
    buf_append_text(xml, API_XML_HEAD "<ListAllMyBucketsResult" API_XML_NAMES ">");
    api_xml_owner(call, xml);
    xml_text_open(xml, "Buckets");
    xml_text_open(xml, "Bucket");
    xml_text_member(xml, "Name", slice_text(API_BUCKET_NAME));
    api_xml_time(xml, "CreationDate", organization.created_at_ms);
    xml_text_close(xml, "Bucket");
    xml_text_close(xml, "Buckets");
    xml_text_close(xml, "ListAllMyBucketsResult");
    return true;
}
