// SPDX-License-Identifier: Apache-2.0
// Pieces of replies that several calls share.
#pragma once

#include "api/api_internal.h"
#include "destination/hosted.h"

// "2023-05-19T00:00:00.000-00:00"
void api_write_time(struct json_text *json, const char *key, int64_t time_ms);

// The documented job body. URLs are signed for the calling token, and only made for files of the
// hosted bucket that may still be fetched.
void api_write_job(struct api_call *call, const struct job *job, bool is_hosted);

// Files of a job of the hosted bucket that may still be fetched, from the first on; and the URL of
// one, signed for the calling token. In call->arena.
size_t api_job_file_count(const struct api_call *call, const struct job *job);
const char *api_sign_file(struct api_call *call, const struct job_file *file);

// As api_write_job, with what the native calls add: ids and times, and of a job that goes by mail,
// who has got it. Nothing is written on failure.
NODISCARD bool api_write_native_job(struct api_call *call, const struct job *job,
                                    const struct subscription *subscription, struct err *err);
// Whether the files of its jobs are fetched from the hosted bucket.
bool api_is_hosted(const struct subscription *subscription);

// What the URLs of a token are signed with.
void api_url_secret(const struct api *api, const char *key_id, uint8_t ret_secret[32]);

#define API_URL_REGION HOSTED_REGION

// The body of a call that ends something: {"status":"SUCCESS","description":...}
void api_write_success(struct api_call *call, const char *description);
