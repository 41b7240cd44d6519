// SPDX-License-Identifier: Apache-2.0
// The level and role are the only process-wide state: they are set once before threads start.
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/civil.h"
#include "base/clock.h"

#define LOG_VALUE_BYTES_MAX ((size_t)512)

static struct {
    enum log_level level;
    const char *role;
} log_state = {LOG_INFO, "main"};

static const char *const log_level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

void log_setup(enum log_level level, const char *role)
{
    log_state.level = level;
    log_state.role = role;
}

enum log_level log_level(void)
{
    return log_state.level;
}

bool log_level_parse(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; i < sizeof log_level_names / sizeof log_level_names[0]; i++) {
        if (strcmp(log_level_names[i], name) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static bool log_is_plain(char character)
{
    return character > ' ' && character != '"' && character != '\\' && character != '=' &&
           character != 127;
}

static void log_append_value(struct buf *line, const char *value)
{
    const size_t size = strnlen(value, LOG_VALUE_BYTES_MAX);
    bool is_plain = size > 0;
    for (size_t i = 0; i < size && is_plain; i++)
        is_plain = log_is_plain(value[i]);
    if (is_plain) {
        buf_append(line, slice_of(value, size));
        return;
    }
    buf_append_char(line, '"');
    for (size_t i = 0; i < size; i++) {
        const unsigned char character = (unsigned char)value[i];
        if (character == '"' || character == '\\')
            buf_append_format(line, "\\%c", character);
        else if (character < ' ' || character == 127)
            buf_append_format(line, "\\u%04x", character);
        else
            buf_append_char(line, (char)character);
    }
    buf_append_char(line, '"');
}

static void log_now(char ret_time[CIVIL_API_CHARS + 1])
{
    civil_format_api(clock_wall_ms(clock_system()), ret_time);
    ret_time[23] = 'Z'; // the offset of the API's form says nothing here
    ret_time[24] = '\0';
}

void log_event(enum log_level level, const char *event, ...)
{
    if (level < log_state.level)
        return;
    struct buf line;
    buf_init(&line, 16 * 1024);
    char time[CIVIL_API_CHARS + 1];
    log_now(time);
    buf_append_format(&line, "time=%s level=%s role=%s pid=%ld event=%s", time,
                      log_level_names[level], log_state.role, (long)getpid(), event);
    va_list pairs;
    va_start(pairs, event);
    const char *name;
    while ((name = va_arg(pairs, const char *)) != NULL) {
        const char *value = va_arg(pairs, const char *);
        if (value == NULL)
            continue;
        buf_append_format(&line, " %s=", name);
        log_append_value(&line, value);
    }
    va_end(pairs);
    buf_append_char(&line, '\n');
    (void)!write(STDERR_FILENO, line.data, line.size_bytes); // nowhere left to complain
    buf_clear(&line);
}

void log_json(enum log_level level, const char *event, struct slice members)
{
    if (level < log_state.level)
        return;
    struct buf line;
    buf_init(&line, members.size_bytes + 1024);
    char time[CIVIL_API_CHARS + 1];
    log_now(time);
    buf_append_format(
        &line, "{\"time\":\"%s\",\"level\":\"%s\",\"role\":\"%s\",\"pid\":%ld,\"event\":\"%s\"",
        time, log_level_names[level], log_state.role, (long)getpid(), event);
    buf_append(&line, members);
    buf_append_text(&line, "}\n");
    (void)!write(STDERR_FILENO, line.data, line.size_bytes); // nowhere left to complain
    buf_clear(&line);
}
