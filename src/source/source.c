// SPDX-License-Identifier: Apache-2.0
// The wrappers around every source: they keep the rules of source_internal.h.
#include "source/source.h"

#include "base/check.h"
#include "source/source_internal.h"

static void source_check_rows(const struct source_rows *rows)
{
    if (rows->row_count == 0)
        return;
    ASSERT(rows->batch != NULL);
    ASSERT(rows->first_row <= rows->batch->row_count);
    ASSERT(rows->row_count <= rows->batch->row_count - rows->first_row);
}

bool source_next(struct source *source, struct source_rows *ret_rows, struct err *err)
{
    ASSERT(!source->has_failed);
    struct source_rows rows = {0};
    if (!source->is_finished && !source->ops->next(source, &rows, err)) {
        ASSERT(err == NULL || err->kind != ERR_NONE);
        source->has_failed = true;
        return false;
    }
    source_check_rows(&rows);
    source->is_finished = rows.row_count == 0;
    source->row_count += rows.row_count;
    *ret_rows = rows;
    return true;
}

void source_close(struct source **source)
{
    if (*source == NULL)
        return;
    (*source)->ops->close(*source);
    *source = NULL;
}

uint64_t source_row_count(const struct source *source)
{
    return source->row_count;
}
