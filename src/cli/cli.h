// SPDX-License-Identifier: Apache-2.0
// The command line: commands are a table, each with its option tables; help, the manual page and
// docs/config.md are printed from them.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/option.h"

// What main returns: 0, or the exit code of the error's kind.
int cli_main(int argument_count, char **arguments);

#define CLI_SETS_MAX 16

struct cli_invocation {
    struct option_input input;
    const char **operands; // room for every argument
    struct arena *arena;
};

struct cli_command {
    const char *name;
    const char *usage;   // behind "milkrun "
    const char *summary; // one line
    const char *details; // paragraphs for `milkrun help COMMAND`
    bool (*run)(const struct cli_invocation *invocation, struct err *err);
    void (*write_calls)(struct buf *destination); // more help; NULL: none
    // The command's option tables with NULL targets, for help and documentation.
    size_t (*list_options)(struct option_set ret_sets[CLI_SETS_MAX]);
};

extern const struct cli_command cli_init_command;
extern const struct cli_command cli_serve_command;
extern const struct cli_command cli_import_command;
extern const struct cli_command cli_admin_command;
