// SPDX-License-Identifier: Apache-2.0
// One attempt to send a notice to a webhook:
//
//   POST ...                                Milkrun-Event: job_failed
//   Content-Type: application/json          Milkrun-Notice-Id: ..., the same at each attempt
//   Milkrun-Signature: t=...,v1=...         (webhook_signature.h)
//
// Any 2xx is success. 410 ends the notice. All else is tried again; redirects are not followed.
// What the receiver sends is thrown away.
#pragma once

#include "net/http_client.h"
#include "notify/notice_attempt.h"
#include "notify/webhook_signature.h"

struct webhook_call {
    const struct notice *notice;
    const struct secret *secrets; // the current one, then the one before while its grace lasts
    size_t secret_count;
    int64_t now_s;
    bool (*keep_going)(void *context); // false: the attempt is given up; may be NULL
    void *context;
};

// Verdict, status, reason and wish to come again; texts live in the arena.
struct notice_attempt webhook_send(struct http_client *client, const struct webhook_call *call,
                                   struct arena *arena);
