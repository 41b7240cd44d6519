// SPDX-License-Identifier: Apache-2.0
// Merges default < file < environment < argument. The only file that includes inih.
#include "base/option.h"

#include <ctype.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/number.h"

#define OPTION_FILE_BYTES_MAX     ((size_t)1024 * 1024)
#define OPTION_FILE_KEYS_MAX      ((size_t)256)
#define OPTION_ENVIRONMENT_PREFIX "MILKRUN_"

struct option_reading {
    const struct option_set *sets;
    size_t set_count;
    struct arena *arena;
    struct err *err;
    const char *config_path;
    bool has_failed;
    const struct option *file_options[OPTION_FILE_KEYS_MAX]; // set by the file so far
    size_t file_option_count;
};

// "lake.seal_bytes" -> "--lake-seal-bytes" or "MILKRUN_LAKE_SEAL_BYTES".
static char *option_spelling(const struct option *option, const char *prefix, bool is_upper,
                             char separator, struct arena *arena)
{
    char *text = arena_format(arena, "%s%s", prefix, option->name);
    for (char *at = text + strlen(prefix); *at != '\0'; at++) {
        if (*at == '.' || *at == '_' || *at == '-')
            *at = separator;
        else if (is_upper)
            *at = (char)toupper((unsigned char)*at);
    }
    return text;
}

static char *option_argument_name(const struct option *option, struct arena *arena)
{
    return option_spelling(option, "--", false, '-', arena);
}

static char *option_environment_name(const struct option *option, struct arena *arena)
{
    return option_spelling(option, OPTION_ENVIRONMENT_PREFIX, true, '_', arena);
}

static void *option_field(const struct option_set *set, const struct option *option)
{
    return (char *)set->target + option->offset;
}

static bool option_parse_bool(const char *text, bool *ret_value)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "yes") == 0 || strcmp(text, "1") == 0)
        *ret_value = true;
    else if (strcmp(text, "false") == 0 || strcmp(text, "no") == 0 || strcmp(text, "0") == 0)
        *ret_value = false;
    else
        return false;
    return true;
}

static bool option_append_items(struct option_list *list, const char *text, struct arena *arena)
{
    char *copy = arena_copy_text(arena, text);
    for (char *item = copy; item != NULL;) {
        char *comma = strchr(item, ',');
        if (comma != NULL)
            *comma = '\0';
        item += strspn(item, " \t");
        for (size_t size = strlen(item); size > 0 && strchr(" \t", item[size - 1]) != NULL; size--)
            item[size - 1] = '\0';
        if (*item == '\0' || list->count == ARRAY_COUNT(list->items))
            return false;
        list->items[list->count++] = item;
        item = comma == NULL ? NULL : comma + 1;
    }
    return true;
}

// place names the source of the text for the message: "--workers", "MILKRUN_WORKERS", "file:3".
static bool option_assign(const struct option_set *set, const struct option *option,
                          const char *text, const char *place, struct arena *arena, struct err *err)
{
    void *field = option_field(set, option);
    switch (option->type) {
    case OPTION_TEXT: {
        const char *copy = arena_copy_text(arena, text);
        memcpy(field, &copy, sizeof copy);
        return true;
    }
    case OPTION_INT64: {
        int64_t value;
        if (!number_parse_int64(slice_text(text), &value))
            return err_set(err, ERR_INVALID, "%s: not a whole number: %s", place, text);
        if (value < option->min || value > option->max)
            return err_set(err, ERR_INVALID, "%s: must be %lld to %lld", place,
                           (long long)option->min, (long long)option->max);
        memcpy(field, &value, sizeof value);
        return true;
    }
    case OPTION_BOOL: {
        bool value;
        if (!option_parse_bool(text, &value))
            return err_set(err, ERR_INVALID, "%s: must be true or false", place);
        memcpy(field, &value, sizeof value);
        return true;
    }
    case OPTION_LIST:
        if (!option_append_items(field, text, arena))
            return err_set(err, ERR_INVALID, "%s: empty item or more than %zu items", place,
                           ARRAY_COUNT(((struct option_list *)field)->items));
        return true;
    }
    ASSERT(false);
    return false;
}

// A list from a stronger place replaces that of a weaker one.
static void option_forget_list(const struct option_set *set, const struct option *option)
{
    if (option->type == OPTION_LIST)
        ((struct option_list *)option_field(set, option))->count = 0;
}

static bool option_read_defaults(const struct option_reading *reading)
{
    for (size_t i = 0; i < reading->set_count; i++) {
        const struct option_set *set = &reading->sets[i];
        for (size_t j = 0; j < set->option_count; j++) {
            const struct option *option = &set->options[j];
            ASSERT((option->flags & OPTION_SECRET) == 0 ||
                   (option->type == OPTION_TEXT && option->default_text == NULL));
            option_forget_list(set, option);
            if (option->default_text != NULL)
                TRY(option_assign(set, option, option->default_text, option->name, reading->arena,
                                  reading->err));
        }
    }
    return true;
}

static const struct option *option_find(const struct option_reading *reading, const char *name,
                                        char *(*spell)(const struct option *, struct arena *),
                                        const struct option_set **ret_set)
{
    for (size_t i = 0; i < reading->set_count; i++) {
        const struct option_set *set = &reading->sets[i];
        for (size_t j = 0; j < set->option_count; j++) {
            const char *spelling = spell(&set->options[j], reading->arena);
            if (strcmp(spelling, name) == 0) {
                *ret_set = set;
                return &set->options[j];
            }
        }
    }
    return NULL;
}

static char *option_file_name(const struct option *option, struct arena *arena)
{
    return option_spelling(option, "", false, '_', arena);
}

// A key may come once.
static bool option_note_file_key(struct option_reading *reading, const struct option *option)
{
    for (size_t i = 0; i < reading->file_option_count; i++) {
        if (reading->file_options[i] == option)
            return err_set(reading->err, ERR_INVALID, "%s: %s is given twice", reading->config_path,
                           option->name);
    }
    if (reading->file_option_count == OPTION_FILE_KEYS_MAX)
        return err_set(reading->err, ERR_LIMIT, "%s: too many keys", reading->config_path);
    reading->file_options[reading->file_option_count++] = option;
    return true;
}

static int option_read_file_line(void *context, const char *section, const char *name,
                                 const char *value)
{
    struct option_reading *reading = context;
    const bool is_plain = section[0] == '\0' || strcmp(section, "milkrun") == 0;
    char *wanted = is_plain ? arena_copy_text(reading->arena, name)
                            : arena_format(reading->arena, "%s_%s", section, name);
    const struct option_set *set = NULL;
    const struct option *option = option_find(reading, wanted, option_file_name, &set);
    if (option == NULL || (option->flags & OPTION_ARGUMENT_ONLY) != 0) {
        reading->has_failed = true;
        return err_set(reading->err, ERR_INVALID, "%s: unknown key %s in section [%s]",
                       reading->config_path, name, is_plain ? "milkrun" : section);
    }
    const char *place = arena_format(reading->arena, "%s: %s", reading->config_path, name);
    option_forget_list(set, option);
    // Whoever can read the file knows the secret: such a mistake is not passed over.
    const bool is_safe = (option->flags & OPTION_SECRET) == 0 ||
                         file_check_private(reading->config_path, reading->err);
    if (!is_safe || !option_note_file_key(reading, option) ||
        !option_assign(set, option, value, place, reading->arena, reading->err)) {
        reading->has_failed = true;
        return 0;
    }
    return 1;
}

static bool option_read_file(struct option_reading *reading)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, OPTION_FILE_BYTES_MAX);
    TRY(file_read(reading->config_path, &text, reading->err));
    const int line = ini_parse_string(buf_text(&text), option_read_file_line, reading);
    if (reading->has_failed)
        return err_wrap(reading->err, "line %d", line);
    if (line != 0)
        return err_set(reading->err, ERR_INVALID, "%s: line %d: not `key = value`",
                       reading->config_path, line);
    return true;
}

static bool option_read_environment(const struct option_reading *reading,
                                    const char *const *environment)
{
    for (; environment != NULL && *environment != NULL; environment++) {
        const char *equals = strchr(*environment, '=');
        if (strncmp(*environment, OPTION_ENVIRONMENT_PREFIX,
                    sizeof OPTION_ENVIRONMENT_PREFIX - 1) != 0 ||
            equals == NULL)
            continue;
        char *name = arena_copy_slice(reading->arena,
                                      slice_of(*environment, (size_t)(equals - *environment)));
        const struct option_set *set = NULL;
        const struct option *option = option_find(reading, name, option_environment_name, &set);
        if (option == NULL)
            continue; // of another command: see option_knows_variable
        if ((option->flags & OPTION_ARGUMENT_ONLY) != 0)
            return err_set(reading->err, ERR_INVALID, "%s: give it as an argument", name);
        option_forget_list(set, option);
        TRY(option_assign(set, option, equals + 1, name, reading->arena, reading->err));
    }
    return true;
}

bool option_knows_variable(const struct option_set *sets, size_t set_count, const char *variable,
                           struct arena *arena)
{
    const struct option_reading reading = {.sets = sets, .set_count = set_count, .arena = arena};
    char *name = arena_copy_slice(arena, slice_of(variable, strcspn(variable, "=")));
    const struct option_set *set = NULL;
    return option_find(&reading, name, option_environment_name, &set) != NULL;
}

static bool option_seen_before(const char *const *arguments, size_t index, const char *name)
{
    const size_t size = strlen(name);
    for (size_t i = 0; i < index; i++) {
        if (strncmp(arguments[i], name, size) == 0 &&
            (arguments[i][size] == '\0' || arguments[i][size] == '='))
            return true;
    }
    return false;
}

// Reads the option at *index, with its value behind '=' or in the next argument.
static bool option_read_argument(const struct option_reading *reading,
                                 const struct option_input *input, size_t *index)
{
    const char *argument = input->arguments[*index];
    const char *equals = strchr(argument, '=');
    const size_t name_size = equals == NULL ? strlen(argument) : (size_t)(equals - argument);
    char *name = arena_copy_slice(reading->arena, slice_of(argument, name_size));
    const struct option_set *set = NULL;
    const struct option *option = option_find(reading, name, option_argument_name, &set);
    if (option == NULL)
        return err_set(reading->err, ERR_INVALID, "unknown option %s", name);
    if ((option->flags & OPTION_SECRET) != 0)
        return err_set(reading->err, ERR_INVALID,
                       "%s: others can see arguments; give it as %s or in a file", name,
                       option_environment_name(option, reading->arena));
    const bool is_repeated = option_seen_before(input->arguments, *index, name);
    if (is_repeated && option->type != OPTION_LIST)
        return err_set(reading->err, ERR_INVALID, "option %s is given twice", name);
    if (!is_repeated)
        option_forget_list(set, option);
    const char *value = equals == NULL ? NULL : equals + 1;
    if (value == NULL && option->type == OPTION_BOOL)
        value = "true";
    if (value == NULL) {
        if (*index + 1 == input->argument_count)
            return err_set(reading->err, ERR_INVALID, "option %s needs a value", name);
        value = input->arguments[++*index];
    }
    return option_assign(set, option, value, name, reading->arena, reading->err);
}

static bool option_read_arguments(const struct option_reading *reading,
                                  const struct option_input *input, const char **ret_operands,
                                  size_t *ret_operand_count)
{
    size_t operand_count = 0;
    bool only_operands = false;
    for (size_t i = 0; i < input->argument_count; i++) {
        const char *argument = input->arguments[i];
        if (!only_operands && strcmp(argument, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && argument[0] == '-' && argument[1] != '\0') {
            TRY(option_read_argument(reading, input, &i));
        } else {
            if (ret_operands == NULL)
                return err_set(reading->err, ERR_INVALID, "unexpected argument %s", argument);
            ret_operands[operand_count++] = argument;
        }
    }
    if (ret_operand_count != NULL)
        *ret_operand_count = operand_count;
    return true;
}

// Only of commands that have the option.
static const char *option_find_config_path(const struct option_reading *reading,
                                           const struct option_input *input)
{
    const struct option_set *set = NULL;
    struct arena *arena = reading->arena;
    if (option_find(reading, "--config", option_argument_name, &set) == NULL)
        return input->config_path;
    for (size_t i = 0; i < input->argument_count; i++) {
        if (strncmp(input->arguments[i], "--config=", 9) == 0)
            return arena_copy_text(arena, input->arguments[i] + 9);
        if (strcmp(input->arguments[i], "--config") == 0 && i + 1 < input->argument_count)
            return input->arguments[i + 1];
    }
    return input->config_path;
}

static bool option_check_required(const struct option_reading *reading)
{
    for (size_t i = 0; i < reading->set_count; i++) {
        const struct option_set *set = &reading->sets[i];
        for (size_t j = 0; j < set->option_count; j++) {
            const struct option *option = &set->options[j];
            const void *text = NULL;
            if (option->type == OPTION_TEXT)
                memcpy(&text, option_field(set, option), sizeof text);
            if ((option->flags & OPTION_REQUIRED) != 0 && text == NULL)
                return err_set(reading->err, ERR_INVALID, "option %s is required",
                               option_argument_name(option, reading->arena));
        }
    }
    return true;
}

bool option_read(const struct option_set *sets, size_t set_count, const struct option_input *input,
                 struct arena *arena, const char **ret_operands, size_t *ret_operand_count,
                 struct err *err)
{
    struct option_reading reading = {
        .sets = sets,
        .set_count = set_count,
        .arena = arena,
        .err = err,
    };
    reading.config_path = option_find_config_path(&reading, input);
    TRY(option_read_defaults(&reading));
    if (reading.config_path != NULL)
        TRY(option_read_file(&reading));
    TRY(option_read_environment(&reading, input->environment));
    TRY(option_read_arguments(&reading, input, ret_operands, ret_operand_count));
    return option_check_required(&reading);
}

void option_write_help(const struct option_set *set, struct buf *destination)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    for (size_t i = 0; i < set->option_count; i++) {
        const struct option *option = &set->options[i];
        static const char *const values[] = {[OPTION_TEXT] = " TEXT",
                                             [OPTION_INT64] = " N",
                                             [OPTION_BOOL] = "",
                                             [OPTION_LIST] = " LIST"};
        if ((option->flags & OPTION_SECRET) != 0)
            buf_append_format(destination, "  %s=TEXT (no argument)\n      %s",
                              option_environment_name(option, &arena), option->doc);
        else
            buf_append_format(destination, "  %s%s\n      %s", option_argument_name(option, &arena),
                              values[option->type], option->doc);
        if (option->unit != NULL)
            buf_append_format(destination, " [%s]", option->unit);
        if (option->default_text != NULL)
            buf_append_format(destination, " (default %s)", option->default_text);
        buf_append_char(destination, '\n');
    }
}

void option_write_markdown(const struct option_set *set, struct buf *destination)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    buf_append_text(destination, "| argument | environment | file | default | range | meaning |\n"
                                 "|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < set->option_count; i++) {
        const struct option *option = &set->options[i];
        const bool is_argument_only = (option->flags & OPTION_ARGUMENT_ONLY) != 0;
        const char *dot = strchr(option->name, '.');
        if ((option->flags & OPTION_SECRET) != 0)
            buf_append_text(destination, "| - | ");
        else
            buf_append_format(destination, "| `%s` | ", option_argument_name(option, &arena));
        if (is_argument_only)
            buf_append_text(destination, "- | - | ");
        else if (dot == NULL)
            buf_append_format(destination, "`%s` | `[milkrun] %s` | ",
                              option_environment_name(option, &arena), option->name);
        else
            buf_append_format(destination, "`%s` | `[%.*s] %s` | ",
                              option_environment_name(option, &arena), (int)(dot - option->name),
                              option->name, dot + 1);
        buf_append_format(destination, "%s | ",
                          option->default_text == NULL ? "-" : option->default_text);
        if (option->type == OPTION_INT64)
            buf_append_format(destination, "%lld to %lld%s%s | ", (long long)option->min,
                              (long long)option->max, option->unit == NULL ? "" : " ",
                              option->unit == NULL ? "" : option->unit);
        else
            buf_append_text(destination, "- | ");
        buf_append_format(destination, "%s |\n", option->doc);
    }
}
