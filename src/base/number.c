// SPDX-License-Identifier: Apache-2.0
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

size_t number_format_int64(int64_t value, char *ret_text)
{
    char reversed[NUMBER_CHARS_MAX];
    size_t count = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        reversed[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    size_t size = 0;
    if (value < 0)
        ret_text[size++] = '-';
    while (count > 0)
        ret_text[size++] = reversed[--count];
    return size;
}

// Most doubles in events are prices, rates and coordinates: a few decimal places. When value * 10^k
// is a whole number below 2^53 that divides back to value, its digits are the shortest text, since
// decimal texts of up to 15 digits are all distinct doubles and division is correctly rounded.
static size_t number_format_short_decimal(double value, char *ret_text)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    const double magnitude = fabs(value);
    if (magnitude == 0 && signbit(value)) {
        memcpy(ret_text, "-0.0", 4); // "-0" would be read as an integer, without its sign
        return 4;
    }
    if (magnitude >= 1e15 || (magnitude < 1e-4 && magnitude > 0))
        return 0;
    for (size_t places = 0; places < ARRAY_COUNT(powers); places++) {
        const double scaled = nearbyint(magnitude * powers[places]);
        if (scaled >= 1e15)
            return 0;
        if (scaled / powers[places] != magnitude)
            continue;
        const int64_t digits = (int64_t)scaled;
        const int64_t unit = (int64_t)powers[places];
        size_t size = 0;
        if (signbit(value))
            ret_text[size++] = '-';
        size += number_format_int64(digits / unit, ret_text + size);
        if (places == 0)
            return size;
        ret_text[size++] = '.';
        int64_t fraction = digits % unit;
        for (size_t i = places; i > 0; i--) {
            ret_text[size + i - 1] = (char)('0' + fraction % 10);
            fraction /= 10;
        }
        return size + places;
    }
    return 0;
}

size_t number_format_double(double value, char *ret_text)
{
    ASSERT(isfinite(value));
    const size_t short_size = number_format_short_decimal(value, ret_text);
    if (short_size > 0)
        return short_size;
    char text[NUMBER_CHARS_MAX];
    for (int precision = 1; precision <= 17; precision++) {
        const int size = snprintf(text, sizeof text, "%.*g", precision, value);
        ASSERT(size > 0);
        if (precision == 17 || strtod(text, NULL) == value) {
            memcpy(ret_text, text, (size_t)size);
            return (size_t)size;
        }
    }
    ASSERT(false);
    return 0;
}

bool number_parse_int64(struct slice text, int64_t *ret_value)
{
    const char *digits = slice_chars(text);
    size_t size = text.size_bytes;
    const bool is_negative = size > 0 && digits[0] == '-';
    if (is_negative) {
        digits++;
        size--;
    }
    if (size == 0 || size > 19 || (digits[0] == '0' && (size > 1 || is_negative)))
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(digits[i] - '0');
    }
    const uint64_t bound = (uint64_t)INT64_MAX + (is_negative ? 1 : 0);
    if (value > bound)
        return false;
    *ret_value = is_negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static bool number_is_json(struct slice text)
{
    const char *at = slice_chars(text);
    const char *end = at + text.size_bytes;
    if (at < end && *at == '-')
        at++;
    const char *whole = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    if (at == whole || (*whole == '0' && at - whole > 1))
        return false;
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        while (at < end && *at >= '0' && *at <= '9')
            at++;
        if (at == fraction)
            return false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        const char *exponent = at;
        while (at < end && *at >= '0' && *at <= '9')
            at++;
        if (at == exponent)
            return false;
    }
    return at == end;
}

bool number_parse_double(struct slice text, double *ret_value)
{
    if (text.size_bytes == 0 || !number_is_json(text))
        return false;
    char copy[128];
    char *heap = text.size_bytes < sizeof copy ? NULL : mem_alloc(text.size_bytes + 1);
    char *digits = heap == NULL ? copy : heap;
    memcpy(digits, text.data, text.size_bytes);
    digits[text.size_bytes] = '\0';
    const double value = strtod(digits, NULL);
    mem_free(heap);
    if (!isfinite(value))
        return false;
    *ret_value = value;
    return true;
}
