// SPDX-License-Identifier: Apache-2.0
#include "api/api_report.h"

#include "api/api_auth.h"
#include "api/api_destination.h"
#include "api/api_reply.h"
#include "base/mem.h"

struct api_sensitive {
    const struct schema *schema;
    const char *found; // first sensitive field, or NULL
};

static void api_look_at_column(const struct column *column, void *context)
{
    struct api_sensitive *look = context;
    const struct schema_field *field = schema_find(look->schema, slice_text(column->name));
    if (look->found == NULL && field != NULL && field->is_sensitive)
        look->found = column->name;
}

// A filter over a sensitive field tells its values as well as a column does.
static bool api_find_sensitive(struct api_call *call, const struct report *report,
                               struct api_sensitive *look, struct err *err)
{
    for (size_t i = 0; i < report->field_count && !report->wants_all; i++)
        api_look_at_column(&(struct column){.name = report->fields[i]}, look);
    if (look->found != NULL || report->filter_typed == NULL)
        return true;
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    const struct filter *filter = NULL;
    TRY(json_tree_parse(slice_text(report->filter_typed), &tree, err));
    TRY(filter_load(json_tree_root(tree), call->arena, &filter, err));
    if (filter != NULL)
        filter_each_column(filter, api_look_at_column, look);
    return true;
}

static bool api_check_permissions(struct api_call *call, const struct report *report,
                                  const struct schema *schema, struct err *err)
{
    if (api_may(call, TENANT_SENSITIVE_DATA))
        return true;
    if (report->wants_all)
        return api_refuse(call, err, 400, "Not authorized for report_fields: all");
    struct api_sensitive look = {.schema = schema};
    TRY(api_find_sensitive(call, report, &look, err));
    if (look.found != NULL)
        return api_refuse(call, err, 400, "Not authorized for report_fields: %s", look.found);
    return true;
}

static const struct api_faults *api_faults_of(struct api_call *call,
                                              const struct report_bad_fields *bad_fields)
{
    struct api_faults *faults = arena_alloc(call->arena, sizeof *faults);
    const char **messages = arena_alloc_array(call->arena, bad_fields->count, sizeof *messages);
    for (size_t i = 0; i < bad_fields->count; i++) {
        struct err fact;
        (void)schema_set_unavailable(&fact, slice_text(bad_fields->names[i])); // always false
        messages[i] = arena_copy_text(call->arena, fact.message);
    }
    *faults = (struct api_faults){messages, bad_fields->count};
    return faults;
}

static bool api_check_report(struct api_call *call, struct report *report,
                             const struct schema *schema, struct err *err)
{
    struct report_bad_fields bad_fields = {0};
    if (report_check(report, schema, call->arena, &bad_fields, err))
        return api_check_permissions(call, report, schema, err);
    if (bad_fields.count > 0)
        call->faults = api_faults_of(call, &bad_fields);
    return false;
}

static bool api_find_topic(struct api_call *call, const struct report *report,
                           const struct schema **ret_schema, struct err *err)
{
    if (topic_get(call->catalog, call->identity.organization_id, slice_text(report->topic_name),
                  call->arena, ret_schema, err))
        return true;
    if (err->kind == ERR_NOT_FOUND || err->kind == ERR_INVALID)
        return api_refuse(call, err, 400, "Invalid report_type");
    return false;
}

bool api_accept_report(struct api_call *call, struct report *report, int64_t *ret_topic_id,
                       struct err *err)
{
    const struct schema *schema = NULL;
    TRY(api_check_destination(call, report, err));
    TRY(api_find_topic(call, report, &schema, err));
    TRY(api_check_report(call, report, schema, err));
    if (schema->topic_id == 0)
        TRY(topic_learn(call->catalog, call->identity.organization_id,
                        slice_text(report->topic_name), NULL, 0, call->now_ms, call->arena, &schema,
                        err));
    *ret_topic_id = schema->topic_id;
    return true;
}
