// SPDX-License-Identifier: Apache-2.0
// The notifier: one thread looks every 200 ms, and at each hint, whether a notice is due, and then
// wakes the senders, threads that claim, send and settle one notice after the other until there is
// none left. Half of the senders serve organizations without a notice in flight alone, so that
// those who wait for one slow receiver of theirs keep no others waiting.
// Upholds INV-21 (docs/invariants.md).
#include <stdatomic.h>
#include <stdio.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "notify/notice_sender.h"

#define NOTIFIER_POLL_MS    INT64_C(200)
#define NOTIFIER_MARGIN_MS  INT64_C(60000) // for the catalog
#define NOTIFIER_MAIL_STEPS INT64_C(20)    // times its time-out: so long a mail may take
#define NOTIFIER_RELEASE_MS INT64_C(1000)  // pause of what was in flight when the last one died

struct notifier_thread {
    struct notifier *notifier;
    struct catalog *catalog;
    struct notice_sender *sender;
    struct thread thread;
    int64_t share;
};

struct notifier {
    const struct notifier_config *config;
    struct notice_sender_config sender_config;
    struct address_guard *guard;
    struct catalog *catalog; // of the main thread
    struct notifier_thread *threads;
    size_t thread_count;
    atomic_int_fast64_t give_up_boot_ms; // 0: not told to stop yet
    struct mutex mutex;                  // guards what follows
    struct condition has_work;
    uint64_t round; // goes up whenever senders are to look
    bool is_stopping;
};

// Longer than what an attempt may take.
static int64_t notifier_lease_ms(const struct notifier_config *config)
{
    const int64_t webhook_ms = config->options->timeout_ms;
    const int64_t mail_ms = smtp_settings_are_given(config->smtp)
                                ? NOTIFIER_MAIL_STEPS * config->smtp->timeout_ms
                                : 0;
    return (webhook_ms > mail_ms ? webhook_ms : mail_ms) + NOTIFIER_MARGIN_MS;
}

static struct notice_claim_request notifier_claim_request(const struct notifier *notifier,
                                                          int64_t share)
{
    const struct notifier_config *config = notifier->config;
    return (struct notice_claim_request){
        .holder_id = config->node_id,
        .now_ms = clock_wall_ms(config->clock),
        .lease_ms = notifier_lease_ms(config),
        .back_off_max_ms = config->options->back_off_max_ms,
        .share = share,
    };
}

// --- Senders

static bool notifier_keep_going(void *context)
{
    const struct notifier *notifier = context;
    const int64_t give_up_ms = atomic_load(&notifier->give_up_boot_ms);
    return give_up_ms == 0 || clock_boot_ms(notifier->config->clock) < give_up_ms;
}

static void notifier_log(const struct notice *notice, const struct notice_result *result)
{
    const bool is_sent = result->state == NOTICE_SENT;
    const char *event = is_sent                            ? "notice_sent"
                        : result->state == NOTICE_GIVEN_UP ? "notice_given_up"
                                                           : "notice_put_off";
    char tries[24];
    (void)snprintf(tries, sizeof tries, "%lld", (long long)notice->try_count);
    // What a customer's receiver answers is the customer's affair.
    log_event(is_sent ? LOG_DEBUG : LOG_INFO, event, "notice", notice->id, "notification",
              notice->notification.id, "organization", notice->notification.organization_id, "try",
              tries, "reason", result->reason, NULL);
}

static bool notifier_settle(struct notifier_thread *thread, const struct notice *notice,
                            const struct notice_attempt *attempt, struct err *err)
{
    const struct notify_options *options = thread->notifier->config->options;
    const struct notice_policy policy = {
        .back_off_ms = options->back_off_ms,
        .back_off_max_ms = options->back_off_max_ms,
        .limit_ms = options->retry_limit_ms,
    };
    const struct notice_result result = notice_conclude(&policy, notice, attempt, rng_system());
    TRY(notice_settle(thread->catalog, notice, &result, err));
    notifier_log(notice, &result);
    return true;
}

// *ret_worked false: there is nothing to send.
static bool notifier_step(struct notifier_thread *thread, bool *ret_worked, struct err *err)
{
    const struct notice_claim_request request = notifier_claim_request(thread->notifier,
                                                                       thread->share);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct notice notice;
    const char *alarm = NULL;
    TRY(notice_claim(thread->catalog, &request, &arena, ret_worked, &notice, err));
    if (!*ret_worked)
        return true;
    const struct notice_attempt attempt = notice_sender_send(thread->sender, &notice, &arena,
                                                             &alarm);
    if (alarm != NULL)
        log_event(LOG_ERROR, "notice_failed", "notice", notice.id, "reason", alarm, NULL);
    return notifier_settle(thread, &notice, &attempt, err);
}

// Until the next round; false: the end. *round: the last one that this thread has seen.
static bool notifier_await(struct notifier *notifier, uint64_t *round)
{
    mutex_lock(&notifier->mutex);
    while (notifier->round == *round && !notifier->is_stopping)
        condition_wait(&notifier->has_work, &notifier->mutex);
    *round = notifier->round;
    const bool goes_on = !notifier->is_stopping;
    mutex_unlock(&notifier->mutex);
    return goes_on;
}

static void notifier_run_thread(void *context)
{
    struct notifier_thread *thread = context;
    struct notifier *notifier = thread->notifier;
    uint64_t round = 0;
    while (notifier_await(notifier, &round)) {
        bool has_worked = true;
        while (has_worked && atomic_load(&notifier->give_up_boot_ms) == 0) {
            struct err failure = {0};
            has_worked = false;
            if (!notifier_step(thread, &has_worked, &failure)) {
                log_event(LOG_WARN, "notice_not_settled", "kind", err_kind_name(failure.kind),
                          "reason", failure.message, NULL);
                has_worked = false; // the next round is near
            }
        }
    }
}

// --- Starting and ending

static bool notifier_open_thread(struct notifier *notifier, struct notifier_thread *thread,
                                 struct err *err)
{
    const size_t index = (size_t)(thread - notifier->threads);
    const int64_t half = (int64_t)(notifier->thread_count + 1) / 2;
    thread->notifier = notifier;
    thread->share = (int64_t)index < half && notifier->thread_count > 1 ? 1 : half;
    TRY(catalog_open(notifier->config->catalog_path, &thread->catalog, err));
    return notice_sender_open(&notifier->sender_config, &thread->sender, err);
}

static bool notifier_open(struct notifier *notifier, const struct notifier_config *config,
                          struct err *err)
{
    notifier->config = config;
    TRY(address_guard_new(config->allowed_networks->items, config->allowed_networks->count,
                          &notifier->guard, err));
    notifier->sender_config = (struct notice_sender_config){
        .options = config->options,
        .smtp = config->smtp,
        .guard = notifier->guard,
        .secret_keys = config->secret_keys,
        .secret_key_count = config->secret_key_count,
        .clock = config->clock,
        .keep_going = notifier_keep_going,
        .context = notifier,
    };
    TRY(catalog_open(config->catalog_path, &notifier->catalog, err));
    // The node's name, not the process's: whoever follows a dead one knows what that had in flight.
    TRY(notice_release(notifier->catalog, config->node_id, clock_wall_ms(config->clock),
                       NOTIFIER_RELEASE_MS, err));
    notifier->thread_count = (size_t)config->options->sender_count;
    notifier->threads = mem_alloc_array(notifier->thread_count, sizeof *notifier->threads);
    for (size_t i = 0; i < notifier->thread_count; i++)
        TRY(notifier_open_thread(notifier, &notifier->threads[i], err));
    for (size_t i = 0; i < notifier->thread_count; i++)
        thread_start(&notifier->threads[i].thread, notifier_run_thread, &notifier->threads[i]);
    return true;
}

static void notifier_stop(struct notifier *notifier)
{
    const struct notifier_config *config = notifier->config;
    atomic_store(&notifier->give_up_boot_ms, clock_boot_ms(config->clock) + config->drain_ms / 2);
    mutex_lock(&notifier->mutex);
    notifier->is_stopping = true;
    condition_broadcast(&notifier->has_work);
    mutex_unlock(&notifier->mutex);
    for (size_t i = 0; i < notifier->thread_count; i++)
        thread_join(&notifier->threads[i].thread);
}

static void notifier_clear(struct notifier *notifier)
{
    for (size_t i = 0; notifier->threads != NULL && i < notifier->thread_count; i++) {
        notice_sender_close(&notifier->threads[i].sender);
        catalog_close(&notifier->threads[i].catalog);
    }
    mem_free(notifier->threads);
    catalog_close(&notifier->catalog);
    address_guard_free(&notifier->guard);
    condition_clear(&notifier->has_work);
    mutex_clear(&notifier->mutex);
}

static bool notifier_look(struct notifier *notifier, struct err *err)
{
    const struct notice_claim_request request = notifier_claim_request(notifier, 1);
    bool is_due = false;
    TRY(notice_is_due(notifier->catalog, &request, &is_due, err));
    if (!is_due)
        return true;
    mutex_lock(&notifier->mutex);
    notifier->round++;
    condition_broadcast(&notifier->has_work);
    mutex_unlock(&notifier->mutex);
    return true;
}

bool notifier_run(const struct notifier_config *config, struct err *err)
{
    struct notifier notifier CLEANUP(notifier_clear) = {0};
    mutex_init(&notifier.mutex);
    condition_init(&notifier.has_work);
    const bool is_open = notifier_open(&notifier, config, err);
    while (is_open && !stop_poll(config->stop)) {
        struct err failure = {0};
        if (!notifier_look(&notifier, &failure))
            log_event(LOG_WARN, "notices_not_found", "reason", failure.message, NULL);
        wake_wait(config->wake, config->wake_index, config->stop->fd, NOTIFIER_POLL_MS);
    }
    if (is_open)
        notifier_stop(&notifier);
    return is_open;
}
