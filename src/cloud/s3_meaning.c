// SPDX-License-Identifier: Apache-2.0
#include "cloud/s3_meaning.h"

#include <string.h>

#include "base/check.h"

struct s3_row {
    const char *code; // NULL: of its status
    int status;
    struct s3_meaning meaning;
};

static const struct s3_row s3_rows[] = {
    {"SlowDown", 0, {S3_STEP_LATER, S3_OK, ERR_NONE, NULL}},
    {"ServiceUnavailable", 0, {S3_STEP_LATER, S3_OK, ERR_NONE, NULL}},
    {"InternalError", 0, {S3_STEP_LATER, S3_OK, ERR_NONE, NULL}},
    {"RequestTimeout", 0, {S3_STEP_LATER, S3_OK, ERR_NONE, NULL}},
    {"OperationAborted", 0, {S3_STEP_LATER, S3_OK, ERR_NONE, NULL}},
    {"TooManyRequests", 0, {S3_STEP_LATER, S3_OK, ERR_NONE, NULL}},
    {"IncompleteBody", 0, {S3_STEP_LATER, S3_OK, ERR_NONE, NULL}},
    // The bytes on their way were not those that were hashed.
    {"BadDigest", 0, {S3_STEP_LATER, S3_OK, ERR_NONE, NULL}},
    {"XAmzContentSHA256Mismatch", 0, {S3_STEP_LATER, S3_OK, ERR_NONE, NULL}},
    {NULL, 408, {S3_STEP_LATER, S3_OK, ERR_NONE, NULL}},
    {NULL, 425, {S3_STEP_LATER, S3_OK, ERR_NONE, NULL}},
    {NULL, 429, {S3_STEP_LATER, S3_OK, ERR_NONE, NULL}},

    {"NoSuchKey", 0, {S3_STEP_DONE, S3_NO_KEY, ERR_NONE, NULL}},
    {"NoSuchUpload", 0, {S3_STEP_DONE, S3_NO_UPLOAD, ERR_NONE, NULL}},
    {"InvalidPart", 0, {S3_STEP_DONE, S3_NO_UPLOAD, ERR_NONE, NULL}},
    {"InvalidPartOrder", 0, {S3_STEP_DONE, S3_NO_UPLOAD, ERR_NONE, NULL}},
    {"PreconditionFailed", 0, {S3_STEP_DONE, S3_EXISTS, ERR_NONE, NULL}},
    {"ConditionalRequestConflict", 0, {S3_STEP_DONE, S3_RIVAL, ERR_NONE, NULL}},
    {"NotImplemented", 0, {S3_STEP_DONE, S3_NOT_OFFERED, ERR_NONE, NULL}},
    {NULL, 404, {S3_STEP_DONE, S3_NO_KEY, ERR_NONE, NULL}},
    {NULL, 409, {S3_STEP_DONE, S3_RIVAL, ERR_NONE, NULL}},
    {NULL, 412, {S3_STEP_DONE, S3_EXISTS, ERR_NONE, NULL}},
    {NULL, 501, {S3_STEP_DONE, S3_NOT_OFFERED, ERR_NONE, NULL}},

    {"ExpiredToken", 0, {S3_STEP_REFRESH, S3_OK, ERR_DENIED, "the credentials have expired"}},
    {"TokenRefreshRequired",
     0,
     {S3_STEP_REFRESH, S3_OK, ERR_DENIED, "the credentials have expired"}},
    {"InvalidToken", 0, {S3_STEP_REFRESH, S3_OK, ERR_DENIED, "the session token is not valid"}},
    {"InvalidAccessKeyId", 0, {S3_STEP_REFRESH, S3_OK, ERR_DENIED, "the access key is not known"}},
    {"SignatureDoesNotMatch",
     0,
     {S3_STEP_REFRESH, S3_OK, ERR_DENIED, "the secret key is not that of the access key"}},
    {"RequestTimeTooSkewed",
     0,
     {S3_STEP_CLOCK, S3_OK, ERR_UNAVAILABLE, "the store's clock and this machine's differ"}},
    {"PermanentRedirect",
     0,
     {S3_STEP_MOVE, S3_OK, ERR_INVALID, "the bucket is in another region or place"}},
    {"TemporaryRedirect",
     0,
     {S3_STEP_MOVE, S3_OK, ERR_INVALID, "the bucket is in another region or place"}},
    {"AuthorizationHeaderMalformed",
     0,
     {S3_STEP_MOVE, S3_OK, ERR_INVALID, "the bucket is in another region or place"}},

    {"AccessDenied", 0, {S3_STEP_FAIL, S3_OK, ERR_DENIED, "access is denied"}},
    {NULL, 401, {S3_STEP_FAIL, S3_OK, ERR_DENIED, "access is denied"}},
    {NULL, 403, {S3_STEP_FAIL, S3_OK, ERR_DENIED, "access is denied"}},
    {"NoSuchBucket", 0, {S3_STEP_FAIL, S3_OK, ERR_NOT_FOUND, "there is no such bucket"}},
    {"InvalidBucketName", 0, {S3_STEP_FAIL, S3_OK, ERR_INVALID, "no bucket can have this name"}},
    {"KeyTooLongError", 0, {S3_STEP_FAIL, S3_OK, ERR_INVALID, "the key is too long"}},
    {"QuotaExceeded", 0, {S3_STEP_FAIL, S3_OK, ERR_UNAVAILABLE, "the store's quota is used up"}},
};

static struct s3_meaning s3_meaning_of_others(int status)
{
    // Among them an error that says 200, of a kind that we do not know.
    if (status < 300 || status >= 500)
        return (struct s3_meaning){.step = S3_STEP_LATER};
    if (status < 400)
        return (struct s3_meaning){S3_STEP_MOVE, S3_OK, ERR_INVALID,
                                   "the store sends us elsewhere"};
    return (struct s3_meaning){S3_STEP_FAIL, S3_OK, ERR_INVALID, "the store refuses the call"};
}

struct s3_meaning s3_meaning_of(int status, const char *code)
{
    for (size_t i = 0; code != NULL && i < ARRAY_COUNT(s3_rows); i++)
        if (s3_rows[i].code != NULL && strcmp(s3_rows[i].code, code) == 0)
            return s3_rows[i].meaning;
    if (status / 100 == 2 && code == NULL)
        return (struct s3_meaning){.step = S3_STEP_DONE, .answer = S3_OK};
    for (size_t i = 0; i < ARRAY_COUNT(s3_rows); i++)
        if (s3_rows[i].code == NULL && s3_rows[i].status == status)
            return s3_rows[i].meaning;
    return s3_meaning_of_others(status);
}
