// SPDX-License-Identifier: Apache-2.0
// What may come beside a body: parameters of paths and queries, and headers that are asked for.
#include "api/api_shapes.h"
#include "base/check.h"

const struct api_parameter api_parameters[] = {
    {"subscription_id", "path", "string", "Id of a subscription"},
    {"request_handle", "path", "string", "Handle of a custom export"},
    {"job_id", "path", "string", "Id of an export job"},
    {"notification_id", "path", "string", "Id of a notification"},
    {"key_id", "path", "string", "Id of an access token, which is not its secret"},
    {"organization_id", "path", "string", "Id of an organization, 18 or 19 digits"},
    {"app_id", "path", "string", "Id of an app, 18 or 19 digits"},
    {"user_id", "path", "string", "Number of a user"},
    {"name", "path", "string", "Name of a connection"},
    {"topic", "path", "string", "Name of a topic"},
    {"key", "path", "string", "Key of an object of the hosted bucket; may have slashes"},

    {"app_id", "query", "string", "Id of an app, 18 or 19 digits"},
    {"organization_id", "query", "string", "Id of an organization, 18 or 19 digits"},
    {"start_date", "query", "date", "Only what starts at this time or later"},
    {"end_date", "query", "date", "Only what starts before this time"},
    {"format", "query", "string", "Taken for clients of Branch, and without effect"},
    {"export_date", "query", "string", "Where the body does not have it: YYYY-MM-DD"},
    {"mode", "query", "IngestMode", "What becomes of a batch with a bad line"},
    {"before", "query", "positive", "Only entries with a smaller id: for the next page"},
    {"limit", "query", "PageLimit", "At most so many elements; a Link header leads to the next"},
    {"cursor", "query", "string", "Where the next page begins: from a Link header, as it is"},

    {"X-Amz-Algorithm", "query", "string", "AWS4-HMAC-SHA256"},
    {"X-Amz-Date", "query", "string", "When it was signed: yyyymmddThhmmssZ"},
    {"X-Amz-SignedHeaders", "query", "string", "host"},
    {"X-Amz-Expires", "query", "string", "Seconds that the signature is good for"},
    {"X-Amz-Credential", "query", "string", "Key id, date, region, service"},
    {"X-Amz-Signature", "query", "string", "64 hexadecimal digits"},

    {"list-type", "query", "string", "2: pages by continuation-token, otherwise by marker"},
    {"prefix", "query", "string", "Only keys that begin with it"},
    {"delimiter", "query", "string", "Keys that share what comes before it are one common prefix"},
    {"start-after", "query", "string", "Only what comes behind it"},
    {"continuation-token", "query", "string", "Where the next page begins: from a reply, as it is"},
    {"marker", "query", "string", "Only what comes behind it"},
    {"max-keys", "query", "string", "At most so many keys and common prefixes: 0 to 1000"},
    {"encoding-type", "query", "string", "url: keys are percent-encoded in the reply"},
    {"fetch-owner", "query", "string", "true: each key has its owner"},
    {"location", "query", "string", "Only the region"},

    {"Idempotency-Key", "header", "IdempotencyKey",
     "A request that is sent again with the same key and body does nothing anew, for 24 hours"},
    {"If-None-Match", "header", "string", "ETags that the client has; one of them is current: 304"},
    {"If-Match", "header", "string", "ETags of which one must be current: 412 otherwise"},
    {"If-Modified-Since", "header", "string", "304 unless it was changed since"},
    {"If-Unmodified-Since", "header", "string", "412 if it was changed since"},
    {"Range", "header", "string", "One range of bytes"},
    {"If-Range", "header", "string", "The ETag or the time for which the range is meant"},
};

const size_t api_parameter_count = ARRAY_COUNT(api_parameters);
