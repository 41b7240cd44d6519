// SPDX-License-Identifier: Apache-2.0
#include "cloud/s3_xml.h"

#include <expat.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/xml_text.h"

#define S3_XML_PATH_BYTES_MAX ((size_t)512)

struct s3_xml {
    XML_Parser parser;
    void (*take)(void *context, const char *path, struct slice text);
    void *context;
    struct buf path;
    // Texts of the open elements, one behind the other: element i begins at starts[i].
    struct buf text;
    size_t starts[S3_XML_DEPTH_MAX];
    size_t depth;
    const char *refusal; // NULL: none
};

static void s3_xml_refuse(struct s3_xml *xml, const char *refusal)
{
    if (xml->refusal == NULL)
        xml->refusal = refusal;
    (void)XML_StopParser(xml->parser, XML_FALSE); // fails only when it has stopped already
}

static const char *s3_xml_local_name(const char *name)
{
    const char *colon = strrchr(name, ':');
    return colon == NULL ? name : colon + 1;
}

static void XMLCALL s3_xml_start(void *context, const char *name, const char **attributes)
{
    (void)attributes;
    struct s3_xml *xml = context;
    if (xml->refusal != NULL)
        return; // expat may report what it has read already
    if (xml->depth == S3_XML_DEPTH_MAX) {
        s3_xml_refuse(xml, "too deep");
        return;
    }
    if (xml->depth > 0)
        buf_append_char(&xml->path, '/');
    buf_append_text(&xml->path, s3_xml_local_name(name));
    if (xml->path.overflowed)
        s3_xml_refuse(xml, "names too long");
    xml->starts[xml->depth++] = xml->text.size_bytes;
}

static void XMLCALL s3_xml_characters(void *context, const char *characters, int size)
{
    struct s3_xml *xml = context;
    if (xml->refusal != NULL || xml->depth == 0)
        return;
    const size_t start = xml->starts[xml->depth - 1];
    if (xml->text.size_bytes - start + (size_t)size > S3_XML_TEXT_BYTES_MAX) {
        s3_xml_refuse(xml, "text too long");
        return;
    }
    buf_append(&xml->text, slice_of(characters, (size_t)size));
}

static void XMLCALL s3_xml_end(void *context, const char *name)
{
    struct s3_xml *xml = context;
    if (xml->refusal != NULL)
        return;
    ASSERT(xml->depth > 0);
    const size_t start = xml->starts[xml->depth - 1];
    xml->take(xml->context, buf_text(&xml->path), slice_from(buf_slice(&xml->text), start));
    xml->text.size_bytes = start;
    const size_t name_bytes = strlen(s3_xml_local_name(name)) + (xml->depth > 1 ? 1 : 0);
    ASSERT(xml->path.size_bytes >= name_bytes);
    xml->path.size_bytes -= name_bytes;
    xml->path.data[xml->path.size_bytes] = '\0';
    xml->depth--;
}

static void XMLCALL s3_xml_doctype(void *context, const char *name, const char *system_id,
                                   const char *public_id, int has_subset)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_subset;
    s3_xml_refuse(context, "it has a document type");
}

static void s3_xml_parse(struct s3_xml *xml, struct slice document)
{
    XML_SetUserData(xml->parser, xml);
    XML_SetElementHandler(xml->parser, s3_xml_start, s3_xml_end);
    XML_SetCharacterDataHandler(xml->parser, s3_xml_characters);
    XML_SetStartDoctypeDeclHandler(xml->parser, s3_xml_doctype);
    const enum XML_Status status = XML_Parse(xml->parser, slice_chars(document),
                                             (int)document.size_bytes, XML_TRUE);
    if (status != XML_STATUS_OK && xml->refusal == NULL)
        xml->refusal = XML_ErrorString(XML_GetErrorCode(xml->parser));
}

bool s3_xml_read(struct slice document,
                 void (*take)(void *context, const char *path, struct slice text), void *context,
                 struct err *err)
{
    if (document.size_bytes > S3_XML_BYTES_MAX)
        return err_set(err, ERR_UNAVAILABLE, "reply is not usable: XML too large");
    static const XML_Memory_Handling_Suite memory = {mem_alloc, mem_resize, mem_free};
    struct s3_xml xml = {.take = take, .context = context};
    xml.parser = XML_ParserCreate_MM(NULL, &memory, NULL);
    ASSERT(xml.parser != NULL);
    buf_init(&xml.path, S3_XML_PATH_BYTES_MAX);
    buf_init(&xml.text, S3_XML_TEXT_BYTES_MAX * S3_XML_DEPTH_MAX);
    s3_xml_parse(&xml, document);
    XML_ParserFree(xml.parser);
    buf_clear(&xml.path);
    buf_clear(&xml.text);
    if (xml.refusal != NULL)
        return err_set(err, ERR_UNAVAILABLE, "reply is not usable: XML: %s", xml.refusal);
    return true;
}

struct s3_xml_search {
    const char *const *paths;
    size_t count;
    struct arena *arena;
    const char **texts;
};

static void s3_xml_take_text(void *context, const char *path, struct slice text)
{
    struct s3_xml_search *search = context;
    for (size_t i = 0; i < search->count; i++)
        if (search->texts[i] == NULL && strcmp(search->paths[i], path) == 0)
            search->texts[i] = arena_copy_slice(search->arena, text);
}

bool s3_xml_texts(struct slice document, const char *const *paths, size_t count,
                  struct arena *arena, const char **ret_texts, struct err *err)
{
    struct s3_xml_search search = {paths, count, arena, NULL};
    search.texts = arena_alloc_array(arena, count, sizeof *search.texts);
    TRY(s3_xml_read(document, s3_xml_take_text, &search, err));
    for (size_t i = 0; i < count; i++)
        ret_texts[i] = search.texts[i];
    return true;
}

void s3_xml_append(struct buf *xml, const char *text)
{
    xml_text_escape(xml, slice_text(text));
}
