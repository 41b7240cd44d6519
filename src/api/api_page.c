// SPDX-License-Identifier: Apache-2.0
// A cursor is the hexadecimal text of: 16 bytes of HMAC-SHA256, then the place as "NUMBER TEXT".
// The MAC covers the list and the caller's scope besides.
#include "api/api_page.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/api_reply.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/uri.h"

#define API_CURSOR_MAC_BYTES   ((size_t)16)
#define API_CURSOR_PLACE_BYTES ((size_t)512)
#define API_CURSOR_BYTES_MAX   (API_CURSOR_MAC_BYTES + API_CURSOR_PLACE_BYTES)

static void api_cursor_mac(const struct api_call *call, struct slice place,
                           uint8_t ret_mac[API_CURSOR_MAC_BYTES])
{
    const struct api_config *config = &call->api->config;
    const char *organization_id = call->identity.organization_id;
    const struct slice *params = call->match.params;
    // The parts of the path come last but one: they may hold anything but a slash.
    const char *message = arena_format(
        call->arena, "cursor\n%s\n%s\n%s\n%.*s/%.*s/%.*s", call->match.route->id,
        organization_id == NULL ? "" : organization_id, call->app_id == NULL ? "" : call->app_id,
        (int)params[0].size_bytes, slice_chars(params[0]), (int)params[1].size_bytes,
        slice_chars(params[1]), (int)place.size_bytes, slice_chars(place));
    uint8_t digest[SHA256_BYTES];
    hmac_sha256(slice_of(config->url_key, sizeof config->url_key), slice_text(message), digest);
    memcpy(ret_mac, digest, API_CURSOR_MAC_BYTES);
}

static const char *api_cursor_text(const struct api_call *call, struct api_place place)
{
    const struct slice text = slice_text(arena_format(call->arena, "%" PRId64 " %s", place.number,
                                                      place.text == NULL ? "" : place.text));
    ASSERT(text.size_bytes <= API_CURSOR_PLACE_BYTES);
    uint8_t bytes[API_CURSOR_BYTES_MAX];
    api_cursor_mac(call, text, bytes);
    memcpy(bytes + API_CURSOR_MAC_BYTES, text.data, text.size_bytes);
    const size_t size = API_CURSOR_MAC_BYTES + text.size_bytes;
    char *cursor = arena_alloc(call->arena, 2 * size + 1);
    hex_encode(slice_of(bytes, size), cursor);
    return cursor;
}

static bool api_cursor_parse_place(struct api_call *call, struct slice text,
                                   struct api_place *ret_place)
{
    const char *space = memchr(text.data, ' ', text.size_bytes);
    if (space == NULL)
        return false;
    const size_t size = (size_t)(space - slice_chars(text));
    if (!number_parse_int64(slice_part(text, 0, size), &ret_place->number))
        return false;
    ret_place->text = arena_copy_slice(call->arena, slice_from(text, size + 1));
    return true;
}

// What is not, letter by letter, a cursor that was made for this list is refused.
static bool api_cursor_parse(struct api_call *call, struct slice cursor,
                             struct api_place *ret_place)
{
    uint8_t bytes[API_CURSOR_BYTES_MAX];
    char again[2 * API_CURSOR_BYTES_MAX + 1];
    const size_t size = cursor.size_bytes / 2;
    if (size <= API_CURSOR_MAC_BYTES || size > sizeof bytes || !hex_decode(cursor, bytes, size))
        return false;
    hex_encode(slice_of(bytes, size), again);
    if (!slice_equal_text(cursor, again)) // digits in upper case
        return false;
    const struct slice place = slice_of(bytes + API_CURSOR_MAC_BYTES, size - API_CURSOR_MAC_BYTES);
    if (memchr(place.data, '\0', place.size_bytes) != NULL)
        return false;
    uint8_t mac[API_CURSOR_MAC_BYTES];
    api_cursor_mac(call, place, mac);
    if (!slice_equal_constant_time(slice_of(mac, sizeof mac), slice_of(bytes, sizeof mac)))
        return false;
    return api_cursor_parse_place(call, place, ret_place);
}

static bool api_page_limit(struct api_call *call, struct api_page *page, struct err *err)
{
    size_t count = 0;
    struct slice text;
    (void)http_query(call->request, "limit", &count);
    if (count == 0)
        return true;
    int64_t limit = 0;
    TRY(api_call_query(call, "limit", &text, err));
    if (!number_parse_int64(text, &limit) || limit < 1 || limit > (int64_t)API_PAGE_MAX)
        return api_refuse(call, err, 400, "Invalid parameter: limit");
    page->limit = (size_t)limit;
    page->has_limit = true;
    return true;
}

bool api_page_open(struct api_call *call, enum api_page_order order, struct api_page *ret_page,
                   struct err *err)
{
    struct api_page page = {.call = call, .order = order, .limit = API_PAGE_MAX};
    size_t count = 0;
    const struct slice cursor = http_query(call->request, "cursor", &count);
    TRY(api_page_limit(call, &page, err));
    if (count > 1)
        return api_refuse(call, err, 400, "Duplicate parameter: cursor");
    if (count == 1) {
        if (!api_cursor_parse(call, cursor, &page.start))
            return api_refuse(call, err, 400, "Invalid cursor");
        page.has_start = true;
        page.has_limit = true;
    }
    *ret_page = page;
    return true;
}

static int api_place_compare(struct api_place left, struct api_place right)
{
    if (left.number != right.number)
        return left.number < right.number ? -1 : 1;
    return strcmp(left.text == NULL ? "" : left.text, right.text == NULL ? "" : right.text);
}

bool api_page_takes(struct api_page *page, struct api_place place)
{
    if (page->has_start) {
        const int order = api_place_compare(place, page->start);
        if (page->order == API_PAGE_ASCENDING ? order <= 0 : order >= 0)
            return false;
    }
    if (page->count == page->limit) {
        page->has_more = true;
        return false;
    }
    page->last = place;
    page->count++;
    return true;
}

// Parameters that the call does not know are not reflected.
static void api_append_query(const struct api_call *call, struct buf *target)
{
    struct slice list = slice_text(call->match.route->query);
    struct api_route_name name;
    while (api_route_next_name(&list, &name)) {
        const char *text = arena_copy_slice(call->arena, name.name);
        const struct slice value = http_query(call->request, text, NULL);
        if (slice_is_empty(value))
            continue;
        buf_append_format(target, "%s=", text);
        uri_append_encoded(target, value, "");
        buf_append_char(target, '&');
    }
}

void api_page_close(struct api_page *page)
{
    struct api_call *call = page->call;
    if (!page->has_more)
        return;
    ASSERT(page->count > 0);
    struct buf target CLEANUP(buf_clear);
    buf_init(&target, (size_t)64 * 1024);
    buf_append_format(&target, "<%s", api_base_url(call));
    uri_append_encoded(&target, http_path(call->request), "/");
    buf_append_char(&target, '?');
    api_append_query(call, &target);
    buf_append_format(&target, "limit=%zu&cursor=%s>; rel=\"next\"", page->limit,
                      api_cursor_text(call, page->last));
    ASSERT(!target.overflowed); // the request line was shorter
    call->link = arena_copy_slice(call->arena, buf_slice(&target));
}
