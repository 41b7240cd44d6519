// SPDX-License-Identifier: Apache-2.0
// Foreign endpoints: what is one, and which may not be talked to, in all spellings there are.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "fake_names.h"
#include "net/endpoint.h"
#include "net/http_client.h"
#include "scripted_server.h"

#define INVALID_URL "Invalid endpoint URL"
#define NOT_ALLOWED "Endpoint not allowed"
#define NEEDS_TLS   "Endpoint must use https"

static struct address_guard *open_guard(const char *const *networks, size_t count)
{
    struct address_guard *guard = NULL;
    struct err err = {0};
    if (!address_guard_new(networks, count, &guard, &err))
        fail_msg("%s", err.message);
    return guard;
}

// Form, then class, then https.
static bool judge(struct slice url, const struct address_guard *guard, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct endpoint endpoint;
    return endpoint_parse(url, &arena, &endpoint, err) && endpoint_check(&endpoint, guard, err);
}

// message NULL: allowed.
static void expect_slice(struct slice url, const struct address_guard *guard, const char *message)
{
    struct err err = {0};
    if (judge(url, guard, &err) != (message == NULL))
        fail_msg("%.*s: %s", (int)url.size_bytes, slice_chars(url), err.message);
    if (message == NULL)
        return;
    if (strcmp(err.message, message) != 0)
        fail_msg("%.*s: %s", (int)url.size_bytes, slice_chars(url), err.message);
    assert_int_equal(err.kind, strcmp(message, NOT_ALLOWED) == 0 ? ERR_DENIED : ERR_INVALID);
}

static void expect(const char *url, const struct address_guard *guard, const char *message)
{
    expect_slice(slice_text(url), guard, message);
}

static void expect_host(const char *host, const struct address_guard *guard, const char *message)
{
    static const char *const forms[] = {"http://%s", "https://%s", "https://%s/", "https://%s:443",
                                        "http://%s:5432/a?b=c"};
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        const char *at = strstr(forms[i], "%s");
        char url[500];
        (void)snprintf(url, sizeof url, "%.*s%s%s", (int)(at - forms[i]), forms[i], host, at + 2);
        const bool is_plain = strncmp(url, "http:", 5) == 0;
        expect(url, guard, message == NULL && is_plain ? NEEDS_TLS : message);
    }
}

// --- Form

static void expect_parts(const char *url, struct endpoint expected)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct endpoint endpoint;
    struct err err = {0};
    if (!endpoint_parse(slice_text(url), &arena, &endpoint, &err))
        fail_msg("%s: %s", url, err.message);
    assert_int_equal(endpoint.is_https, expected.is_https);
    assert_int_equal(endpoint.port, expected.port);
    assert_string_equal(endpoint.host, expected.host);
    assert_string_equal(endpoint.authority, expected.authority);
    assert_string_equal(endpoint.path, expected.path);
}

static void test_parts_of_an_endpoint(void **state)
{
    (void)state;
    expect_parts("https://S3.Example.COM",
                 (struct endpoint){true, "s3.example.com", 443, "s3.example.com", ""});
    expect_parts("https://s3.example.com:443/",
                 (struct endpoint){true, "s3.example.com", 443, "s3.example.com", "/"});
    expect_parts("http://s3.example.com:443",
                 (struct endpoint){false, "s3.example.com", 443, "s3.example.com:443", ""});
    expect_parts("http://a_b.x--y.1a:80",
                 (struct endpoint){false, "a_b.x--y.1a", 80, "a_b.x--y.1a", ""});
    expect_parts("https://[2A00::1]", (struct endpoint){true, "2a00::1", 443, "[2a00::1]", ""});
    expect_parts("https://[2A00::1]:65535/x",
                 (struct endpoint){true, "2a00::1", 65535, "[2a00::1]:65535", "/x"});
    expect_parts("https://hooks.example.com/T/../B?x=%2f&y=a.b",
                 (struct endpoint){true, "hooks.example.com", 443, "hooks.example.com",
                                   "/T/../B?x=%2f&y=a.b"});
}

static void test_what_is_no_endpoint(void **state)
{
    (void)state;
    static const char *const bad[] = {
        // B309: who reads which part as the host
        "https://good.example@127.0.0.1/", "https://127.0.0.1#@good.example/",
        "https://good.example\\@127.0.0.1", "https://good.example:pass@127.0.0.1/",
        "https://127.0.0.1:443@good.example/", "https://@good.example", "https://good.example/#a",
        "https://good.example/a\\b", "https://good.example?x", "https://good.example;127.0.0.1",
        "https://good.example,127.0.0.1", "https://good.example 127.0.0.1",
        "https://good.example\t127.0.0.1", "https://good.example\n127.0.0.1/",
        "https://good.example/\r\nX: 1", "https://good.example/a b", "https://good.example/\x7f",
        "https://good.example/%", "https://good.example/%2", "https://good.example/%2g",
        "https://good.example/\"", "https://good.example/<a>", "https://good.example/\xc3\xa4",
        "https://good.example/{a}", "https://good.example/|", "https://good.example/`",
        "https://good.example/^",
        // B310: other schemes
        "", "file:///etc/passwd", "gopher://", "gopher://good.example/", "ftp://good.example",
        "unix:/run/x", "javascript:", "javascript:alert(1)", "data:,x", "dict://good.example",
        "ldap://good.example", "ws://good.example", "HTTPS://good.example", "Http://good.example",
        "https:good.example", "https:/good.example", "https:\\\\good.example", "//good.example",
        "good.example", "good.example:443", "http", "http:", "http:/", "http://", "https://",
        "https:///", "https:///good.example", " https://good.example", "https ://good.example",
        "url:https://good.example", "hhttps://good.example", "httpss://good.example",
        // Hosts
        "https://.", "https://..", "https://.good.example", "https://good..example",
        "https://good.example.", "https://127.0.0.1.", "https://localhost.", "https://-a.example",
        "https://a-.example", "https://a.-b.example", "https://a.b-", "https://g%6fod.example",
        "https://%31%32%37.0.0.1", "https://127.0.0.1%00.good.example", "https://b\xc3\xbc.example",
        "https://\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1", "https://127\u30020.0.1",
        "https://*.example", "https://a!b.example", "https://$host", "https://a'b.example",
        "https://${host}.example", "https://(a).example", "https://a+b.example", "https://a=b",
        // Ports
        "https://good.example:", "https://good.example:/", "https://good.example:0",
        "https://good.example:65536", "https://good.example:99999999999999999999",
        "https://good.example:-1", "https://good.example:+1", "https://good.example:0443",
        "https://good.example:443a", "https://good.example: 443", "https://good.example:443:443",
        "https://good.example:0x50", "https://:443", "https://a:b:c",
        // IPv6
        "https://[", "https://[]", "https://]", "https://[::1", "https://::1", "https://::1]",
        "https://[::1]]", "https://[[::1]]", "https://[::1]x", "https://[::1]:", "https://[::1]:0",
        "https://[::1]443", "https://[::1].example", "https://x[::1]", "https://[127.0.0.1]",
        "https://[good.example]", "https://[v1.a:b]", "https://[::g]", "https://[::1::2]",
        "https://[1:2:3:4:5:6:7:8:9]", "https://[::1 ]", "https://[ ::1]", "https://[::1%]",
        "https://[%eth0]", "https://[::1%25\r\n]", "https://[::1%/]", "https://[::1/128]",
        "https://[::256.0.0.1]", "https://[::1@good.example]"};
    struct address_guard *guard CLEANUP(address_guard_free) = open_guard(NULL, 0);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        expect(bad[i], guard, INVALID_URL);
    expect_slice(slice_of("https://127.0.0.1\0.good.example", 31), guard, INVALID_URL);
    expect_slice(slice_of("https://good.example\0", 21), guard, INVALID_URL);
    expect_slice(slice_of("https://[::1\0]", 14), guard, INVALID_URL);
    expect_slice(slice_of("https://good.example/\0", 22), guard, INVALID_URL);
}

static void test_lengths_of_an_endpoint(void **state)
{
    (void)state;
    struct address_guard *guard CLEANUP(address_guard_free) = open_guard(NULL, 0);
    struct buf url CLEANUP(buf_clear);
    buf_init(&url, 100000);
    buf_append_format(&url, "https://%063d.example", 0);
    expect(buf_text(&url), guard, NULL);
    buf_reset(&url);
    buf_append_format(&url, "https://%064d.example", 0);
    expect(buf_text(&url), guard, INVALID_URL);
    for (size_t host_chars = 253; host_chars <= 254; host_chars++) {
        buf_reset(&url);
        buf_append_text(&url, "https://");
        for (size_t i = 0; i < host_chars; i++)
            buf_append_char(&url, i % 2 == 0 ? 'a' : '.');
        if (host_chars % 2 == 0)
            url.data[url.size_bytes - 1] = 'a';
        expect(buf_text(&url), guard, host_chars == 253 ? NULL : INVALID_URL);
    }
    buf_reset(&url);
    buf_append_text(&url, "https://good.example/");
    while (url.size_bytes < ENDPOINT_CHARS_MAX)
        buf_append_char(&url, 'a');
    expect(buf_text(&url), guard, NULL);
    buf_append_char(&url, 'a');
    expect(buf_text(&url), guard, INVALID_URL);
    while (url.size_bytes < 65536) // B317
        buf_append_char(&url, 'a');
    expect(buf_text(&url), guard, INVALID_URL);
}

// --- Class

static void test_hosts_that_are_not_allowed(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal", "127.0.0.1", "localhost",
        "[::1]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "10.0.0.1", "172.16.0.1", "192.168.0.1",
        "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "[fc00::1]", "[fe80::1]",
        "[fe80::1%25eth0]", "[fe80::1%eth0]", "[2a00::1%25eth0]", "[::1%25lo]",
        // Names
        "LOCALHOST", "LocalHost", "a.localhost", "a.b.localhost", "localhost.localdomain",
        "metadata", "milkrun", "db", "a", "printer.local", "x.internal", "METADATA.Google.INTERNAL",
        "nas.lan", "router.home.arpa",
        // Numbers that are no address in the usual spelling, whatever they mean
        "0", "0x", "1", "8.8", "8.8.8", "134744072", "0x8.0x8.0x8.0x8", "010.8.8.8", "8.8.8.010",
        "08.8.8.8", "8.8.8.256", "8.8.8.8.8", "4294967295", "4294967296", "99999999999999999999",
        "0x100000000", "a.b.c.1", "good.example.0x7f", "1.2.3.0xfg.5"};
    struct address_guard *guard CLEANUP(address_guard_free) = open_guard(NULL, 0);
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++)
        expect_host(hosts[i], guard, NOT_ALLOWED);
}

static void test_hosts_that_are_allowed(void **state)
{
    (void)state;
    static const char *const hosts[] = {"public.example",
                                        "s3.eu-central-1.amazonaws.com",
                                        "storage.googleapis.com",
                                        "8.8.8.8",
                                        "[2001:4860:4860::8888]",
                                        "[::ffff:8.8.8.8]",
                                        "[64:ff9b::808:808]",
                                        "localhost.example",
                                        "internal.example.com",
                                        "a.xlocalhost",
                                        "a.mylocal",
                                        "1.example",
                                        "127.0.0.1.example",
                                        "a.0x7g",
                                        "xn--bcher-kva.example",
                                        "a_b.example.com"};
    static const char *const networks[] = {"10.0.0.0/8", "fd12::/16"};
    struct address_guard *guard CLEANUP(address_guard_free) = open_guard(NULL, 0);
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++)
        expect_host(hosts[i], guard, NULL);
    struct address_guard *own CLEANUP(address_guard_free) = open_guard(networks,
                                                                       ARRAY_COUNT(networks));
    expect_host("10.1.2.3", own, NULL);
    expect_host("[fd12::1]", own, NULL);
    expect_host("10.258", own, NOT_ALLOWED);
    expect_host("192.168.0.1", own, NOT_ALLOWED);
    expect_host("localhost", own, NOT_ALLOWED);
}

// --- Generated spellings

// A part of an IPv4 address as the system's functions read it.
static void spell_part(uint32_t value, unsigned way, struct buf *text)
{
    switch (way) {
    case 0:
        buf_append_format(text, "%u", value);
        break;
    case 1:
        buf_append_format(text, "0%o", value);
        break;
    case 2:
        buf_append_format(text, "0x%x", value);
        break;
    case 3:
        buf_append_format(text, "0X%X", value);
        break;
    case 4:
        buf_append_format(text, "000%o", value);
        break;
    case 5:
        buf_append_format(text, "0x0000%x", value);
        break;
    default:
        fail_msg("no way %u", way);
    }
}

// In `part_count` parts, of which the last has the rest of the bits; each spelled by a digit of
// `ways` to base six.
static void spell_v4(uint32_t address, unsigned part_count, unsigned ways, struct buf *text)
{
    buf_reset(text);
    for (unsigned i = 0; i < part_count; i++) {
        const bool is_last = i + 1 == part_count;
        const uint32_t value = is_last ? address & (uint32_t)(UINT64_C(0xffffffff) >> (8 * i))
                                       : address >> (24 - 8 * i) & 0xff;
        buf_append_text(text, i == 0 ? "" : ".");
        spell_part(value, ways % 6, text);
        ways /= 6;
    }
}

static void test_generated_spellings_of_ipv4(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1",   "169.254.169.254", "10.11.12.13",
                                            "172.31.8.9",  "192.168.255.254", "100.127.0.1",
                                            "198.19.7.77", "0.0.0.0",         "255.255.255.255",
                                            "239.1.2.3",   "168.63.129.16"};
    static const unsigned way_counts[] = {6, 36, 216, 1296};
    struct address_guard *guard CLEANUP(address_guard_free) = open_guard(NULL, 0);
    struct buf host CLEANUP(buf_clear);
    buf_init(&host, 100);
    int count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(addresses); i++) {
        struct in_addr address;
        assert_int_equal(inet_pton(AF_INET, addresses[i], &address), 1);
        for (unsigned parts = 1; parts <= 4; parts++) {
            for (unsigned ways = 0; ways < way_counts[parts - 1]; ways += parts < 4 ? 1 : 7) {
                spell_v4(ntohl(address.s_addr), parts, ways, &host);
                struct in_addr read;
                assert_int_equal(inet_aton(buf_text(&host), &read), 1); // it is one to the system
                assert_int_equal(read.s_addr, address.s_addr);
                expect_host(buf_text(&host), guard, NOT_ALLOWED);
                count++;
            }
        }
    }
    assert_in_range(count, 4000, 10000);
}

static void spell_group(unsigned value, unsigned way, struct buf *text)
{
    switch (way) {
    case 0:
        buf_append_format(text, "%x", value);
        break;
    case 1:
        buf_append_format(text, "%04x", value);
        break;
    case 2:
        buf_append_format(text, "%X", value);
        break;
    case 3:
        buf_append_format(text, "%04X", value);
        break;
    default:
        fail_msg("no way %u", way);
    }
}

// The groups with or without leading zeros and in both cases of letters, whole or with "::" for any
// run of zeros, with or without the last four bytes as IPv4.
static void spell_v6(const uint8_t bytes[16], unsigned way, struct buf *text)
{
    const bool is_mixed = (way & 4) != 0;
    const int group_count = is_mixed ? 6 : 8;
    const int skip_from = (int)(way >> 3) % 8 - 1; // the first group of a run; -1: none
    buf_reset(text);
    for (int i = 0; i < group_count; i++) {
        const unsigned value = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
        if (i == skip_from && value == 0) {
            while (i + 1 < group_count && bytes[2 * i + 2] == 0 && bytes[2 * i + 3] == 0)
                i++;
            buf_append_text(text, text->size_bytes == 0 ? "::" : ":"); // one ends the group before
            continue;
        }
        spell_group(value, way & 3, text);
        buf_append_text(text, i + 1 == 8 ? "" : ":");
    }
    if (is_mixed)
        buf_append_format(text, "%u.%u.%u.%u", bytes[12], bytes[13], bytes[14], bytes[15]);
}

static void test_generated_spellings_of_ipv6(void **state)
{
    (void)state;
    static const char *const addresses[] = {"::",
                                            "::1",
                                            "::ffff:127.0.0.1",
                                            "::ffff:169.254.169.254",
                                            "::ffff:10.0.0.1",
                                            "::7f00:1",
                                            "64:ff9b::7f00:1",
                                            "64:ff9b::a9fe:a9fe",
                                            "64:ff9b:1::1",
                                            "2002:7f00:1::",
                                            "2002:a00:1::5",
                                            "2002:c0a8:101::1",
                                            "2001::7f00:1",
                                            "2001:db8::1",
                                            "fd00:ec2::254",
                                            "fc00::1",
                                            "fe80::1",
                                            "fe80::abcd:0:0:1",
                                            "fec0::1",
                                            "ff02::1",
                                            "100::1",
                                            "5f00::1",
                                            "3fff::1"};
    static const char *const zones[] = {"", "%25eth0", "%1"};
    struct address_guard *guard CLEANUP(address_guard_free) = open_guard(NULL, 0);
    struct buf text CLEANUP(buf_clear);
    struct buf host CLEANUP(buf_clear);
    buf_init(&text, 100);
    buf_init(&host, 100);
    int count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(addresses) * ARRAY_COUNT(zones); i++) {
        uint8_t bytes[16];
        assert_int_equal(inet_pton(AF_INET6, addresses[i / ARRAY_COUNT(zones)], bytes), 1);
        for (unsigned way = 0; way < 64; way++) {
            uint8_t read[16];
            spell_v6(bytes, way, &text);
            if (inet_pton(AF_INET6, buf_text(&text), read) != 1 ||
                memcmp(read, bytes, sizeof read) != 0)
                fail_msg("%s is spelled %s", addresses[i / ARRAY_COUNT(zones)], buf_text(&text));
            buf_reset(&host);
            buf_append_format(&host, "[%s%s]", buf_text(&text), zones[i % ARRAY_COUNT(zones)]);
            expect_host(buf_text(&host), guard, NOT_ALLOWED);
            count++;
        }
    }
    assert_in_range(count, 4000, 10000);
}

static void test_our_own_address_is_not_allowed(void **state)
{
    (void)state;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct err err = {0};
    struct endpoint own;
    struct endpoint same;
    struct endpoint other;
    assert_true(endpoint_parse(slice_text("https://exports.example.com/base"), &arena, &own, &err));
    assert_true(endpoint_parse(slice_text("http://EXPORTS.example.com:99"), &arena, &same, &err));
    assert_true(endpoint_parse(slice_text("https://example.com"), &arena, &other, &err));
    assert_true(endpoint_check_other(&other, &own, &err));
    assert_false(endpoint_check_other(&same, &own, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.message, NOT_ALLOWED);
}

// --- Names

static struct fake_name names[] = {
    {.name = "public.test", .addresses = {"8.8.8.8", "2001:4860::1", "8.8.4.4"}},
    {.name = "private.test", .addresses = {"10.1.2.3"}},
    {.name = "mixed.test",
     .addresses = {"8.8.8.8", "8.8.4.4", "8.8.4.5", "8.8.4.6", "8.8.4.7", "10.0.0.1"}},
    {.name = "mixed6.test", .addresses = {"8.8.8.8", "8.8.4.4", "fd00:ec2::254"}},
    {.name = "mapped.test", .addresses = {"::ffff:127.0.0.1"}},
    {.name = "rebind.test", .addresses = {"8.8.8.8"}, .later_addresses = {"127.0.0.1"}},
    {.name = "slow.test", .addresses = {"8.8.8.8"}, .delay_ms = 3000},
    {.name = "none.test"},
};

// kind NONE: every address is allowed.
static void expect_name(const char *host, const struct address_guard *guard, enum err_kind kind)
{
    const struct endpoint endpoint = {true, host, 443, host, ""};
    struct err err = {0};
    assert_true(endpoint_check(&endpoint, guard, &err));
    const bool is_allowed = endpoint_resolve(&endpoint, guard, 1000, &err);
    if (err.kind != kind || is_allowed != (kind == ERR_NONE))
        fail_msg("%s: %s", host, err.message);
    if (kind == ERR_DENIED)
        assert_string_equal(err.message, NOT_ALLOWED);
}

static void test_every_address_of_a_name_must_be_allowed(void **state)
{
    (void)state;
    static const char *const networks[] = {"10.0.0.0/8"};
    struct address_guard *guard CLEANUP(address_guard_free) = open_guard(NULL, 0);
    struct address_guard *own CLEANUP(address_guard_free) = open_guard(networks, 1);
    const int64_t start_ms = clock_boot_ms(clock_system());
    expect_name("public.test", guard, ERR_NONE);
    expect_name("private.test", guard, ERR_DENIED);
    expect_name("private.test", own, ERR_NONE);
    expect_name("mixed.test", guard, ERR_DENIED);
    expect_name("mixed.test", own, ERR_NONE);
    expect_name("mixed6.test", guard, ERR_DENIED);
    expect_name("mapped.test", guard, ERR_DENIED);
    expect_name("none.test", guard, ERR_UNAVAILABLE);
    assert_in_range(clock_boot_ms(clock_system()) - start_ms, 0, 900);
    expect_name("slow.test", guard, ERR_UNAVAILABLE); // in time, whatever the resolver does
    assert_in_range(clock_boot_ms(clock_system()) - start_ms, 0, 2500);
}

static void serve_nothing(void *context, struct scripted_peer *peer)
{
    (void)context;
    (void)scripted_send(peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

// Public when it was looked at, this host when it is connected to: no byte goes out.
static void test_a_name_that_changes_leads_nowhere(void **state)
{
    (void)state;
    struct scripted_server server;
    scripted_open(&server, serve_nothing, NULL);
    struct address_guard *guard CLEANUP(address_guard_free) = open_guard(NULL, 0);
    expect_name("rebind.test", guard, ERR_NONE);
    const struct http_client_config config = {.connect_timeout_ms = 2000, .guard = guard};
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&config, &client);
    char url[100];
    (void)snprintf(url, sizeof url, "http://rebind.test:%d/", server.port);
    const struct http_client_call call = {.url = url, .method = "GET"};
    struct http_client_reply reply;
    struct buf body CLEANUP(buf_clear);
    buf_init(&body, 100);
    struct err err = {0};
    assert_false(http_client_send(client, &call, &reply, &body, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.message, NOT_ALLOWED);
    scripted_close(&server);
    assert_int_equal(atomic_load(&server.connection_count), 0);
}

int main(void)
{
    fake_names_set(names, (int)ARRAY_COUNT(names));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_of_an_endpoint),
        cmocka_unit_test(test_what_is_no_endpoint),
        cmocka_unit_test(test_lengths_of_an_endpoint),
        cmocka_unit_test(test_hosts_that_are_not_allowed),
        cmocka_unit_test(test_hosts_that_are_allowed),
        cmocka_unit_test(test_generated_spellings_of_ipv4),
        cmocka_unit_test(test_generated_spellings_of_ipv6),
        cmocka_unit_test(test_our_own_address_is_not_allowed),
        cmocka_unit_test(test_every_address_of_a_name_must_be_allowed),
        cmocka_unit_test(test_a_name_that_changes_leads_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
