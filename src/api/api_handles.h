// SPDX-License-Identifier: Apache-2.0
// Catalog handles for the server's threads: a handle belongs to one thread at a time, so a thread
// takes one for the length of a handler and gives it back. There are never more than threads. Each
// has a memo of what its catalog said, which is empty again as soon as anybody has committed
// anything.
#pragma once

#include "api/api_memo.h"
#include "catalog/catalog.h"

struct api_handles;

struct api_handle {
    struct catalog *catalog;
    struct api_memo *memo;
};

struct api_handles *api_handles_new(const char *catalog_path);
void api_handles_free(struct api_handles **handles);

NODISCARD bool api_handles_take(struct api_handles *handles, struct api_handle *ret_handle,
                                struct err *err);
void api_handles_give(struct api_handles *handles, struct api_handle *handle);
