// SPDX-License-Identifier: Apache-2.0
// Reads the XML that object stores and token services answer with (expat). It comes from machines
// of others, so it is bounded: S3_XML_BYTES_MAX in all, S3_XML_DEPTH_MAX deep,
// S3_XML_TEXT_BYTES_MAX per element; a document type, and with it every entity of one's own, is
// refused. Attributes and prefixes of name spaces are dropped. Pure.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define S3_XML_BYTES_MAX      ((size_t)1024 * 1024)
#define S3_XML_DEPTH_MAX      ((size_t)12)
#define S3_XML_TEXT_BYTES_MAX ((size_t)16 * 1024)

// Calls take at the end of each element, so children come before their parent. path is as in
// "ListBucketResult/Contents/Key"; text is the element's own, without that of its children; both
// live until take returns. Errors: UNAVAILABLE for what is no such document, as the same call may
// be answered properly the next time.
NODISCARD bool s3_xml_read(struct slice document,
                           void (*take)(void *context, const char *path, struct slice text),
                           void *context, struct err *err);

// The first text at each of the paths; NULL where there is none. In the arena.
NODISCARD bool s3_xml_texts(struct slice document, const char *const *paths, size_t count,
                            struct arena *arena, const char **ret_texts, struct err *err);

// Appends text as the content of an element.
void s3_xml_append(struct buf *xml, const char *text);
