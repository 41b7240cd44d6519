// SPDX-License-Identifier: Apache-2.0
// Test double of destinations.
#include "base/check.h"
#include "base/mem.h"
#include "destination/destinations_internal.h"

#define DESTINATIONS_MEMORY_ATTACHMENT_BYTES ((uint64_t)1000)

struct destinations_double {
    struct destinations base;
    struct destinations_memory *memory;
};

static bool destinations_memory_open_bucket(struct destinations *destinations,
                                            const struct destination_request *request,
                                            struct arena *arena,
                                            struct destination_bucket *ret_bucket, struct err *err)
{
    (void)request;
    (void)arena;
    const struct destinations_memory *memory = ((struct destinations_double *)destinations)->memory;
    if (memory->bucket_failure != ERR_NONE)
        return err_set(err, memory->bucket_failure, "bucket refused");
    *ret_bucket = (struct destination_bucket){
        .store = memory->store,
        .is_borrowed = true,
    };
    return true;
}

static bool destinations_memory_send_mail(struct destinations *destinations,
                                          const struct destination_mail *mail,
                                          struct destination_mail_result *ret_result,
                                          struct err *err)
{
    struct destinations_memory *memory = ((struct destinations_double *)destinations)->memory;
    if (memory->mail_failure != ERR_NONE)
        return err_set(err, memory->mail_failure, "mail server refused");
    ASSERT(memory->mail_count < ARRAY_COUNT(memory->mails));
    struct destination_mail *kept = &memory->mails[memory->mail_count];
    *kept = *mail;
    kept->to = arena_copy_text(memory->arena, mail->to);
    kept->message_name = arena_copy_text(memory->arena, mail->message_name);
    kept->subject = arena_copy_text(memory->arena, mail->subject);
    kept->text = arena_copy_text(memory->arena, mail->text);
    if (mail->html != NULL)
        kept->html = arena_copy_text(memory->arena, mail->html);
    *ret_result = (struct destination_mail_result){.outcome = DESTINATION_MAIL_SENT};
    if (memory->mail_count < memory->result_count)
        *ret_result = memory->results[memory->mail_count];
    memory->mail_count++;
    return true;
}

static const char *destinations_memory_sign(const struct destinations *destinations,
                                            const char *subscription_id, const char *key,
                                            int64_t now_ms, struct arena *arena)
{
    (void)destinations;
    return arena_format(arena, "https://milkrun.example/exports/%s?by=%s&at=%lld", key,
                        subscription_id, (long long)now_ms);
}

static void destinations_memory_close(struct destinations *destinations)
{
    mem_free(destinations);
}

static const struct destinations_ops destinations_memory_ops = {
    .name = "memory",
    .open_bucket = destinations_memory_open_bucket,
    .send_mail = destinations_memory_send_mail,
    .sign = destinations_memory_sign,
    .close = destinations_memory_close,
};

struct destinations *destinations_memory_new(struct destinations_memory *memory)
{
    struct destinations_double *twin = mem_alloc(sizeof *twin);
    twin->base.ops = &destinations_memory_ops;
    twin->base.attachment_bytes = DESTINATIONS_MEMORY_ATTACHMENT_BYTES;
    twin->memory = memory;
    return &twin->base;
}
