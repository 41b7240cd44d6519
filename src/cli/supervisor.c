// SPDX-License-Identifier: Apache-2.0
#include "cli/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/catalog.h"

#define SUPERVISOR_POLL_MS        50
#define SUPERVISOR_RESTART_MAX_MS INT64_C(5000)
#define SUPERVISOR_HEALTHY_MS     INT64_C(2000) // who lived so long restarts at once
#define SUPERVISOR_LOOKS          INT64_C(10)   // at a writer within the limit

struct supervisor_child {
    pid_t pid;    // 0: not running
    int ready_fd; // read end, -1 when ready or not awaited
    int64_t started_at_ms;
    int64_t restart_at_ms;
    int64_t delay_ms;
};

// What stands at one place of the catalog's queue of writers.
struct supervisor_writer {
    struct catalog_writer last;
    int64_t seen_at_ms; // first, as it is
    int64_t stood_ms;   // unchanged since
};

struct supervisor {
    const struct supervisor_config *config;
    struct supervisor_child *children;
    struct supervisor_writer writers[CATALOG_WRITERS];
    int64_t looked_at_ms; // at the writers
    bool is_ready;
    bool is_ending; // children are told to go
};

static int64_t supervisor_now_ms(void)
{
    return clock_boot_ms(clock_system());
}

// In the child: never returns.
static _Noreturn void supervisor_become(const struct supervisor_process *process, int ready_fd,
                                        pid_t supervisor_pid)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != supervisor_pid)
        _exit(1); // the supervisor died before the kernel knew that we want to go with it
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)dup2(STDERR_FILENO,
               STDOUT_FILENO); // standard output is for the one line of the supervisor
    struct err err = {0};
    if (process->run(process, ready_fd, &err))
        _exit(0);
    log_event(LOG_ERROR, "process_failed", "kind", err_kind_name(err.kind), "reason", err.message,
              NULL);
    _exit(err_kind_exit_code(err.kind));
}

static bool supervisor_start(struct supervisor *supervisor, size_t index, struct err *err)
{
    const struct supervisor_process *process = &supervisor->config->processes[index];
    struct supervisor_child *child = &supervisor->children[index];
    int ready_pipe[2] = {-1, -1};
    if (process->is_awaited && pipe2(ready_pipe, O_CLOEXEC) != 0)
        return err_set_errno(err, "pipe");
    const pid_t supervisor_pid = getpid();
    const pid_t pid = fork();
    if (pid < 0)
        return err_set_errno(err, "fork");
    if (pid == 0) {
        log_setup(log_level(), process->name);
        if (ready_pipe[0] >= 0)
            (void)close(ready_pipe[0]);
        supervisor_become(process, ready_pipe[1], supervisor_pid);
    }
    if (ready_pipe[1] >= 0)
        (void)close(ready_pipe[1]);
    if (child->ready_fd >= 0)
        (void)close(child->ready_fd);
    child->pid = pid;
    child->ready_fd = ready_pipe[0];
    child->started_at_ms = supervisor_now_ms();
    return true;
}

static void supervisor_check_ready(struct supervisor *supervisor)
{
    bool is_waiting = false;
    for (size_t i = 0; i < supervisor->config->process_count; i++) {
        struct supervisor_child *child = &supervisor->children[i];
        if (child->ready_fd < 0)
            continue;
        struct pollfd poll_fd = {.fd = child->ready_fd, .events = POLLIN};
        char byte;
        if (poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN) != 0 &&
            read(child->ready_fd, &byte, 1) == 1) {
            (void)close(child->ready_fd);
            child->ready_fd = -1;
            continue;
        }
        is_waiting = true;
    }
    if (is_waiting || supervisor->is_ready)
        return;
    supervisor->is_ready = true;
    supervisor->config->on_ready(supervisor->config->context);
}

// A child ended by itself. False: the server could not start.
static bool supervisor_bury(struct supervisor *supervisor, size_t index, int status,
                            struct err *err)
{
    const struct supervisor_process *process = &supervisor->config->processes[index];
    struct supervisor_child *child = &supervisor->children[index];
    const int64_t now_ms = supervisor_now_ms();
    child->pid = 0;
    if (now_ms - child->started_at_ms >= SUPERVISOR_HEALTHY_MS)
        child->delay_ms = 0;
    child->restart_at_ms = now_ms + child->delay_ms;
    child->delay_ms = child->delay_ms == 0 ? 100 : child->delay_ms * 2;
    if (child->delay_ms > SUPERVISOR_RESTART_MAX_MS)
        child->delay_ms = SUPERVISOR_RESTART_MAX_MS;
    char how[64];
    if (WIFSIGNALED(status))
        (void)snprintf(how, sizeof how, "signal %d", WTERMSIG(status));
    else
        (void)snprintf(how, sizeof how, "exit %d", WEXITSTATUS(status));
    log_event(supervisor->is_ending ? LOG_INFO : LOG_WARN, "process_ended", "process",
              process->name, "how", how, NULL);
    if (supervisor->is_ready || !process->is_awaited || !WIFEXITED(status))
        return true;
    return err_set(err, err_kind_of_exit_code(WEXITSTATUS(status)), "%s could not start (%s)",
                   process->name, how);
}

static bool supervisor_reap(struct supervisor *supervisor, struct err *err)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < supervisor->config->process_count; i++) {
            if (supervisor->children[i].pid == pid)
                TRY(supervisor_bury(supervisor, i, status, err));
        }
    }
    return true;
}

static bool supervisor_restart(struct supervisor *supervisor, struct err *err)
{
    for (size_t i = 0; i < supervisor->config->process_count; i++) {
        struct supervisor_child *child = &supervisor->children[i];
        if (child->pid != 0 || supervisor_now_ms() < child->restart_at_ms)
            continue;
        if (supervisor_start(supervisor, i, err))
            continue;
        if (!supervisor->is_ready)
            return false;
        // The machine is short of something: the others go on, and this one comes back later.
        log_event(LOG_WARN, "process_not_started", "process", supervisor->config->processes[i].name,
                  "reason", err->message, NULL);
        child->restart_at_ms = supervisor_now_ms() + SUPERVISOR_RESTART_MAX_MS;
    }
    return true;
}

static size_t supervisor_signal(const struct supervisor *supervisor, int number)
{
    size_t running_count = 0;
    for (size_t i = 0; i < supervisor->config->process_count; i++) {
        if (supervisor->children[i].pid == 0)
            continue;
        running_count++;
        if (number != 0)
            (void)kill(supervisor->children[i].pid, number); // gone meanwhile is fine
    }
    return running_count;
}

// --- Writers that are stuck

// NULL when it is none of ours, or when the signature is older than the child, whose pid another
// process had before: one that died with it, perhaps before the machine started.
static const struct supervisor_process *
supervisor_find_writer(const struct supervisor *supervisor, const struct supervisor_writer *writer)
{
    for (size_t i = 0; i < supervisor->config->process_count; i++) {
        const struct supervisor_child *child = &supervisor->children[i];
        if (child->pid != 0 && child->pid == writer->last.pid)
            return writer->seen_at_ms > child->started_at_ms ? &supervisor->config->processes[i]
                                                             : NULL;
    }
    return NULL;
}

static void supervisor_check_writer(const struct supervisor *supervisor,
                                    struct supervisor_writer *writer,
                                    const struct catalog_writer *now, int64_t passed_ms)
{
    if (now->pid != writer->last.pid || now->ticket != writer->last.ticket) {
        *writer = (struct supervisor_writer){.last = *now, .seen_at_ms = supervisor->looked_at_ms};
        return;
    }
    writer->stood_ms += passed_ms;
    if (writer->stood_ms <= supervisor->config->writer_limit_ms)
        return;
    const struct supervisor_process *process = supervisor_find_writer(supervisor, writer);
    if (process == NULL)
        return;
    char pid[24];
    (void)snprintf(pid, sizeof pid, "%lld", (long long)now->pid);
    log_event(LOG_ERROR, "catalog_lock_stuck", "stuck_pid", pid, "process", process->name, NULL);
    (void)kill((pid_t)now->pid, SIGKILL);
    writer->stood_ms = 0; // one that hangs in the kernel is told of once per limit
}

static void supervisor_check_writers(struct supervisor *supervisor)
{
    const struct supervisor_config *config = supervisor->config;
    if (config->catalog_path == NULL)
        return;
    const int64_t pause_ms = config->writer_limit_ms / SUPERVISOR_LOOKS;
    const int64_t now_ms = supervisor_now_ms();
    int64_t passed_ms = now_ms - supervisor->looked_at_ms;
    if (passed_ms < pause_ms)
        return;
    supervisor->looked_at_ms = now_ms;
    // When the whole machine slept or was frozen, writers had no time either.
    if (passed_ms > 2 * pause_ms)
        passed_ms = 2 * pause_ms;
    struct catalog_writer writers[CATALOG_WRITERS];
    struct err err = {0};
    if (!catalog_read_writers(config->catalog_path, writers, &err))
        return; // short of files, perhaps: the next look is near
    for (size_t i = 0; i < CATALOG_WRITERS; i++)
        supervisor_check_writer(supervisor, &supervisor->writers[i], &writers[i], passed_ms);
}

// Tells all to stop, waits for them, kills who does not.
static void supervisor_end(struct supervisor *supervisor)
{
    supervisor->is_ending = true;
    supervisor->is_ready = true; // an early end of a child is no failure to start now
    const int64_t until_ms = supervisor_now_ms() + supervisor->config->drain_ms;
    bool is_killed = false;
    (void)supervisor_signal(supervisor, SIGTERM);
    while (supervisor_signal(supervisor, 0) > 0) {
        if (!is_killed && supervisor_now_ms() > until_ms) {
            (void)supervisor_signal(supervisor, SIGKILL);
            is_killed = true;
        }
        supervisor_check_writers(supervisor); // the others need the catalog to end well
        const struct timespec pause = {.tv_nsec = 5 * 1000000};
        (void)nanosleep(&pause, NULL);
        struct err ignored;
        const bool is_reaped = supervisor_reap(supervisor, &ignored);
        (void)is_reaped; // cannot fail once is_ready is set
    }
}

static bool supervisor_loop(struct supervisor *supervisor, const sigset_t *signals, struct err *err)
{
    for (;;) {
        // First, so that signatures from before are known as such.
        supervisor_check_writers(supervisor);
        TRY(supervisor_restart(supervisor, err));
        const struct timespec timeout = {.tv_nsec = SUPERVISOR_POLL_MS * 1000000L};
        const int number = sigtimedwait(signals, NULL, &timeout);
        if (number == SIGTERM || number == SIGINT)
            return true;
        supervisor_check_ready(supervisor); // first: who ended since may have said so before
        TRY(supervisor_reap(supervisor, err));
    }
}

bool supervisor_run(const struct supervisor_config *config, struct err *err)
{
    // Those who wait sign every second.
    ASSERT(config->catalog_path == NULL || config->writer_limit_ms > 2000);
    struct supervisor supervisor = {
        .config = config,
        .children = mem_alloc_array(config->process_count, sizeof(struct supervisor_child)),
    };
    for (size_t i = 0; i < config->process_count; i++)
        supervisor.children[i].ready_fd = -1;
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    const bool is_done = supervisor_loop(&supervisor, &signals, err);
    supervisor_end(&supervisor);
    for (size_t i = 0; i < config->process_count; i++) {
        if (supervisor.children[i].ready_fd >= 0)
            (void)close(supervisor.children[i].ready_fd);
    }
    mem_free(supervisor.children);
    return is_done;
}
