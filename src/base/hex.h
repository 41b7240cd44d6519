// SPDX-License-Identifier: Apache-2.0
// Hexadecimal text. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

// Lower-case text, NUL-terminated: ret_text has room for 2 * size_bytes + 1.
void hex_encode(struct slice bytes, char *ret_text);
// Value of a hexadecimal digit of either case, or -1.
int hex_digit(char character);
// False unless text is exactly 2 * size_bytes hexadecimal digits.
bool hex_decode(struct slice text, uint8_t *ret_bytes, size_t size_bytes);
