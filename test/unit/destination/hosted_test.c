// SPDX-License-Identifier: Apache-2.0
// URLs of files in a hosted bucket elsewhere.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "destination/hosted.h"

static void test_where_the_name_of_the_bucket_stands(void **state)
{
    (void)state;
    static const struct {
        const char *endpoint;
        const char *bucket;
        bool is_path_style;
        const char *begin;
    } cases[] = {
        {NULL, "files", false, "https://files.s3.eu-west-1.amazonaws.com/x/v2/f?"},
        {NULL, "files", true, "https://s3.eu-west-1.amazonaws.com/files/x/v2/f?"},
        {NULL, "files.acme", false, "https://s3.eu-west-1.amazonaws.com/files.acme/x/v2/f?"},
        {"https://s3.example", "files.acme", false, "https://files.acme.s3.example/x/v2/f?"},
        {"https://s3.example", "files.acme", true, "https://s3.example/files.acme/x/v2/f?"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct arena arena CLEANUP(arena_clear);
        arena_init(&arena);
        const struct hosted_settings settings = {.type = "s3",
                                                 .endpoint = cases[i].endpoint,
                                                 .bucket = cases[i].bucket,
                                                 .prefix = "x",
                                                 .region = "eu-west-1",
                                                 .access_key_id = "AKIAEXAMPLE",
                                                 .secret_access_key = "secret",
                                                 .is_path_style = cases[i].is_path_style};
        const struct hosted_signer signer = {.settings = &settings};
        const char *url = hosted_sign(&signer, "v2/f", 0, &arena);
        if (strncmp(url, cases[i].begin, strlen(cases[i].begin)) != 0)
            fail_msg("%s: %s", cases[i].begin, url);
        assert_null(strstr(url, "secret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_the_name_of_the_bucket_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
