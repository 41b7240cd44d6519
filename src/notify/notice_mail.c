// SPDX-License-Identifier: Apache-2.0
#include "notify/notice_mail.h"

#include <assert.h>
#include <inttypes.h>

#include "base/check.h"
#include "base/json_tree.h"
#include "base/mem.h"

#define NOTICE_MAIL_BYTES_MAX ((size_t)16 * 1024)

struct notice_words {
    const char *subject;
    const char *text;
};

static const struct notice_words notice_words[] = {
    [NOTICE_JOB_SUCCEEDED] = {"export job succeeded", "An export job has succeeded."},
    [NOTICE_JOB_FAILED] = {"export job failed", "An export job has failed."},
    [NOTICE_LATE] = {"export job is late", "An export job is taking longer than it should. Nothing "
                                           "is lost; it will be finished."},
    [NOTICE_RECOVERED] = {"export recovered", "A window that was late or had failed is exported "
                                              "now."},
    [NOTICE_SUBSCRIPTION_FAILED] = {"subscription failed",
                                    "The exports of a subscription cannot be delivered."},
    [NOTICE_TEST] = {"test notice", "This is a test notice. Nothing has happened."},
};
static_assert(ARRAY_COUNT(notice_words) == NOTICE_EVENT_COUNT + 1, "and the test");

static bool notice_is_word(char character)
{
    return character > ' ' && character <= '~';
}

const char *notice_mail_defuse(struct slice text, struct arena *arena)
{
    char *plain = arena_copy_slice(arena, text);
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (plain[i] < ' ' || plain[i] > '~')
            plain[i] = '?';
    }
    for (size_t i = 0; i + 1 < text.size_bytes; i++) {
        const bool joins = memchr("./:@\\", plain[i], 5) != NULL;
        if (joins && notice_is_word(plain[i + 1]))
            plain[i] = '_';
    }
    return plain;
}

static void notice_write_line(struct buf *text, const char *label, struct slice value)
{
    if (!slice_is_empty(value))
        buf_append_format(text, "%-14s%.*s\n", label, (int)value.size_bytes, slice_chars(value));
}

static void notice_write_member(struct buf *text, const char *label, const struct json_node *object,
                                const char *name)
{
    notice_write_line(text, label, json_node_text(json_node_get(object, name)));
}

static void notice_write_reason(struct buf *text, const struct json_node *object,
                                struct arena *arena)
{
    const struct slice reason = json_node_text(json_node_get(object, "reason"));
    if (!slice_is_empty(reason))
        notice_write_line(text, "Reason:", slice_text(notice_mail_defuse(reason, arena)));
}

static void notice_write_job(struct buf *text, const struct json_node *job, struct arena *arena)
{
    if (json_node_kind(job) != JSON_KIND_OBJECT)
        return;
    notice_write_member(text, "Job:", job, "job_id");
    notice_write_member(text, "Status:", job, "status");
    notice_write_member(text, "From:", job, "start_date");
    notice_write_member(text, "To:", job, "end_date");
    buf_append_format(text, "%-14s%" PRId64 "\n",
                      "Revision:", json_node_int64(json_node_get(job, "revision")));
    buf_append_format(text, "%-14s%" PRId64 "\n",
                      "Lines:", json_node_int64(json_node_get(job, "lines_exported")));
    notice_write_reason(text, job, arena);
}

static void notice_write_text(struct buf *text, const struct notice *notice,
                              const struct json_node *body, struct arena *arena)
{
    buf_append_format(text, "%s\n\n", notice_words[notice->event].text);
    notice_write_job(text, json_node_get(body, "job"), arena);
    notice_write_reason(text, body, arena);
    notice_write_member(text, "Subscription:", body, "subscription_id");
    notice_write_member(text, "App:", body, "app_id");
    notice_write_member(text, "Organization:", body, "organization_id");
    notice_write_member(text, "Time:", body, "created_at");
    buf_append_format(text,
                      "\nYou get this because your address is in notification\n%s of this "
                      "organization.\nWhoever administers its exports can change that.\n",
                      notice->notification.id);
}

bool notice_mail_compose(const struct notice *notice, struct arena *arena,
                         struct notice_mail *ret_mail, struct err *err)
{
    ASSERT((size_t)notice->event < ARRAY_COUNT(notice_words));
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, NOTICE_MAIL_BYTES_MAX);
    if (!json_tree_parse(slice_text(notice->body), &tree, err)) {
        err->kind = ERR_CORRUPT;
        return err_wrap(err, "body of notice %s", notice->id);
    }
    notice_write_text(&text, notice, json_tree_root(tree), arena);
    TRY(buf_check(&text, err));
    *ret_mail = (struct notice_mail){
        .subject = arena_format(arena, "milkrun: %s", notice_words[notice->event].subject),
        .text = arena_copy_slice(arena, buf_slice(&text)),
    };
    return true;
}
