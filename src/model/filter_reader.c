// SPDX-License-Identifier: Apache-2.0
// Where a parse of a filter is, and how it says so.
#include "base/check.h"
#include "base/mem.h"
#include "model/filter_internal.h"

// FILTER_PATH_MAX indexes of five digits (lists are bounded before they are walked), and brackets.
#define FILTER_PLACE_BYTES ((size_t)300)

void filter_reader_enter(struct filter_reader *reader, size_t index)
{
    ASSERT(reader->path_count < FILTER_PATH_MAX);
    reader->path[reader->path_count++] = index;
}

void filter_reader_leave(struct filter_reader *reader)
{
    ASSERT(reader->path_count > 0);
    reader->path_count--;
}

bool filter_reader_refuse(const struct filter_reader *reader, const char *fact, const char *hint,
                          struct err *err)
{
    struct buf place CLEANUP(buf_clear);
    buf_init(&place, FILTER_PLACE_BYTES);
    for (size_t i = 0; i < reader->path_count; i++)
        buf_append_format(&place, "%s[%zu]", i == 0 ? " at filter" : "", reader->path[i]);
    ASSERT(!place.overflowed);
    const char *at = place.size_bytes == 0 ? "" : buf_text(&place);
    return err_set(err, ERR_INVALID, "%s%s%s%s", fact, at, hint == NULL ? "" : ": ",
                   hint == NULL ? "" : hint);
}

bool filter_reader_refuse_size(const struct filter_reader *reader, size_t limit, const char *what,
                               struct err *err)
{
    struct buf hint CLEANUP(buf_clear);
    buf_init(&hint, FILTER_PLACE_BYTES);
    buf_append_format(&hint, "more than %zu %s", limit, what);
    return filter_reader_refuse(reader, "Filter too complex", buf_text(&hint), err);
}
