// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "cloud/s3_xml.h"

static void take(void *context, const char *path, struct slice text)
{
    struct buf *seen = context;
    buf_append_format(seen, "%s=", path);
    buf_append(seen, text);
    buf_append_char(seen, '|');
}

static void expect(const char *document, const char *elements)
{
    struct buf seen CLEANUP(buf_clear);
    buf_init(&seen, 10000);
    struct err err = {0};
    if (!s3_xml_read(slice_text(document), take, &seen, &err))
        fail_msg("%s", err.message);
    assert_string_equal(buf_text(&seen), elements);
}

static void expect_refusal(struct slice document, const char *words)
{
    struct buf seen CLEANUP(buf_clear);
    buf_init(&seen, 4 * S3_XML_BYTES_MAX);
    struct err err = {0};
    assert_false(s3_xml_read(document, take, &seen, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    if (strstr(err.message, words) == NULL)
        fail_msg("%s", err.message);
}

static void test_elements_with_their_paths(void **state)
{
    (void)state;
    expect("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
           "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
           "<Name>b</Name><Contents><Key>a&amp;b&#x20;&lt;</Key><Size>1</Size></Contents>"
           "<Contents><Key>c</Key></Contents><IsTruncated>false</IsTruncated>"
           "</ListBucketResult>",
           "ListBucketResult/Name=b|ListBucketResult/Contents/Key=a&b <|"
           "ListBucketResult/Contents/Size=1|ListBucketResult/Contents=|"
           "ListBucketResult/Contents/Key=c|ListBucketResult/Contents=|"
           "ListBucketResult/IsTruncated=false|ListBucketResult=|");
    expect("<a>1<b>2</b>3<c/></a>", "a/b=2|a/c=|a=13|");
    expect("<ns:a xmlns:ns='x' t='1'><ns:b><![CDATA[<&]]></ns:b><!-- no --><?pi no?></ns:a>",
           "a/b=<&|a=|");
}

static void test_texts(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    static const char *const paths[] = {"Error/Code", "Error/Region", "Error/Message"};
    const char *texts[ARRAY_COUNT(paths)];
    struct err err = {0};
    assert_true(s3_xml_texts(slice_text("<Error><Code>A</Code><Code>B</Code><Message/></Error>"),
                             paths, ARRAY_COUNT(paths), &arena, texts, &err));
    assert_string_equal(texts[0], "A");
    assert_null(texts[1]);
    assert_string_equal(texts[2], "");
    assert_false(s3_xml_texts(slice_text("<Error><Code>A</Code>"), paths, 1, &arena, texts, &err));
    assert_string_equal(texts[0], "A"); // untouched
    arena_clear(&arena);
}

static void test_what_is_no_document(void **state)
{
    (void)state;
    static const char *const documents[] = {
        "",
        " ",
        "x",
        "{}",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a>&x;</a>",
        "<a>\x01</a>",
        "<a>\xff</a>",
        "<a b></a>",
        "<a>&#0;</a>",
        "\xef\xbb",
        "<a/>x",
        "<a><b/>",
        "<1/>",
        "<?xml version='1.0' encoding='EBCDIC'?><a/>",
    };
    for (size_t i = 0; i < ARRAY_COUNT(documents); i++)
        expect_refusal(slice_text(documents[i]), "XML: ");
    expect_refusal(slice_of("<a>\0</a>", 8), "XML: ");
}

static void test_no_document_type(void **state)
{
    (void)state;
    expect_refusal(slice_text("<!DOCTYPE a><a/>"), "document type");
    expect_refusal(slice_text("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"), "document type");
    expect_refusal(slice_text("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>"), "document type");
    expect_refusal(slice_text("<!DOCTYPE a [<!ENTITY b SYSTEM \"http://127.0.0.1/\">]><a>&b;</a>"),
                   "document type");
    expect_refusal(slice_text("<!DOCTYPE l [<!ENTITY a \"x\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">"
                              "<!ENTITY c \"&b;&b;&b;&b;&b;&b;\">]><l>&c;</l>"),
                   "document type");
}

static void test_bounds(void **state)
{
    (void)state;
    struct buf document CLEANUP(buf_clear);
    buf_init(&document, 2 * S3_XML_BYTES_MAX);
    for (size_t i = 0; i < 10000; i++)
        buf_append_text(&document, "<a>");
    expect_refusal(buf_slice(&document), "too deep");
    buf_reset(&document);
    for (size_t i = 0; i < S3_XML_DEPTH_MAX; i++)
        buf_append_text(&document, "<a>");
    for (size_t i = 0; i < S3_XML_DEPTH_MAX; i++)
        buf_append_text(&document, "</a>");
    struct buf seen CLEANUP(buf_clear);
    buf_init(&seen, 10000);
    struct err err = {0};
    assert_true(s3_xml_read(buf_slice(&document), take, &seen, &err));

    buf_reset(&document);
    buf_append_text(&document, "<a>");
    for (size_t i = 0; i < S3_XML_TEXT_BYTES_MAX + 1; i++)
        buf_append_char(&document, 'x');
    buf_append_text(&document, "</a>");
    expect_refusal(buf_slice(&document), "text too long");

    buf_reset(&document);
    buf_append_char(&document, '<');
    for (size_t i = 0; i < 1000; i++)
        buf_append_char(&document, 'x');
    buf_append_text(&document, "/>");
    expect_refusal(buf_slice(&document), "names too long");

    buf_reset(&document);
    buf_append_text(&document, "<a>");
    while (document.size_bytes <= S3_XML_BYTES_MAX)
        buf_append_text(&document, "<b/>");
    buf_append_text(&document, "</a>");
    expect_refusal(buf_slice(&document), "too large");
}

static void test_writing(void **state)
{
    (void)state;
    struct buf xml CLEANUP(buf_clear);
    buf_init(&xml, 1000);
    buf_append_text(&xml, "<a>");
    s3_xml_append(&xml, "<&\"'>]]> \xc3\xa4");
    buf_append_text(&xml, "</a>");
    expect(buf_text(&xml), "a=<&\"'>]]> \xc3\xa4|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements_with_their_paths),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_what_is_no_document),
        cmocka_unit_test(test_no_document_type),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
