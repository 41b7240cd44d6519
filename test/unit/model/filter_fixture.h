// SPDX-License-Identifier: Apache-2.0
// What the tests of filters share: a schema with a field of every type, and parses of JSON texts.
#pragma once

#include "base/json_tree.h"
#include "model/filter.h"

extern const struct schema filter_fixture_schema;

struct filter_fixture {
    struct arena arena;
    struct json_tree *tree;
    struct buf text;
};

int filter_fixture_set_up(void **state);
int filter_fixture_tear_down(void **state);

NODISCARD bool filter_fixture_try(struct filter_fixture *fixture, const char *json,
                                  const struct filter **ret_filter, struct err *err);
// Fails the test when the filter is refused.
const struct filter *filter_fixture_parse(struct filter_fixture *fixture, const char *json);
// Fails the test unless the filter is refused with exactly this text.
void filter_fixture_refuse(struct filter_fixture *fixture, const char *json, const char *message);
