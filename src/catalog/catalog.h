// SPDX-License-Identifier: Apache-2.0
// The catalog: the one place where tenants, subscriptions, windows, jobs and segments are known,
// and the only place where processes meet. A struct catalog is one connection and belongs to one
// thread. Every call is one transaction (or says that it is several); a call that returned false
// with UNAVAILABLE may be made again. Results live in the arena that is passed in. Calls about a
// tenant's things take the organization and answer NOT_FOUND for what belongs to another one, as
// for what does not exist.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct catalog;

// Format of the catalog on disk; a newer one is refused.
#define CATALOG_FORMAT 3

// path: the database file. Creating migrates an empty one; opening an older one migrates it in one
// transaction. INVALID when it is newer than this program or not a catalog.
NODISCARD bool catalog_create(const char *path, struct catalog **ret_catalog, struct err *err);
NODISCARD bool catalog_open(const char *path, struct catalog **ret_catalog, struct err *err);
void catalog_close(struct catalog **catalog);

// Who writes to the catalog (0) and who is the next in the queue (1); pid 0: nobody. The same pid
// and ticket for many seconds: that process is stuck or stopped and keeps all others from writing,
// or it died. A small read that takes no lock. NOT_FOUND: nobody opened this catalog yet.
#define CATALOG_WRITERS 2

struct catalog_writer {
    int64_t pid;
    int64_t ticket;
};

NODISCARD bool catalog_read_writers(const char *path,
                                    struct catalog_writer ret_writers[CATALOG_WRITERS],
                                    struct err *err);

// True in *ret_changed when another connection committed since the last call on this handle.
NODISCARD bool catalog_poll(struct catalog *catalog, bool *ret_changed, struct err *err);

// Small persisted values ("boot clock", signing key id, ...). NOT_FOUND.
NODISCARD bool catalog_get_value(struct catalog *catalog, const char *name, struct arena *arena,
                                 const char **ret_value, struct err *err);
NODISCARD bool catalog_set_value(struct catalog *catalog, const char *name, const char *value,
                                 struct err *err);

// A named right that one process holds at a time (seal, compaction, sweep), for lease_ms. *ret_held
// is false while another holds it. Renewed by calling again with the same holder id.
NODISCARD bool catalog_hold(struct catalog *catalog, const char *name, const char *holder_id,
                            int64_t now_ms, int64_t lease_ms, bool *ret_held, struct err *err);
NODISCARD bool catalog_release(struct catalog *catalog, const char *name, const char *holder_id,
                               struct err *err);
