// SPDX-License-Identifier: Apache-2.0
#include "cli/cli_admin_table.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "cli/cli_call.h"

#define ADMIN_COLUMNS_MAX    ((size_t)32)
#define ADMIN_CELL_BYTES_MAX ((size_t)64 * 1024)
#define ADMIN_COLUMN_GAP     ((size_t)2)

struct admin_column {
    const char *name;
    size_t width; // of its widest cell
};

// Members that only some rows have get their column where they first come.
struct admin_table {
    struct arena arena;
    struct admin_column columns[ADMIN_COLUMNS_MAX];
    size_t column_count;
};

static void admin_table_clear(struct admin_table *table)
{
    arena_clear(&table->arena);
}

// Code points, which is what most terminals give a column each.
static size_t admin_width(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void admin_write_texts(const struct json_node *list, struct buf *text)
{
    for (size_t i = 0; i < json_node_count(list); i++) {
        buf_append_text(text, i == 0 ? "" : ",");
        buf_append(text, json_node_text(json_node_at(list, i)));
    }
}

static const char *admin_visible(struct admin_table *table, struct slice text)
{
    struct buf visible CLEANUP(buf_clear);
    buf_init(&visible, ADMIN_CELL_BYTES_MAX);
    cli_call_append_visible(&visible, text);
    return arena_copy_slice(&table->arena, buf_slice(&visible));
}

// Texts as they are, all else as JSON.
static const char *admin_cell(struct admin_table *table, const struct json_node *node)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, ADMIN_CELL_BYTES_MAX);
    switch (json_node_kind(node)) {
    case JSON_KIND_NULL:
        buf_append_char(&text, '-');
        break;
    case JSON_KIND_TEXT:
        buf_append(&text, json_node_text(node));
        break;
    case JSON_KIND_ARRAY:
        admin_write_texts(node, &text);
        break;
    case JSON_KIND_BOOL:
    case JSON_KIND_INT64:
    case JSON_KIND_DOUBLE:
    case JSON_KIND_OBJECT:
        json_node_write(node, &text);
        break;
    }
    return admin_visible(table, buf_slice(&text));
}

static void admin_widen(struct admin_column *column, const char *cell)
{
    const size_t width = admin_width(cell);
    if (width > column->width)
        column->width = width;
}

static void admin_see_member(struct slice key, const struct json_node *value, void *context)
{
    struct admin_table *table = context;
    size_t i = 0;
    while (i < table->column_count && !slice_equal_text(key, table->columns[i].name))
        i++;
    if (i == ADMIN_COLUMNS_MAX)
        return;
    if (i == table->column_count) {
        const char *name = arena_copy_slice(&table->arena, key);
        table->columns[table->column_count++] = (struct admin_column){name, admin_width(name)};
    }
    admin_widen(&table->columns[i], admin_cell(table, value));
}

static void admin_write_cell(const char *cell, size_t width, struct buf *destination)
{
    buf_append_text(destination, cell);
    for (size_t i = admin_width(cell); i < width; i++)
        buf_append_char(destination, ' ');
}

// The last column is not padded: lines have no blanks at their end.
static void admin_write_row(struct admin_table *table, const struct json_node *row,
                            struct buf *destination)
{
    for (size_t i = 0; i < table->column_count; i++) {
        const struct admin_column *column = &table->columns[i];
        const bool is_last = i + 1 == table->column_count;
        const char *cell = row == NULL ? admin_visible(table, slice_text(column->name))
                                       : admin_cell(table, json_node_get(row, column->name));
        admin_write_cell(cell, is_last ? 0 : column->width + ADMIN_COLUMN_GAP, destination);
    }
    buf_append_char(destination, '\n');
}

static void admin_write_object(struct admin_table *table, const struct json_node *object,
                               struct buf *destination)
{
    struct admin_column names = {0};
    for (size_t i = 0; i < table->column_count; i++)
        admin_widen(&names, table->columns[i].name);
    for (size_t i = 0; i < table->column_count; i++) {
        const char *name = table->columns[i].name;
        admin_write_cell(admin_visible(table, slice_text(name)), names.width + ADMIN_COLUMN_GAP,
                         destination);
        buf_append_text(destination, admin_cell(table, json_node_get(object, name)));
        buf_append_char(destination, '\n');
    }
}

void cli_admin_write_table(const struct json_node *reply, struct buf *destination)
{
    struct admin_table table CLEANUP(admin_table_clear) = {0};
    arena_init(&table.arena);
    if (json_node_kind(reply) == JSON_KIND_OBJECT) {
        json_node_each(reply, admin_see_member, &table);
        admin_write_object(&table, reply, destination);
        return;
    }
    for (size_t i = 0; i < json_node_count(reply); i++)
        json_node_each(json_node_at(reply, i), admin_see_member, &table);
    if (table.column_count > 0)
        admin_write_row(&table, NULL, destination);
    for (size_t i = 0; i < json_node_count(reply); i++)
        admin_write_row(&table, json_node_at(reply, i), destination);
}
