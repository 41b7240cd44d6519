// SPDX-License-Identifier: Apache-2.0
// What goes back to the client: staged in the call, sent once.
#pragma once

#include "api/api_internal.h"

#define API_TEXT_AUTHENTICATION "Authentication failed !"
#define API_TEXT_INTERNAL                                                                          \
    "Our product is failing to serve your request at this moment. Please try again later."

// {"error":{"message":...,"code":...}}, and with faults (may be NULL) an "errors" array of them.
void api_write_error(struct buf *destination, int status, const char *message,
                     const struct api_faults *faults);

// Sets *err and the status that the call will be answered with; returns false.
bool api_refuse(struct api_call *call, struct err *err, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// Stages the reply to a failed step: by refusal, else by the error's kind. What the machine said of
// a 5xx goes to the log, never to the client.
void api_stage_failure(struct api_call *call, const struct err *err);
void api_stage_error(struct api_call *call, int status, const char *message);

// Sends what is staged.
void api_send(struct api_call *call);
