// SPDX-License-Identifier: Apache-2.0
// The audit log, for operators.
#include "api/api_admin_members.h"
#include "api/api_handlers.h"
#include "api/api_page.h"
#include "api/api_reply.h"
#include "api/api_write.h"
#include "base/number.h"

#define API_AUDIT_LIMIT_DEFAULT ((size_t)100)

static bool api_before_query(struct api_call *call, int64_t *ret_id, struct err *err)
{
    size_t count = 0;
    struct slice text;
    int64_t id = 0;
    (void)http_query(call->request, "before", &count);
    if (count == 0)
        return true;
    TRY(api_call_query(call, "before", &text, err));
    if (!number_parse_int64(text, &id) || id < 1)
        return api_refuse(call, err, 400, "Invalid parameter: before");
    *ret_id = id;
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
    struct audit_query query = {0};
    struct audit_entry *entries = NULL;
    struct api_page page;
    size_t count = 0;
    TRY(api_page_open(call, API_PAGE_DESCENDING, &page, err));
    TRY(api_before_query(call, &query.before_id, err));
    TRY(api_admin_organization_query(call, &query.organization_id, err));
    if (!page.has_limit) // the log has no end
        page.limit = API_AUDIT_LIMIT_DEFAULT;
    if (page.has_start && (query.before_id == 0 || page.start.number < query.before_id))
        query.before_id = page.start.number;
    query.limit = (int64_t)page.limit + 1; // whether there are more
    TRY(audit_list(call->catalog, &query, call->arena, &entries, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count; i++) {
        if (api_page_takes(&page, (struct api_place){entries[i].id, NULL}))
            api_write_entry(&call->json, &entries[i]);
    }
    json_text_close(&call->json, ']');
    api_page_close(&page);
    return true;
}
