// SPDX-License-Identifier: Apache-2.0
// What the processes of `milkrun serve` share, and what each does.
#pragma once

#include "api/api.h"
#include "base/wake.h"
#include "cli/data_directory.h"
#include "cli/supervisor.h"
#include "destination/destinations_net.h"
#include "notify/notify.h"
#include "scheduler/scheduler.h"
#include "worker/worker.h"

struct serve_options {
    const char *data;
    const char *listen;
    struct option_list roles;
    int64_t worker_count;
    const char *config;
    const char *tls_cert;
    const char *tls_key;
    const char *log_level;
    int64_t drain_ms;
    bool accept_loss;
    bool accept_clock;
    int64_t ingest_memory_bytes;
    int64_t ingest_file_bytes;
    int64_t ingest_file_age_ms;
    struct api_settings api;
    struct scheduler_options scheduler;
    struct worker_options worker;
    struct keeper_options keeper;
    struct destination_settings destination;
    struct notify_options notify;
    struct hosted_settings hosted;
    struct aws_settings aws;
    struct gcp_settings gcp;
    struct smtp_settings smtp;
};

// Const once the processes start.
struct serve {
    struct serve_options options;
    struct data_directory data;
    const char *supervisor_id;
    const char *address; // host:port
    int listen_fd;
    const char *tls_certificate_pem;
    const char *tls_key_pem;
    bool has_api;
    bool has_scheduler;
    bool has_worker;
    const char *const *environment;
    struct destinations_net_config destinations; // points into all of the above
    struct wake wake;
};

bool serve_run_api(const struct supervisor_process *process, int ready_fd, struct err *err);
bool serve_run_scheduler(const struct supervisor_process *process, int ready_fd, struct err *err);
bool serve_run_keeper(const struct supervisor_process *process, int ready_fd, struct err *err);
bool serve_run_notifier(const struct supervisor_process *process, int ready_fd, struct err *err);
bool serve_run_worker(const struct supervisor_process *process, int ready_fd, struct err *err);

// With --accept-clock: the operator's word goes into the catalog, before any process starts.
NODISCARD bool serve_accept_clock(const struct serve *serve, struct err *err);
