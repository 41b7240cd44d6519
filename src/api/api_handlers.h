// SPDX-License-Identifier: Apache-2.0
// The handlers that rows of api_routes.c name.
#pragma once

#include "api/api_internal.h"

// They stage a 200 in call->json, or leave call->suspension, or fail.

bool api_subscribe(struct api_call *call, struct err *err);
bool api_subscription_get(struct api_call *call, struct err *err);
bool api_subscription_delete(struct api_call *call, struct err *err);
bool api_subscription_list(struct api_call *call, struct err *err);
bool api_subscription_external_id(struct api_call *call, struct err *err);
bool api_subscription_edit(struct api_call *call, struct err *err);
bool api_subscription_pause(struct api_call *call, struct err *err);
bool api_subscription_resume(struct api_call *call, struct err *err);
bool api_subscription_versions(struct api_call *call, struct err *err);
bool api_subscription_backfill(struct api_call *call, struct err *err);
bool api_job_list(struct api_call *call, struct err *err);
bool api_job_get(struct api_call *call, struct err *err);
bool api_native_job_get(struct api_call *call, struct err *err);
bool api_native_job_manifest(struct api_call *call, struct err *err);
bool api_native_job_retry(struct api_call *call, struct err *err);
bool api_native_job_restore(struct api_call *call, struct err *err);
bool api_custom_create(struct api_call *call, struct err *err);
bool api_custom_status(struct api_call *call, struct err *err);
bool api_data_ready(struct api_call *call, struct err *err);
bool api_daily_export(struct api_call *call, struct err *err);
bool api_preview(struct api_call *call, struct err *err);
bool api_ledger_windows(struct api_call *call, struct err *err);
bool api_ledger_gaps(struct api_call *call, struct err *err);
bool api_topic_list(struct api_call *call, struct err *err);
bool api_topic_get(struct api_call *call, struct err *err);
bool api_topic_declare(struct api_call *call, struct err *err);
bool api_notification_list(struct api_call *call, struct err *err);
bool api_notification_create(struct api_call *call, struct err *err);
bool api_notification_get(struct api_call *call, struct err *err);
bool api_notification_update(struct api_call *call, struct err *err);
bool api_notification_delete(struct api_call *call, struct err *err);
bool api_notification_rotate(struct api_call *call, struct err *err);
bool api_notification_test(struct api_call *call, struct err *err);
bool api_notification_deliveries(struct api_call *call, struct err *err);
bool api_admin_organization_list(struct api_call *call, struct err *err);
bool api_admin_organization_create(struct api_call *call, struct err *err);
bool api_admin_organization_get(struct api_call *call, struct err *err);
bool api_admin_organization_update(struct api_call *call, struct err *err);
bool api_admin_app_list(struct api_call *call, struct err *err);
bool api_admin_app_create(struct api_call *call, struct err *err);
bool api_admin_app_get(struct api_call *call, struct err *err);
bool api_admin_app_update(struct api_call *call, struct err *err);
bool api_admin_app_delete(struct api_call *call, struct err *err);
bool api_admin_app_rotate(struct api_call *call, struct err *err);
bool api_admin_user_list(struct api_call *call, struct err *err);
bool api_admin_user_create(struct api_call *call, struct err *err);
bool api_admin_user_get(struct api_call *call, struct err *err);
bool api_admin_user_update(struct api_call *call, struct err *err);
bool api_admin_token_list(struct api_call *call, struct err *err);
bool api_admin_token_create(struct api_call *call, struct err *err);
bool api_admin_token_get(struct api_call *call, struct err *err);
bool api_admin_token_rotate(struct api_call *call, struct err *err);
bool api_admin_token_revoke(struct api_call *call, struct err *err);
bool api_admin_connection_list(struct api_call *call, struct err *err);
bool api_admin_connection_create(struct api_call *call, struct err *err);
bool api_admin_connection_get(struct api_call *call, struct err *err);
bool api_admin_connection_update(struct api_call *call, struct err *err);
bool api_admin_connection_delete(struct api_call *call, struct err *err);
bool api_admin_audit_list(struct api_call *call, struct err *err);
bool api_s3_credentials(struct api_call *call, struct err *err);
bool api_healthz(struct api_call *call, struct err *err);
bool api_readyz(struct api_call *call, struct err *err);
bool api_metrics(struct api_call *call, struct err *err);
bool api_openapi(struct api_call *call, struct err *err);

// Of the hosted bucket: they stage XML in call->reply.

bool api_bucket_list(struct api_call *call, struct err *err); // of buckets
bool api_bucket_show(struct api_call *call, struct err *err); // of what is in it

// Replies to repeated requests: see struct api_route.

bool api_subscribe_replay(struct api_call *call, const char *subscription_id, struct err *err);
bool api_admin_organization_replay(struct api_call *call, const char *id, struct err *err);
bool api_admin_app_replay(struct api_call *call, const char *id, struct err *err);
bool api_admin_user_replay(struct api_call *call, const char *id, struct err *err);
bool api_admin_token_replay(struct api_call *call, const char *id, struct err *err);
bool api_admin_connection_replay(struct api_call *call, const char *name, struct err *err);
bool api_notification_replay(struct api_call *call, const char *id, struct err *err);
bool api_custom_replay(struct api_call *call, const char *handle, struct err *err);
