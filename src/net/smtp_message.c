// SPDX-License-Identifier: Apache-2.0
#include "net/smtp_message.h"

#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/uri.h"
#include "net/http_target.h"
#include "net/mime_text.h"

#define SMTP_ADDRESS_CHARS_MAX ((size_t)254)
#define SMTP_LOCAL_CHARS_MAX   ((size_t)64)
#define SMTP_ID_CHARS_MAX      ((size_t)250)
#define SMTP_VALUE_CHARS_MAX   ((size_t)900) // with its name below the 998 of a line
#define SMTP_SUBJECT_BYTES_MAX ((size_t)2000)
#define SMTP_NAME_BYTES_MAX    ((size_t)200)
// What encoding makes of a text at most: three characters for a byte, and soft line breaks.
#define SMTP_HEAD_BYTES_MAX (8 * SMTP_TEXT_BYTES_MAX)
#define SMTP_LINE_BYTES     ((size_t)57) // 76 characters of base 64
#define SMTP_LINE_CHARS     ((size_t)76)
#define SMTP_BLOCK_BYTES    (256 * SMTP_LINE_BYTES)

// "=_" is in no text that is quoted-printable or base 64.
#define SMTP_MIXED       "=_milkrun_mixed"
#define SMTP_ALTERNATIVE "=_milkrun_alternative"

#define SMTP_LETTERS_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define SMTP_ATOM           SMTP_LETTERS_DIGITS "!#$%&'*+-/=?^_`{|}~"
#define SMTP_HOST           SMTP_LETTERS_DIGITS "-"

enum smtp_stage {
    SMTP_STAGE_HEAD,
    SMTP_STAGE_ATTACHMENT,
    SMTP_STAGE_TAIL,
    SMTP_STAGE_END,
};

// --- What may stand where

// Parts of those characters with dots between.
static bool smtp_is_dotted(struct slice text, const char *characters)
{
    const char *chars = slice_chars(text);
    bool has_part = false;
    for (size_t i = 0; i < text.size_bytes; i++) {
        const bool is_dot = chars[i] == '.';
        if (chars[i] == '\0' || (is_dot ? !has_part : strchr(characters, chars[i]) == NULL))
            return false;
        has_part = !is_dot;
    }
    return has_part;
}

bool smtp_address_is_valid(const char *address)
{
    const char *at = strchr(address, '@');
    if (at == NULL || strlen(address) > SMTP_ADDRESS_CHARS_MAX)
        return false;
    const size_t local_chars = (size_t)(at - address);
    return local_chars <= SMTP_LOCAL_CHARS_MAX &&
           smtp_is_dotted(slice_of(address, local_chars), SMTP_ATOM) &&
           smtp_is_dotted(slice_text(at + 1), SMTP_HOST);
}

static bool smtp_id_is_valid(const char *id)
{
    const size_t size_chars = strlen(id);
    if (size_chars < 5 || size_chars > SMTP_ID_CHARS_MAX || id[0] != '<' ||
        id[size_chars - 1] != '>')
        return false;
    const char *at = strchr(id, '@');
    return at != NULL && smtp_is_dotted(slice_of(id + 1, (size_t)(at - id - 1)), SMTP_ATOM) &&
           smtp_is_dotted(slice_of(at + 1, (size_t)(id + size_chars - 2 - at)), SMTP_ATOM);
}

// UTF-8 without control characters.
static bool smtp_is_free_text(const char *text, size_t bytes_max)
{
    const struct slice slice = slice_text(text);
    if (slice.size_bytes > bytes_max || !http_utf8_is_valid(slice))
        return false;
    for (size_t i = 0; i < slice.size_bytes; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
    return true;
}

static bool smtp_is_token(const char *text, const char *characters)
{
    return text[0] != '\0' && text[strspn(text, characters)] == '\0';
}

static bool smtp_check_texts(const struct smtp_message *message, struct err *err)
{
    const struct slice text = slice_text(message->text);
    const struct slice html = slice_text(message->html);
    if (text.size_bytes > SMTP_TEXT_BYTES_MAX || html.size_bytes > SMTP_TEXT_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "the text of the message is too long");
    if (!http_utf8_is_valid(text) || !http_utf8_is_valid(html))
        return err_set(err, ERR_INVALID, "the text of the message is not UTF-8");
    return true;
}

static bool smtp_check(const struct smtp_message *message, struct err *err)
{
    const struct smtp_attachment *attachment = message->attachment;
    if (!smtp_address_is_valid(message->from))
        return err_set(err, ERR_INVALID, "the sender's address cannot be");
    if (!smtp_address_is_valid(message->to))
        return err_set(err, ERR_INVALID, "the recipient's address cannot be");
    if (message->from_name != NULL && !smtp_is_free_text(message->from_name, SMTP_NAME_BYTES_MAX))
        return err_set(err, ERR_INVALID, "the sender's name cannot be");
    if (!smtp_id_is_valid(message->message_id))
        return err_set(err, ERR_INVALID, "the message's id cannot be");
    if (!smtp_is_free_text(message->subject, SMTP_SUBJECT_BYTES_MAX))
        return err_set(err, ERR_INVALID, "the subject cannot be");
    for (size_t i = 0; i < message->header_count; i++) {
        const struct smtp_header *header = &message->headers[i];
        if (!smtp_is_token(header->name, SMTP_HOST) || !mime_is_ascii(slice_text(header->value)) ||
            strlen(header->name) + strlen(header->value) > SMTP_VALUE_CHARS_MAX)
            return err_set(err, ERR_INVALID, "header %zu of the message cannot be", i + 1);
    }
    if (attachment != NULL &&
        (attachment->name[0] == '\0' || !smtp_is_free_text(attachment->name, SMTP_NAME_BYTES_MAX)))
        return err_set(err, ERR_INVALID, "the name of the attachment cannot be");
    if (attachment != NULL && attachment->type != NULL &&
        !smtp_is_token(attachment->type, SMTP_HOST "/.+"))
        return err_set(err, ERR_INVALID, "the type of the attachment cannot be");
    return smtp_check_texts(message, err);
}

// --- Head and tail

static void smtp_write_from(struct buf *head, const struct smtp_message *message)
{
    buf_append_text(head, "From: ");
    if (message->from_name != NULL && message->from_name[0] != '\0') {
        // Encoded whenever it has a character that would need quotes.
        if (smtp_is_token(message->from_name, SMTP_LETTERS_DIGITS " -_"))
            buf_append_text(head, message->from_name);
        else
            mime_append_encoded_words(head, slice_text(message->from_name), strlen("From: "));
        buf_append_text(head, "\r\n ");
    }
    buf_append_format(head, "<%s>\r\n", message->from);
}

static void smtp_write_headers(struct buf *head, const struct smtp_message *message)
{
    buf_append_text(head, "Date: ");
    mime_append_date(head, message->date_ms);
    buf_append_text(head, "\r\n");
    smtp_write_from(head, message);
    buf_append_format(head, "To: <%s>\r\nMessage-ID: %s\r\nSubject: ", message->to,
                      message->message_id);
    mime_append_unstructured(head, slice_text(message->subject), strlen("Subject: "));
    // No answers by machines (RFC 3834): holiday notes would go to nobody.
    buf_append_text(head, "\r\nAuto-Submitted: auto-generated\r\n");
    for (size_t i = 0; i < message->header_count; i++)
        buf_append_format(head, "%s: %s\r\n", message->headers[i].name, message->headers[i].value);
    buf_append_text(head, "MIME-Version: 1.0\r\n");
}

static void smtp_write_part(struct buf *head, const char *type, const char *text)
{
    buf_append_format(head,
                      "Content-Type: %s; charset=utf-8\r\n"
                      "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
                      type);
    mime_append_quoted_printable(head, slice_text(text));
}

// The line break before a boundary belongs to the boundary.
static void smtp_write_texts(struct buf *head, const struct smtp_message *message)
{
    if (message->html == NULL) {
        smtp_write_part(head, "text/plain", message->text);
        return;
    }
    buf_append_text(head, "Content-Type: multipart/alternative;\r\n boundary=\"" SMTP_ALTERNATIVE
                          "\"\r\n\r\n--" SMTP_ALTERNATIVE "\r\n");
    smtp_write_part(head, "text/plain", message->text);
    buf_append_text(head, "\r\n--" SMTP_ALTERNATIVE "\r\n");
    smtp_write_part(head, "text/html", message->html);
    buf_append_text(head, "\r\n--" SMTP_ALTERNATIVE "--\r\n");
}

static void smtp_write_attachment_head(struct buf *head, const struct smtp_attachment *attachment)
{
    const struct slice name = slice_text(attachment->name);
    buf_append_format(head,
                      "\r\n--" SMTP_MIXED "\r\nContent-Type: %s\r\n"
                      "Content-Transfer-Encoding: base64\r\n"
                      "Content-Disposition: attachment;\r\n ",
                      attachment->type == NULL ? "application/octet-stream" : attachment->type);
    if (smtp_is_token(attachment->name, SMTP_LETTERS_DIGITS "-_. ()[]{}@#$&+,=~")) {
        buf_append_format(head, "filename=\"%s\"", attachment->name);
    } else {
        buf_append_text(head, "filename*=UTF-8''");
        uri_append_encoded(head, name, "");
    }
    buf_append_text(head, "\r\n\r\n");
}

bool smtp_writer_init(struct smtp_writer *writer, const struct smtp_message *message,
                      struct err *err)
{
    *writer = (struct smtp_writer){.attachment = message->attachment};
    buf_init(&writer->head, SMTP_HEAD_BYTES_MAX);
    buf_init(&writer->tail, SMTP_HEAD_BYTES_MAX);
    buf_init(&writer->lines, 2 * SMTP_BLOCK_BYTES);
    TRY(smtp_check(message, err));
    smtp_write_headers(&writer->head, message);
    if (message->attachment != NULL)
        buf_append_text(&writer->head, "Content-Type: multipart/mixed; boundary=\"" SMTP_MIXED
                                       "\"\r\n\r\n--" SMTP_MIXED "\r\n");
    smtp_write_texts(&writer->head, message);
    if (message->attachment != NULL) {
        smtp_write_attachment_head(&writer->head, message->attachment);
        buf_append_text(&writer->tail, "\r\n--" SMTP_MIXED "--\r\n");
    }
    writer->pending = buf_slice(&writer->head);
    return buf_check(&writer->head, err);
}

void smtp_writer_clear(struct smtp_writer *writer)
{
    buf_clear(&writer->head);
    buf_clear(&writer->tail);
    buf_clear(&writer->lines);
}

uint64_t smtp_writer_size(const struct smtp_writer *writer)
{
    uint64_t size_bytes = writer->head.size_bytes + writer->tail.size_bytes;
    if (writer->attachment != NULL) {
        const uint64_t rest_bytes = writer->attachment->size_bytes % SMTP_LINE_BYTES;
        size_bytes += writer->attachment->size_bytes / SMTP_LINE_BYTES * (SMTP_LINE_CHARS + 2);
        size_bytes += rest_bytes == 0 ? 0 : (rest_bytes + 2) / 3 * 4 + 2;
    }
    return size_bytes;
}

// --- Bytes

static bool smtp_writer_load(struct smtp_writer *writer, uint8_t *ret_bytes, size_t *ret_size,
                             struct err *err)
{
    const struct smtp_attachment *attachment = writer->attachment;
    const uint64_t left_bytes = attachment->size_bytes - writer->offset_bytes;
    const size_t wanted = left_bytes < SMTP_BLOCK_BYTES ? (size_t)left_bytes : SMTP_BLOCK_BYTES;
    if (!file_read_at(attachment->fd, writer->offset_bytes, ret_bytes, wanted, err))
        return err_wrap(err, "the attachment");
    *ret_size = wanted;
    return true;
}

// The next lines of the attachment.
static bool smtp_writer_encode(struct smtp_writer *writer, struct err *err)
{
    uint8_t bytes[SMTP_BLOCK_BYTES];
    size_t size = 0;
    TRY(smtp_writer_load(writer, bytes, &size, err));
    writer->offset_bytes += size;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct slice text = slice_text(base64_encode(BASE64_STANDARD, slice_of(bytes, size), &arena));
    buf_reset(&writer->lines);
    while (text.size_bytes > 0) {
        const size_t chars = text.size_bytes < SMTP_LINE_CHARS ? text.size_bytes : SMTP_LINE_CHARS;
        buf_append(&writer->lines, slice_part(text, 0, chars));
        buf_append_text(&writer->lines, "\r\n");
        text = slice_from(text, chars);
    }
    ASSERT(!writer->lines.overflowed);
    writer->pending = buf_slice(&writer->lines);
    return true;
}

// What comes when all that was pending is taken.
static bool smtp_writer_advance(struct smtp_writer *writer, struct err *err)
{
    switch ((enum smtp_stage)writer->stage) {
    case SMTP_STAGE_HEAD:
        writer->stage = writer->attachment == NULL ? SMTP_STAGE_END : SMTP_STAGE_ATTACHMENT;
        return true;
    case SMTP_STAGE_ATTACHMENT:
        if (writer->offset_bytes < writer->attachment->size_bytes)
            return smtp_writer_encode(writer, err);
        writer->stage = SMTP_STAGE_TAIL;
        writer->pending = buf_slice(&writer->tail);
        return true;
    case SMTP_STAGE_TAIL:
        writer->stage = SMTP_STAGE_END;
        return true;
    case SMTP_STAGE_END:
        return true;
    }
    return true;
}

bool smtp_writer_read(struct smtp_writer *writer, void *ret_data, size_t capacity_bytes,
                      size_t *ret_bytes, struct err *err)
{
    char *at = ret_data;
    size_t given = 0;
    for (;;) {
        const size_t room = capacity_bytes - given;
        const size_t part = writer->pending.size_bytes < room ? writer->pending.size_bytes : room;
        if (part > 0)
            memcpy(at + given, writer->pending.data, part);
        writer->pending = slice_from(writer->pending, part);
        given += part;
        if (given == capacity_bytes || writer->stage == SMTP_STAGE_END)
            break;
        TRY(smtp_writer_advance(writer, err));
    }
    *ret_bytes = given;
    return true;
}
