// SPDX-License-Identifier: Apache-2.0
// Numbers as text, exact and without locale. Thread-safe.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

// Enough for either; no NUL is written; the result is the count of characters.
#define NUMBER_CHARS_MAX ((size_t)32)

size_t number_format_int64(int64_t value, char *ret_text);

// The shortest decimal text that reads back as the same double, as JSON writes it: 0.1, 5, 1e+300.
// value must be finite.
size_t number_format_double(double value, char *ret_text);

// [-]digits without leading zeros or plus, inside int64 (false otherwise, *ret untouched).
bool number_parse_int64(struct slice text, int64_t *ret_value);

// A JSON number that is finite as a double.
bool number_parse_double(struct slice text, double *ret_value);
