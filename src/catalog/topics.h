// SPDX-License-Identifier: Apache-2.0
// Topics and their fields, durable before the first event that has them is acknowledged.
#pragma once

#include "catalog/catalog.h"
#include "model/schema.h"

// Every topic of the organization that has events or was declared; built-in ones are listed by the
// caller from schema_builtin_name().
NODISCARD bool topic_list(struct catalog *catalog, const char *organization_id, struct arena *arena,
                          const struct schema **ret_schemas, size_t *ret_count, struct err *err);

// The topic's schema now. A built-in topic that has no row yet is found with topic_id 0. NOT_FOUND.
NODISCARD bool topic_get(struct catalog *catalog, const char *organization_id, struct slice name,
                         struct arena *arena, const struct schema **ret_schema, struct err *err);
NODISCARD bool topic_get_by_id(struct catalog *catalog, int64_t topic_id, struct arena *arena,
                               const struct schema **ret_schema, const char **ret_organization_id,
                               struct err *err);

// Declares a topic with typed fields (`id` can only be a string); declaring an existing one adds
// fields and gives learned ones their declared type only when it is the same (CONFLICT otherwise).
// INVALID for bad names; LIMIT for too many.
NODISCARD bool topic_declare(struct catalog *catalog, const char *organization_id,
                             struct slice name, const struct schema_field *fields,
                             size_t field_count, int64_t now_ms, struct arena *arena,
                             const struct schema **ret_schema, struct err *err);

// What a batch has seen that the schema does not say yet.
struct topic_sighting {
    const char *name;
    enum field_type type;
    bool is_wide;
};

// Makes the topic when new, adds and widens learned fields by schema_widen; fixed fields that do
// not fit are INVALID. One transaction. Returns the schema after it. LIMIT beyond 2,000 fields, or
// 1,000 topics per organization.
NODISCARD bool topic_learn(struct catalog *catalog, const char *organization_id, struct slice name,
                           const struct topic_sighting *sightings, size_t sighting_count,
                           int64_t now_ms, struct arena *arena, const struct schema **ret_schema,
                           struct err *err);
