// SPDX-License-Identifier: Apache-2.0
// The grammar of one event: JSON as RFC 8259 has it and jansson reads it, in one pass from left to
// right. Nesting is a loop with a small stack, not recursion.
#include "base/number.h"
#include "model/event_internal.h"

static bool event_fail(struct event_scanner *scanner, const char *text)
{
    return err_set(scanner->err, ERR_INVALID, "%s", text);
}

static bool event_fail_syntax(struct event_scanner *scanner)
{
    return event_fail(scanner, "Invalid event");
}

static void event_skip_space(struct event_scanner *scanner)
{
    const char *at = scanner->at;
    while (at < scanner->end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    scanner->at = at;
}

// After white space. NUL at the end of the line, which is no JSON either.
static char event_peek(struct event_scanner *scanner)
{
    event_skip_space(scanner);
    return scanner->at < scanner->end ? *scanner->at : '\0';
}

static bool event_take(struct event_scanner *scanner, char wanted)
{
    if (event_peek(scanner) != wanted)
        return event_fail_syntax(scanner);
    scanner->at++;
    return true;
}

// Moves behind a string. Returns where it starts (behind the quote), or NULL after setting the
// error; its size is up to the quote that was just passed.
static inline const char *event_scan_string(struct event_scanner *scanner, size_t *ret_size_bytes,
                                            bool *ret_has_escapes)
{
    const char *start = NULL;
    const char *quote = NULL;
    if (event_peek(scanner) == '"') {
        start = scanner->at + 1;
        quote = event_skip_string(start, scanner->end, ret_has_escapes);
    }
    if (quote == NULL) {
        (void)event_fail_syntax(scanner); // the caller sees NULL
        return NULL;
    }
    *ret_size_bytes = (size_t)(quote - start);
    scanner->at = quote + 1;
    return start;
}

// Bounds of a name that has escapes, and its decoded form in scanner->decoded_name.
static bool event_decode_name(struct event_scanner *scanner, struct slice written,
                              size_t *ret_size_bytes)
{
    if (written.size_bytes > sizeof scanner->decoded_name)
        return event_fail(scanner, "Invalid property name");
    *ret_size_bytes = event_unescape(written, scanner->decoded_name);
    return true;
}

// A name as written and decoded (which lives until the next name).
struct event_scanned_name {
    const char *written;
    size_t written_bytes;
    const char *decoded;
    size_t decoded_bytes;
};

// A name, its bounds, that it is new in its object, and the colon.
static bool event_scan_name(struct event_scanner *scanner, size_t level,
                            struct event_scanned_name *ret_name)
{
    bool has_escapes;
    size_t written_bytes;
    const char *written = event_scan_string(scanner, &written_bytes, &has_escapes);
    if (written == NULL)
        return false;
    const char *decoded = has_escapes ? scanner->decoded_name : written;
    size_t decoded_bytes = written_bytes;
    if (has_escapes)
        TRY(event_decode_name(scanner, slice_of(written, written_bytes), &decoded_bytes));
    if (decoded_bytes > EVENT_NAME_BYTES_MAX)
        return event_fail(scanner, "Invalid property name");
    switch (event_names_add(&scanner->names, level, slice_of(written, written_bytes),
                            slice_of(decoded, decoded_bytes))) {
    case EVENT_NAME_DUPLICATE:
        return event_fail(scanner, "Duplicate field");
    case EVENT_NAME_TOO_MANY:
        return event_fail(scanner, "Too many properties");
    case EVENT_NAME_ADDED:
        break;
    }
    *ret_name = (struct event_scanned_name){written, written_bytes, decoded, decoded_bytes};
    return event_take(scanner, ':');
}

static const char *event_skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

static bool event_digits_to_int64(struct slice digits, bool is_negative, int64_t *ret_number)
{
    if (digits.size_bytes > 19)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < digits.size_bytes; i++)
        value = value * 10 + (uint64_t)(slice_chars(digits)[i] - '0');
    if (value > (uint64_t)INT64_MAX + (is_negative ? 1 : 0))
        return false;
    *ret_number = is_negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

// at is behind the whole part. NULL: not a number.
static const char *event_skip_fraction_and_exponent(const char *at, const char *end,
                                                    bool *ret_has_exponent)
{
    *ret_has_exponent = false;
    if (at < end && *at == '.') {
        const char *fraction = at + 1;
        at = event_skip_digits(fraction, end);
        if (at == fraction)
            return NULL;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        const char *exponent = at;
        at = event_skip_digits(exponent, end);
        *ret_has_exponent = true;
        if (at == exponent)
            return NULL;
    }
    return at;
}

static bool event_scan_number(struct event_scanner *scanner, struct event_property *value)
{
    const char *start = scanner->at;
    const bool is_negative = *start == '-';
    const char *whole = is_negative ? start + 1 : start;
    const char *point = event_skip_digits(whole, scanner->end);
    if (point == whole || (*whole == '0' && point - whole > 1))
        return event_fail_syntax(scanner);
    bool has_exponent;
    const char *stop = event_skip_fraction_and_exponent(point, scanner->end, &has_exponent);
    if (stop == NULL)
        return event_fail_syntax(scanner);
    scanner->at = stop;
    value->value = slice_of(start, (size_t)(stop - start));
    if (stop == point) {
        value->kind = EVENT_INT64;
        const struct slice digits = slice_of(whole, (size_t)(point - whole));
        return event_digits_to_int64(digits, is_negative, &value->number) ||
               event_fail(scanner, "Number out of range");
    }
    value->kind = EVENT_DOUBLE;
    // Below 10^300 without an exponent: no need to convert to know that it is finite.
    double number;
    if ((has_exponent || point - whole > 300) && !number_parse_double(value->value, &number))
        return event_fail(scanner, "Number out of range");
    return true;
}

static bool event_scan_word(struct event_scanner *scanner, struct slice word,
                            enum event_value_kind kind, struct event_property *value)
{
    const struct slice rest = slice_of(scanner->at, (size_t)(scanner->end - scanner->at));
    if (!slice_starts_with(rest, word))
        return event_fail_syntax(scanner);
    value->value = slice_of(scanner->at, word.size_bytes);
    value->kind = kind;
    scanner->at += word.size_bytes;
    return true;
}

static bool event_scan_scalar(struct event_scanner *scanner, char first,
                              struct event_property *value)
{
    if (first == '"') {
        value->kind = EVENT_TEXT;
        size_t size_bytes = 0;
        const char *text = event_scan_string(scanner, &size_bytes, &value->value_has_escapes);
        value->value = slice_of(text, size_bytes);
        return text != NULL;
    }
    if (first == '-' || (first >= '0' && first <= '9'))
        return event_scan_number(scanner, value);
    if (first == 't')
        return event_scan_word(scanner, slice_of("true", 4), EVENT_TRUE, value);
    if (first == 'f')
        return event_scan_word(scanner, slice_of("false", 5), EVENT_FALSE, value);
    return event_scan_word(scanner, slice_of("null", 4), EVENT_NULL, value);
}

// Open brackets around the cursor, below the event's own.
struct event_nesting {
    size_t depth; // 1: only the event is open
    bool is_object[EVENT_DEPTH_MAX + 1];
    size_t outer_names[EVENT_DEPTH_MAX + 1]; // count of names when the bracket opened
    bool is_fresh; // a bracket was just opened, so it may close without an item
};

static bool event_open(struct event_scanner *scanner, struct event_nesting *nesting)
{
    if (nesting->depth == EVENT_DEPTH_MAX)
        return event_fail(scanner, "Event nested too deeply");
    nesting->depth++;
    nesting->is_object[nesting->depth] = *scanner->at == '{';
    nesting->outer_names[nesting->depth] = scanner->names.count;
    nesting->is_fresh = true;
    scanner->at++;
    return true;
}

// Closes brackets until an item follows or only the event is open.
static bool event_close(struct event_scanner *scanner, struct event_nesting *nesting)
{
    while (nesting->depth > 1) {
        const char next = event_peek(scanner);
        if (next == ',' && !nesting->is_fresh) {
            scanner->at++;
            return true;
        }
        if (next != (nesting->is_object[nesting->depth] ? '}' : ']'))
            return nesting->is_fresh || event_fail_syntax(scanner);
        scanner->at++;
        event_names_pop(&scanner->names, nesting->outer_names[nesting->depth]);
        nesting->depth--;
        nesting->is_fresh = false;
    }
    return true;
}

static bool event_scan_item(struct event_scanner *scanner, struct event_nesting *nesting)
{
    nesting->is_fresh = false;
    struct event_scanned_name name;
    if (nesting->is_object[nesting->depth])
        TRY(event_scan_name(scanner, nesting->depth, &name));
    const char first = event_peek(scanner);
    if (first == '{' || first == '[')
        return event_open(scanner, nesting);
    struct event_property ignored;
    return event_scan_scalar(scanner, first, &ignored);
}

static bool event_scan_nested(struct event_scanner *scanner, struct event_property *value)
{
    const char *start = scanner->at;
    value->kind = *start == '{' ? EVENT_OBJECT : EVENT_ARRAY;
    struct event_nesting nesting = {.depth = 1};
    TRY(event_open(scanner, &nesting));
    TRY(event_close(scanner, &nesting));
    while (nesting.depth > 1) {
        TRY(event_scan_item(scanner, &nesting));
        TRY(event_close(scanner, &nesting));
    }
    value->value = slice_of(start, (size_t)(scanner->at - start));
    return true;
}

static bool event_scan_property(struct event_scanner *scanner)
{
    struct event_scanned_name name;
    TRY(event_scan_name(scanner, 1, &name));
    if (name.decoded_bytes == 0)
        return event_fail(scanner, "Invalid property name");
    const enum event_meaning meaning = event_meaning_of(name.decoded, name.decoded_bytes);
    struct event *event = scanner->event;
    // One more than the bound allows: a timestamp or app_id may still come, and takes no place.
    struct event_property *property = &event->properties[event->property_count];
    property->name = slice_of(name.written, name.written_bytes);
    property->name_has_escapes = name.decoded != name.written;
    property->value_has_escapes = false;
    const char first = event_peek(scanner);
    if (first == '{' || first == '[')
        TRY(event_scan_nested(scanner, property));
    else
        TRY(event_scan_scalar(scanner, first, property));
    return event_accept_property(scanner, property, meaning);
}

static bool event_scan_object(struct event_scanner *scanner)
{
    TRY(event_take(scanner, '{'));
    if (event_peek(scanner) == '}') {
        scanner->at++;
    } else {
        TRY(event_scan_property(scanner));
        while (event_peek(scanner) == ',') {
            scanner->at++;
            TRY(event_scan_property(scanner));
        }
        TRY(event_take(scanner, '}'));
    }
    event_skip_space(scanner);
    return scanner->at == scanner->end || event_fail_syntax(scanner);
}

bool event_scan(struct slice line, int64_t now_ms, struct event *ret_event, char ret_detail[256],
                struct err *err)
{
    ret_detail[0] = '\0';
    if (line.size_bytes > EVENT_LINE_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "Event too large");
    ret_event->property_count = 0;
    ret_event->app_id = (struct slice){0};
    struct event_scanner scanner; // 50 KiB, of which a line of n names touches about 32 n
    scanner.at = slice_chars(line);
    scanner.end = slice_chars(line) + line.size_bytes;
    scanner.event = ret_event;
    scanner.err = err;
    scanner.now_ms = now_ms;
    scanner.has_timestamp = false;
    event_names_init(&scanner.names);
    TRY(event_scan_object(&scanner));
    if (!scanner.has_timestamp) {
        memcpy(ret_detail, "timestamp", sizeof "timestamp");
        return err_set(err, ERR_INVALID, "Missing field");
    }
    return true;
}
