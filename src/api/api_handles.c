// SPDX-License-Identifier: Apache-2.0
#include "api/api_handles.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/thread.h"

#define API_HANDLES_IDLE_MAX ((size_t)64)

struct api_handles {
    const char *catalog_path;
    struct mutex mutex; // guards what follows
    struct catalog *idle[API_HANDLES_IDLE_MAX];
    size_t idle_count;
};

struct api_handles *api_handles_new(const char *catalog_path)
{
    struct api_handles *handles = mem_alloc(sizeof *handles);
    handles->catalog_path = catalog_path;
    mutex_init(&handles->mutex);
    return handles;
}

void api_handles_free(struct api_handles **handles)
{
    if (*handles == NULL)
        return;
    for (size_t i = 0; i < (*handles)->idle_count; i++)
        catalog_close(&(*handles)->idle[i]);
    mutex_clear(&(*handles)->mutex);
    mem_free(*handles);
    *handles = NULL;
}

bool api_handles_take(struct api_handles *handles, struct catalog **ret_catalog, struct err *err)
{
    struct catalog *catalog = NULL;
    mutex_lock(&handles->mutex);
    if (handles->idle_count > 0)
        catalog = handles->idle[--handles->idle_count];
    mutex_unlock(&handles->mutex);
    if (catalog == NULL)
        TRY(catalog_open(handles->catalog_path, &catalog, err));
    *ret_catalog = catalog;
    return true;
}

void api_handles_give(struct api_handles *handles, struct catalog **catalog)
{
    ASSERT(*catalog != NULL);
    mutex_lock(&handles->mutex);
    if (handles->idle_count < API_HANDLES_IDLE_MAX) {
        handles->idle[handles->idle_count++] = *catalog;
        *catalog = NULL;
    }
    mutex_unlock(&handles->mutex);
    catalog_close(catalog);
}
