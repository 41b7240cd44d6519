// SPDX-License-Identifier: Apache-2.0
// Connections: stores that the operator has access to, and lends to customers under a name. A
// subscription names one instead of a role or an account. What must not be seen is sealed
// (base/cipher.h) for the connection's own name, so that nobody can put it into another row.
// Upholds INV-20 (docs/invariants.md).
#pragma once

#include "base/cipher.h"
#include "base/secret.h"
#include "catalog/catalog.h"

enum connection_kind {
    CONNECTION_S3,       // access key of an S3-compatible store
    CONNECTION_GCS_HMAC, // HMAC key of Google Cloud Storage
    CONNECTION_GCS_KEY,  // JSON key of a service account
};
const char *connection_kind_name(enum connection_kind kind); // "s3", "gcs_hmac", "gcs_key"
bool connection_kind_parse(struct slice name, enum connection_kind *ret_kind);
bool connection_kind_is_gcs(enum connection_kind kind);

enum connection_style {
    CONNECTION_STYLE_BY_ENDPOINT, // the bucket in the path where there is an endpoint
    CONNECTION_STYLE_PATH,
    CONNECTION_STYLE_HOST,
};

struct connection_settings {
    const char *endpoint; // a checked URL; NULL: the cloud's own, or the one that a customer names
    const char *region;   // NULL: not known
    const char *ca_file;  // NULL: that of destinations
    enum connection_style style;
};

struct connection {
    const char *name;
    enum connection_kind kind;
    const char *organization_id; // NULL: for all
    struct connection_settings settings;
    const char *access_key_id; // no secret; NULL for CONNECTION_GCS_KEY
    const char *account;       // service account of CONNECTION_GCS_KEY, else NULL
    const char *sealed_secret;
    int64_t created_at_ms;
    int64_t changed_at_ms;
};

// What a connection is opened with: access_key_id and a secret access key, or a JSON key alone.
struct connection_key {
    const char *access_key_id;
    struct slice secret;
};
// Of the catalog's secrets: the first one seals.
struct connection_ring {
    const struct cipher_key *keys;
    size_t key_count;
};

// INVALID with texts such as "Invalid connection name", "Invalid region", "Invalid ca_file",
// "Invalid access_key_id", "Invalid secret_access_key", "Invalid service_account_key". The endpoint
// is the caller's to check. CONFLICT "Connection exists"; NOT_FOUND for an organization that does
// not.
struct connection_request {
    const char *name;
    enum connection_kind kind;
    const char *organization_id; // NULL: for all
    struct connection_settings settings;
    struct connection_key key;
};
NODISCARD bool connection_create(struct catalog *catalog, const struct connection_request *request,
                                 const struct connection_ring *ring, int64_t now_ms,
                                 struct arena *arena, struct connection *ret_connection,
                                 struct err *err);

// For the operator. NOT_FOUND.
NODISCARD bool connection_get(struct catalog *catalog, const char *name, struct arena *arena,
                              struct connection *ret_connection, struct err *err);
// In the order of making: all (organization_id NULL), or those that the organization may use.
NODISCARD bool connection_list(struct catalog *catalog, const char *organization_id,
                               struct arena *arena, struct connection **ret_connections,
                               size_t *ret_count, struct err *err);

// For an organization's subscriptions: by name, and by service account (CONNECTION_GCS_KEY; its own
// before one for all). NOT_FOUND as well for what is another organization's.
NODISCARD bool connection_find(struct catalog *catalog, const char *organization_id,
                               const char *name, struct arena *arena,
                               struct connection *ret_connection, struct err *err);
NODISCARD bool connection_find_account(struct catalog *catalog, const char *organization_id,
                                       const char *account, struct arena *arena,
                                       struct connection *ret_connection, struct err *err);

// Takes the place of what is there; what is as it was is no change. A key takes effect with the
// next job. INVALID as above; CONFLICT "Key of another service account"; NOT_FOUND.
struct connection_change {
    bool has_endpoint; // which of the settings are meant
    bool has_region;
    bool has_ca_file;
    bool has_style;
    struct connection_settings settings;
    const struct connection_key *key; // NULL: stays. Without access_key_id, that stays
};
NODISCARD bool connection_update(struct catalog *catalog, const char *name,
                                 const struct connection_change *change,
                                 const struct connection_ring *ring, int64_t now_ms,
                                 struct arena *arena, struct connection *ret_connection,
                                 struct err *err);

// CONFLICT while subscriptions that are PENDING or ACTIVE name it; NOT_FOUND.
NODISCARD bool connection_delete(struct catalog *catalog, const char *name, struct err *err);

// The secret access key, or the JSON key; the caller's to clear. CORRUPT: damaged, or sealed with a
// key that is not in the ring.
NODISCARD bool connection_open_secret(const struct connection *connection,
                                      const struct connection_ring *ring, struct secret *ret_secret,
                                      struct err *err);
