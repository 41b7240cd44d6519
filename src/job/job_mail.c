// SPDX-License-Identifier: Apache-2.0
#include "job/job_mail.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/xml_text.h"
#include "catalog/deliveries.h"
#include "model/report_destination.h"

#define JOB_MAIL_TEXT_BYTES_MAX ((size_t)1024 * 1024)
#define JOB_MAIL_FILES_MAX      ((size_t)100) // of one message; a job with more files has several
#define JOB_MAIL_NAME_CHARS     ((size_t)80)

// One message of a job, the same for all its recipients.
struct job_mail {
    const struct job_delivery *delivery;
    size_t first_file;
    size_t file_count;
    size_t number; // from 0
    size_t of_count;
    int64_t now_ms;
    const char *subject;
    struct buf text;
    struct buf html;
};

static bool job_mail_is_sample(const struct job_mail *mail)
{
    return mail->delivery->job->kind == JOB_SAMPLE;
}

// --- What it says

// "2026-11-23 14:00"
static void job_mail_format_time(int64_t time_ms, char ret_text[20])
{
    const struct civil civil = civil_from_ms(time_ms);
    (void)snprintf(ret_text, 20, "%04u-%02u-%02u %02u:%02u", (unsigned)civil.year % 10000,
                   (unsigned)civil.month % 100, (unsigned)civil.day % 100,
                   (unsigned)civil.hour % 100, (unsigned)civil.minute % 100);
}

static const char *job_mail_window(const struct job_mail *mail)
{
    char start[20];
    char end[20];
    job_mail_format_time(mail->delivery->job->start_ms, start);
    job_mail_format_time(mail->delivery->job->end_ms, end);
    return arena_format(mail->delivery->arena, "%s to %s UTC", start, end);
}

static const char *job_mail_subject(const struct job_mail *mail)
{
    const struct job *job = mail->delivery->job;
    struct arena *arena = mail->delivery->arena;
    const char *topic = mail->delivery->subscription->report.topic_name;
    if (job_mail_is_sample(mail))
        return arena_format(arena, "Exports of %s will come to this address", topic);
    const char *part = mail->of_count == 1
                           ? ""
                           : arena_format(arena, " (%zu of %zu)", mail->number + 1, mail->of_count);
    const char *late = job->revision > 0
                           ? arena_format(arena, ", late events, revision %" PRId64, job->revision)
                           : "";
    return arena_format(arena, "Export of %s, %s%s%s", topic, job_mail_window(mail), late, part);
}

static void job_mail_write_line(struct job_mail *mail, const char *line)
{
    buf_append_format(&mail->text, "%s\n", line);
    buf_append_text(&mail->html, "<p>");
    xml_text_escape(&mail->html, slice_text(line));
    buf_append_text(&mail->html, "</p>\n");
}

static void job_mail_write_file(struct job_mail *mail, const struct job_file *file)
{
    const struct job_delivery *delivery = mail->delivery;
    const char *slash = strrchr(file->key, '/');
    const char *name = slash == NULL ? file->key : slash + 1;
    const char *url = destinations_sign(delivery->config->destinations,
                                        delivery->job->subscription_id, file->key, mail->now_ms,
                                        delivery->arena);
    const char *facts = arena_format(delivery->arena,
                                     "%" PRId64 " rows, %" PRId64 " bytes, SHA-256 %s",
                                     file->row_count, file->byte_count, file->sha256);
    buf_append_format(&mail->text, "\n%s\n%s\n%s\n", name, facts, url);
    buf_append_text(&mail->html, "<p><a href=\"");
    xml_text_escape(&mail->html, slice_text(url));
    buf_append_text(&mail->html, "\">");
    xml_text_escape(&mail->html, slice_text(name));
    buf_append_format(&mail->html, "</a><br>%s</p>\n", facts);
}

static void job_mail_write_export(struct job_mail *mail)
{
    const struct job_delivery *delivery = mail->delivery;
    const struct job *job = delivery->job;
    struct arena *arena = delivery->arena;
    int64_t row_count = 0;
    for (size_t i = 0; i < delivery->file_count; i++)
        row_count += delivery->files[i].row_count;
    job_mail_write_line(mail, arena_format(arena, "%" PRId64 " rows of %s, %s, in %zu %s.",
                                           row_count, delivery->subscription->report.topic_name,
                                           job_mail_window(mail), delivery->file_count,
                                           delivery->file_count == 1 ? "file" : "files"));
    if (job->revision > 0)
        job_mail_write_line(mail, "These are late events of that time, and only those: they add to "
                                  "what was sent before.");
    char until[20];
    const int64_t life_ms = delivery->config->file_retention_ms < 7 * CIVIL_DAY_MS
                                ? delivery->config->file_retention_ms
                                : 7 * CIVIL_DAY_MS;
    job_mail_format_time(mail->now_ms + life_ms, until);
    job_mail_write_line(mail, arena_format(arena, "The links work until %s UTC.", until));
    for (size_t i = 0; i < mail->file_count; i++)
        job_mail_write_file(mail, &delivery->files[mail->first_file + i]);
    buf_append_char(&mail->text, '\n');
}

static void job_mail_write(struct job_mail *mail)
{
    const struct job_delivery *delivery = mail->delivery;
    buf_append_text(&mail->html, "<!DOCTYPE html>\n<html><body>\n");
    if (job_mail_is_sample(mail))
        job_mail_write_line(
            mail, arena_format(delivery->arena,
                               "A subscription to %s was set up with this address. A first export "
                               "was tried and can be made; links to files will come with the next "
                               "one.",
                               delivery->subscription->report.topic_name));
    else
        job_mail_write_export(mail);
    job_mail_write_line(mail, arena_format(delivery->arena, "Subscription %s, job %s",
                                           delivery->job->subscription_id, delivery->job->id));
    buf_append_text(&mail->html, "</body></html>\n");
    mail->subject = job_mail_subject(mail);
}

// --- Sending

// The one file of a job, when it was asked for and is small.
static bool job_mail_attach(const struct job_mail *mail, bool is_wanted,
                            struct destination_attachment *ret_attachment, struct err *err)
{
    const struct job_delivery *delivery = mail->delivery;
    const struct job_file *file = &delivery->files[0];
    const uint64_t limit_bytes = destinations_attachment_bytes(delivery->config->destinations);
    if (!is_wanted || delivery->file_count != 1 || job_mail_is_sample(mail) ||
        (uint64_t)file->byte_count > limit_bytes)
        return true;
    TRY(job_deliver_open_whole(delivery, file, &ret_attachment->fd, err));
    ret_attachment->size_bytes = (uint64_t)file->byte_count;
    ret_attachment->name = strrchr(file->key, '/') + 1;
    return true;
}

static bool job_mail_post(const struct job_mail *mail, const char *address, bool wants_attachment,
                          struct destination_mail_result *ret_result, struct err *err)
{
    const struct job_delivery *delivery = mail->delivery;
    int fd CLEANUP(file_close) = -1;
    struct destination_attachment attachment = {.fd = -1};
    TRY(job_mail_attach(mail, wants_attachment, &attachment, err));
    fd = attachment.fd;
    char name[JOB_MAIL_NAME_CHARS];
    (void)snprintf(name, sizeof name, "%s.%zu", delivery->job->id, mail->number);
    const struct destination_mail message = {
        .to = address,
        .message_name = name,
        .date_ms = mail->now_ms,
        .subject = mail->subject,
        .text = buf_text(&mail->text),
        .html = buf_text(&mail->html),
        .attachment = fd < 0 ? NULL : &attachment,
    };
    return destinations_send_mail(delivery->config->destinations, &message, ret_result, err);
}

static void job_mail_clear(struct job_mail *mail)
{
    buf_clear(&mail->text);
    buf_clear(&mail->html);
}

// All messages of the job, until one is not sent.
static bool job_mail_send_all(const struct job_delivery *delivery, const char *address,
                              bool wants_attachment, struct destination_mail_result *ret_result,
                              struct err *err)
{
    const size_t count = (delivery->file_count + JOB_MAIL_FILES_MAX - 1) / JOB_MAIL_FILES_MAX;
    for (size_t i = 0; i < count; i++) {
        const size_t left = delivery->file_count - i * JOB_MAIL_FILES_MAX;
        struct job_mail mail CLEANUP(job_mail_clear) = {
            .delivery = delivery,
            .first_file = i * JOB_MAIL_FILES_MAX,
            .file_count = left < JOB_MAIL_FILES_MAX ? left : JOB_MAIL_FILES_MAX,
            .number = i,
            .of_count = job_mail_is_sample(&(struct job_mail){.delivery = delivery}) ? 1 : count,
            .now_ms = clock_wall_ms(delivery->config->clock),
        };
        buf_init(&mail.text, JOB_MAIL_TEXT_BYTES_MAX);
        buf_init(&mail.html, JOB_MAIL_TEXT_BYTES_MAX);
        job_mail_write(&mail);
        TRY(buf_check(&mail.text, err));
        TRY(buf_check(&mail.html, err));
        TRY(job_mail_post(&mail, address, wants_attachment, ret_result, err));
        atomic_fetch_add(&delivery->watch->progress, 1);
        if (ret_result->outcome != DESTINATION_MAIL_SENT || delivery->job->kind == JOB_SAMPLE)
            return true;
    }
    return true;
}

// One who never takes it does not make the job FAILED for those who have got it.
static bool job_mail_is_over(const struct job_delivery *delivery)
{
    const int64_t limit_ms = delivery->config->mail_limit_ms;
    const int64_t first_failed_at_ms = delivery->job->first_failed_at_ms;
    return limit_ms > 0 && first_failed_at_ms > 0 &&
           clock_wall_ms(delivery->config->clock) - first_failed_at_ms >= limit_ms;
}

static enum job_recipient_state job_mail_state(enum destination_mail_outcome outcome, bool is_over)
{
    switch (outcome) {
    case DESTINATION_MAIL_SENT:
        return JOB_RECIPIENT_SENT;
    case DESTINATION_MAIL_REFUSED:
        return JOB_RECIPIENT_REFUSED;
    case DESTINATION_MAIL_PUT_OFF:
        break;
    }
    return is_over ? JOB_RECIPIENT_REFUSED : JOB_RECIPIENT_WAITS;
}

// --- All recipients

struct job_mailing {
    const struct job_delivery *delivery;
    struct report_email email;
    struct job_recipient *known;
    size_t known_count;
    size_t sent_count;
    size_t waiting_count;
    const char *last_reason; // of one who did not get it
};

static const struct job_recipient *job_mail_find(const struct job_mailing *mailing,
                                                 const char *address)
{
    for (size_t i = 0; i < mailing->known_count; i++) {
        if (strcmp(mailing->known[i].address, address) == 0)
            return &mailing->known[i];
    }
    return NULL;
}

static void job_mail_count(struct job_mailing *mailing, const struct job_recipient *recipient)
{
    switch (recipient->state) {
    case JOB_RECIPIENT_SENT:
        mailing->sent_count++;
        return;
    case JOB_RECIPIENT_WAITS:
        mailing->waiting_count++;
        break;
    case JOB_RECIPIENT_REFUSED:
        break;
    }
    mailing->last_reason = recipient->reason;
}

static bool job_mail_serve(struct job_mailing *mailing, const char *address, struct err *err)
{
    const struct job_delivery *delivery = mailing->delivery;
    const struct job_recipient *known = job_mail_find(mailing, address);
    if (known != NULL && known->state != JOB_RECIPIENT_WAITS) {
        job_mail_count(mailing, known);
        return true;
    }
    if (atomic_load(&delivery->watch->is_lost))
        return err_set(err, ERR_CANCELED, "the lease was lost");
    struct destination_mail_result result = {0};
    TRY(job_mail_send_all(delivery, address, mailing->email.wants_attachment, &result, err));
    const struct job_recipient recipient = {
        .address = address,
        .state = job_mail_state(result.outcome, job_mail_is_over(delivery)),
        .reason = result.reason[0] == '\0' ? NULL : arena_copy_text(delivery->arena, result.reason),
    };
    const struct job *job = delivery->job;
    const struct job_claim claim = {job->id, job->fence, job->claim_id};
    TRY(job_settle_recipient(delivery->catalog, &claim, &recipient, err));
    job_mail_count(mailing, &recipient);
    return true;
}

bool job_mail_send(const struct job_delivery *delivery, struct err *err)
{
    struct job_mailing mailing = {.delivery = delivery, .last_reason = ""};
    TRY(report_read_email(&delivery->subscription->report, delivery->arena, &mailing.email, err));
    TRY(job_recipients(delivery->catalog, delivery->job->id, delivery->arena, &mailing.known,
                       &mailing.known_count, err));
    for (size_t i = 0; i < mailing.email.count; i++)
        TRY(job_mail_serve(&mailing, mailing.email.addresses[i], err));
    if (mailing.waiting_count > 0)
        return err_set(err, ERR_UNAVAILABLE, "mail to %zu of %zu recipients was put off: %s",
                       mailing.waiting_count, mailing.email.count, mailing.last_reason);
    if (mailing.sent_count == 0)
        return err_set(err, ERR_DENIED, "mail to all recipients was refused: %s",
                       mailing.last_reason);
    return true;
}
