// SPDX-License-Identifier: Apache-2.0
// Configuration is data: each module owns a table of options, and one reader merges
// default < file < environment < argument. Unknown names are errors. After that the structs are
// const. Name "lake.seal_bytes" is `--lake-seal-bytes` on the command line, MILKRUN_LAKE_SEAL_BYTES
// in the environment, and key `seal_bytes` in section [lake] of the file; a name without a dot is
// in section [milkrun]. docs/config.md is printed from these tables.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum option_type {
    OPTION_TEXT,  // field: const char *
    OPTION_INT64, // field: int64_t
    OPTION_BOOL,  // field: bool; as an argument it may stand alone
    OPTION_LIST,  // field: struct option_list; may be repeated, or comma-separated in one text
};

struct option_list {
    const char *items[16];
    size_t count;
};

enum option_flags {
    OPTION_REQUIRED = 1,
    OPTION_ARGUMENT_ONLY = 2, // neither file nor environment
    // A TEXT without a default: never an argument, which others on the machine can see, and in a
    // file only when neither its group nor others may read it.
    OPTION_SECRET = 4,
};

struct option {
    const char *name;
    enum option_type type;
    size_t offset;            // of the field in the module's struct
    const char *default_text; // NULL: field stays NULL, 0, false or empty
    int64_t min;              // INT64 only
    int64_t max;
    const char *unit; // "bytes", "ms", ... or NULL
    unsigned flags;
    const char *doc;
};

// A table and the struct that it fills.
struct option_set {
    const struct option *options;
    size_t option_count;
    void *target;
};

struct option_input {
    const char *const *arguments; // without the program's name and the command
    size_t argument_count;
    const char *const *environment; // "NAME=value", NULL at the end
    const char *config_path;        // NULL: as given by --config, else none
};

// Fills the targets. Texts live in arena. Arguments that are not options go to ret_operands (room
// for argument_count), in order; NULL refuses them. INVALID with the place and what is known.
NODISCARD bool option_read(const struct option_set *sets, size_t set_count,
                           const struct option_input *input, struct arena *arena,
                           const char **ret_operands, size_t *ret_operand_count, struct err *err);

// Whether "NAME=value" sets an option of these tables.
bool option_knows_variable(const struct option_set *sets, size_t set_count, const char *variable,
                           struct arena *arena);

// Help lines, and the Markdown table of docs/config.md.
void option_write_help(const struct option_set *set, struct buf *destination);
void option_write_markdown(const struct option_set *set, struct buf *destination);
