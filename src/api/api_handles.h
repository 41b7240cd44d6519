// SPDX-License-Identifier: Apache-2.0
// Catalog handles for the server's threads: a handle belongs to one thread at a time, so a thread
// takes one for the length of a handler and gives it back. There are never more than threads.
#pragma once

#include "catalog/catalog.h"

struct api_handles;

struct api_handles *api_handles_new(const char *catalog_path);
void api_handles_free(struct api_handles **handles);

NODISCARD bool api_handles_take(struct api_handles *handles, struct catalog **ret_catalog,
                                struct err *err);
void api_handles_give(struct api_handles *handles, struct catalog **catalog);
