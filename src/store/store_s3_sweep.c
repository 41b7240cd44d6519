// SPDX-License-Identifier: Apache-2.0
// Lists objects and open uploads, page by page, and removes what is old and nobody's.
#include <string.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cloud/s3_xml.h"
#include "store/store_s3_internal.h"

#define STORE_S3_PAGE "200" // of the longest keys, it stays below the limit of a reply

// One row of a page: object or upload.
struct store_s3_row {
    char *key;
    char *upload_id;
    int64_t time_ms;
};

struct store_s3_page {
    struct arena *arena;
    const char *row_path; // "ListBucketResult/Contents"
    const char *time_name;
    struct store_s3_row *rows;
    size_t row_count;
    struct store_s3_row row; // being read
    bool is_truncated;
    bool is_page; // of the right kind
    const char *next_token;
    const char *next_key;
    const char *next_upload_id;
};

#define STORE_S3_ROWS_MAX ((size_t)1000)

// Keys come encoded as in a URL, since some cannot be written in XML at all.
static char *store_s3_decode(struct slice text, struct arena *arena)
{
    const char *from = slice_chars(text);
    char *to = arena_alloc(arena, text.size_bytes + 1);
    size_t size_bytes = 0;
    for (size_t i = 0; i < text.size_bytes; i++) {
        uint8_t byte = 0;
        const bool is_encoded = from[i] == '%' && text.size_bytes - i >= 3 &&
                                hex_decode(slice_of(from + i + 1, 2), &byte, 1);
        to[size_bytes++] = is_encoded ? (char)byte : from[i] == '+' ? ' ' : from[i];
        i += is_encoded ? 2 : 0;
    }
    to[size_bytes] = '\0';
    return to;
}

static void store_s3_take_row(struct store_s3_page *page, const char *name, struct slice text)
{
    if (strcmp(name, "Key") == 0)
        page->row.key = store_s3_decode(text, page->arena);
    else if (strcmp(name, "UploadId") == 0)
        page->row.upload_id = arena_copy_slice(page->arena, text);
    else if (strcmp(name, page->time_name) == 0 && !civil_parse(text, &page->row.time_ms))
        page->row.time_ms = 0;
}

static void store_s3_take_element(void *context, const char *path, struct slice text)
{
    struct store_s3_page *page = context;
    const char *slash = strrchr(page->row_path, '/');
    const size_t root_chars = (size_t)(slash - page->row_path);
    if (strncmp(path, page->row_path, root_chars) != 0)
        return;
    page->is_page = true;
    const size_t row_chars = strlen(page->row_path);
    if (strcmp(path, page->row_path) == 0) {
        if (page->row_count < STORE_S3_ROWS_MAX && page->row.key != NULL)
            page->rows[page->row_count++] = page->row;
        page->row = (struct store_s3_row){0};
        return;
    }
    if (strncmp(path, page->row_path, row_chars) == 0 && path[row_chars] == '/') {
        store_s3_take_row(page, path + row_chars + 1, text);
        return;
    }
    const char *name = path[root_chars] == '\0' ? "" : path + root_chars + 1;
    if (strcmp(name, "IsTruncated") == 0)
        page->is_truncated = slice_equal_text(text, "true");
    else if (strcmp(name, "NextContinuationToken") == 0)
        page->next_token = arena_copy_slice(page->arena, text);
    else if (strcmp(name, "NextKeyMarker") == 0)
        page->next_key = store_s3_decode(text, page->arena);
    else if (strcmp(name, "NextUploadIdMarker") == 0)
        page->next_upload_id = arena_copy_slice(page->arena, text);
}

static bool store_s3_read_page(const struct store_s3 *s3, const struct s3_call *call,
                               struct store_s3_page *page, struct err *err)
{
    struct s3_reply reply;
    page->rows = arena_alloc_array(page->arena, STORE_S3_ROWS_MAX, sizeof *page->rows);
    TRY(s3_client_send(s3->client, call, page->arena, &reply, NULL, err));
    if (reply.answer != S3_OK)
        return store_s3_refuse(call->name, reply.answer, err);
    TRY(s3_xml_read(reply.body, store_s3_take_element, page, err));
    if (!page->is_page)
        return err_set(err, ERR_UNAVAILABLE, "%s: the store's answer cannot be right", call->name);
    return true;
}

// --- Uploads

bool store_s3_each_upload(struct store_s3 *s3, const char *prefix, bool is_single,
                          bool (*visit)(void *context, const struct store_s3_upload *upload,
                                        struct err *err),
                          void *context, struct err *err)
{
    struct buf key_marker CLEANUP(buf_clear);
    struct buf upload_marker CLEANUP(buf_clear);
    buf_init(&key_marker, 16 * STORE_KEY_BYTES_MAX);
    buf_init(&upload_marker, 16 * STORE_KEY_BYTES_MAX);
    bool is_truncated = true;
    while (is_truncated) {
        struct arena arena CLEANUP(arena_clear);
        arena_init(&arena);
        const struct sigv4_pair query[] = {
            store_s3_pair("uploads", ""),
            store_s3_pair("prefix", prefix),
            store_s3_pair("encoding-type", "url"),
            store_s3_pair("max-uploads", STORE_S3_PAGE),
            store_s3_pair("key-marker", buf_text(&key_marker)),
            store_s3_pair("upload-id-marker", buf_text(&upload_marker)),
        };
        const struct s3_call call = {
            .name = "list uploads",
            .permission = "s3:ListBucketMultipartUploads",
            .method = "GET",
            .query = query,
            // Markers only from the second page on.
            .query_count = key_marker.size_bytes == 0 ? ARRAY_COUNT(query) - 2 : ARRAY_COUNT(query),
            .is_single = is_single,
            .is_xml = true};
        struct store_s3_page page = {.arena = &arena,
                                     .row_path = "ListMultipartUploadsResult/Upload",
                                     .time_name = "Initiated"};
        TRY(store_s3_read_page(s3, &call, &page, err));
        for (size_t i = 0; i < page.row_count; i++) {
            const struct store_s3_row *row = &page.rows[i];
            const struct store_s3_upload upload = {row->key, row->upload_id, row->time_ms};
            if (row->upload_id != NULL && strncmp(row->key, prefix, strlen(prefix)) == 0)
                TRY(visit(context, &upload, err));
        }
        is_truncated = page.is_truncated && page.next_key != NULL && page.next_upload_id != NULL;
        buf_reset(&key_marker);
        buf_reset(&upload_marker);
        buf_append_text(&key_marker, is_truncated ? page.next_key : "");
        buf_append_text(&upload_marker, is_truncated ? page.next_upload_id : "");
        TRY(buf_check(&key_marker, err));
        TRY(buf_check(&upload_marker, err));
    }
    return true;
}

// --- Sweep

struct store_s3_sweeping {
    struct store_s3 *s3;
    const struct store_sweep *sweep;
    int64_t older_than_ms;
};

static bool store_s3_sweep_upload(void *context, const struct store_s3_upload *upload,
                                  struct err *err)
{
    const struct store_s3_sweeping *sweeping = context;
    if (upload->begun_at_ms == 0 || upload->begun_at_ms > sweeping->older_than_ms)
        return true;
    return store_s3_abort_upload(&sweeping->s3->base, upload->key + strlen(sweeping->s3->prefix),
                                 upload->upload_id, err);
}

static bool store_s3_sweep_object(const struct store_s3_sweeping *sweeping,
                                  const struct store_s3_row *row, struct err *err)
{
    const size_t prefix_chars = strlen(sweeping->s3->prefix);
    if (row->time_ms == 0 || row->time_ms > sweeping->older_than_ms ||
        strncmp(row->key, sweeping->s3->prefix, prefix_chars) != 0)
        return true;
    const char *key = row->key + prefix_chars;
    if (!store_key_is_valid(slice_text(key)))
        return true; // nothing of ours
    bool is_listed = true;
    TRY(sweeping->sweep->is_listed(key, sweeping->sweep->context, &is_listed, err));
    return is_listed || store_delete(&sweeping->s3->base, key, err);
}

static bool store_s3_sweep_objects(const struct store_s3_sweeping *sweeping, struct err *err)
{
    const struct store_s3 *s3 = sweeping->s3;
    struct buf token CLEANUP(buf_clear);
    buf_init(&token, S3_XML_TEXT_BYTES_MAX);
    bool is_truncated = true;
    while (is_truncated) {
        struct arena arena CLEANUP(arena_clear);
        arena_init(&arena);
        const struct sigv4_pair query[] = {
            store_s3_pair("list-type", "2"),
            store_s3_pair("prefix", s3->prefix),
            store_s3_pair("encoding-type", "url"),
            store_s3_pair("max-keys", STORE_S3_PAGE),
            store_s3_pair("continuation-token", buf_text(&token)),
        };
        const struct s3_call call = {.name = "list objects",
                                     .permission = "s3:ListBucket",
                                     .method = "GET",
                                     .query = query,
                                     .query_count = token.size_bytes == 0 ? ARRAY_COUNT(query) - 1
                                                                          : ARRAY_COUNT(query),
                                     .is_xml = true};
        struct store_s3_page page = {
            .arena = &arena, .row_path = "ListBucketResult/Contents", .time_name = "LastModified"};
        TRY(store_s3_read_page(s3, &call, &page, err));
        for (size_t i = 0; i < page.row_count; i++)
            TRY(store_s3_sweep_object(sweeping, &page.rows[i], err));
        is_truncated = page.is_truncated && page.next_token != NULL;
        buf_reset(&token);
        buf_append_text(&token, is_truncated ? page.next_token : "");
        TRY(buf_check(&token, err));
    }
    return true;
}

bool store_s3_sweep(struct store *store, const struct store_sweep *sweep, struct err *err)
{
    struct store_s3 *s3 = (struct store_s3 *)store;
    const struct store_s3_sweeping sweeping = {
        .s3 = s3,
        .sweep = sweep,
        .older_than_ms = clock_wall_ms(clock_system()) - sweep->age_ms,
    };
    struct store_s3_sweeping uploads = sweeping;
    TRY(store_s3_each_upload(s3, s3->prefix, false, store_s3_sweep_upload, &uploads, err));
    return sweep->is_listed == NULL || store_s3_sweep_objects(&sweeping, err);
}
