// SPDX-License-Identifier: Apache-2.0
// Bodies of the calls about notifications, and what webhooks get.
#include "api/api_shapes.h"
#include "catalog/notices.h"

static const char *api_notice_event_at(size_t index)
{
    return index < NOTICE_EVENT_COUNT ? notice_event_name((enum notice_event)index) : NULL;
}

static const char *api_sent_event_at(size_t index)
{
    return index <= NOTICE_EVENT_COUNT ? notice_event_name((enum notice_event)index) : NULL;
}

static const char *api_notification_type_at(size_t index)
{
    return index <= NOTIFICATION_EMAIL ? notification_kind_name((enum notification_kind)index)
                                       : NULL;
}

static const char *api_notice_status_at(size_t index)
{
    return index <= NOTICE_GIVEN_UP ? notice_state_name((enum notice_state)index) : NULL;
}

static const struct api_member api_notification_request[] = {
    {"type", "NotificationType", NULL},
    {"url?", "url", "Of a webhook; needed there"},
    {"recipient_emails?", "string[]", "Of an e-mail; needed there: 1 to 10 addresses"},
    {"events?", "NoticeEvent[]?", "All by default"},
    {"subscription_id?", "uuid?", "About this one alone; all by default"},
    {NULL, NULL, NULL},
};

static const struct api_member api_notification_change[] = {
    {"url?", "url", "Of a webhook"},
    {"recipient_emails?", "string[]", "Of an e-mail: 1 to 10 addresses"},
    {"events?", "NoticeEvent[]", NULL},
    {"type?", "NotificationType", "As it is: it cannot be changed"},
    {"subscription_id?", "uuid", "The same"},
    {NULL, NULL, NULL},
};

static const struct api_member api_notification[] = {
    {"notification_id", "uuid", NULL},
    {"type", "NotificationType", NULL},
    {"url?", "url", "Of a webhook"},
    {"recipient_emails?", "string[]", "Of an e-mail"},
    {"events", "NoticeEvent[]", NULL},
    {"organization_id", "id", NULL},
    {"app_id", "id?", "null: the whole organization"},
    {"subscription_id", "uuid?", "null: all"},
    {"created_at", "time", NULL},
    {"grace_until?", "time", "Until then the secret before the last rotation signs as well"},
    {NULL, NULL, NULL},
};

static const struct api_member api_notification_secret[] = {
    {"secret?", "string?",
     "Of a webhook: what its notices are signed with; shown once, null in the reply to a repeated "
     "request"},
    {NULL, NULL, NULL},
};

static const struct api_member api_notice_test[] = {
    {"notice_id", "uuid", "Of the notice that is sent; of several, the first one's"},
    {NULL, NULL, NULL},
};

static const struct api_member api_delivery[] = {
    {"notice_id", "uuid", "The same at each try"},
    {"event", "SentEvent", NULL},
    {"notice_status", "NoticeStatus", "Of the notice, now"},
    {"recipient?", "string", "Of an e-mail"},
    {"attempt", "positive", NULL},
    {"at", "time", NULL},
    {"took_ms", "count", NULL},
    {"status", "positive?", "Of HTTP or SMTP; null: there was no answer"},
    {"reason", "string?", "Why it failed"},
    {NULL, NULL, NULL},
};

const struct api_shape api_shapes_notifications[] = {
    {.name = "NoticeEvent", .doc = "What can be told", .value_at = api_notice_event_at},
    {.name = "SentEvent", .doc = "What is told", .value_at = api_sent_event_at},
    {.name = "NotificationType", .doc = "How it is told", .value_at = api_notification_type_at},
    {.name = "NoticeStatus", .doc = "State of a notice", .value_at = api_notice_status_at},
    {.name = "NotificationRequest",
     .doc = "What to tell, and how",
     .members = api_notification_request},
    {.name = "NotificationChange",
     .doc = "What is to be different",
     .members = api_notification_change},
    {.name = "Notification", .doc = "What is told, and how", .members = api_notification},
    {.name = "NotificationSecret",
     .doc = "A notification and its secret",
     .base = "Notification",
     .members = api_notification_secret},
    {.name = "NoticeTest", .doc = "A test notice is on its way", .members = api_notice_test},
    {.name = "Delivery", .doc = "A try to send a notice", .members = api_delivery},
    {.name = NULL},
};
