// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/address_guard.h"

static bool allows(const struct address_guard *guard, const char *text)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(443)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        memcpy(&storage, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        memcpy(&storage, &v6, sizeof v6);
    else
        fail_msg("%s", text);
    return address_guard_allows(guard, (const struct sockaddr *)&storage);
}

static struct address_guard *guard_of(const char *const *networks, size_t count)
{
    struct address_guard *guard = NULL;
    struct err err = {0};
    if (!address_guard_new(networks, count, &guard, &err))
        fail_msg("%s", err.message);
    return guard;
}

// First and last address of each block, and their neighbours outside.
static void test_what_is_not_global_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {"0.0.0.0",
                                          "0.255.255.255",
                                          "10.0.0.0",
                                          "10.255.255.255",
                                          "100.64.0.0",
                                          "100.127.255.255",
                                          "127.0.0.0",
                                          "127.0.0.1",
                                          "127.255.255.255",
                                          "169.254.0.0",
                                          "169.254.169.254",
                                          "169.254.255.255",
                                          "172.16.0.0",
                                          "172.31.255.255",
                                          "192.0.0.0",
                                          "192.0.0.192",
                                          "192.0.0.255",
                                          "192.0.2.1",
                                          "192.88.99.1",
                                          "192.168.0.0",
                                          "192.168.255.255",
                                          "198.18.0.0",
                                          "198.19.255.255",
                                          "198.51.100.1",
                                          "203.0.113.1",
                                          "224.0.0.0",
                                          "239.255.255.255",
                                          "240.0.0.0",
                                          "255.255.255.254",
                                          "255.255.255.255",
                                          "168.63.129.16",
                                          "100.100.100.200",
                                          "::",
                                          "::1",
                                          "::127.0.0.1",
                                          "::8.8.8.8",
                                          "::ffff:127.0.0.1",
                                          "::ffff:10.0.0.1",
                                          "::ffff:169.254.169.254",
                                          "::ffff:0.0.0.0",
                                          "64:ff9b::7f00:1",
                                          "64:ff9b::10.1.2.3",
                                          "64:ff9b:1::1",
                                          "100::1",
                                          "2001::1",
                                          "2001:0:4136:e378:8000:63bf:3fff:fdd2",
                                          "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
                                          "2001:db8::1",
                                          "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                                          "2002:7f00:1::",
                                          "2002:a00:1::1",
                                          "2002:a9fe:a9fe::1",
                                          "3fff::1",
                                          "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
                                          "4000::1",
                                          "5f00::1",
                                          "fc00::",
                                          "fd00:ec2::254",
                                          "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                          "fe80::1",
                                          "febf::1",
                                          "fec0::1",
                                          "feff::1",
                                          "ff00::",
                                          "ff02::1",
                                          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
    static const char *const allowed[] = {
        "1.0.0.0",          "8.8.8.8",        "9.255.255.255",
        "11.0.0.0",         "100.63.255.255", "100.128.0.0",
        "126.255.255.255",  "128.0.0.0",      "169.253.255.255",
        "169.255.0.0",      "172.15.255.255", "172.32.0.0",
        "191.255.255.255",  "192.0.1.0",      "192.0.3.0",
        "192.167.255.255",  "192.169.0.0",    "198.17.255.255",
        "198.20.0.0",       "198.51.99.255",  "198.51.101.0",
        "203.0.112.255",    "203.0.114.0",    "223.255.255.255",
        "168.63.129.15",    "168.63.129.17",  "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8", "2001:200::1",    "2001:4860:4860::8888",
        "2001:db7:ffff::1", "2001:db9::1",    "2002:808:808::1",
        "2003::1",          "2600::1",        "2a00::1",
        "3ffe::1",          "3fff:1000::1"};
    struct address_guard *guard CLEANUP(address_guard_free) = guard_of(NULL, 0);
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        if (allows(guard, refused[i]))
            fail_msg("%s is allowed", refused[i]);
    for (size_t i = 0; i < ARRAY_COUNT(allowed); i++)
        if (!allows(guard, allowed[i]))
            fail_msg("%s is refused", allowed[i]);
    const struct sockaddr local = {.sa_family = AF_UNIX};
    assert_false(address_guard_allows(guard, &local));
}

static void test_networks_of_the_operator_are_allowed(void **state)
{
    (void)state;
    static const char *const networks[] = {"192.168.4.0/22", "10.1.2.3", "fd12:3400::/23",
                                           "100.64.0.0/10", "fd00::/16"};
    static const char *const allowed[] = {
        "192.168.4.0",       "192.168.7.255",   "10.1.2.3",     "::ffff:10.1.2.3",
        "64:ff9b::10.1.2.3", "2002:a01:203::1", "fd12:3400::1", "fd12:35ff::1",
        "100.64.0.1",        "fd00::1",         "8.8.8.8"};
    static const char *const refused[] = {"192.168.3.255", "192.168.8.0", "10.1.2.2", "10.1.2.4",
                                          "fd12:33ff::1", "fd12:3600::1", "127.0.0.1",
                                          // In a network, but not named.
                                          "100.100.100.200", "fd00:ec2::254", "fd00:ec2::23"};
    struct address_guard *guard CLEANUP(address_guard_free) = guard_of(networks,
                                                                       ARRAY_COUNT(networks));
    for (size_t i = 0; i < ARRAY_COUNT(allowed); i++)
        if (!allows(guard, allowed[i]))
            fail_msg("%s is refused", allowed[i]);
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        if (allows(guard, refused[i]))
            fail_msg("%s is allowed", refused[i]);

    static const char *const all[] = {"0.0.0.0/0", "::/0", "169.254.169.254/32"};
    struct address_guard *open CLEANUP(address_guard_free) = guard_of(all, ARRAY_COUNT(all));
    assert_true(allows(open, "127.0.0.1"));
    assert_true(allows(open, "::1"));
    assert_true(allows(open, "169.254.169.254"));
    assert_false(allows(open, "169.254.170.2"));
}

static void test_what_is_no_network(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "/8",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/08",
                                      "10.0.0.0/8 ",
                                      "10.0.0.1/8",
                                      "10/8",
                                      "fd00::/129",
                                      "fd00::1/64",
                                      "localhost",
                                      "127.1",
                                      "0x7f.0.0.1",
                                      "[::1]",
                                      "::ffff:10.0.0.0/104",
                                      "fe80::1%eth0",
                                      "10.0.0.0/8/8",
                                      "10.0.0.0,10.0.0.1",
                                      "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct address_guard *guard = NULL;
        struct err err = {0};
        if (address_guard_new(&bad[i], 1, &guard, &err))
            fail_msg("%s is taken", bad[i]);
        assert_null(guard);
        assert_int_equal(err.kind, ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_global_is_refused),
        cmocka_unit_test(test_networks_of_the_operator_are_allowed),
        cmocka_unit_test(test_what_is_no_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
