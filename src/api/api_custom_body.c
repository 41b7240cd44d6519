// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>

#include "api/api_auth.h"
#include "api/api_custom_body.h"
#include "api/api_reply.h"
#include "api/api_report.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"

#define API_CUSTOM_LIMIT_DEFAULT 100 // as documented

struct api_custom_reading {
    struct api_call *call;
    const struct json_node *body;
    struct api_custom_body result;
    const struct zone *zone;
    bool wants_files; // allow_multiple_files
    const char **messages;
    size_t message_count;
    size_t message_capacity;
};

static void api_custom_add_fault(struct api_custom_reading *reading, const char *message)
{
    if (reading->message_count == reading->message_capacity) {
        const size_t capacity = reading->message_capacity * 2 + 16;
        const char **messages = arena_alloc_array(reading->call->arena, capacity, sizeof *messages);
        for (size_t i = 0; i < reading->message_count; i++)
            messages[i] = reading->messages[i];
        reading->messages = messages;
        reading->message_capacity = capacity;
    }
    reading->messages[reading->message_count++] = arena_copy_text(reading->call->arena, message);
}

// What is wrong with one key does not keep the others from being read; what is wrong with this
// server does.
static bool api_custom_note(struct api_custom_reading *reading, bool is_done, struct err *err)
{
    struct api_call *call = reading->call;
    if (is_done)
        return true;
    if (err->kind != ERR_INVALID && call->refusal_status != 400)
        return false;
    const struct api_faults *faults = call->faults;
    if (faults == NULL)
        api_custom_add_fault(reading, err->message);
    for (size_t i = 0; faults != NULL && i < faults->count; i++)
        api_custom_add_fault(reading, faults->messages[i]);
    call->faults = NULL;
    call->refusal_status = 0;
    err_clear(err);
    return true;
}

static bool api_custom_text(struct api_custom_reading *reading, const char *key, bool is_needed,
                            struct slice *ret_text, struct err *err)
{
    const struct json_node *node = json_node_get(reading->body, key);
    *ret_text = slice_of(NULL, 0);
    if (json_node_kind(node) == JSON_KIND_NULL)
        return !is_needed || err_set(err, ERR_INVALID, "Missing required field: %s", key);
    if (json_node_kind(node) != JSON_KIND_TEXT || slice_is_empty(json_node_text(node)))
        return err_set(err, ERR_INVALID, "Invalid type: string expected (%s)", key);
    *ret_text = json_node_text(node);
    return true;
}

// Dates without an offset are read in it; UTC needs no database.
static bool api_custom_read_zone(struct api_custom_reading *reading, struct err *err)
{
    struct slice name;
    TRY(api_custom_text(reading, "timezone", false, &name, err));
    if (slice_is_empty(name) || slice_equal_text(name, "UTC"))
        return true;
    TRY(zone_load(ZONE_DIRECTORY, name, reading->call->arena, &reading->zone, err));
    char version[ZONE_VERSION_CHARS + 1];
    zone_database_version(ZONE_DIRECTORY, version);
    reading->result.report.zone_name = arena_copy_slice(reading->call->arena, name);
    reading->result.report.zone_version = arena_copy_text(reading->call->arena, version);
    return true;
}

static bool api_custom_read_start(struct api_custom_reading *reading, struct err *err)
{
    struct slice text;
    return api_custom_text(reading, "start_date", true, &text, err) &&
           export_dates_parse_start(text, reading->zone, &reading->result.dates.start_ms, err);
}

static bool api_custom_read_end(struct api_custom_reading *reading, struct err *err)
{
    struct slice text;
    return api_custom_text(reading, "end_date", true, &text, err) &&
           export_dates_parse_end(text, reading->zone, &reading->result.dates.end_ms, err);
}

static bool api_custom_read_dates(struct api_custom_reading *reading, struct err *err)
{
    const struct api_custom_settings *settings = &reading->call->api->config.settings.custom;
    const struct export_dates_limits limits = {settings->span_days, settings->look_back_days};
    const size_t message_count = reading->message_count;
    TRY(api_custom_note(reading, api_custom_read_zone(reading, err), err));
    TRY(api_custom_note(reading, api_custom_read_start(reading, err), err));
    TRY(api_custom_note(reading, api_custom_read_end(reading, err), err));
    if (reading->message_count > message_count)
        return true;
    return api_custom_note(reading,
                           export_dates_check(&reading->result.dates, reading->zone, &limits,
                                              reading->call->now_ms, err),
                           err);
}

// true, false, and their texts, which some clients send.
static bool api_custom_read_files(struct api_custom_reading *reading, struct err *err)
{
    const struct json_node *node = json_node_get(reading->body, "allow_multiple_files");
    const struct slice text = json_node_text(node);
    const bool is_text = slice_equal_text(text, "true") || slice_equal_text(text, "false");
    const enum json_kind kind = json_node_kind(node);
    if (kind != JSON_KIND_NULL && kind != JSON_KIND_BOOL && !is_text)
        return err_set(err, ERR_INVALID, "Invalid type: boolean expected (allow_multiple_files)");
    reading->wants_files = is_text ? slice_equal_text(text, "true") : json_node_bool(node);
    const struct json_node *compression = json_node_get(reading->body,
                                                        "response_format_compression");
    if (reading->wants_files && json_node_kind(compression) == JSON_KIND_NULL)
        return err_set(err, ERR_INVALID, "Missing required field: response_format_compression");
    return true;
}

static bool api_custom_read_limit(struct api_custom_reading *reading, struct err *err)
{
    const struct api_custom_settings *settings = &reading->call->api->config.settings.custom;
    struct report *report = &reading->result.report;
    if (reading->wants_files) {
        report->part_rows = settings->file_rows;
        return true;
    }
    const struct json_node *node = json_node_get(reading->body, "limit");
    const enum json_kind kind = json_node_kind(node);
    report->row_limit = kind == JSON_KIND_NULL ? API_CUSTOM_LIMIT_DEFAULT : json_node_int64(node);
    const bool is_number = kind == JSON_KIND_NULL || kind == JSON_KIND_INT64 ||
                           number_parse_int64(json_node_text(node), &report->row_limit);
    if (!is_number || report->row_limit < 1 || report->row_limit > settings->row_limit)
        return err_set(err, ERR_INVALID, "Invalid limit: 1 to %" PRId64, settings->row_limit);
    return true;
}

static bool api_custom_read_filter(struct api_custom_reading *reading, struct err *err)
{
    return filter_normalize(json_node_get(reading->body, "filter"), reading->call->arena,
                            &reading->result.report.filter_json, err);
}

static bool api_custom_read_report(struct api_custom_reading *reading, struct err *err)
{
    struct report *report = &reading->result.report;
    struct arena *arena = reading->call->arena;
    const struct json_node *body = reading->body;
    const struct json_node *topic = json_node_get(body, "report_type");
    const struct json_node *fields = json_node_get(body, "fields");
    *report = (struct report){
        .cadence = CADENCE_DAILY,
        .format = REPORT_CSV,
        .compression = REPORT_UNCOMPRESSED,
        .destination = REPORT_BRANCH,
        .destination_json = "{\"subscription_type\":\"branch\"}",
    };
    TRY(api_custom_note(reading, report_take_topic(topic, "report_type", arena, report, err), err));
    TRY(api_custom_note(reading, report_take_fields(fields, "fields", arena, report, err), err));
    TRY(api_custom_note(reading, report_take_format(body, report, err), err));
    TRY(api_custom_note(reading, report_take_compression(body, report, err), err));
    TRY(api_custom_note(reading, api_custom_read_files(reading, err), err));
    TRY(api_custom_note(reading, api_custom_read_limit(reading, err), err));
    return api_custom_note(reading, api_custom_read_filter(reading, err), err);
}

static bool api_custom_check_report(struct api_custom_reading *reading, struct err *err)
{
    struct report *report = &reading->result.report;
    struct api_call *call = reading->call;
    if (report->topic_name == NULL || report->field_count == 0)
        return true;
    return api_custom_note(reading, api_accept_report(call, report, &reading->result.topic_id, err),
                           err);
}

bool api_custom_read(struct api_call *call, struct api_custom_body *ret_body, struct err *err)
{
    struct api_custom_reading reading = {.call = call};
    TRY(api_call_object(call, &reading.body, err));
    TRY(api_scope_to_body(call, reading.body, err));
    TRY(api_custom_read_report(&reading, err));
    TRY(api_custom_read_dates(&reading, err));
    TRY(api_custom_check_report(&reading, err));
    if (reading.message_count > 0) {
        struct api_faults *faults = arena_alloc(call->arena, sizeof *faults);
        *faults = (struct api_faults){reading.messages, reading.message_count};
        call->faults = faults;
        return api_refuse(call, err, 400, "%s", reading.messages[0]);
    }
    *ret_body = reading.result;
    return true;
}
