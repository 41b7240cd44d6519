// SPDX-License-Identifier: Apache-2.0
// What the writer writes, the reader reads; what it did not write, the reader refuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "base/crc32c.h"
#include "ingest_fixture.h"
#include "lake/ingest_writer.h"

#define FRAME_COUNT 3
#define CHUNK_COUNT 6
#define FILE_BYTES  INT64_C(65536)

struct fixture {
    char directory[64];
    struct ingest_writer writer;
    struct buf metas[FRAME_COUNT];
    struct ingest_chunk chunks[CHUNK_COUNT];
    struct ingest_outgoing frames[FRAME_COUNT];
    int64_t ends[FRAME_COUNT]; // offsets behind the frames
};

// Lines of each chunk; part, count of lines and frame beside them.
static const struct {
    const char *lines;
    uint32_t part;
    uint32_t line_count;
    size_t frame;
} plan[CHUNK_COUNT] = {
    {"{\"a\":1}\n{\"a\":2}\n", 0, 2, 0}, {"{\"b\":1}\n", 1, 1, 0}, {"{\"c\":1}\n", 0, 1, 1},
    {"{\"d\":1}\n{\"d\":2}\n", 0, 2, 2}, {"{\"e\":1}\n", 0, 1, 2}, {"{\"f\":1}\n", 0, 1, 2},
};

static void make_meta(struct buf *meta, uint32_t part_count, bool has_key)
{
    buf_init(meta, 4096);
    const struct ingest_disk_meta head = {
        .part_count = part_count, .has_key = has_key, .answer_bytes = has_key ? 6 : 0};
    buf_append(meta, slice_of(&head, sizeof head));
    for (uint32_t i = 0; i < part_count; i++) {
        const struct ingest_part part = {1000 + i, 2000 + i, 3000 + i, 4000 + i};
        buf_append(meta, slice_of(&part, sizeof part));
    }
    for (int i = 0; i < 128 && has_key; i++)
        buf_append_char(meta, i < 64 ? 'a' : 'b');
    if (has_key)
        buf_append_text(meta, "answer");
}

static void make_frames(struct fixture *fixture)
{
    for (size_t i = 0; i < FRAME_COUNT; i++) {
        make_meta(&fixture->metas[i], i == 0 ? 2 : 1, i == 1);
        fixture->frames[i] = (struct ingest_outgoing){.meta = buf_slice(&fixture->metas[i]),
                                                      .received_at_ms = 500 + (int64_t)i};
    }
    for (size_t i = CHUNK_COUNT; i-- > 0;) {
        struct ingest_chunk *chunk = &fixture->chunks[i];
        struct ingest_outgoing *frame = &fixture->frames[plan[i].frame];
        *chunk = (struct ingest_chunk){.next = frame->chunks};
        buf_init(&chunk->lines, 4096);
        buf_append_text(&chunk->lines, plan[i].lines);
        chunk->disk.part = plan[i].part;
        chunk->disk.line_count = plan[i].line_count;
        chunk->disk.size_bytes = (uint32_t)chunk->lines.size_bytes;
        chunk->disk.data_crc = crc32c(buf_slice(&chunk->lines));
        frame->chunks = chunk;
        frame->chunk_count++;
        frame->line_count += plan[i].line_count;
    }
}

static int setup(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/milkrun-frame-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    char path[128];
    (void)snprintf(path, sizeof path, "%s/log", fixture->directory);
    assert_done(file_make_directories(path, &fact));
    ingest_writer_init(&fixture->writer, fixture->directory, FILE_BYTES);
    make_frames(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    ingest_writer_clear(&fixture->writer);
    for (size_t i = 0; i < FRAME_COUNT; i++)
        buf_clear(&fixture->metas[i]);
    for (size_t i = 0; i < CHUNK_COUNT; i++)
        buf_clear(&fixture->chunks[i].lines);
    assert_done(file_walk(fixture->directory, "", fixture_remove_file, NULL, &fact));
    char path[128];
    (void)snprintf(path, sizeof path, "%s/log", fixture->directory);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(fixture->directory), 0);
    mem_free(fixture);
    return 0;
}

// Frame 0 alone, then 1 and 2 as a group.
static void write_frames(struct fixture *fixture)
{
    assert_done(ingest_writer_open(&fixture->writer, 4096, &fact));
    struct ingest_outgoing *frames[] = {&fixture->frames[0], &fixture->frames[1],
                                        &fixture->frames[2]};
    assert_done(ingest_writer_write(&fixture->writer, frames, 1, &fact));
    assert_done(ingest_writer_write(&fixture->writer, frames + 1, 2, &fact));
    int64_t offset = INGEST_BLOCK_BYTES;
    for (size_t i = 0; i < FRAME_COUNT; i++) {
        assert_int_equal(offset % INGEST_ALIGN_BYTES, 0);
        offset += ingest_outgoing_bytes(&fixture->frames[i]);
        fixture->ends[i] = offset;
    }
    assert_int_equal(fixture->writer.offset, offset);
    assert_int_equal(fixture->writer.seq, 8);
}

static bool open_reader(struct fixture *fixture, int64_t byte_limit, int64_t seq_from,
                        struct ingest_reader **ret_reader, struct err *err)
{
    const struct ingest_reader_options options = {
        .data_directory = fixture->directory,
        .file_id = 1,
        .byte_limit = byte_limit,
        .seq_from = seq_from,
    };
    return ingest_reader_open(&options, ret_reader, err);
}

// Reads pieces from `first` on to the end and compares them with the plan. False: the reader's
// error.
static bool read_pieces(struct fixture *fixture, int64_t byte_limit, int64_t seq_from, size_t first,
                        size_t end, struct err *err)
{
    struct ingest_reader *reader CLEANUP(ingest_reader_close) = NULL;
    TRY(open_reader(fixture, byte_limit, seq_from, &reader, err));
    for (size_t i = first; i < end; i++) {
        struct ingest_piece piece;
        bool is_found;
        TRY(ingest_reader_next(reader, &is_found, &piece, err));
        assert_true(is_found);
        assert_true(slice_equal_text(piece.lines, plan[i].lines));
        assert_int_equal(piece.line_count, plan[i].line_count);
        assert_int_equal(piece.part->app_id, 2000 + plan[i].part);
        assert_int_equal(piece.part->schema_id, 4000 + plan[i].part);
        assert_int_equal(piece.frame->received_at_ms, 500 + plan[i].frame);
        assert_int_equal(piece.frame->part_count, plan[i].frame == 0 ? 2 : 1);
        assert_int_equal(slice_is_empty(piece.frame->idempotency_scope), plan[i].frame != 1);
        int64_t seq = 0;
        for (size_t j = 0; j < i; j++)
            seq += plan[j].line_count;
        assert_int_equal(piece.seq_lo, seq);
        assert_int_equal(piece.is_last_of_frame,
                         i + 1 == CHUNK_COUNT || plan[i + 1].frame != plan[i].frame);
    }
    struct ingest_piece piece;
    bool is_found = true;
    TRY(ingest_reader_next(reader, &is_found, &piece, err));
    assert_false(is_found);
    // Asking again at the end is fine.
    TRY(ingest_reader_next(reader, &is_found, &piece, err));
    assert_false(is_found);
    return true;
}

static void test_reads_what_was_written(void **state)
{
    struct fixture *fixture = *state;
    write_frames(fixture);
    assert_done(read_pieces(fixture, fixture->ends[2], 0, 0, CHUNK_COUNT, &fact));
    assert_done(read_pieces(fixture, fixture->ends[1], 0, 0, 3, &fact));
    assert_done(read_pieces(fixture, fixture->ends[0], 0, 0, 2, &fact));
    assert_done(read_pieces(fixture, INGEST_BLOCK_BYTES, 0, 0, 0, &fact));
}

// Reads the pieces of a file of which the catalog says how far it goes; returns their number.
static int count_pieces(struct fixture *fixture, int64_t byte_limit, int64_t seq_hi,
                        int64_t seq_from, struct err *err)
{
    const struct ingest_reader_options options = {
        .data_directory = fixture->directory,
        .file_id = 1,
        .byte_limit = byte_limit,
        .seq_hi = seq_hi,
        .seq_from = seq_from,
    };
    struct ingest_reader *reader CLEANUP(ingest_reader_close) = NULL;
    assert_true(ingest_reader_open(&options, &reader, err));
    struct ingest_piece piece;
    bool is_found = true;
    int count = 0;
    while (ingest_reader_next(reader, &is_found, &piece, err) && is_found)
        count++;
    return count;
}

static void test_a_wrong_extent_is_corrupt(void **state)
{
    struct fixture *fixture = *state;
    write_frames(fixture);
    struct err err = {0};
    assert_int_equal(count_pieces(fixture, fixture->ends[2], 8, 0, &err), CHUNK_COUNT);
    assert_int_equal(err.kind, ERR_NONE);
    // Past bytes that are not the file's.
    assert_int_equal(count_pieces(fixture, FILE_BYTES, 8, 0, &err), CHUNK_COUNT);
    assert_int_equal(err.kind, ERR_NONE);
    // The limit hides the last frame: every piece before it is given.
    assert_int_equal(count_pieces(fixture, fixture->ends[1], 8, 0, &err), 3);
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_non_null(strstr(err.message, "with seq 4 and not 8: events from seq 5 on cannot be"));
    err_clear(&err);
    assert_int_equal(count_pieces(fixture, fixture->ends[1], 8, 4, &err), 0);
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    assert_int_equal(count_pieces(fixture, INGEST_BLOCK_BYTES, 8, 0, &err), 0);
    assert_int_equal(err.kind, ERR_CORRUPT);
    err_clear(&err);
    // A frame that reaches over the last row is not given.
    assert_int_equal(count_pieces(fixture, fixture->ends[2], 6, 0, &err), 3);
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_non_null(strstr(err.message, "with seq 8 and not 6: events from seq 5 on cannot be"));
}

static void test_gives_key_and_answer(void **state)
{
    struct fixture *fixture = *state;
    write_frames(fixture);
    struct ingest_reader *reader = NULL;
    assert_done(open_reader(fixture, fixture->ends[2], 3, &reader, &fact));
    struct ingest_piece piece;
    bool is_found;
    assert_done(ingest_reader_next(reader, &is_found, &piece, &fact));
    assert_int_equal(piece.frame->idempotency_scope.size_bytes, 64);
    assert_int_equal(slice_chars(piece.frame->idempotency_scope)[63], 'a');
    assert_int_equal(piece.frame->body_sha256.size_bytes, 64);
    assert_int_equal(slice_chars(piece.frame->body_sha256)[0], 'b');
    assert_true(slice_equal_text(piece.frame->answer, "answer"));
    ingest_reader_close(&reader);
}

static void test_starts_behind_a_seal_point(void **state)
{
    struct fixture *fixture = *state;
    write_frames(fixture);
    int64_t seq = 0;
    for (size_t i = 0; i < CHUNK_COUNT; i++) {
        assert_done(read_pieces(fixture, fixture->ends[2], seq, i, CHUNK_COUNT, &fact));
        seq += plan[i].line_count;
    }
    assert_done(read_pieces(fixture, fixture->ends[2], seq, CHUNK_COUNT, CHUNK_COUNT, &fact));
    struct err err = {0};
    assert_false(read_pieces(fixture, fixture->ends[2], 1, 1, CHUNK_COUNT, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
}

static int open_file(struct fixture *fixture)
{
    char path[INGEST_PATH_CHARS];
    ingest_disk_log_path(fixture->directory, 1, path);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void flip(int fd, int64_t offset)
{
    char byte;
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
}

static void test_refuses_every_flipped_byte(void **state)
{
    struct fixture *fixture = *state;
    write_frames(fixture);
    const int fd = open_file(fixture);
    int refused = 0;
    for (int64_t at = INGEST_BLOCK_BYTES; at < fixture->ends[2]; at++) {
        flip(fd, at);
        // Either it is refused, or (padding) it does not matter.
        struct err err = {0};
        if (!read_pieces(fixture, fixture->ends[2], 0, 0, CHUNK_COUNT, &err)) {
            assert_int_equal(err.kind, ERR_CORRUPT);
            refused++;
        }
        flip(fd, at);
    }
    const int64_t used_bytes = fixture->ends[2] - INGEST_BLOCK_BYTES;
    assert_true(refused >= used_bytes - FRAME_COUNT * INGEST_ALIGN_BYTES);
    // Lines that are sealed are not looked at again.
    const int64_t first_line = INGEST_BLOCK_BYTES + (int64_t)sizeof(struct ingest_disk_frame) +
                               (int64_t)fixture->metas[0].size_bytes +
                               (int64_t)sizeof(struct ingest_disk_chunk);
    flip(fd, first_line);
    assert_done(read_pieces(fixture, fixture->ends[2], 2, 1, CHUNK_COUNT, &fact));
    assert_done(read_pieces(fixture, fixture->ends[2], 3, 2, CHUNK_COUNT, &fact));
    struct err err = {0};
    assert_false(read_pieces(fixture, fixture->ends[2], 0, 0, CHUNK_COUNT, &err));
    assert_string_equal(err.message,
                        "log file 0000000001 is damaged at byte 4096 (lines): events from seq 1 "
                        "on cannot be read");
    (void)close(fd);
}

static void test_refuses_bad_limits_and_headers(void **state)
{
    struct fixture *fixture = *state;
    struct ingest_reader *reader = NULL;
    struct err err = {0};
    assert_false(open_reader(fixture, 4096, 0, &reader, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    write_frames(fixture);
    // A limit inside a frame, and one behind the last.
    for (int64_t limit = fixture->ends[1] + 1; limit < fixture->ends[2]; limit += 50) {
        err_clear(&err);
        assert_false(read_pieces(fixture, limit, 0, 0, CHUNK_COUNT, &err));
        assert_int_equal(err.kind, ERR_CORRUPT);
    }
    assert_false(read_pieces(fixture, fixture->ends[2] + 64, 0, 0, CHUNK_COUNT, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    const int fd = open_file(fixture);
    for (int64_t at = 0; at < (int64_t)sizeof(struct ingest_disk_block); at++) {
        flip(fd, at);
        err_clear(&err);
        assert_false(open_reader(fixture, 4096, 0, &reader, &err));
        assert_int_equal(err.kind, ERR_CORRUPT);
        flip(fd, at);
    }
    assert_int_equal(ftruncate(fd, 20), 0);
    assert_false(open_reader(fixture, 4096, 0, &reader, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_null(reader);
    (void)close(fd);
}

// A recycled file is full of old frames.
static void test_old_frames_do_not_count(void **state)
{
    struct fixture *fixture = *state;
    write_frames(fixture);
    ingest_writer_leave(&fixture->writer);
    assert_int_equal(fixture->writer.file_id, 2);
    assert_done(ingest_writer_recycle(&fixture->writer, 1, &fact));
    assert_done(ingest_writer_recycle(&fixture->writer, 1, &fact));
    assert_int_equal(fixture->writer.spare_count, 1);
    fixture->writer.file_id = 1;
    fixture->writer.seq = 0;
    struct ingest_outgoing *frame = &fixture->frames[0];
    assert_done(ingest_writer_open(&fixture->writer, 4096, &fact));
    assert_int_equal(fixture->writer.spare_count, 0);
    assert_done(ingest_writer_write(&fixture->writer, &frame, 1, &fact));
    assert_done(read_pieces(fixture, fixture->ends[0], 0, 0, 2, &fact));
    struct err err = {0};
    assert_false(read_pieces(fixture, fixture->ends[2], 0, 0, CHUNK_COUNT, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
}

// A file whose very first group fails has no rows: the next file takes its id.
static void test_a_failed_first_group(void **state)
{
    struct fixture *fixture = *state;
    struct ingest_writer *writer = &fixture->writer;
    assert_done(ingest_writer_open(writer, 4096, &fact));
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(dup3(full, writer->fd, O_CLOEXEC), writer->fd);
    (void)close(full);
    struct ingest_outgoing *frame = &fixture->frames[0];
    struct err err = {0};
    assert_false(ingest_writer_write(writer, &frame, 1, &err));
    assert_int_equal(err.kind, ERR_FULL);
    assert_false(ingest_writer_has_room(writer, 64));
    bool has_rows;
    struct segment_log_file file;
    ingest_writer_describe(writer, &has_rows, &file);
    assert_false(has_rows);
    ingest_writer_leave(writer);
    assert_int_equal(writer->file_id, 1);
    write_frames(fixture);
    ingest_writer_describe(writer, &has_rows, &file);
    assert_true(has_rows);
    assert_int_equal(file.id, 1);
    assert_int_equal(file.seq_lo, 0);
    assert_int_equal(file.seq_hi, 8);
    assert_int_equal(file.byte_count, fixture->ends[2]);
    assert_done(read_pieces(fixture, file.byte_count, 0, 0, CHUNK_COUNT, &fact));
}

static void test_frames_larger_than_the_file(void **state)
{
    struct fixture *fixture = *state;
    struct ingest_writer *writer = &fixture->writer;
    assert_done(ingest_writer_prepare(writer, &fact));
    assert_done(ingest_writer_prepare(writer, &fact));
    assert_int_equal(writer->spare_count, 1);
    // The spare file is too small and goes.
    assert_done(ingest_writer_open(writer, FILE_BYTES * 2, &fact));
    assert_true(ingest_writer_has_room(writer, FILE_BYTES * 2));
    assert_false(ingest_writer_has_room(writer, FILE_BYTES * 2 + 1));
    assert_int_equal(writer->spare_count, 0);
}

// No file larger than a bound may be made: nothing stays behind, and it works once it may.
static void test_a_file_that_cannot_be_made(void **state)
{
    struct fixture *fixture = *state;
    struct ingest_writer *writer = &fixture->writer;
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {.rlim_cur = 10000, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct err err = {0};
    const bool is_open = ingest_writer_open(writer, 4096, &err);
    const bool is_prepared = ingest_writer_prepare(writer, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_false(is_open);
    assert_false(is_prepared);
    assert_int_equal(err.kind, ERR_IO);
    assert_int_equal(writer->spare_count, 0);
    char path[INGEST_PATH_CHARS];
    (void)snprintf(path, sizeof path, "%s/log", fixture->directory);
    DIR *entries = opendir(path);
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL)
        assert_int_equal(entry->d_name[0], '.');
    (void)closedir(entries);
    write_frames(fixture);
    assert_done(read_pieces(fixture, fixture->ends[2], 0, 0, CHUNK_COUNT, &fact));
}

static void test_the_pool_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct ingest_writer *writer = &fixture->writer;
    for (int i = 0; i < 4; i++) {
        write_frames(fixture);
        ingest_writer_leave(writer);
        writer->seq = 0;
        assert_int_equal(writer->file_id, i + 2);
    }
    for (int64_t id = 1; id <= 4; id++)
        assert_done(ingest_writer_recycle(writer, id, &fact));
    assert_int_equal(writer->spare_count, INGEST_SPARES_MAX);
}

static void test_splits_lines(void **state)
{
    (void)state;
    struct slice lines = slice_text("a\n\nbc\nd");
    struct slice line;
    const char *expected[] = {"a", "", "bc", "d"};
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        assert_true(ingest_lines_next(&lines, &line));
        assert_true(slice_equal_text(line, expected[i]));
    }
    assert_false(ingest_lines_next(&lines, &line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads_what_was_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_wrong_extent_is_corrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gives_key_and_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_starts_behind_a_seal_point, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_every_flipped_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_bad_limits_and_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_frames_do_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_first_group, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frames_larger_than_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_cannot_be_made, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_pool_is_bounded, setup, teardown),
        cmocka_unit_test(test_splits_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
