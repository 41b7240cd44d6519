// SPDX-License-Identifier: Apache-2.0
// Filters: what is accepted can be stored and loaded with the same result, is the same in every
// form in which it may be sent, and prints an expression in which nothing of the client stands
// outside quotes. What is refused is refused with a text.
#include "base/check.h"
#include "base/mem.h"
#include "model/filter.h"

#define FUZZ_TEXT_BYTES_MAX ((size_t)16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_append_column(struct buf *sql, const struct column *column, void *context)
{
    (void)column;
    (void)context;
    buf_append_text(sql, "COLUMN");
}

static bool fuzz_is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

// The expression without its quoted texts consists of these words and signs.
static void fuzz_check_sql(struct slice sql)
{
    static const char *const words[] = {
        "COLUMN", "AND",  "OR",   "IS",  "NOT",        "NULL",         "TRUE",         "FALSE",
        "CAST",   "AS",   "LIKE", "IN",  "BETWEEN",    "BIGINT",       "DOUBLE",       "CASE",
        "WHEN",   "THEN", "ELSE", "END", "json_valid", "list_has_any", "json_extract", "to_json",
    };
    const char *bytes = slice_chars(sql);
    for (size_t at = 0; at < sql.size_bytes;) {
        size_t end = at + 1;
        if (bytes[at] == '\'') {
            while (end < sql.size_bytes && bytes[end] != '\'')
                end++;
            ASSERT(end < sql.size_bytes); // balanced; '' is two texts here
            end++;
        } else if (fuzz_is_letter(bytes[at])) {
            while (end < sql.size_bytes && fuzz_is_letter(bytes[end]))
                end++;
            bool is_known = false;
            for (size_t i = 0; i < ARRAY_COUNT(words); i++)
                is_known = is_known || slice_equal_text(slice_part(sql, at, end - at), words[i]);
            ASSERT(is_known);
        } else {
            ASSERT(memchr(" (),=<>~[]", bytes[at], 10) != NULL);
        }
        at = end;
    }
}

static void fuzz_append_stored(const struct json_node *node, struct arena *arena,
                               struct buf *destination)
{
    const struct filter *filter = NULL;
    struct err err = {0};
    const bool is_done = filter_parse(node, schema_builtin(slice_text("eo_click")), arena, &filter,
                                      &err);
    ASSERT(is_done);
    filter_store(filter, destination);
}

// The echo of a filter is that filter, as JSON and as percent-encoded text.
static void fuzz_check_forms(const struct json_node *node, struct arena *arena,
                             const struct buf *stored)
{
    const char *json = NULL;
    struct err err = {0};
    bool is_done = filter_normalize(node, arena, &json, &err);
    ASSERT(is_done);
    struct buf encoded CLEANUP(buf_clear);
    struct buf again CLEANUP(buf_clear);
    struct buf once_more CLEANUP(buf_clear);
    buf_init(&encoded, FUZZ_TEXT_BYTES_MAX);
    buf_init(&again, FUZZ_TEXT_BYTES_MAX);
    buf_init(&once_more, FUZZ_TEXT_BYTES_MAX);
    buf_append_char(&encoded, '"');
    for (const char *at = json; *at != '\0'; at++)
        buf_append_format(&encoded, "%%%02X", (unsigned)(unsigned char)*at);
    buf_append_char(&encoded, '"');
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct json_tree *text CLEANUP(json_tree_free) = NULL;
    is_done = json_tree_parse(slice_text(json), &tree, &err) &&
              json_tree_parse(buf_slice(&encoded), &text, &err);
    ASSERT(is_done);
    fuzz_append_stored(json_tree_root(tree), arena, &again);
    fuzz_append_stored(json_tree_root(text), arena, &once_more);
    ASSERT(slice_equal(buf_slice(stored), buf_slice(&again)));
    ASSERT(slice_equal(buf_slice(stored), buf_slice(&once_more)));
}

static void fuzz_check(const struct json_node *node, const struct filter *filter,
                       struct arena *arena)
{
    struct err err = {0};
    struct buf first CLEANUP(buf_clear);
    struct buf second CLEANUP(buf_clear);
    struct buf sql CLEANUP(buf_clear);
    buf_init(&first, FUZZ_TEXT_BYTES_MAX);
    buf_init(&second, FUZZ_TEXT_BYTES_MAX);
    buf_init(&sql, FUZZ_TEXT_BYTES_MAX);
    filter_store(filter, &first);
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    bool is_done = json_tree_parse(buf_slice(&first), &tree, &err);
    ASSERT(is_done);
    const struct filter *loaded = NULL;
    is_done = filter_load(json_tree_root(tree), arena, &loaded, &err);
    ASSERT(is_done);
    filter_store(loaded, &second);
    ASSERT(slice_equal(buf_slice(&first), buf_slice(&second)));
    filter_append_sql(filter, fuzz_append_column, NULL, &sql);
    ASSERT(sql.size_bytes > 0);
    fuzz_check_sql(buf_slice(&sql));
    fuzz_check_forms(node, arena, &first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct json_tree *tree = NULL;
    if (!json_tree_parse(slice_of(data, size), &tree, &err))
        return 0;
    struct arena arena;
    arena_init(&arena);
    const struct filter *filter = NULL;
    if (!filter_parse(json_tree_root(tree), schema_builtin(slice_text("eo_click")), &arena, &filter,
                      &err))
        ASSERT(err.kind == ERR_INVALID && err.message[0] != '\0');
    else if (filter != NULL)
        fuzz_check(json_tree_root(tree), filter, &arena);
    arena_clear(&arena);
    json_tree_free(&tree);
    return 0;
}
