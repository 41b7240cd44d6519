// SPDX-License-Identifier: Apache-2.0
// Between schema.c and its table.
#pragma once

#include "model/schema.h"

#define SCHEMA_BUILTIN_TOPICS ((size_t)34)

extern const struct schema schema_builtin_topics[SCHEMA_BUILTIN_TOPICS];
