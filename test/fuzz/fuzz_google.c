// SPDX-License-Identifier: Apache-2.0
// What Google's storage and a service account's key say, and base 64. The first byte says which:
// what is taken can be what it should be, and what is shown of it is printable.
#include <string.h>

#include "base/base64.h"
#include "base/check.h"
#include "base/mem.h"
#include "cloud/cloud_caller.h"
#include "cloud/gcp_key.h"
#include "cloud/gcs_object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_check_object(const struct gcs_object *object)
{
    ASSERT(object->name != NULL);
    ASSERT(object->name[0] != '\0');
    ASSERT(object->size_bytes <= INT64_MAX);
    ASSERT(strspn(object->generation, "0123456789") == strlen(object->generation));
    ASSERT(object->md5_base64 == NULL || object->md5_base64[0] != '\0');
}

static void fuzz_listing(struct slice text, struct arena *arena)
{
    struct gcs_listing listing;
    if (!gcs_listing_parse(text, arena, &listing, NULL))
        return;
    for (size_t i = 0; i < listing.count; i++)
        fuzz_check_object(&listing.objects[i]);
    ASSERT(listing.next_page == NULL || listing.next_page[0] != '\0');
}

static void fuzz_key(struct slice text, struct arena *arena)
{
    struct gcp_key key;
    struct err err = {0};
    if (!gcp_key_parse(text, arena, &key, &err)) {
        ASSERT(err.kind == ERR_INVALID);
        return;
    }
    const char *assertion = NULL;
    const bool is_signed = gcp_key_sign(&key, "https://a/token", "scope", 0, arena, &assertion,
                                        &err);
    ASSERT(is_signed);
    ASSERT(strspn(assertion, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
           strlen(assertion));
}

static void fuzz_base64(enum base64_form form, struct slice text, struct arena *arena)
{
    struct slice bytes;
    if (base64_decode(form, text, arena, &bytes))
        ASSERT(slice_equal_text(text, base64_encode(form, bytes, arena)));
    struct slice back;
    const bool is_read = base64_decode(form, slice_text(base64_encode(form, text, arena)), arena,
                                       &back);
    ASSERT(is_read);
    ASSERT(slice_equal(back, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct slice text = slice_of(data + 1, size - 1);
    struct gcs_object object;
    if (data[0] == 'o' && gcs_object_parse(text, &arena, &object, NULL))
        fuzz_check_object(&object);
    else if (data[0] == 'l')
        fuzz_listing(text, &arena);
    else if (data[0] == 'k')
        fuzz_key(text, &arena);
    else if (data[0] == 's')
        fuzz_base64(BASE64_STANDARD, text, &arena);
    else if (data[0] == 'u')
        fuzz_base64(BASE64_URL, text, &arena);
    const struct secret secret = secret_copy(&arena, slice_text("hush"));
    const char *quote = cloud_quote(text, &secret, &arena);
    for (; *quote != '\0'; quote++) {
        ASSERT(*quote >= ' ');
        ASSERT(*quote <= '~');
    }
    return 0;
}
