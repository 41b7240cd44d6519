// SPDX-License-Identifier: Apache-2.0
#include "api/api_coding.h"

#include <strings.h>

#include "api/api_media.h"
#include "base/check.h"
#include "base/gzip.h"
#include "base/mem.h"

// --- Accept-Encoding: gzip;q=0.8, *;q=0.1

// The next item of a list, without blanks around it; false at the end.
static bool api_next_item(struct slice *list, char separator, struct slice *ret_item)
{
    if (list->data == NULL)
        return false;
    const char *end = list->size_bytes == 0 ? NULL
                                            : memchr(list->data, separator, list->size_bytes);
    if (end == NULL) {
        *ret_item = api_trimmed(*list);
        *list = slice_of(NULL, 0);
        return true;
    }
    const size_t size = (size_t)(end - slice_chars(*list));
    *ret_item = api_trimmed(slice_part(*list, 0, size));
    *list = slice_from(*list, size + 1);
    return true;
}

static bool api_equal_nocase(struct slice text, const char *name)
{
    return text.size_bytes == strlen(name) &&
           strncasecmp(slice_chars(text), name, text.size_bytes) == 0;
}

// "0", "1", "0.5", "1.000" as thousandths; what is none counts as 0: better no gzip than one that
// was not meant.
static int api_quality(struct slice text)
{
    const char *digits = slice_chars(text);
    if (text.size_bytes == 0 || text.size_bytes > 5 || (digits[0] != '0' && digits[0] != '1') ||
        (text.size_bytes > 1 && digits[1] != '.'))
        return 0;
    int thousandths = (digits[0] - '0') * 1000;
    int weight = 100;
    for (size_t i = 2; i < text.size_bytes; i++, weight /= 10) {
        if (digits[i] < '0' || digits[i] > '9')
            return 0;
        thousandths += (digits[i] - '0') * weight;
    }
    return thousandths > 1000 ? 0 : thousandths;
}

static int api_item_quality(struct slice parameters)
{
    struct slice parameter;
    while (api_next_item(&parameters, ';', &parameter)) {
        if (slice_starts_with(parameter, slice_text("q=")) ||
            slice_starts_with(parameter, slice_text("Q=")))
            return api_quality(slice_from(parameter, 2));
    }
    return 1000;
}

bool api_coding_wants_gzip(struct slice accept_encoding)
{
    const int unset = -1;
    int gzip = unset;
    int identity = unset;
    int rest = unset;
    struct slice item;
    while (api_next_item(&accept_encoding, ',', &item)) {
        struct slice coding;
        struct slice parameters = item;
        if (!api_next_item(&parameters, ';', &coding))
            continue;
        const int quality = api_item_quality(parameters);
        if (api_equal_nocase(coding, "gzip") || api_equal_nocase(coding, "x-gzip"))
            gzip = quality;
        else if (api_equal_nocase(coding, "identity"))
            identity = quality;
        else if (slice_equal_text(coding, "*"))
            rest = quality;
    }
    if (gzip == unset)
        gzip = rest;
    return gzip > 0 && gzip >= identity;
}

void api_coding_gzip(struct slice text, struct buf *destination)
{
    struct gzip_deflater *deflater CLEANUP(gzip_deflater_free) = gzip_deflater_new();
    uint8_t *block = mem_alloc(GZIP_BLOCK_OUTPUT_BYTES);
    uint8_t frame[GZIP_HEADER_BYTES > GZIP_TRAILER_BYTES ? GZIP_HEADER_BYTES : GZIP_TRAILER_BYTES];
    uint32_t crc = 0;
    gzip_write_header(frame);
    buf_append(destination, slice_of(frame, GZIP_HEADER_BYTES));
    for (size_t at = 0; at < text.size_bytes; at += GZIP_BLOCK_INPUT_BYTES) {
        const size_t left = text.size_bytes - at;
        const struct slice piece =
            slice_part(text, at, left < GZIP_BLOCK_INPUT_BYTES ? left : GZIP_BLOCK_INPUT_BYTES);
        uint32_t piece_crc;
        const size_t size = gzip_deflate_block(deflater, piece, block, &piece_crc);
        buf_append(destination, slice_of(block, size));
        crc = at == 0 ? piece_crc : gzip_crc_combine(crc, piece_crc, piece.size_bytes);
    }
    gzip_write_trailer(crc, text.size_bytes, frame);
    buf_append(destination, slice_of(frame, GZIP_TRAILER_BYTES));
    mem_free(block);
}
