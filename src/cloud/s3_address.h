// SPDX-License-Identifier: Apache-2.0
// What the address of a store says about it.
#pragma once

#include <stdbool.h>

// endpoint: "http[s]://HOST[:PORT]". Whether the host is one of Amazon's.
bool s3_is_amazon(const char *endpoint);

// The bucket's name cannot stand in front of the host: Amazon's certificates cover one label there,
// and a name with a dot is two.
bool s3_needs_path_style(const char *endpoint, const char *bucket);
