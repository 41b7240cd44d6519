// SPDX-License-Identifier: Apache-2.0
// Delivering: the files of a spooled job go to the customer's bucket, to the hosted bucket when
// that is elsewhere, and links to them to those who get mail. Every try does the same again: what
// is there already is found and proven equal, the manifest object comes last, and who has got a
// mail gets no other one.
//
//     made in the spool ---> customer's bucket: files, then _manifest.json
//     made in the spool ---> hosted bucket elsewhere --.
//     made in the hosted bucket of this machine -------+--> mail with signed links
//
// Upholds INV-19 (docs/invariants.md).
#pragma once

#include "catalog/subscriptions.h"
#include "job/job_run.h"

struct job_route {
    struct store *made_in; // where its files are made; NULL: they are only measured
    bool goes_to_bucket;   // of the customer
    bool goes_to_hosted;   // to the hosted bucket, which is elsewhere
    bool goes_by_mail;     // links, that is
    bool is_listed;        // the files are in the hosted bucket afterwards
};
struct job_route job_route_of(const struct job_run_config *config, const struct job *job,
                              const struct subscription *subscription);
bool job_route_is_delivered(const struct job_route *route);

// Where a file that was made under key will be: its key in the bucket that it goes to. For
// manifests. prefix: of job_deliver_prefix.
const char *job_deliver_key(const struct job *job, const struct job_route *route,
                            const char *prefix, const char *key, struct arena *arena);
// The folder in the customer's bucket, with its slash; "" when there is none. CORRUPT.
NODISCARD bool job_deliver_prefix(const struct subscription *subscription, struct arena *arena,
                                  const char **ret_prefix, struct err *err);

struct job_delivery {
    const struct job_run_config *config;
    struct catalog *catalog;
    const struct job *job; // claimed, spooled
    struct job_watch *watch;
    const struct subscription *subscription;
    const struct job_route *route;
    const struct job_file *files;
    size_t file_count;
    const char *manifest;
    struct arena *arena;
};
// A sample is tried out in the same way: the bucket is probed first, its files go to a place of
// their own and away again, and its mail has no links. CORRUPT: what was spooled is damaged.
NODISCARD bool job_deliver(const struct job_delivery *delivery, struct err *err);

// A file of the delivery, for one that sends it otherwise: it has been read whole and has the bytes
// that were made, else CORRUPT.
NODISCARD bool job_deliver_open_whole(const struct job_delivery *delivery,
                                      const struct job_file *file, int *ret_fd, struct err *err);

// Whether the bucket can be written to, tried with an object that is named so and goes away again.
// INVALID when other bytes come back.
NODISCARD bool job_deliver_probe(const struct destination_bucket *bucket, const char *name,
                                 struct arena *arena, struct err *err);

// After the job has FAILED: takes away what earlier tries have left in the customer's bucket, as
// far as that is permitted. What is not exactly ours stays.
void job_deliver_discard(const struct job_delivery *delivery);
