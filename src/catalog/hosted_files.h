// SPDX-License-Identifier: Apache-2.0
// Files of the hosted bucket as customers see them: of jobs that SUCCEEDED, are visible and have
// not expired. (What is delivered elsewhere has no expiry here, and is not seen.) What is foreign
// answers as what does not exist.
// Upholds INV-13, INV-16 (docs/invariants.md).
#pragma once

#include "catalog/jobs.h"
#include "catalog/subscriptions.h"

struct hosted_file {
    struct job_file file;
    int64_t published_at_ms; // 0: its job is still being delivered
};

// The file of a key, when it may still be served. scope NULL: for whoever has a signed URL of ours,
// which also opens the files of a job whose delivery goes on. NOT_FOUND.
NODISCARD bool hosted_file_find(struct catalog *catalog, const struct subscription_scope *scope,
                                struct slice key, struct arena *arena, struct hosted_file *ret_file,
                                struct err *err);

// Where a list goes on: behind this entry, and behind all keys that it stands for when it is a
// common prefix; or, when is_amid, behind the key alone, which was only looked at.
struct hosted_place {
    struct slice entry; // empty: at the beginning
    bool is_amid;
};

struct hosted_query {
    struct subscription_scope scope;
    struct slice prefix;
    struct slice delimiter; // keys that share what comes before its end are one entry; empty: none
    struct hosted_place start;
    size_t entry_limit; // at least 1
    // Files that are looked at: a page may end early, even empty, when most cannot be shown.
    int64_t row_limit;
};

struct hosted_entry {
    const char *key; // or the common prefix
    bool is_prefix;
    struct hosted_file file; // of a key
};

struct hosted_page {
    const struct hosted_entry *entries; // in the order of the keys' bytes
    size_t count;
    bool has_more;
    struct hosted_place next; // when has_more
};

// A common prefix costs one look into an index, however many keys it stands for.
NODISCARD bool hosted_file_list(struct catalog *catalog, const struct hosted_query *query,
                                struct arena *arena, struct hosted_page *ret_page, struct err *err);
