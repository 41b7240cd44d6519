// SPDX-License-Identifier: Apache-2.0
// The audit log, for operators.
#include "api/api_admin.h"
#include "api/api_reply.h"
#include "api/api_write.h"
#include "base/number.h"

#define API_AUDIT_LIMIT_DEFAULT INT64_C(100)
#define API_AUDIT_LIMIT_MAX     INT64_C(10000)

// A parameter from 1 to max; *ret_number stays when it is absent.
static bool api_number_query(struct api_call *call, const char *name, int64_t max,
                             int64_t *ret_number, struct err *err)
{
    size_t count = 0;
    struct slice text;
    int64_t number = 0;
    (void)http_query(call->request, name, &count);
    if (count == 0)
        return true;
    TRY(api_call_query(call, name, &text, err));
    if (!number_parse_int64(text, &number) || number < 1 || number > max)
        return api_refuse(call, err, 400, "Invalid parameter: %s", name);
    *ret_number = number;
    return true;
}

static void api_write_entry(struct json_text *json, const struct audit_entry *entry)
{
    json_text_open(json, '{');
    json_text_member_int64(json, "id", entry->id);
    api_write_time(json, "at", entry->at_ms);
    json_text_member_text(json, "action", entry->action);
    json_text_member_text(json, "object_id", entry->object_id);
    json_text_member_text(json, "organization_id", entry->organization_id);
    json_text_key(json, "details");
    if (entry->details == NULL)
        json_text_null(json);
    else
        json_text_raw(json, slice_text(entry->details));
    json_text_member_text(json, "key_id", entry->key_id);
    json_text_member_int64(json, "user_id", entry->user_id);
    json_text_member_text(json, "peer", entry->peer);
    json_text_member_text(json, "request_id", entry->request_id);
    json_text_close(json, '}');
}

bool api_admin_audit_list(struct api_call *call, struct err *err)
{
    struct audit_query query = {.limit = API_AUDIT_LIMIT_DEFAULT};
    struct audit_entry *entries = NULL;
    size_t count = 0;
    TRY(api_number_query(call, "limit", API_AUDIT_LIMIT_MAX, &query.limit, err));
    TRY(api_number_query(call, "before", INT64_MAX, &query.before_id, err));
    TRY(api_admin_organization_query(call, &query.organization_id, err));
    TRY(audit_list(call->catalog, &query, call->arena, &entries, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count; i++)
        api_write_entry(&call->json, &entries[i]);
    json_text_close(&call->json, ']');
    return true;
}
