// SPDX-License-Identifier: Apache-2.0
// Edits of a report: the stored document with other members, read again as the body of a call. So
// what an edit makes is exactly what a new subscription may be.
#include "base/check.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "model/report_internal.h"

#define REPORT_EDIT_BYTES_MAX ((size_t)16 * 1024 * 1024)

struct report_overlay {
    struct json_text *json;
    const struct json_node *other; // members that are passed over; NULL: none
};

static void report_copy_member(struct slice key, const struct json_node *value, void *context)
{
    const struct report_overlay *overlay = context;
    if (json_node_get(overlay->other, slice_chars(key)) != NULL)
        return;
    json_text_string(overlay->json, key);
    buf_append_char(overlay->json->destination, ':');
    json_node_write(value, overlay->json->destination);
}

// An object with the members of `patch`, and those of `base` that it does not have.
static bool report_write_overlay(struct json_text *json, const char *key,
                                 const struct json_node *base, const struct json_node *patch,
                                 struct err *err)
{
    if (patch != NULL && json_node_kind(patch) != JSON_KIND_OBJECT)
        return err_set(err, ERR_INVALID, "Invalid type: object expected");
    json_text_key(json, key);
    json_text_open(json, '{');
    json_node_each(base, report_copy_member, &(struct report_overlay){json, patch});
    json_node_each(patch, report_copy_member, &(struct report_overlay){json, NULL});
    json_text_close(json, '}');
    return true;
}

static bool report_parse_edited(const struct json_node *document, const struct json_node *patch,
                                struct arena *arena, struct report *ret_report, struct err *err)
{
    struct buf text CLEANUP(buf_clear);
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct json_text json;
    buf_init(&text, REPORT_EDIT_BYTES_MAX);
    json_text_init(&json, &text);
    json_text_open(&json, '{');
    TRY(report_write_overlay(&json, "report", report_member(document, "report"),
                             report_member(patch, "report"), err));
    TRY(report_write_overlay(&json, "destination", report_member(document, "destination"),
                             report_member(patch, "destination"), err));
    json_text_close(&json, '}');
    TRY(buf_check(&text, err));
    TRY(json_tree_parse(buf_slice(&text), &tree, err));
    return report_parse(json_tree_root(tree), arena, ret_report, err);
}

static bool report_edits(const struct json_node *patch, const char *key)
{
    return json_node_get(json_node_get(patch, "report"), key) != NULL;
}

bool report_edit(const struct report *report, const struct json_node *patch, struct arena *arena,
                 struct report *ret_report, struct err *err)
{
    struct buf text CLEANUP(buf_clear);
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct report edited;
    buf_init(&text, REPORT_EDIT_BYTES_MAX);
    report_store(report, &text);
    TRY(buf_check(&text, err));
    TRY(json_tree_parse(buf_slice(&text), &tree, err));
    TRY(report_parse_edited(json_tree_root(tree), patch, arena, &edited, err));
    if (!report_edits(patch, "filter") && !report_edits(patch, "report_type"))
        edited.filter_typed = report->filter_typed;
    *ret_report = edited;
    return true;
}
