// SPDX-License-Identifier: Apache-2.0
// Jobs whose files go to other places than the hosted bucket of this machine. Their files are made
// once and kept until they are delivered:
//
//   RUNNING --job_spool--> PENDING_UPLOAD --delivered, job_succeed--> SUCCEEDED
//                            |       ^
//                  job_fail, to be   |  claimed again: is_spooled says that nothing is to be made,
//                  tried again later +  only to be delivered
//
// Files, manifest and state are durable together at job_spool. What holds for claims holds here
// (leases.h).
#pragma once

#include "catalog/leases.h"

// The files are durable where they were made. Of result, now_ms and expires_at_ms are not looked
// at.
NODISCARD bool job_spool(struct catalog *catalog, const struct job_claim *claim,
                         const struct job_result *result, struct err *err);
// They turned out to be gone or damaged: the next claim makes them again.
NODISCARD bool job_unspool(struct catalog *catalog, const struct job_claim *claim, struct err *err);
// Of a spooled job: its files in order, and the manifest.
NODISCARD bool job_spooled_files(struct catalog *catalog, const char *job_id, struct arena *arena,
                                 struct job_file **ret_files, size_t *ret_count,
                                 const char **ret_manifest, struct err *err);
// Bytes of all files of the organization that wait to be delivered.
NODISCARD bool job_spooled_bytes(struct catalog *catalog, const char *organization_id,
                                 int64_t *ret_byte_count, struct err *err);

// --- Uploads in parts: known before their first part goes out, so that whoever takes the job over
// can abort them.

struct job_upload {
    const char *key;
    const char *upload_id;
};
NODISCARD bool job_upload_begun(struct catalog *catalog, const struct job_claim *claim,
                                const struct job_upload *upload, int64_t now_ms, struct err *err);
// Completed or aborted. Unknown is fine.
NODISCARD bool job_upload_over(struct catalog *catalog, const char *job_id,
                               const struct job_upload *upload, struct err *err);
NODISCARD bool job_uploads(struct catalog *catalog, const char *job_id, struct arena *arena,
                           struct job_upload **ret_uploads, size_t *ret_count, struct err *err);

// --- Recipients of a job's mail

enum job_recipient_state { // on disk
    JOB_RECIPIENT_WAITS,
    JOB_RECIPIENT_SENT,
    JOB_RECIPIENT_REFUSED,
};
const char *job_recipient_state_name(enum job_recipient_state state); // "pending", "sent", ...

struct job_recipient {
    const char *address;
    enum job_recipient_state state;
    const char *reason; // of REFUSED, or of the last try; else NULL
};
// What is known so far, by address; nobody before the first settling.
NODISCARD bool job_recipients(struct catalog *catalog, const char *job_id, struct arena *arena,
                              struct job_recipient **ret_recipients, size_t *ret_count,
                              struct err *err);
NODISCARD bool job_settle_recipient(struct catalog *catalog, const struct job_claim *claim,
                                    const struct job_recipient *recipient, struct err *err);

// --- Probes: whether a subscription's bucket can be written to, tried once in a while.

// An ACTIVE subscription whose bucket was tried last at least interval_ms ago; it counts as tried
// now. *ret_id NULL: none.
NODISCARD bool subscription_claim_probe(struct catalog *catalog, int64_t now_ms,
                                        int64_t interval_ms, struct arena *arena,
                                        const char **ret_id, struct err *err);
// failure NULL: it can be. From the first call on, it is tried again and again; later ones are for
// what was claimed at now_ms, and change nothing when the destination was edited since.
NODISCARD bool subscription_settle_probe(struct catalog *catalog, const char *id, int64_t now_ms,
                                         const char *failure, struct err *err);
