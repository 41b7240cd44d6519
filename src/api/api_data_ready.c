// SPDX-License-Identifier: Apache-2.0
// POST /v2/data/ready: whether an export of an hour would have all its events. It would when the
// hour's grace is over and everything that is acknowledged by now can be read; what comes later is
// late and would not be waited for by anybody.
#include <stdlib.h>
#include <strings.h>

#include "api/api_auth.h"
#include "api/api_handlers.h"
#include "api/api_reply.h"
#include "base/check.h"
#include "catalog/segment_retention.h"
#include "lake/ingest_log.h"
#include "model/export_dates.h"

#define API_DATA_READY_TEXT "Topic is invalid or data retention for requested data has expired."
// Sealing takes a second or two.
#define API_DATA_READY_PATIENCE_MS INT64_C(5000)

struct api_data_hour {
    const char *date; // as it was asked
    struct export_dates hour;
    struct slice topic_name;
};

static void api_write_ready(struct api_call *call, const char *date, bool is_ready)
{
    json_text_open(&call->json, '{');
    json_text_member_bool(&call->json, "data_ready", is_ready);
    json_text_member_text(&call->json, "date", date);
    json_text_close(&call->json, '}');
}

static bool api_data_ready_meta_type(struct api_call *call, const struct json_node *body,
                                     struct err *err)
{
    struct slice type;
    TRY(api_call_text_member(call, body, "warehouse_meta_type", &type, err));
    if (strcasecmp(slice_chars(type), "EVENT") == 0 ||
        strcasecmp(slice_chars(type), "AGGREGATE") == 0)
        return true;
    return api_refuse(call, err, 400, "Invalid warehouse_meta_type");
}

// A text or a number; clients name it here, in the query, or in both.
static bool api_data_ready_app(struct api_call *call, const struct json_node *body, struct err *err)
{
    struct slice app_id;
    TRY(api_call_id_member(call, body, "app_id", &app_id, err));
    if (call->is_scoped && json_node_kind(json_node_get(body, "app_id")) == JSON_KIND_NULL)
        return true;
    if (slice_is_empty(app_id))
        return api_refuse(call, err, 400, "Missing required field: app_id");
    if (call->is_scoped && call->app_id != NULL && !slice_equal_text(app_id, call->app_id))
        return api_refuse(call, err, 400, API_TEXT_AUTHENTICATION);
    return api_scope_to(call, app_id, slice_of(NULL, 0), err);
}

static bool api_data_ready_read(struct api_call *call, struct api_data_hour *ret_hour,
                                struct err *err)
{
    const struct json_node *body = NULL;
    struct slice date;
    TRY(api_call_object(call, &body, err));
    TRY(api_data_ready_app(call, body, err));
    TRY(api_call_text_member(call, body, "date", &date, err));
    TRY(export_dates_parse_hour(date, &ret_hour->hour, err));
    TRY(api_data_ready_meta_type(call, body, err));
    TRY(api_call_text_member(call, body, "topic", &ret_hour->topic_name, err));
    ret_hour->date = arena_copy_slice(call->arena, date);
    return true;
}

// Events of the hour that retention has taken cannot be exported any more.
static bool api_data_ready_check_topic(struct api_call *call, const struct api_data_hour *asked,
                                       struct err *err)
{
    const struct schema *schema = NULL;
    int64_t floor_seq = 0;
    TRY(api_call_catalog(call, err));
    if (!topic_get(call->catalog, call->identity.organization_id, asked->topic_name, call->arena,
                   &schema, err))
        return err->kind == ERR_NOT_FOUND || err->kind == ERR_INVALID
                   ? api_refuse(call, err, 400, API_DATA_READY_TEXT)
                   : false;
    const struct segment_slice wanted = {
        .topic_id = schema->topic_id,
        .app_id = call->app_id == NULL ? 0 : strtoll(call->app_id, NULL, 10),
        .time_min_ms = asked->hour.start_ms,
        .time_max_ms = asked->hour.end_ms,
    };
    TRY(segment_floor(call->catalog, &wanted, &floor_seq, err));
    return floor_seq == 0 || api_refuse(call, err, 400, API_DATA_READY_TEXT);
}

static bool api_data_ready_resume(struct api_call *call, struct err *err)
{
    (void)err;
    api_write_ready(call, call->waiting, call->is_there);
    return true;
}

bool api_data_ready(struct api_call *call, struct err *err)
{
    struct api_data_hour asked = {0};
    TRY(api_data_ready_read(call, &asked, err));
    TRY(api_data_ready_check_topic(call, &asked, err));
    const int64_t grace_ms = call->api->config.settings.hourly_grace_ms;
    if (call->now_ms < asked.hour.end_ms + grace_ms) {
        api_write_ready(call, asked.date, false);
        return true;
    }
    call->waiting = arena_copy_text(call->arena, asked.date);
    const struct api_suspension suspension = {
        .resume = api_data_ready_resume,
        .seal_seq = ingest_log_last_seq(call->api->config.log),
        .timeout_ms = API_DATA_READY_PATIENCE_MS,
    };
    int64_t seal_seq = 0;
    TRY(segment_seal_point(call->catalog, &seal_seq, err));
    if (seal_seq < suspension.seal_seq)
        return api_call_wait(call, &suspension);
    api_write_ready(call, asked.date, true);
    return true;
}
