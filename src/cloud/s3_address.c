// SPDX-License-Identifier: Apache-2.0
#include "cloud/s3_address.h"

#include <string.h>
#include <strings.h>

#include "base/check.h"

bool s3_is_amazon(const char *endpoint)
{
    static const char *const domains[] = {".amazonaws.com", ".amazonaws.com.cn"};
    const char *scheme_end = strstr(endpoint, "://");
    const char *host = scheme_end == NULL ? endpoint : scheme_end + 3;
    const size_t chars = strcspn(host, ":/");
    for (size_t i = 0; i < ARRAY_COUNT(domains); i++) {
        const size_t domain_chars = strlen(domains[i]);
        if (chars > domain_chars &&
            strncasecmp(host + chars - domain_chars, domains[i], domain_chars) == 0)
            return true;
    }
    return false;
}

bool s3_needs_path_style(const char *endpoint, const char *bucket)
{
    return strncasecmp(endpoint, "https://", 8) == 0 && strchr(bucket, '.') != NULL &&
           s3_is_amazon(endpoint);
}
