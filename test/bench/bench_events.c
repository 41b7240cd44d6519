// SPDX-License-Identifier: Apache-2.0
// Events for the benchmark, as NDJSON on standard output: clicks of one app over one UTC day, in
// order of time up to two seconds of jitter. 66 columns of realistic types (65 properties, and the
// app's id, which the server knows), some 35 of them present in a row. The same arguments give the
// same bytes.
//
// usage: bench_events ROWS SEED DAY_START_MS
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "base/number.h"

#define BENCH_JITTER_MS   INT64_C(2000)
#define BENCH_FLUSH_BYTES ((size_t)1024 * 1024)
#define BENCH_LIMIT_BYTES ((size_t)4 * 1024 * 1024)

struct bench_words {
    size_t count;
    const char *const *texts; // JSON texts without quotes, the frequent ones first
};
#define BENCH_WORDS(...)                                                                           \
    {                                                                                              \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *), (const char *const[])   \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

enum bench_kind {
    BENCH_WORD,     // one of words
    BENCH_NUMBERED, // words and a number below `bound`: "spring sale 17"
    BENCH_COUNT,    // whole number below bound
    BENCH_PRICE,    // cents of up to `bound` units
    BENCH_DEGREES,  // -bound to bound, five decimal places
    BENCH_BOOL,
    BENCH_UUID,
    BENCH_DIGITS, // text of 17 digits
    BENCH_ADDRESS,
    BENCH_URL,
    BENCH_BEFORE, // up to bound ms before the event
    BENCH_ITEMS,
    BENCH_MAP,
};

struct bench_field {
    const char *name;
    unsigned percent; // of the rows that have it
    enum bench_kind kind;
    uint64_t bound;
    struct bench_words words;
};

static const struct bench_field bench_fields[] = {
    {"id", 100, BENCH_UUID, 0, {0}},
    {"name", 100, BENCH_WORD, 0, BENCH_WORDS("CLICK", "VIEW", "INSTALL", "OPEN")},
    {"user_data_os", 100, BENCH_WORD, 0, BENCH_WORDS("ANDROID", "IOS", "WEB")},
    {"user_data_os_version", 97, BENCH_NUMBERED, 18, BENCH_WORDS("17.", "14.", "16.", "13.")},
    {"user_data_model", 92, BENCH_WORD, 0,
     BENCH_WORDS("SM-S918B", "iPhone15,3", "Pixel 8 Pro", "iPhone14,5", "SM-A546B", "Redmi Note 12",
                 "moto g stylus 5G (2023)", "CPH2505")},
    {"user_data_brand", 92, BENCH_WORD, 0,
     BENCH_WORDS("Samsung", "Apple", "Google", "Xiaomi", "motorola", "OPPO")},
    {"user_data_geo_country_code", 99, BENCH_WORD, 0,
     BENCH_WORDS("US", "BR", "IN", "DE", "JP", "TR", "MX", "GB", "FR", "ID")},
    {"user_data_geo_city_en", 90, BENCH_WORD, 0,
     BENCH_WORDS("New York", "S\xc3\xa3o Paulo", "Mumbai", "K\xc3\xb6ln", "Tokyo", "Istanbul",
                 "Ciudad de M\xc3\xa9xico", "London", "Paris", "Jakarta", "Washington, D.C.")},
    {"user_data_language", 95, BENCH_WORD, 0, BENCH_WORDS("en", "pt", "hi", "de", "ja", "tr")},
    {"user_data_platform", 100, BENCH_WORD, 0,
     BENCH_WORDS("ANDROID_APP", "IOS_APP", "WEB", "MOBILE_WEB")},
    {"user_data_user_agent", 96, BENCH_NUMBERED, 4000,
     BENCH_WORDS("Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) "
                 "Chrome/122.0.0.0 Mobile Safari/537.36 build ",
                 "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 "
                 "(KHTML, like Gecko) Mobile/15E148 build ",
                 "Dalvik/2.1.0 (Linux; U; Android 13; Redmi Note 12 Build/TKQ1.221114.001) ")},
    {"user_data_ip", 98, BENCH_ADDRESS, 0, {0}},
    {"user_data_aaid", 55, BENCH_UUID, 0, {0}},
    {"last_attributed_touch_data_tilde_campaign", 78, BENCH_NUMBERED, 120,
     BENCH_WORDS("spring sale ", "retargeting | lookalike ", "the \\\"big\\\" one ",
                 "brand, search ", "\xc3\x89t\xc3\xa9 \xc3\xa0 Paris ")},
    {"last_attributed_touch_data_tilde_campaign_id", 74, BENCH_NUMBERED, 900,
     BENCH_WORDS("23851", "1203", "77120")},
    {"last_attributed_touch_data_tilde_channel", 80, BENCH_WORD, 0,
     BENCH_WORDS("facebook", "google_search", "email", "sms", "qr code")},
    {"last_attributed_touch_data_tilde_feature", 70, BENCH_WORD, 0,
     BENCH_WORDS("paid advertising", "sharing", "journeys", "marketing")},
    {"last_attributed_touch_data_tilde_ad_name", 45, BENCH_NUMBERED, 300,
     BENCH_WORDS("carousel ", "video 15s ", "static 1080x1080 ")},
    {"last_attributed_touch_data_plus_url", 72, BENCH_URL, 0, {0}},
    {"last_attributed_touch_timestamp", 80, BENCH_BEFORE, 86400000, {0}},
    {"event_data_revenue", 22, BENCH_PRICE, 200, {0}},
    {"deep_linked", 100, BENCH_BOOL, 0, {0}},
    {"first_event_for_user", 100, BENCH_BOOL, 0, {0}},
    {"attributed", 100, BENCH_BOOL, 0, {0}},
    {"existing_user", 20, BENCH_BOOL, 0, {0}},
    {"match_guaranteed", 15, BENCH_BOOL, 0, {0}},
    {"origin", 50, BENCH_WORD, 0, BENCH_WORDS("BRANCH", "PARTNER")},
    {"app_name", 100, BENCH_WORD, 0, BENCH_WORDS("Milk & Honey")},
    {"organization_name", 20, BENCH_WORD, 0, BENCH_WORDS("Honey Ltd.")},
    {"customer_event_alias", 8, BENCH_NUMBERED, 40, BENCH_WORDS("alias ")},
    {"custom_data", 20, BENCH_MAP, 0, {0}},
    {"content_items", 15, BENCH_ITEMS, 0, {0}},
    {"event_data_currency", 22, BENCH_WORD, 0, BENCH_WORDS("USD", "EUR", "BRL")},
    {"event_data_revenue_in_usd", 22, BENCH_PRICE, 200, {0}},
    {"event_data_tax", 9, BENCH_PRICE, 20, {0}},
    {"event_data_shipping", 7, BENCH_PRICE, 15, {0}},
    {"event_data_transaction_id", 14, BENCH_UUID, 0, {0}},
    {"event_data_coupon", 5, BENCH_NUMBERED, 50, BENCH_WORDS("SAVE", "WELCOME")},
    {"event_timestamp", 40, BENCH_BEFORE, 3000, {0}},
    {"last_attributed_touch_type", 80, BENCH_WORD, 0, BENCH_WORDS("CLICK", "IMPRESSION")},
    {"last_attributed_touch_data_tilde_id", 30, BENCH_COUNT, UINT64_C(900000000000000000), {0}},
    {"last_attributed_touch_data_plus_touch_id", 40, BENCH_DIGITS, 0, {0}},
    {"last_attributed_touch_data_tilde_ad_id", 25, BENCH_DIGITS, 0, {0}},
    {"last_attributed_touch_data_tilde_ad_set_name", 25, BENCH_NUMBERED, 80, BENCH_WORDS("set ")},
    {"last_attributed_touch_data_tilde_advertising_partner_name", 30, BENCH_WORD, 0,
     BENCH_WORDS("Facebook", "Google AdWords", "Snap", "TikTok for Business")},
    {"last_attributed_touch_data_tilde_creative_name", 30, BENCH_NUMBERED, 500,
     BENCH_WORDS("creative ")},
    {"last_attributed_touch_data_tilde_keyword", 12, BENCH_WORD, 0,
     BENCH_WORDS("shoes", "running shoes", "milk", "delivery near me")},
    {"last_attributed_touch_data_tilde_agency", 18, BENCH_WORD, 0, BENCH_WORDS("In-house", "Acme")},
    {"days_from_last_attributed_touch_to_event", 40, BENCH_COUNT, 30, {0}},
    {"hours_from_last_attributed_touch_to_event", 40, BENCH_COUNT, 720, {0}},
    {"minutes_from_last_attributed_touch_to_event", 40, BENCH_COUNT, 61, {0}},
    {"seconds_from_last_attributed_touch_to_event", 40, BENCH_COUNT, 61, {0}},
    {"install_activity_attributed", 25, BENCH_BOOL, 0, {0}},
    {"install_activity_timestamp", 25, BENCH_BEFORE, UINT64_C(2592000000), {0}},
    {"user_data_app_version", 94, BENCH_NUMBERED, 40, BENCH_WORDS("8.2.", "8.1.", "7.9.")},
    {"user_data_sdk_version", 60, BENCH_NUMBERED, 9, BENCH_WORDS("5.12.", "3.4.")},
    {"user_data_geo_lat", 35, BENCH_DEGREES, 90, {0}},
    {"user_data_geo_lon", 35, BENCH_DEGREES, 180, {0}},
    {"user_data_geo_region_en", 30, BENCH_WORD, 0,
     BENCH_WORDS("California", "Bavaria", "Maharashtra")},
    {"user_data_geo_dma_code", 30, BENCH_COUNT, 900, {0}},
    {"user_data_screen_height", 40, BENCH_COUNT, 3000, {0}},
    {"user_data_screen_width", 40, BENCH_COUNT, 1500, {0}},
    {"user_data_limit_ad_tracking", 25, BENCH_BOOL, 0, {0}},
    {"user_data_carrier_name", 30, BENCH_WORD, 0, BENCH_WORDS("T-Mobile", "Vivo", "Jio")},
};

struct bench_random {
    uint64_t state;
};

static uint64_t bench_next(struct bench_random *random) // SplitMix64
{
    uint64_t mixed = random->state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

static uint64_t bench_below(struct bench_random *random, uint64_t bound)
{
    return bench_next(random) % bound;
}

static void bench_put_count(struct buf *buf, uint64_t value)
{
    char digits[NUMBER_CHARS_MAX];
    buf_append(buf, slice_of(digits, number_format_int64((int64_t)value, digits)));
}

// The lower of two draws: the first words are the frequent ones.
static const char *bench_word(struct bench_random *random, const struct bench_words *words)
{
    const uint64_t first = bench_below(random, words->count);
    const uint64_t second = bench_below(random, words->count);
    return words->texts[first < second ? first : second];
}

static void bench_put_text(struct buf *buf, struct bench_random *random,
                           const struct bench_field *field)
{
    buf_append_char(buf, '"');
    buf_append_text(buf, bench_word(random, &field->words));
    if (field->kind == BENCH_NUMBERED)
        bench_put_count(buf, bench_below(random, field->bound));
    buf_append_char(buf, '"');
}

static void bench_put_uuid(struct buf *buf, struct bench_random *random)
{
    static const char digits[] = "0123456789abcdef";
    const uint64_t halves[2] = {bench_next(random), bench_next(random)};
    char text[] = "\"00000000-0000-4000-8000-000000000000\"";
    unsigned used = 0;
    for (size_t i = 1; i < sizeof text - 2; i++) {
        if (text[i] != '0')
            continue;
        text[i] = digits[(halves[used / 16] >> (used % 16 * 4)) & 15];
        used++;
    }
    buf_append(buf, slice_of(text, sizeof text - 1));
}

// value / 10^places, always with the decimal places: 12.50.
static void bench_put_decimal(struct buf *buf, int64_t value, unsigned places)
{
    char digits[24];
    const int size = snprintf(digits, sizeof digits, "%0*" PRId64, (int)places + 1,
                              value < 0 ? -value : value);
    ASSERT(size > (int)places);
    const size_t whole = (size_t)size - places;
    if (value < 0)
        buf_append_char(buf, '-');
    buf_append(buf, slice_of(digits, whole));
    buf_append_char(buf, '.');
    buf_append(buf, slice_of(digits + whole, places));
}

static void bench_put_address(struct buf *buf, struct bench_random *random)
{
    const uint64_t bits = bench_next(random);
    buf_append_char(buf, '"');
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0)
            buf_append_char(buf, '.');
        bench_put_count(buf, (bits >> (8 * i)) & 255);
    }
    buf_append_char(buf, '"');
}

static void bench_put_url(struct buf *buf, struct bench_random *random)
{
    buf_append_text(buf, "\"https://honey.example.link/product/");
    bench_put_count(buf, bench_below(random, 20000));
    buf_append_text(buf, "?utm_source=newsletter&utm_campaign=");
    bench_put_count(buf, bench_below(random, 500));
    buf_append_text(buf, "&ref=");
    bench_put_count(buf, bench_below(random, UINT64_C(1000000000)));
    buf_append_char(buf, '"');
}

static void bench_put_document(struct buf *buf, struct bench_random *random, enum bench_kind kind)
{
    if (kind == BENCH_ITEMS) {
        buf_append_text(buf, "[{\"$sku\":\"sku-");
        bench_put_count(buf, bench_below(random, 3000));
        buf_append_text(buf, "\",\"$price\":");
        bench_put_decimal(buf, (int64_t)bench_below(random, 20000), 2);
        buf_append_text(buf, ",\"$quantity\":");
        bench_put_count(buf, 1 + bench_below(random, 4));
        buf_append_text(buf, "}]");
        return;
    }
    buf_append_text(buf, "{\"cohort\":\"");
    bench_put_count(buf, bench_below(random, 30));
    buf_append_text(buf, "\",\"note\":\"said \\\"hi\\\", then left\"}");
}

static void bench_put_value(struct buf *buf, struct bench_random *random,
                            const struct bench_field *field, int64_t time_ms)
{
    switch (field->kind) {
    case BENCH_WORD:
    case BENCH_NUMBERED:
        bench_put_text(buf, random, field);
        return;
    case BENCH_COUNT:
        bench_put_count(buf, bench_below(random, field->bound));
        return;
    case BENCH_PRICE:
        bench_put_decimal(buf, (int64_t)bench_below(random, field->bound * 100), 2);
        return;
    case BENCH_DEGREES:
        bench_put_decimal(buf,
                          (int64_t)bench_below(random, field->bound * 200000) -
                              (int64_t)field->bound * 100000,
                          5);
        return;
    case BENCH_BOOL:
        buf_append_text(buf, bench_below(random, 100) < 35 ? "true" : "false");
        return;
    case BENCH_UUID:
        bench_put_uuid(buf, random);
        return;
    case BENCH_DIGITS:
        buf_append_format(buf, "\"%017" PRIu64 "\"",
                          bench_below(random, UINT64_C(100000000000000000)));
        return;
    case BENCH_ADDRESS:
        bench_put_address(buf, random);
        return;
    case BENCH_URL:
        bench_put_url(buf, random);
        return;
    case BENCH_BEFORE:
        bench_put_count(buf, (uint64_t)time_ms - bench_below(random, field->bound));
        return;
    case BENCH_ITEMS:
    case BENCH_MAP:
        bench_put_document(buf, random, field->kind);
        return;
    }
    ASSERT(false);
}

static void bench_put_event(struct buf *buf, struct bench_random *random, int64_t time_ms)
{
    buf_append_text(buf, "{\"timestamp\":");
    bench_put_count(buf, (uint64_t)time_ms);
    for (size_t i = 0; i < ARRAY_COUNT(bench_fields); i++) {
        const struct bench_field *field = &bench_fields[i];
        if (bench_below(random, 100) >= field->percent)
            continue;
        buf_append_text(buf, ",\"");
        buf_append_text(buf, field->name);
        buf_append_text(buf, "\":");
        bench_put_value(buf, random, field, time_ms);
    }
    buf_append_text(buf, "}\n");
}

// The day's rows come evenly, each up to two seconds early or late, within the day.
static int64_t bench_time(struct bench_random *random, int64_t row, int64_t row_count)
{
    const int64_t even_ms = (int64_t)((double)row / (double)row_count * (double)CIVIL_DAY_MS);
    const int64_t jitter_ms = (int64_t)bench_below(random, 2 * (uint64_t)BENCH_JITTER_MS) -
                              BENCH_JITTER_MS;
    const int64_t time_ms = even_ms + jitter_ms;
    if (time_ms < 0)
        return 0;
    return time_ms < CIVIL_DAY_MS ? time_ms : CIVIL_DAY_MS - 1;
}

static bool bench_flush(struct buf *buf)
{
    const size_t size_bytes = buf->size_bytes;
    const bool is_written = fwrite(buf->data, 1, size_bytes, stdout) == size_bytes;
    buf_reset(buf);
    return is_written;
}

int main(int argument_count, char **arguments)
{
    int64_t numbers[3];
    bool is_right = argument_count == 4;
    for (int i = 0; i < 3 && is_right; i++)
        is_right = number_parse_int64(slice_text(arguments[i + 1]), &numbers[i]);
    if (!is_right) {
        (void)fputs("usage: bench_events ROWS SEED DAY_START_MS\n", stderr);
        return 2;
    }
    struct bench_random random = {(uint64_t)numbers[1]};
    struct buf buf CLEANUP(buf_clear);
    buf_init(&buf, BENCH_LIMIT_BYTES);
    for (int64_t row = 0; row < numbers[0] && is_right; row++) {
        bench_put_event(&buf, &random, numbers[2] + bench_time(&random, row, numbers[0]));
        if (buf.size_bytes >= BENCH_FLUSH_BYTES)
            is_right = bench_flush(&buf);
    }
    is_right = bench_flush(&buf) && is_right && fflush(stdout) == 0 && !buf.overflowed;
    return is_right ? 0 : 1;
}
