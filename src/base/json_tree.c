// SPDX-License-Identifier: Apache-2.0
// jansson decides what is JSON; its tree is copied into one of our own, which is read-only, keeps
// its texts in an arena and needs no cast from const. Walks keep their own stack: depth is bounded
// before anything is parsed, so neither jansson's recursion nor these stacks can be driven by
// input.
#include "base/json_tree.h"

#include <jansson.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/json_text.h"
#include "base/mem.h"

#define JSON_TREE_DEPTH_MAX     64
#define JSON_TREE_KEY_SHOWN_MAX ((size_t)200)

struct json_node {
    enum json_kind kind;
    size_t count; // of items
    union {
        bool boolean;
        int64_t int64;
        double real;
        struct slice text;
        const struct json_node *items;
    } value;
    const struct slice *keys; // of an object, as many as items
};

struct json_tree {
    struct arena arena;
    struct json_node root;
};

// Says nothing about whether brackets match: that is the parser's affair.
static bool json_tree_is_too_deep(struct slice text)
{
    const char *bytes = slice_chars(text);
    size_t depth = 0;
    bool is_inside_text = false;
    for (size_t i = 0; i < text.size_bytes; i++) {
        const char byte = bytes[i];
        if (is_inside_text) {
            if (byte == '\\')
                i++;
            else if (byte == '"')
                is_inside_text = false;
        } else if (byte == '"') {
            is_inside_text = true;
        } else if (byte == '[' || byte == '{') {
            if (++depth > JSON_TREE_DEPTH_MAX)
                return true;
        } else if ((byte == ']' || byte == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

// The parser stops right behind the closing quote of the second key, and its own message leaves out
// long keys: so the key is read from the text, as written.
static struct slice json_tree_key_before(struct slice text, size_t end)
{
    const char *bytes = slice_chars(text);
    if (end < 2 || end > text.size_bytes || bytes[end - 1] != '"')
        return slice_of(NULL, 0);
    size_t start = end - 1;
    while (start > 0) {
        start--;
        if (bytes[start] != '"')
            continue;
        size_t backslashes = 0;
        while (backslashes < start && bytes[start - backslashes - 1] == '\\')
            backslashes++;
        if (backslashes % 2 == 0)
            break;
    }
    size_t size = end - 1 - (start + 1);
    if (size > JSON_TREE_KEY_SHOWN_MAX) {
        size = JSON_TREE_KEY_SHOWN_MAX;
        while (size > 0 && ((unsigned char)bytes[start + 1 + size] & 0xC0) == 0x80)
            size--; // not inside a character
    }
    return slice_of(bytes + start + 1, size);
}

// A byte order mark of UTF-16 is not UTF-8 either, but "not JSON" is what helps its sender.
static bool json_tree_starts_as_utf16(struct slice text)
{
    return slice_starts_with(text, slice_text("\xff\xfe")) ||
           slice_starts_with(text, slice_text("\xfe\xff"));
}

static bool json_tree_set_parse_err(struct slice text, const json_error_t *error, struct err *err)
{
    const enum json_error_code code = json_error_code(error);
    ASSERT(code != json_error_out_of_memory);
    if (code == json_error_duplicate_key) {
        const struct slice key = json_tree_key_before(text, (size_t)error->position);
        return err_set(err, ERR_INVALID, "Duplicate field: %.*s", (int)key.size_bytes,
                       slice_chars(key) == NULL ? "" : slice_chars(key));
    }
    if (code == json_error_numeric_overflow)
        return err_set(err, ERR_INVALID, "Number out of range");
    if (code == json_error_invalid_utf8 && !json_tree_starts_as_utf16(text))
        return err_set(err, ERR_INVALID, "Invalid UTF-8");
    // The parser has no code of its own for surrogates that are not a pair.
    if (strncmp(error->text, "invalid Unicode", strlen("invalid Unicode")) == 0)
        return err_set(err, ERR_INVALID, "Invalid Unicode escape");
    return err_set(err, ERR_INVALID, "Invalid JSON");
}

static struct slice json_tree_copy_text(struct arena *arena, const char *text, size_t size_bytes)
{
    return slice_of(arena_copy_slice(arena, slice_of(text, size_bytes)), size_bytes);
}

// Copies the value itself; items of arrays and objects are filled in by the caller.
static void json_tree_copy_one(struct arena *arena, const json_t *source, struct json_node *node)
{
    switch (json_typeof(source)) {
    case JSON_NULL:
        node->kind = JSON_KIND_NULL;
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        node->kind = JSON_KIND_BOOL;
        node->value.boolean = json_is_true(source);
        return;
    case JSON_INTEGER:
        node->kind = JSON_KIND_INT64;
        node->value.int64 = json_integer_value(source);
        return;
    case JSON_REAL:
        node->kind = JSON_KIND_DOUBLE;
        node->value.real = json_real_value(source);
        return;
    case JSON_STRING:
        node->kind = JSON_KIND_TEXT;
        node->value.text = json_tree_copy_text(arena, json_string_value(source),
                                               json_string_length(source));
        return;
    case JSON_ARRAY:
        node->kind = JSON_KIND_ARRAY;
        node->count = json_array_size(source);
        return;
    case JSON_OBJECT:
        node->kind = JSON_KIND_OBJECT;
        node->count = json_object_size(source);
        return;
    }
}

// An array or object whose items are being copied.
struct json_tree_copy_frame {
    json_t *source;
    void *iterator; // of an object
    struct json_node *items;
    struct slice *keys;
    size_t count;
    size_t next;
};

static void json_tree_copy_open(struct arena *arena, json_t *source, struct json_node *node,
                                struct json_tree_copy_frame *ret_frame)
{
    *ret_frame = (struct json_tree_copy_frame){.source = source, .count = node->count};
    ret_frame->items = arena_alloc_array(arena, node->count, sizeof *ret_frame->items);
    node->value.items = ret_frame->items;
    if (node->kind == JSON_KIND_OBJECT) {
        ret_frame->keys = arena_alloc_array(arena, node->count, sizeof *ret_frame->keys);
        ret_frame->iterator = json_object_iter(source);
        node->keys = ret_frame->keys;
    }
}

static json_t *json_tree_copy_next(struct arena *arena, struct json_tree_copy_frame *frame)
{
    if (frame->keys == NULL)
        return json_array_get(frame->source, frame->next);
    const char *key = json_object_iter_key(frame->iterator);
    frame->keys[frame->next] = json_tree_copy_text(arena, key, strlen(key));
    json_t *value = json_object_iter_value(frame->iterator);
    frame->iterator = json_object_iter_next(frame->source, frame->iterator);
    return value;
}

static bool json_node_has_items(const struct json_node *node)
{
    return node->count > 0;
}

static void json_tree_copy(struct json_tree *tree, json_t *root)
{
    struct json_tree_copy_frame stack[JSON_TREE_DEPTH_MAX];
    size_t depth = 0;
    json_tree_copy_one(&tree->arena, root, &tree->root);
    if (json_node_has_items(&tree->root))
        json_tree_copy_open(&tree->arena, root, &tree->root, &stack[depth++]);
    while (depth > 0) {
        struct json_tree_copy_frame *frame = &stack[depth - 1];
        if (frame->next == frame->count) {
            depth--;
            continue;
        }
        json_t *source = json_tree_copy_next(&tree->arena, frame);
        struct json_node *node = &frame->items[frame->next++];
        json_tree_copy_one(&tree->arena, source, node);
        if (json_node_has_items(node)) {
            ASSERT(depth < JSON_TREE_DEPTH_MAX);
            json_tree_copy_open(&tree->arena, source, node, &stack[depth++]);
        }
    }
}

bool json_tree_parse(struct slice text, struct json_tree **ret_tree, struct err *err)
{
    if (json_tree_is_too_deep(text))
        return err_set(err, ERR_INVALID, "JSON nested too deeply");
    json_error_t error;
    const char *bytes = text.size_bytes == 0 ? "" : slice_chars(text);
    json_t *root = json_loadb(bytes, text.size_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                              &error);
    if (root == NULL)
        return json_tree_set_parse_err(text, &error, err);
    struct json_tree *tree = mem_alloc(sizeof *tree);
    arena_init(&tree->arena);
    json_tree_copy(tree, root);
    json_decref(root);
    *ret_tree = tree;
    return true;
}

void json_tree_free(struct json_tree **tree)
{
    if (*tree == NULL)
        return;
    arena_clear(&(*tree)->arena);
    mem_free(*tree);
    *tree = NULL;
}

const struct json_node *json_tree_root(const struct json_tree *tree)
{
    return &tree->root;
}

enum json_kind json_node_kind(const struct json_node *node)
{
    return node == NULL ? JSON_KIND_NULL : node->kind;
}

bool json_node_bool(const struct json_node *node)
{
    return json_node_kind(node) == JSON_KIND_BOOL && node->value.boolean;
}

int64_t json_node_int64(const struct json_node *node)
{
    return json_node_kind(node) == JSON_KIND_INT64 ? node->value.int64 : 0;
}

double json_node_double(const struct json_node *node)
{
    if (json_node_kind(node) == JSON_KIND_INT64)
        return (double)node->value.int64;
    return json_node_kind(node) == JSON_KIND_DOUBLE ? node->value.real : 0;
}

struct slice json_node_text(const struct json_node *node)
{
    return json_node_kind(node) == JSON_KIND_TEXT ? node->value.text : slice_text("");
}

size_t json_node_count(const struct json_node *node)
{
    return node == NULL ? 0 : node->count;
}

const struct json_node *json_node_at(const struct json_node *array, size_t index)
{
    if (json_node_kind(array) != JSON_KIND_ARRAY || index >= array->count)
        return NULL;
    return &array->value.items[index];
}

const struct json_node *json_node_get(const struct json_node *object, const char *key)
{
    if (json_node_kind(object) != JSON_KIND_OBJECT)
        return NULL;
    const struct slice wanted = slice_text(key);
    for (size_t i = 0; i < object->count; i++) {
        if (slice_equal(object->keys[i], wanted))
            return &object->value.items[i];
    }
    return NULL;
}

void json_node_each(const struct json_node *object,
                    void (*visit)(struct slice key, const struct json_node *value, void *context),
                    void *context)
{
    if (json_node_kind(object) != JSON_KIND_OBJECT)
        return;
    for (size_t i = 0; i < object->count; i++)
        visit(object->keys[i], &object->value.items[i], context);
}

static void json_node_write_scalar(const struct json_node *node, struct json_text *json)
{
    switch (node->kind) {
    case JSON_KIND_NULL:
        json_text_null(json);
        return;
    case JSON_KIND_BOOL:
        json_text_bool(json, node->value.boolean);
        return;
    case JSON_KIND_INT64:
        json_text_int64(json, node->value.int64);
        return;
    case JSON_KIND_DOUBLE:
        json_text_double(json, node->value.real);
        return;
    case JSON_KIND_TEXT:
        json_text_string(json, node->value.text);
        return;
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
        break;
    }
    ASSERT(node->kind < JSON_KIND_ARRAY);
}

struct json_node_write_frame {
    const struct json_node *node;
    size_t next;
};

void json_node_write(const struct json_node *node, struct buf *destination)
{
    struct json_text json;
    json_text_init(&json, destination);
    struct json_node_write_frame stack[JSON_TREE_DEPTH_MAX] = {{0}};
    size_t depth = 0;
    const struct json_node *at = node;
    while (true) {
        if (at == NULL) {
            json_text_null(&json);
        } else if (at->kind == JSON_KIND_ARRAY || at->kind == JSON_KIND_OBJECT) {
            ASSERT(depth < JSON_TREE_DEPTH_MAX);
            json_text_open(&json, at->kind == JSON_KIND_ARRAY ? '[' : '{');
            stack[depth++] = (struct json_node_write_frame){.node = at};
        } else {
            json_node_write_scalar(at, &json);
        }
        while (depth > 0 && stack[depth - 1].next == stack[depth - 1].node->count) {
            depth--;
            json_text_close(&json, stack[depth].node->kind == JSON_KIND_ARRAY ? ']' : '}');
        }
        if (depth == 0)
            return;
        struct json_node_write_frame *frame = &stack[depth - 1];
        if (frame->node->keys != NULL)
            json_text_key(&json, slice_chars(frame->node->keys[frame->next]));
        at = &frame->node->value.items[frame->next++];
    }
}
