// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

#define CLI_TEXT_BYTES_MAX ((size_t)1024 * 1024)

static const struct cli_command *const cli_commands[] = {
    &cli_init_command,
    &cli_serve_command,
    &cli_import_command,
    &cli_admin_command,
};

static bool cli_print(struct slice text, struct err *err)
{
    return file_write_all(STDOUT_FILENO, text, "standard output", err);
}

static void cli_write_overview(struct buf *text)
{
    buf_append_text(text, "milkrun " MILKRUN_VERSION ": scheduled log exports, self-hosted\n\n"
                          "usage: milkrun COMMAND [OPTION...]\n\ncommands:\n");
    for (size_t i = 0; i < ARRAY_COUNT(cli_commands); i++)
        buf_append_format(text, "  %-8s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    buf_append_text(text, "  help     show the options of a command: milkrun help COMMAND\n\n"
                          "first steps:\n"
                          "  milkrun init --data DIR\n"
                          "  milkrun serve --data DIR --listen 127.0.0.1:8080\n\n"
                          "options:\n"
                          "  --help, --version\n");
}

static bool cli_has_option(const struct option_set *sets, size_t set_count, const char *name)
{
    for (size_t i = 0; i < set_count; i++) {
        for (size_t j = 0; j < sets[i].option_count; j++) {
            if (strcmp(sets[i].options[j].name, name) == 0)
                return true;
        }
    }
    return false;
}

static void cli_write_command_help(const struct cli_command *command, struct buf *text)
{
    buf_append_format(text, "usage: milkrun %s\n\n%s\n", command->usage, command->details);
    if (command->write_calls != NULL)
        command->write_calls(text);
    buf_append_text(text, "\noptions:\n");
    struct option_set sets[CLI_SETS_MAX];
    const size_t set_count = command->list_options(sets);
    for (size_t i = 0; i < set_count; i++)
        option_write_help(&sets[i], text);
    if (!cli_has_option(sets, set_count, "config"))
        return;
    buf_append_text(
        text, "\nEvery option but those marked \"argument only\" can also be given in the "
              "environment\n(--lake-seal-bytes: MILKRUN_LAKE_SEAL_BYTES) and in the "
              "configuration file;\narguments are stronger than the environment, which "
              "is stronger than the file.\nSecrets have no argument; a file that holds one must "
              "be readable by its owner only.\n");
}

static void cli_write_config_page(struct buf *text)
{
    buf_append_text(text,
                    "# Configuration\n\nPrinted by `milkrun help --markdown` from the tables that "
                    "the program reads; `make lint` compares.\n\nDefaults are weaker than the "
                    "file (`--config FILE`), the file than the environment, the environment "
                    "than arguments. Unknown names are errors. The file has lines `key = value` "
                    "below `[section]` lines; keys without a section belong to `[milkrun]`.\n");
    for (size_t i = 0; i < ARRAY_COUNT(cli_commands); i++) {
        buf_append_format(text, "\n## milkrun %s\n\n", cli_commands[i]->name);
        struct option_set sets[CLI_SETS_MAX];
        const size_t set_count = cli_commands[i]->list_options(sets);
        for (size_t j = 0; j < set_count; j++) {
            if (j > 0)
                buf_append_char(text, '\n');
            option_write_markdown(&sets[j], text);
        }
    }
}

static const struct cli_command *cli_find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(cli_commands); i++) {
        if (strcmp(cli_commands[i]->name, name) == 0)
            return cli_commands[i];
    }
    return NULL;
}

static bool cli_help(const char *topic, struct err *err)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, CLI_TEXT_BYTES_MAX);
    if (topic == NULL) {
        cli_write_overview(&text);
    } else if (strcmp(topic, "--markdown") == 0) {
        cli_write_config_page(&text);
    } else {
        const struct cli_command *command = cli_find_command(topic);
        if (command == NULL)
            return err_set(err, ERR_INVALID, "unknown command %s; see milkrun --help", topic);
        cli_write_command_help(command, &text);
    }
    TRY(buf_check(&text, err));
    return cli_print(buf_slice(&text), err);
}

// `milkrun help`, `milkrun help help` and `milkrun help --help` are one.
static bool cli_help_about(int topic_count, char **topics, struct err *err)
{
    if (topic_count > 1)
        return err_set(err, ERR_INVALID, "unexpected argument %s", topics[1]);
    if (topic_count == 0 || strcmp(topics[0], "help") == 0 || strcmp(topics[0], "--help") == 0)
        return cli_help(NULL, err);
    return cli_help(topics[0], err);
}

// A misspelt variable would be a setting that silently is not there. Names of other commands are
// fine.
static bool cli_check_environment(const char *const *environment, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    for (; *environment != NULL; environment++) {
        bool is_known = strncmp(*environment, "MILKRUN_", 8) != 0 ||
                        strncmp(*environment, "MILKRUN_BIN=", 12) == 0; // where tests find us
        struct option_set sets[CLI_SETS_MAX];
        for (size_t i = 0; i < ARRAY_COUNT(cli_commands) && !is_known; i++) {
            const size_t set_count = cli_commands[i]->list_options(sets);
            is_known = option_knows_variable(sets, set_count, *environment, &arena);
        }
        if (!is_known)
            return err_set(err, ERR_INVALID, "unknown variable %.*s in the environment",
                           (int)strcspn(*environment, "="), *environment);
    }
    return true;
}

static bool cli_run_command(const struct cli_command *command, int argument_count, char **arguments,
                            struct err *err)
{
    for (int i = 0; i < argument_count; i++) {
        if (strcmp(arguments[i], "--help") == 0)
            return cli_help(command->name, err);
    }
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const size_t count = (size_t)argument_count;
    const char **copies = arena_alloc_array(&arena, count + 1, sizeof *copies);
    for (size_t i = 0; i < count; i++)
        copies[i] = arguments[i];
    size_t environment_count = 0;
    while (environ[environment_count] != NULL)
        environment_count++;
    const char **environment = arena_alloc_array(&arena, environment_count + 1,
                                                 sizeof *environment);
    for (size_t i = 0; i < environment_count; i++)
        environment[i] = environ[i];
    TRY(cli_check_environment(environment, err));
    const struct cli_invocation invocation = {
        .input = {.arguments = copies, .argument_count = count, .environment = environment},
        .operands = arena_alloc_array(&arena, count + 1, sizeof(const char *)),
        .arena = &arena,
    };
    return command->run(&invocation, err);
}

static bool cli_dispatch(int argument_count, char **arguments, struct err *err)
{
    if (argument_count < 2 || strcmp(arguments[1], "--help") == 0 ||
        strcmp(arguments[1], "-h") == 0)
        return cli_help(NULL, err);
    if (strcmp(arguments[1], "--version") == 0)
        return cli_print(slice_text("milkrun " MILKRUN_VERSION "\n"), err);
    if (strcmp(arguments[1], "help") == 0)
        return cli_help_about(argument_count - 2, arguments + 2, err);
    const struct cli_command *command = cli_find_command(arguments[1]);
    if (command == NULL)
        return err_set(err, ERR_INVALID, "unknown command %s; see milkrun --help", arguments[1]);
    return cli_run_command(command, argument_count - 2, arguments + 2, err);
}

int cli_main(int argument_count, char **arguments)
{
    struct err err = {0};
    if (cli_dispatch(argument_count, arguments, &err))
        return 0;
    (void)fprintf(stderr, "milkrun: %s\n", err.message);
    return err_kind_exit_code(err.kind);
}
