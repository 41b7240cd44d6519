// SPDX-License-Identifier: Apache-2.0
// How text of any language goes through mail, which promises lines of 76 ASCII characters and
// little else. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

// Quoted-printable (RFC 2045): lines of at most 76 characters that end in CR LF, the last one as
// well. LF and CR LF are line ends; a CR alone is data.
void mime_append_quoted_printable(struct buf *destination, struct slice text);

// The value of a header that is free text: as it is when it is short and printable ASCII, else as
// encoded words of UTF-8 (RFC 2047) on lines of their own. first_column is where it begins. The
// text must be UTF-8 without control characters.
void mime_append_unstructured(struct buf *destination, struct slice text, size_t first_column);

// "Sun, 29 Nov 2026 23:02:43 +0000" (RFC 5322).
void mime_append_date(struct buf *destination, int64_t time_ms);

// As encoded words in any case.
void mime_append_encoded_words(struct buf *destination, struct slice text, size_t first_column);

// Printable ASCII and spaces.
bool mime_is_ascii(struct slice text);
