// SPDX-License-Identifier: Apache-2.0
// "Please stop", from SIGTERM or SIGINT, as a file descriptor and a flag instead of a handler.
// Any thread may poll; set up and cleared by the main thread of a process.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct stop {
    int fd; // readable when a signal waits
    atomic_bool is_requested;
};

// Blocks both signals for this thread and those that it starts. Call again after a fork.
void stop_init(struct stop *stop);
void stop_clear(struct stop *stop);

// Looks at the descriptor and remembers.
bool stop_poll(struct stop *stop);
