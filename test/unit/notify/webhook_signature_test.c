// SPDX-License-Identifier: Apache-2.0
// Expected values were computed with Python's hmac module.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notify/webhook_signature.h"

#define FIRST  "5945b5007c37543928ad0d32034b4764eb7f555dc466bf368c1b7654fa45b342"
#define SECOND "7c138fc9f6cd073d3524c636b4e2b4111662c121a8336773f80745e33ae9003f"

static const char body[] = "{\"notice_id\":\"n-1\",\"event\":\"test\"}";

static void the_signature_is_of_time_and_body(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    const struct secret secret = secret_copy(&arena, slice_text("whsec_first"));
    assert_string_equal(webhook_sign(&secret, 1, 1795442700, slice_text(body), &arena),
                        "t=1795442700,v1=" FIRST);
    assert_string_not_equal(webhook_sign(&secret, 1, 1795442701, slice_text(body), &arena),
                            "t=1795442701,v1=" FIRST);
    arena_clear(&arena);
}

static void two_secrets_sign_while_the_grace_lasts(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    const struct secret secrets[] = {secret_copy(&arena, slice_text("whsec_second")),
                                     secret_copy(&arena, slice_text("whsec_first"))};
    assert_string_equal(webhook_sign(secrets, 2, 1795442700, slice_text(body), &arena),
                        "t=1795442700,v1=" SECOND ",v1=" FIRST);
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_signature_is_of_time_and_body),
        cmocka_unit_test(two_secrets_sign_while_the_grace_lasts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
