// SPDX-License-Identifier: Apache-2.0
#include "api/api_handles.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/thread.h"

#define API_HANDLES_IDLE_MAX ((size_t)64)

struct api_handles {
    const char *catalog_path;
    struct mutex mutex; // guards what follows
    struct api_handle idle[API_HANDLES_IDLE_MAX];
    size_t idle_count;
};

static void api_handle_close(struct api_handle *handle)
{
    catalog_close(&handle->catalog);
    api_memo_free(&handle->memo);
}

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
        api_handle_close(&(*handles)->idle[i]);
    mutex_clear(&(*handles)->mutex);
    mem_free(*handles);
    *handles = NULL;
}

bool api_handles_take(struct api_handles *handles, struct api_handle *ret_handle, struct err *err)
{
    struct api_handle handle = {0};
    mutex_lock(&handles->mutex);
    if (handles->idle_count > 0)
        handle = handles->idle[--handles->idle_count];
    mutex_unlock(&handles->mutex);
    if (handle.catalog == NULL) {
        TRY(catalog_open(handles->catalog_path, &handle.catalog, err));
        handle.memo = api_memo_new();
    }
    bool is_changed = false;
    if (!catalog_poll(handle.catalog, &is_changed, err)) {
        api_handle_close(&handle); // the next taker tries with a new one
        return false;
    }
    if (is_changed)
        api_memo_clear(handle.memo);
    *ret_handle = handle;
    return true;
}

void api_handles_give(struct api_handles *handles, struct api_handle *handle)
{
    ASSERT(handle->catalog != NULL);
    mutex_lock(&handles->mutex);
    const bool has_room = handles->idle_count < API_HANDLES_IDLE_MAX;
    if (has_room)
        handles->idle[handles->idle_count++] = *handle;
    mutex_unlock(&handles->mutex);
    if (!has_room)
        api_handle_close(handle);
    *handle = (struct api_handle){0};
}
