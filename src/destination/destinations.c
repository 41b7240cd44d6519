// SPDX-License-Identifier: Apache-2.0
// The wrappers around destinations: they check arguments and results.
#include "destination/destinations.h"

#include <string.h>

#include "base/check.h"
#include "destination/destinations_internal.h"

#define DESTINATION_MESSAGE_NAME_CHARS                                                             \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."

void destinations_close(struct destinations **destinations)
{
    if (*destinations == NULL)
        return;
    (*destinations)->ops->close(*destinations);
    *destinations = NULL;
}

bool destinations_open_bucket(struct destinations *destinations,
                              const struct destination_request *request, struct arena *arena,
                              struct destination_bucket *ret_bucket, struct err *err)
{
    ASSERT(request->report->destination == REPORT_CLOUD);
    struct destination_bucket bucket = {0};
    if (!destinations->ops->open_bucket(destinations, request, arena, &bucket, err)) {
        // A secret that does not open is the operator's to mend, and no fault of files.
        if (err->kind == ERR_CORRUPT)
            err->kind = ERR_IO;
        return false;
    }
    ASSERT(bucket.store != NULL);
    *ret_bucket = bucket;
    return true;
}

void destination_bucket_close(struct destination_bucket *bucket)
{
    if (!bucket->is_borrowed)
        store_close(&bucket->store);
    if (bucket->release != NULL)
        bucket->release(bucket->context);
    *bucket = (struct destination_bucket){0};
}

bool destinations_send_mail(struct destinations *destinations, const struct destination_mail *mail,
                            struct destination_mail_result *ret_result, struct err *err)
{
    ASSERT(mail->message_name[0] != '\0');
    ASSERT(mail->message_name[strspn(mail->message_name, DESTINATION_MESSAGE_NAME_CHARS)] == '\0');
    struct destination_mail_result result = {0};
    TRY(destinations->ops->send_mail(destinations, mail, &result, err));
    ASSERT((result.outcome == DESTINATION_MAIL_SENT) == (result.reason[0] == '\0'));
    *ret_result = result;
    return true;
}

uint64_t destinations_attachment_bytes(const struct destinations *destinations)
{
    return destinations->attachment_bytes;
}

const char *destinations_sign(const struct destinations *destinations, const char *subscription_id,
                              const char *key, int64_t now_ms, struct arena *arena)
{
    return destinations->ops->sign(destinations, subscription_id, key, now_ms, arena);
}
