// SPDX-License-Identifier: Apache-2.0
// Shared by the files about connections.
#pragma once

#include "catalog/catalog_internal.h"
#include "catalog/connections.h"

// What names, settings and keys must be (connection_rules.c): INVALID with texts for the operator.
NODISCARD bool connection_check_name(const char *name, struct err *err);
NODISCARD bool connection_check_settings(const struct connection_settings *settings,
                                         struct err *err);
// *ret_account: the service account of a JSON key, else NULL.
NODISCARD bool connection_check_key(enum connection_kind kind, const struct connection_key *key,
                                    struct arena *arena, const char **ret_account, struct err *err);

// Rows (connections.c).

#define CONNECTION_STYLES ((size_t)3)
extern const char *const connection_style_names[CONNECTION_STYLES]; // NULL for the first

// Nothing for NULL.
void connection_write_optional(struct json_text *json, const char *key, const char *text);
// The document of a connection without its secret.
NODISCARD bool connection_write_settings(const struct connection *connection, struct arena *arena,
                                         const char **ret_text, struct err *err);
const char *connection_seal(const struct connection_ring *ring, const char *name,
                            struct slice secret, struct arena *arena);
NODISCARD bool connection_record(struct catalog *catalog, const struct connection *connection,
                                 const char *action, struct audit_note *note, struct err *err);
