// SPDX-License-Identifier: Apache-2.0
// Members of the operator's bodies: as strict as everywhere, with the texts that clients see.
#pragma once

#include "api/api_internal.h"

// A text. "Missing required field: NAME" when it is absent or null, "Invalid type: string
// expected". It may be empty: what a name must be is the catalog's to say.
NODISCARD bool api_admin_text(struct api_call *call, const struct json_node *body, const char *name,
                              const char **ret_text, struct err *err);
// The same for a member of a change: *ret_text stays when it is absent; null is no text.
NODISCARD bool api_admin_changed_text(struct api_call *call, const struct json_node *body,
                                      const char *name, const char **ret_text, struct err *err);
// A text that may be null: *ret_is_given says whether the member is there at all.
NODISCARD bool api_admin_nullable_text(struct api_call *call, const struct json_node *body,
                                       const char *name, bool *ret_is_given, const char **ret_text,
                                       struct err *err);
// An id: a text, or an integer (of any size that int64 has). NULL when absent or null.
NODISCARD bool api_admin_id(struct api_call *call, const struct json_node *body, const char *name,
                            const char **ret_id, struct err *err);
// The number of a user, as text; 0, which no user has, for what is no number.
int64_t api_admin_user_id(const char *text);
// *ret_is_given false, and *ret_value as it was, when it is absent.
NODISCARD bool api_admin_bool(struct api_call *call, const struct json_node *body, const char *name,
                              bool *ret_is_given, bool *ret_value, struct err *err);
// As above; null counts as absent. "Invalid type: integer expected", "Number out of range".
NODISCARD bool api_admin_integer(struct api_call *call, const struct json_node *body,
                                 const char *name, int64_t max, bool *ret_is_given,
                                 int64_t *ret_value, struct err *err);
// grace_seconds: a day unless it is said otherwise.
NODISCARD bool api_admin_grace(struct api_call *call, int64_t *ret_grace_ms, struct err *err);

// An organization that exists: 404 "Organization not found". NULL stays NULL.
NODISCARD bool api_admin_check_organization(struct api_call *call, const char *id, struct err *err);
// organization_id of the query; NULL when there is none.
NODISCARD bool api_admin_organization_query(struct api_call *call, const char **ret_id,
                                            struct err *err);
