// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api_executor.h"
#include "base/file.h"
#include "base/thread.h"

#define ITEMS 8

struct gate {
    struct mutex mutex; // guards what follows
    struct condition changed;
    bool is_open;
    int started;
    int finished;
};

struct item {
    struct gate *gate;
};

static char executor_directory[] = "/tmp/milkrun-executor-XXXXXX";
static char executor_path[64];

static void run(void *context, struct catalog *catalog)
{
    struct item *item = context;
    assert_non_null(catalog);
    struct gate *gate = item->gate;
    mutex_lock(&gate->mutex);
    gate->started++;
    condition_broadcast(&gate->changed);
    while (!gate->is_open)
        condition_wait(&gate->changed, &gate->mutex);
    gate->finished++;
    mutex_unlock(&gate->mutex);
}

static int set_up(void **state)
{
    (void)state;
    struct err err;
    struct catalog *catalog = NULL;
    assert_non_null(mkdtemp(executor_directory));
    (void)snprintf(executor_path, sizeof executor_path, "%s/catalog.db", executor_directory);
    assert_true(catalog_create(executor_path, &catalog, &err));
    catalog_close(&catalog);
    return 0;
}

static bool remove_one(const char *path, void *context, struct err *err)
{
    (void)context;
    return file_remove(path, err);
}

static int tear_down(void **state)
{
    (void)state;
    struct err err;
    assert_true(file_walk(executor_directory, "", remove_one, NULL, &err));
    assert_int_equal(rmdir(executor_directory), 0);
    return 0;
}

static struct api_executor *open_executor(size_t thread_count)
{
    struct err err;
    struct api_executor *executor = NULL;
    const struct api_executor_config config = {
        .catalog_path = executor_path,
        .thread_count = thread_count,
        .queue_count = ITEMS,
        .run = run,
    };
    assert_true(api_executor_open(&config, &executor, &err));
    return executor;
}

static void everything_queued_is_run(void **state)
{
    (void)state;
    struct gate gate = {.is_open = true};
    mutex_init(&gate.mutex);
    condition_init(&gate.changed);
    struct item items[ITEMS];
    struct api_executor *executor = open_executor(2);
    for (size_t i = 0; i < ITEMS; i++) {
        items[i].gate = &gate;
        char organization_id[2] = {(char)('a' + i), '\0'};
        if (!api_executor_reserve(executor, organization_id))
            fail();
        api_executor_add(executor, organization_id, &items[i]);
    }
    api_executor_close(&executor);
    assert_null(executor);
    assert_int_equal(gate.finished, ITEMS);
    condition_clear(&gate.changed);
    mutex_clear(&gate.mutex);
}

static void an_organization_gets_a_quarter_of_the_queue(void **state)
{
    (void)state;
    struct gate gate = {0};
    mutex_init(&gate.mutex);
    condition_init(&gate.changed);
    struct item items[ITEMS + 1];
    struct api_executor *executor = open_executor(1);
    // One call keeps the thread busy, so that the others stay in the queue.
    items[ITEMS].gate = &gate;
    assert_true(api_executor_reserve(executor, NULL));
    api_executor_add(executor, NULL, &items[ITEMS]);
    mutex_lock(&gate.mutex);
    while (gate.started == 0)
        condition_wait(&gate.changed, &gate.mutex);
    mutex_unlock(&gate.mutex);
    assert_int_equal(api_executor_waiting(executor), 0);

    size_t added = 0;
    static const char *const organizations[] = {"1", "2", "3", "4", "5"};
    for (size_t i = 0; i < 5; i++) {
        for (int j = 0; j < ITEMS; j++) {
            if (!api_executor_reserve(executor, organizations[i]))
                break;
            items[added].gate = &gate;
            api_executor_add(executor, organizations[i], &items[added++]);
        }
        assert_int_equal(added, i < 4 ? 2 * (i + 1) : ITEMS);
    }
    assert_int_equal(api_executor_waiting(executor), ITEMS);
    mutex_lock(&gate.mutex);
    gate.is_open = true;
    condition_broadcast(&gate.changed);
    mutex_unlock(&gate.mutex);
    api_executor_close(&executor);
    assert_int_equal(gate.finished, ITEMS + 1);
    condition_clear(&gate.changed);
    mutex_clear(&gate.mutex);
}

static void a_missing_catalog_is_an_error(void **state)
{
    (void)state;
    struct err err;
    struct api_executor *executor = NULL;
    const struct api_executor_config config = {
        .catalog_path = "/nonexistent/catalog.db",
        .thread_count = 2,
        .queue_count = 4,
        .run = run,
    };
    assert_false(api_executor_open(&config, &executor, &err));
    assert_null(executor);
    assert_true(err.kind != ERR_NONE);
    api_executor_close(&executor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_queued_is_run),
        cmocka_unit_test(an_organization_gets_a_quarter_of_the_queue),
        cmocka_unit_test(a_missing_catalog_is_an_error),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
