// SPDX-License-Identifier: Apache-2.0
// Writing XML 1.0 into a buffer: for the hosted bucket's replies, stores and mail in HTML. The
// buffer's overflow flag is the error path (buf_check at the end). Names of elements are the
// writer's own.
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

void xml_text_open(struct buf *xml, const char *name);  // <name>
void xml_text_close(struct buf *xml, const char *name); // </name>

// Appends text so that none of it means anything to a reader of XML or HTML, whether it can stand
// in XML at all or not.
void xml_text_escape(struct buf *xml, struct slice text);
// Appends text as the content of an element. It must be fit.
void xml_text_append(struct buf *xml, struct slice text);
// Element and content in one call.
void xml_text_member(struct buf *xml, const char *name, struct slice text);

// Whether UTF-8 can stand in a document at all: control characters other than tab and ends of lines
// cannot, in whatever spelling, nor U+FFFE and U+FFFF.
bool xml_text_is_fit(struct slice text);
