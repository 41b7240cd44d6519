// SPDX-License-Identifier: Apache-2.0
// Whole notifiers, with their threads, over a catalog on disk and receivers on loopback ports.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../net/scripted_server.h"
#include "base/check.h"
#include "base/mem.h"
#include "catalog/notices.h"
#include "catalog/tenants.h"
#include "notify/notify.h"

#define HOOKS_MAX    ((size_t)8)
#define RECEIVED_MAX ((size_t)512)
#define ID_CHARS     ((size_t)36)

struct received {
    char id[ID_CHARS + 1];
    size_t hook;
};

struct hooks;

struct hook {
    struct scripted_server server;
    struct hooks *hooks;
    int fail_count; // answers 500 so often, then resets as often
    int delay_ms;
};

// Receivers, and what they got, in order.
struct hooks {
    struct hook items[HOOKS_MAX];
    size_t count;
    struct mutex mutex; // guards what follows
    struct received received[RECEIVED_MAX];
    size_t received_count;
};

static void hook_note(struct hook *hook, const char *head)
{
    static const char name[] = "Milkrun-Notice-Id: ";
    struct hooks *hooks = hook->hooks;
    const char *id = strstr(head, name);
    mutex_lock(&hooks->mutex);
    if (id != NULL && hooks->received_count < RECEIVED_MAX) {
        struct received *received = &hooks->received[hooks->received_count++];
        memcpy(received->id, id + strlen(name), ID_CHARS);
        received->hook = (size_t)(hook - hooks->items);
    }
    mutex_unlock(&hooks->mutex);
}

static void hook_serve(void *context, struct scripted_peer *peer)
{
    struct hook *hook = context;
    struct buf head CLEANUP(buf_clear);
    buf_init(&head, SCRIPTED_BYTES_MAX);
    if (!scripted_read_until(peer, "\r\n\r\n", &head) ||
        !scripted_read_until(peer, "}", &head)) // the body
        return;
    hook_note(hook, buf_text(&head));
    (void)usleep((useconds_t)hook->delay_ms * 1000);
    if (hook->fail_count > 0) {
        hook->fail_count--;
        if (hook->fail_count % 2 == 0)
            scripted_reset(peer);
        else
            (void)scripted_send(peer, "HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\n");
        return;
    }
    (void)scripted_send(peer, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
}

static size_t received_count(struct hooks *hooks)
{
    mutex_lock(&hooks->mutex);
    const size_t count = hooks->received_count;
    mutex_unlock(&hooks->mutex);
    return count;
}

// --- The fixture

struct running {
    struct notifier_config config;
    struct wake wake;
    struct stop stop;
    struct thread thread;
    bool is_done;
    struct err err;
};

struct fixture {
    char directory[64];
    const char *path;
    struct arena arena;
    struct catalog *catalog;
    struct hooks hooks;
    struct notify_options options;
    struct option_list networks;
    struct smtp_settings smtp;
    struct cipher_key key;
    struct running running[2];
};

static int set_up(void **state)
{
    struct err err = {0};
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    arena_init(&fixture->arena);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/notifier_test.XXXXXX");
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    fixture->path = arena_format(&fixture->arena, "%s/catalog.db", fixture->directory);
    if (!catalog_create(fixture->path, &fixture->catalog, &err))
        fail_msg("%s", err.message);
    mutex_init(&fixture->hooks.mutex);
    fixture->options = (struct notify_options){
        .sender_count = 4,
        .connect_timeout_ms = 2000,
        .timeout_ms = 5000,
        .back_off_ms = 10,
        .back_off_max_ms = 50,
        .retry_limit_ms = 60000,
    };
    fixture->networks = (struct option_list){.items = {"127.0.0.1"}, .count = 1};
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-gate", "-lock"};
    struct fixture *fixture = *state;
    catalog_close(&fixture->catalog);
    for (size_t i = 0; i < fixture->hooks.count; i++)
        scripted_close(&fixture->hooks.items[i].server);
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++)
        (void)unlink(arena_format(&fixture->arena, "%s%s", fixture->path, suffixes[i]));
    const int result = rmdir(fixture->directory);
    mutex_clear(&fixture->hooks.mutex);
    arena_clear(&fixture->arena);
    mem_free(fixture);
    return result;
}

static const char *organization_of(struct fixture *fixture, const char *name)
{
    struct err err = {0};
    struct tenant_organization organization;
    assert_true(tenant_create_organization(fixture->catalog, name, 1, &fixture->arena,
                                           &organization, &err));
    return organization.id;
}

static struct hook *add_hook(struct fixture *fixture)
{
    struct hook *hook = &fixture->hooks.items[fixture->hooks.count++];
    hook->hooks = &fixture->hooks;
    scripted_open(&hook->server, hook_serve, hook);
    return hook;
}

static const char *notify(struct fixture *fixture, const char *organization_id,
                          const struct hook *hook)
{
    struct err err = {0};
    struct notification made;
    struct notification_request request = {
        .id = notification_make_id(&fixture->arena),
        .scope = {.organization_id = organization_id, .sees_organization = true},
        .kind = NOTIFICATION_WEBHOOK,
        .target = arena_format(&fixture->arena, "http://127.0.0.1:%d/", hook->server.port),
        .events = NOTICE_ALL_EVENTS,
        .limit = 100,
        .now_ms = 1,
    };
    request.sealed_secret = notification_seal(&fixture->key, request.id, slice_text("whsec_1"),
                                              &fixture->arena);
    if (!notification_create(fixture->catalog, &request, &fixture->arena, &made, &err))
        fail_msg("%s", err.message);
    return made.id;
}

// A test notice, which there may be one of at a time: each stands for an event afterwards.
static void add_notices(struct fixture *fixture, const char *organization_id,
                        const char *notification_id, int count)
{
    const struct subscription_scope scope = {.organization_id = organization_id,
                                             .sees_organization = true};
    for (int i = 0; i < count; i++) {
        struct err err = {0};
        const char *notice_id = NULL;
        bool is_made = false;
        for (int wait = 0; wait < 1000 && !is_made; wait++) {
            is_made = notification_test(fixture->catalog, &scope, slice_text(notification_id),
                                        clock_wall_ms(clock_system()), &fixture->arena, &notice_id,
                                        &err);
            if (!is_made)
                (void)usleep(5000);
        }
        assert_true(is_made);
    }
}

static void run(void *context)
{
    struct running *running = context;
    running->is_done = notifier_run(&running->config, &running->err);
}

static void start(struct fixture *fixture, size_t index, const char *node_id)
{
    struct running *running = &fixture->running[index];
    wake_init(&running->wake, 1);
    running->stop.fd = -1;
    running->config = (struct notifier_config){
        .options = &fixture->options,
        .smtp = &fixture->smtp,
        .allowed_networks = &fixture->networks,
        .catalog_path = fixture->path,
        .node_id = node_id,
        .clock = clock_system(),
        .secret_keys = &fixture->key,
        .secret_key_count = 1,
        .drain_ms = 4000,
        .wake = &running->wake,
        .stop = &running->stop,
    };
    thread_start(&running->thread, run, running);
}

static void stop(struct fixture *fixture, size_t index)
{
    struct running *running = &fixture->running[index];
    atomic_store(&running->stop.is_requested, true);
    wake_all(&running->wake);
    thread_join(&running->thread);
    wake_clear(&running->wake);
    if (!running->is_done)
        fail_msg("%s", running->err.message);
}

static void wait_until_sent(struct fixture *fixture)
{
    struct err err = {0};
    int64_t count = 1;
    for (int i = 0; i < 4000 && count > 0; i++) {
        assert_true(notice_count_waiting(fixture->catalog, &count, &err));
        (void)usleep(5000);
    }
    assert_int_equal(count, 0);
}

static size_t count_of(struct fixture *fixture, const char *id)
{
    size_t count = 0;
    for (size_t i = 0; i < fixture->hooks.received_count; i++)
        count += strcmp(fixture->hooks.received[i].id, id) == 0 ? 1 : 0;
    return count;
}

// --- Tests

static void what_fails_is_sent_again_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    const char *organization_id = organization_of(fixture, "first");
    struct hook *hook = add_hook(fixture);
    hook->fail_count = 4;
    const char *id = notify(fixture, organization_id, hook);
    add_notices(fixture, organization_id, id, 1);
    start(fixture, 0, "node");
    wait_until_sent(fixture);
    stop(fixture, 0);
    assert_int_equal(fixture->hooks.received_count, 5);
    assert_int_equal(count_of(fixture, fixture->hooks.received[0].id), 5);
    struct err err = {0};
    struct notice_try *tries = NULL;
    size_t count = 0;
    const struct notice_tries_query query = {.notification_id = id, .limit = 100};
    assert_true(notice_tries(fixture->catalog, &query, &fixture->arena, &tries, &count, &err));
    assert_int_equal(count, 5);
    assert_int_equal(tries[0].status, 204);
    assert_int_equal(tries[0].state, NOTICE_SENT);
    assert_int_equal(tries[4].status, 500);
    assert_int_equal(tries[3].status, 0); // reset
}

static void any_number_of_notifiers_sends_each_once(void **state)
{
    struct fixture *fixture = *state;
    const char *organizations[] = {organization_of(fixture, "a"), organization_of(fixture, "b"),
                                   organization_of(fixture, "c")};
    const char *ids[6];
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++)
        ids[i] = notify(fixture, organizations[i % 3], add_hook(fixture));
    start(fixture, 0, "one");
    start(fixture, 1, "two");
    for (int round = 0; round < 8; round++)
        for (size_t i = 0; i < ARRAY_COUNT(ids); i++)
            add_notices(fixture, organizations[i % 3], ids[i], 1);
    wait_until_sent(fixture);
    stop(fixture, 0);
    stop(fixture, 1);
    assert_int_equal(fixture->hooks.received_count, 8 * ARRAY_COUNT(ids));
    for (size_t i = 0; i < fixture->hooks.received_count; i++)
        assert_int_equal(count_of(fixture, fixture->hooks.received[i].id), 1);
}

static void a_slow_receiver_keeps_others_waiting_for_nothing(void **state)
{
    struct fixture *fixture = *state;
    const char *slow = organization_of(fixture, "slow");
    const char *quick = organization_of(fixture, "quick");
    for (int i = 0; i < 4; i++) { // as many as there are senders
        struct hook *hook = add_hook(fixture);
        hook->delay_ms = 2500;
        add_notices(fixture, slow, notify(fixture, slow, hook), 1);
    }
    struct hook *hook = add_hook(fixture);
    const char *id = notify(fixture, quick, hook);
    start(fixture, 0, "node");
    // Two are taken at most: the other senders are for organizations without any in flight.
    for (int i = 0; i < 400 && received_count(&fixture->hooks) < 2; i++)
        (void)usleep(5000);
    add_notices(fixture, quick, id, 3);
    mutex_lock(&fixture->hooks.mutex);
    assert_true(fixture->hooks.received_count >= 4);
    assert_int_equal(fixture->hooks.received[2].hook, 4);
    assert_int_equal(fixture->hooks.received[3].hook, 4);
    mutex_unlock(&fixture->hooks.mutex);
    wait_until_sent(fixture);
    stop(fixture, 0);
}

static void who_comes_after_a_death_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    struct notice notice;
    bool found = false;
    const char *organization_id = organization_of(fixture, "first");
    add_notices(fixture, organization_id, notify(fixture, organization_id, add_hook(fixture)), 1);
    const struct notice_claim_request request = {.holder_id = "node",
                                                 .now_ms = clock_wall_ms(clock_system()),
                                                 .lease_ms = 3600000,
                                                 .back_off_max_ms = 1000,
                                                 .share = 1};
    assert_true(notice_claim(fixture->catalog, &request, &fixture->arena, &found, &notice, &err));
    assert_true(found);
    start(fixture, 0, "node");
    wait_until_sent(fixture);
    stop(fixture, 0);
    assert_int_equal(fixture->hooks.received_count, 1);
    assert_string_equal(fixture->hooks.received[0].id, notice.id);
}

static void a_stop_gives_back_what_goes_on(void **state)
{
    struct fixture *fixture = *state;
    const char *organization_id = organization_of(fixture, "first");
    struct hook *hook = add_hook(fixture);
    hook->delay_ms = 3500;
    fixture->options.timeout_ms = 10000;
    add_notices(fixture, organization_id, notify(fixture, organization_id, hook), 1);
    start(fixture, 0, "node");
    for (int i = 0; i < 400 && received_count(&fixture->hooks) < 1; i++)
        (void)usleep(5000);
    stop(fixture, 0); // after two of the four seconds
    struct err err = {0};
    const struct notice_claim_request request = {.holder_id = "other",
                                                 .now_ms = clock_wall_ms(clock_system()),
                                                 .lease_ms = 1000,
                                                 .back_off_max_ms = 1000,
                                                 .share = 1};
    bool is_due = false;
    assert_true(notice_is_due(fixture->catalog, &request, &is_due, &err));
    assert_true(is_due);
}

static void a_lost_key_is_said_to_whom_it_concerns(void **state)
{
    struct fixture *fixture = *state;
    const char *organization_id = organization_of(fixture, "first");
    const char *id = notify(fixture, organization_id, add_hook(fixture));
    add_notices(fixture, organization_id, id, 1);
    fixture->key.bytes[0] ^= 1;
    fixture->options.retry_limit_ms = 1;
    start(fixture, 0, "node");
    wait_until_sent(fixture); // given up
    stop(fixture, 0);
    assert_int_equal(fixture->hooks.received_count, 0);
    struct err err = {0};
    struct notice_try *tries = NULL;
    size_t count = 0;
    const struct notice_tries_query query = {.notification_id = id, .limit = 100};
    assert_true(notice_tries(fixture->catalog, &query, &fixture->arena, &tries, &count, &err));
    assert_true(count > 0);
    assert_string_equal(tries[0].reason, "the secret cannot be read: rotate it");
}

#define NOTIFIER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NOTIFIER_TEST(what_fails_is_sent_again_as_it_was),
        NOTIFIER_TEST(any_number_of_notifiers_sends_each_once),
        NOTIFIER_TEST(a_slow_receiver_keeps_others_waiting_for_nothing),
        NOTIFIER_TEST(who_comes_after_a_death_goes_on),
        NOTIFIER_TEST(a_stop_gives_back_what_goes_on),
        NOTIFIER_TEST(a_lost_key_is_said_to_whom_it_concerns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
