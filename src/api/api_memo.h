// SPDX-License-Identifier: Apache-2.0
// What the catalog answered, kept beside a handle while nothing is committed anywhere: the handle's
// owner clears it at each change (see api_handles.h). One thread at a time; bounded, by forgetting
// all.
#pragma once

#include "base/slice.h"

struct api_memo;

struct api_memo *api_memo_new(void);
void api_memo_free(struct api_memo **memo);
void api_memo_clear(struct api_memo *memo);

// False when it is not there. memo may be NULL: nothing is. *ret_value lives until the handle is
// given back.
bool api_memo_find(const struct api_memo *memo, struct slice key, struct slice *ret_value);
// Keeps copies; what is large is not kept. memo may be NULL.
void api_memo_add(struct api_memo *memo, struct slice key, struct slice value);
