// SPDX-License-Identifier: Apache-2.0
// One operation of /openapi.json: what a row of the route table takes and answers.
#pragma once

#include "api/api_route.h"
#include "base/json_text.h"

void api_write_operation(struct json_text *json, const struct api_route *route);

// components.responses: refusals that operations refer to.
void api_write_refusals(struct json_text *json);

// Group of the operation, by the start of its path; the table of all ends with a NULL name.
struct api_tag {
    const char *name;
    const char *prefix;
    const char *doc;
};
extern const struct api_tag api_tags[];
