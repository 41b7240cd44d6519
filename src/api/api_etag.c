// SPDX-License-Identifier: Apache-2.0
#include "api/api_etag.h"

#include "api/api_media.h"
#include "api/api_reply.h"
#include "base/check.h"

static bool api_is_read(const struct api_call *call)
{
    return strcmp(call->match.route->method, "GET") == 0; // HEAD is matched by it as well
}

void api_stage_etag(struct api_call *call, const char *etag)
{
    ASSERT((call->match.route->traits & API_ETAGGED) != 0);
    call->etag = etag;
    if (!api_is_read(call))
        return;
    if (api_etag_list_has(http_header(call->request, "If-None-Match", NULL), etag))
        call->status = 304;
}

bool api_check_if_match(struct api_call *call, const char *etag, const char *message,
                        struct err *err)
{
    size_t count = 0;
    const struct slice list = http_header(call->request, "If-Match", &count);
    if (count > 1)
        return api_refuse(call, err, 400, "Duplicate header: if-match");
    if (count == 0 || api_etag_list_has_strong(list, etag))
        return true;
    return api_refuse(call, err, 412, "%s", message);
}
