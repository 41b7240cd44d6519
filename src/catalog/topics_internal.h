// SPDX-License-Identifier: Apache-2.0
// Between topics.c, which reads, and topic_changes.c.
#pragma once

#include "catalog/catalog_internal.h"
#include "catalog/topics.h"

// The schema as it is, inside the caller's transaction. *ret_is_known false: neither a row nor
// built in; the schema is an empty one with schema_id 1 then. *ret_next_ordinal: of the next row of
// topic_fields.
NODISCARD bool topic_load(struct catalog *catalog, const char *organization_id, struct slice name,
                          struct arena *arena, struct schema *ret_schema, bool *ret_is_known,
                          int64_t *ret_next_ordinal, struct err *err);
