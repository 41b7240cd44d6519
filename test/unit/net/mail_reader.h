// SPDX-License-Identifier: Apache-2.0
// Reads messages back with decoders that share nothing with what wrote them. Failing calls end the
// test.
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

// The wire's bytes up to the final dot, as the reader gets them.
void mail_remove_dots(struct slice wire, struct buf *ret_message);
// Lines end in CR LF and nothing else breaks one; none is longer than chars_max.
void mail_expect_lines(struct slice message, size_t chars_max);
// The value of the first header of that name before an empty line, unfolded; "" when there is none.
void mail_header(struct slice part, const char *name, struct buf *ret_value);
// All encoded words (RFC 2047) of a value decoded.
void mail_decode_words(struct slice value, struct buf *ret_text);
// The n-th part from 0 of a multipart, from the first of its headers on.
struct slice mail_part(struct slice multipart, const char *boundary, int number);
// What is behind the headers, decoded as they say.
void mail_decode_body(struct slice part, struct buf *ret_bytes);
