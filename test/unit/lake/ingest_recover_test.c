// SPDX-License-Identifier: Apache-2.0
// The log after kills, torn writes, damage and full disks. "Crashed" states are made by children
// that are killed with the log open.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "base/rng.h"
#include "db/db.h"
#include "ingest_fixture.h"
#include "lake/ingest_writer.h"
#include "lake/seal.h"

// In memory where there is such a file system: these tests open the log hundreds of times, and what
// they check does not hang on real syncs.
static int setup(void **state)
{
    *state = fixture_new(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return 0;
}

static int teardown(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture_free(&fixture);
    return 0;
}

// --- Crashing

// Runs work with the log open in a child that is killed in the end.
static void crash_after(struct ingest_fixture *fixture,
                        void (*work)(struct ingest_fixture *fixture))
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fixture_open(fixture);
        work(fixture);
        (void)kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void send_three(struct ingest_fixture *fixture)
{
    for (int i = 1; i <= 3; i++)
        fixture_send_number(fixture, i);
}

static void send_bulk(struct ingest_fixture *fixture)
{
    struct buf body;
    buf_init(&body, 1024 * 1024);
    for (int i = 0; body.size_bytes < 200000; i++)
        buf_append_format(&body, "{\"timestamp\":1700000000000,\"n\":%d}\n", i);
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    struct err err = {0};
    mem_free(fixture_send_spec(fixture, &spec, buf_slice(&body), 0, &err));
    buf_clear(&body);
}

static void log_path(const struct ingest_fixture *fixture, int64_t id, char path[INGEST_PATH_CHARS])
{
    ingest_disk_log_path(fixture->directory, id, path);
}

static void read_image(const struct ingest_fixture *fixture, int64_t id, struct buf *ret_image)
{
    char path[INGEST_PATH_CHARS];
    log_path(fixture, id, path);
    buf_init(ret_image, 4 * 1024 * 1024);
    assert_done(file_read(path, ret_image, &fact));
}

static void write_image(const struct ingest_fixture *fixture, int64_t id, const struct buf *image)
{
    char path[INGEST_PATH_CHARS];
    log_path(fixture, id, path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_done(file_write_all(fd, buf_slice(image), path, &fact));
    (void)close(fd);
}

// As if the catalog had never heard of any log file.
static void forget_log_files(const struct ingest_fixture *fixture)
{
    struct db *db = NULL;
    assert_done(db_sqlite_open(fixture->catalog_path, false, &db, &fact));
    assert_done(db_exec(db, "DELETE FROM log_files", NULL, 0, NULL, &fact));
    db_close(&db);
    char path[INGEST_PATH_CHARS];
    log_path(fixture, 2, path);
    (void)unlink(path);
}

// Offsets of the frames of file 1, then the end.
static size_t find_frames(const struct ingest_fixture *fixture, int64_t *offsets, size_t capacity)
{
    const struct ingest_reader_options options = {
        .data_directory = fixture->directory, .file_id = 1, .byte_limit = INT64_MAX};
    struct ingest_reader *reader = NULL;
    assert_done(ingest_reader_open(&options, &reader, &fact));
    size_t count = 0;
    const struct ingest_frame *frame = NULL;
    struct err err = {0};
    while (ingest_reader_next_frame(reader, &frame, &err)) {
        assert_true(count + 1 < capacity);
        offsets[count++] = ingest_reader_frame_offset(reader);
        offsets[count] = ingest_reader_end_offset(reader);
    }
    ingest_reader_close(&reader);
    return count;
}

static void assert_opens_with(struct ingest_fixture *fixture, int64_t line_count)
{
    fixture_open(fixture);
    assert_int_equal(ingest_log_last_seq(fixture->log), line_count);
    assert_string_equal(ingest_log_recovery_report(fixture->log), "");
    ingest_log_close(&fixture->log);
    assert_int_equal(fixture_count_lines(fixture), line_count);
}

static void assert_is_corrupt(struct ingest_fixture *fixture, const char *text)
{
    struct err err = {0};
    assert_false(ingest_log_open(&fixture->config, &fixture->log, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    if (strstr(err.message, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, err.message);
}

// --- Torn tails

static void test_a_crash_loses_nothing(void **state)
{
    struct ingest_fixture *fixture = *state;
    crash_after(fixture, send_three);
    bool is_found;
    struct segment_log_file last;
    assert_done(segment_last_log_file(fixture->catalog, &is_found, &last, &fact));
    assert_false(is_found);
    assert_opens_with(fixture, 3);
    // A second crash, with a file that the catalog has and one that it has not.
    crash_after(fixture, send_three);
    fixture_open(fixture);
    fixture_send_number(fixture, 7);
    assert_int_equal(ingest_log_last_seq(fixture->log), 7);
    ingest_log_close(&fixture->log);
    assert_int_equal(fixture_count_lines(fixture), 7);
}

static void test_torn_tail_at_every_byte(void **state)
{
    struct ingest_fixture *fixture = *state;
    crash_after(fixture, send_three);
    int64_t offsets[5];
    assert_int_equal(find_frames(fixture, offsets, ARRAY_COUNT(offsets)), 3);
    struct buf image;
    read_image(fixture, 1, &image);
    for (int64_t at = offsets[2]; at < offsets[3]; at++) {
        // Written up to here, then zeros, as before the first use; or old bytes.
        for (int filler = 0; filler < 256; filler += 171) {
            struct buf torn;
            buf_init(&torn, image.size_bytes);
            buf_append(&torn, buf_slice(&image));
            memset(torn.data + at, filler, (size_t)(offsets[3] - at));
            const bool is_whole = memcmp(torn.data + offsets[2], image.data + offsets[2],
                                         (size_t)(offsets[3] - offsets[2])) == 0;
            write_image(fixture, 1, &torn);
            forget_log_files(fixture);
            // What is torn may be padding only.
            fixture_open(fixture);
            const int64_t seq = ingest_log_last_seq(fixture->log);
            assert_true(seq == 2 || seq == 3);
            if (is_whole)
                assert_int_equal(seq, 3);
            if (at < offsets[3] - 64)
                assert_int_equal(seq, is_whole ? 3 : 2);
            ingest_log_close(&fixture->log);
            assert_int_equal(fixture_count_lines(fixture), seq);
            buf_clear(&torn);
        }
    }
    buf_clear(&image);
}

// Two frames of one group of which the first was not written: never acknowledged.
static void test_a_torn_group_is_cut(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture_open(fixture);
    fixture_send_number(fixture, 1);
    ingest_log_close(&fixture->log);
    struct ingest_writer writer;
    ingest_writer_init(&writer, fixture->directory, fixture->config.file_bytes);
    writer.file_id = 2;
    writer.seq = 1;
    assert_done(ingest_writer_open(&writer, 1000, &fact));
    const struct ingest_disk_meta meta = {0};
    struct ingest_outgoing frames[2];
    struct ingest_outgoing *pointers[2] = {&frames[0], &frames[1]};
    for (size_t i = 0; i < 2; i++)
        frames[i] = (struct ingest_outgoing){.meta = slice_of(&meta, sizeof meta)};
    assert_done(ingest_writer_write(&writer, pointers, 2, &fact));
    const char broken = 'x';
    char path[INGEST_PATH_CHARS];
    log_path(fixture, 2, path);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, &broken, 1, INGEST_BLOCK_BYTES + 20), 1);
    (void)close(fd);
    ingest_writer_clear(&writer);
    assert_opens_with(fixture, 1);
}

// --- Damage

static void test_damage_before_the_tail_is_corrupt(void **state)
{
    struct ingest_fixture *fixture = *state;
    crash_after(fixture, send_three);
    int64_t offsets[5];
    assert_int_equal(find_frames(fixture, offsets, ARRAY_COUNT(offsets)), 3);
    struct buf image;
    read_image(fixture, 1, &image);
    int corrupt_count = 0;
    for (int64_t at = offsets[1]; at < offsets[2]; at++) {
        image.data[at] ^= 0x10;
        write_image(fixture, 1, &image);
        image.data[at] ^= 0x10;
        struct err err = {0};
        if (ingest_log_open(&fixture->config, &fixture->log, &err)) {
            // Only padding is not guarded: it means nothing.
            assert_true(at >= offsets[2] - 64);
            ingest_log_close(&fixture->log);
            assert_int_equal(fixture_count_lines(fixture), 3);
            forget_log_files(fixture);
            continue;
        }
        corrupt_count++;
        assert_int_equal(err.kind, ERR_CORRUPT);
        assert_non_null(strstr(err.message, "acknowledged events (1, 2] are lost"));
    }
    assert_true(corrupt_count > 200);
    buf_clear(&image);
}

static void test_loss_can_be_accepted(void **state)
{
    struct ingest_fixture *fixture = *state;
    crash_after(fixture, send_three);
    int64_t offsets[5];
    assert_int_equal(find_frames(fixture, offsets, ARRAY_COUNT(offsets)), 3);
    for (int64_t at = offsets[1]; at < offsets[1] + 200; at += 60) {
        struct buf image;
        read_image(fixture, 1, &image);
        struct buf damaged;
        read_image(fixture, 1, &damaged);
        damaged.data[at] ^= 0x10;
        write_image(fixture, 1, &damaged);
        assert_is_corrupt(fixture, "acknowledged events (1, 2] are lost");
        fixture->config.accept_loss = true;
        fixture_open(fixture);
        assert_non_null(strstr(ingest_log_recovery_report(fixture->log),
                               "events (1, 2] of log file 0000000001 are lost: "));
        assert_int_equal(ingest_log_last_seq(fixture->log), 3);
        fixture_send_number(fixture, 4);
        ingest_log_close(&fixture->log);
        // From now on it opens as if nothing had been.
        fixture->config.accept_loss = false;
        fixture_open(fixture);
        assert_string_equal(ingest_log_recovery_report(fixture->log), "");
        ingest_log_close(&fixture->log);
        struct buf lines;
        buf_init(&lines, 1024 * 1024);
        assert_int_equal(fixture_read_lines(fixture, true, &lines), 3);
        assert_string_equal(buf_text(&lines), "{\"timestamp\":1700000000000,\"n\":1}\n"
                                              "{\"timestamp\":1700000000000,\"n\":3}\n"
                                              "{\"timestamp\":1700000000000,\"n\":4}\n");
        buf_clear(&lines);
        assert_int_equal(fixture_count_files(fixture, "0000000001.log.damaged"), 1);
        forget_log_files(fixture);
        write_image(fixture, 1, &image);
        buf_clear(&image);
        buf_clear(&damaged);
    }
}

static void flip_byte(struct ingest_fixture *fixture, int64_t id, int64_t offset)
{
    struct buf image;
    read_image(fixture, id, &image);
    image.data[offset] ^= 1;
    write_image(fixture, id, &image);
    buf_clear(&image);
}

// Three files of one event each, known to the catalog.
static void make_three_files(struct ingest_fixture *fixture)
{
    for (int i = 1; i <= 3; i++) {
        fixture_open(fixture);
        fixture_send_number(fixture, i);
        ingest_log_close(&fixture->log);
    }
}

static void test_closed_files_are_checked(void **state)
{
    struct ingest_fixture *fixture = *state;
    make_three_files(fixture);
    assert_opens_with(fixture, 3);
    for (int64_t id = 1; id <= 3; id++) {
        flip_byte(fixture, id, INGEST_BLOCK_BYTES + 5);
        char text[64];
        (void)snprintf(text, sizeof text, "acknowledged events (%d, %d] are lost", (int)id - 1,
                       (int)id);
        assert_is_corrupt(fixture, text);
        flip_byte(fixture, id, INGEST_BLOCK_BYTES + 5);
    }
    flip_byte(fixture, 2, 20);
    assert_is_corrupt(fixture, "damaged header");
    flip_byte(fixture, 2, 20);
    char path[INGEST_PATH_CHARS];
    char aside[INGEST_PATH_CHARS + 8];
    log_path(fixture, 2, path);
    (void)snprintf(aside, sizeof aside, "%s.away", path);
    assert_int_equal(rename(path, aside), 0);
    assert_is_corrupt(fixture, "acknowledged events after seq 1 are lost");
    assert_int_equal(rename(aside, path), 0);
    assert_opens_with(fixture, 3);
}

static void test_loss_of_closed_files_can_be_accepted(void **state)
{
    struct ingest_fixture *fixture = *state;
    make_three_files(fixture);
    char path[INGEST_PATH_CHARS];
    log_path(fixture, 1, path);
    assert_int_equal(unlink(path), 0);
    flip_byte(fixture, 2, 20);
    flip_byte(fixture, 3, INGEST_BLOCK_BYTES + 5);
    fixture->config.accept_loss = true;
    fixture_open(fixture);
    const char *report = ingest_log_recovery_report(fixture->log);
    assert_non_null(strstr(report, "(0, 1] of log file 0000000001"));
    assert_non_null(strstr(report, "of log file 0000000002"));
    assert_non_null(strstr(report, "(2, 3] of log file 0000000003"));
    fixture_send_number(fixture, 4);
    ingest_log_close(&fixture->log);
    fixture->config.accept_loss = false;
    fixture_open(fixture);
    assert_int_equal(ingest_log_last_seq(fixture->log), 4);
    ingest_log_close(&fixture->log);
    struct buf lines;
    buf_init(&lines, 1024 * 1024);
    assert_int_equal(fixture_read_lines(fixture, true, &lines), 1);
    buf_clear(&lines);
}

// The gap is the file's last frame: what lies behind it is not looked at.
static void test_loss_at_the_end_of_a_closed_file(void **state)
{
    struct ingest_fixture *fixture = *state;
    make_three_files(fixture);
    bool is_found;
    struct segment_log_file last;
    assert_done(segment_last_log_file(fixture->catalog, &is_found, &last, &fact));
    assert_int_equal(last.id, 3);
    // Of its lines: the frame's header is good.
    flip_byte(fixture, 3, last.byte_count - INGEST_ALIGN_BYTES - 1);
    fixture->config.accept_loss = true;
    fixture_open(fixture);
    const char *report = ingest_log_recovery_report(fixture->log);
    assert_non_null(strstr(report, "events (2, 3] of log file 0000000003 are lost: "));
    assert_ptr_equal(strchr(report, '\n'), strrchr(report, '\n'));
    ingest_log_close(&fixture->log);
    struct buf image;
    read_image(fixture, 3, &image);
    static const struct ingest_disk_frame none;
    assert_memory_equal(image.data + last.byte_count, &none, sizeof none);
    buf_clear(&image);
    fixture->config.accept_loss = false;
    fixture_open(fixture);
    assert_string_equal(ingest_log_recovery_report(fixture->log), "");
    assert_int_equal(ingest_log_last_seq(fixture->log), 3);
    ingest_log_close(&fixture->log);
    struct buf lines;
    buf_init(&lines, 1024 * 1024);
    assert_int_equal(fixture_read_lines(fixture, true, &lines), 2);
    buf_clear(&lines);
}

static void test_bulk_files_are_part_of_it(void **state)
{
    struct ingest_fixture *fixture = *state;
    crash_after(fixture, send_bulk);
    // One that no frame refers to, as a crash in an upload leaves it.
    char stray[128];
    (void)snprintf(stray, sizeof stray, "%s/log/bulk-0123456789abcdef.log", fixture->directory);
    assert_done(file_replace(stray, slice_text("x"), &fact));
    fixture_open(fixture);
    assert_int_equal(fixture_count_files(fixture, "bulk-"), 1);
    ingest_log_close(&fixture->log);
    assert_true(fixture_count_lines(fixture) > 1000);
    char command[256];
    (void)snprintf(command, sizeof command, "%s/log", fixture->directory);
    DIR *entries = opendir(command);
    const struct dirent *entry;
    char path[512] = "";
    while ((entry = readdir(entries)) != NULL) {
        if (strncmp(entry->d_name, "bulk-", 5) == 0)
            (void)snprintf(path, sizeof path, "%s/%s", command, entry->d_name);
    }
    (void)closedir(entries);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    char byte;
    assert_int_equal(pread(fd, &byte, 1, 100000), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 100000), 1);
    (void)close(fd);
    assert_is_corrupt(fixture, "acknowledged events (0, ");
    assert_int_equal(unlink(path), 0);
    assert_is_corrupt(fixture, "its bulk file is missing");
    assert_done(file_replace(stray, slice_text("x"), &fact));
    fixture->config.accept_loss = true;
    fixture_open(fixture);
    fixture_send_number(fixture, 1);
    ingest_log_close(&fixture->log);
    // What no frame refers to is kept when rows were lost.
    assert_int_equal(fixture_count_files(fixture, "bulk-0123456789abcdef.log.damaged"), 1);
    struct buf lines;
    buf_init(&lines, 1024 * 1024);
    assert_int_equal(fixture_read_lines(fixture, true, &lines), 1);
    buf_clear(&lines);
}

static void send_bulk_and_three(struct ingest_fixture *fixture)
{
    send_bulk(fixture);
    send_three(fixture);
}

// Damage behind a bulk frame, far from the next good frame that the search finds.
static void test_loss_behind_a_bulk_frame(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture->config.file_bytes = 3 * 1024 * 1024;
    crash_after(fixture, send_bulk_and_three);
    int64_t offsets[6];
    assert_int_equal(find_frames(fixture, offsets, ARRAY_COUNT(offsets)), 4);
    flip_byte(fixture, 1, offsets[1]);
    flip_byte(fixture, 1, offsets[2]);
    fixture->config.accept_loss = true;
    fixture_open(fixture);
    ingest_log_close(&fixture->log);
    fixture->config.accept_loss = false;
    fixture_open(fixture);
    assert_int_equal(fixture_count_files(fixture, "bulk-"), 1);
    const int64_t seq = ingest_log_last_seq(fixture->log);
    ingest_log_close(&fixture->log);
    struct buf lines;
    buf_init(&lines, 1024 * 1024);
    assert_int_equal(fixture_read_lines(fixture, true, &lines), seq - 2);
    buf_clear(&lines);
}

// The last file's header: how many rows it had, nobody knows.
static void test_the_last_header(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture_open(fixture);
    fixture_send_number(fixture, 1);
    ingest_log_close(&fixture->log);
    crash_after(fixture, send_three);
    flip_byte(fixture, 2, 20);
    assert_is_corrupt(fixture, "acknowledged events after seq 1 are lost");
    fixture->config.accept_loss = true;
    fixture_open(fixture);
    assert_non_null(
        strstr(ingest_log_recovery_report(fixture->log), "(1, ?] of log file 0000000002"));
    fixture_send_number(fixture, 2);
    ingest_log_close(&fixture->log);
    fixture->config.accept_loss = false;
    assert_opens_with(fixture, 2);
}

// A file of another place in the log.
static void test_a_file_out_of_order(void **state)
{
    struct ingest_fixture *fixture = *state;
    make_three_files(fixture);
    struct buf image;
    read_image(fixture, 2, &image);
    struct ingest_disk_block block;
    memcpy(&block, image.data, sizeof block);
    block.seq_lo = 5;
    ingest_disk_seal_block(&block);
    memcpy(image.data, &block, sizeof block);
    write_image(fixture, 2, &image);
    buf_clear(&image);
    assert_is_corrupt(fixture, "log file 0000000002 begins after seq 5 and not 1");
}

static void test_spare_files_are_bounded(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture_open(fixture);
    ingest_log_close(&fixture->log);
    for (int i = 0; i < 4; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/log/spare-%016x.log", fixture->directory, i);
        assert_done(file_replace(path, slice_text("x"), &fact));
    }
    fixture_open(fixture);
    assert_true(fixture_count_files(fixture, "spare-") <= 2);
    // They are too small: not used.
    fixture_send_number(fixture, 1);
    ingest_log_close(&fixture->log);
    assert_opens_with(fixture, 1);
}

// A byte count that hides acknowledged rows: sealing must not call the file done.
static void test_a_short_file_is_not_sealed(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture_open(fixture);
    send_three(fixture);
    ingest_log_close(&fixture->log);
    int64_t offsets[5];
    assert_int_equal(find_frames(fixture, offsets, ARRAY_COUNT(offsets)), 3);
    struct db *db = NULL;
    assert_done(db_sqlite_open(fixture->catalog_path, false, &db, &fact));
    const struct db_value values[] = {db_int64(offsets[2])};
    assert_done(db_exec(db, "UPDATE log_files SET byte_count = $1", values, 1, NULL, &fact));
    db_close(&db);
    struct clock_fixed clock;
    clock_fixed_init(&clock, INT64_C(1700000000000), 0); // 2023-11-14
    const struct seal_config config = {
        .data_directory = fixture->directory,
        .clock = &clock.base,
        .step_bytes = 1024 * 1024,
        .own_file_rows = 1000,
        .file_limit = 64,
    };
    bool is_sealed = false;
    struct err err = {0};
    // What is there first, then the damage.
    assert_done(seal_step(&config, fixture->catalog, &is_sealed, &fact));
    assert_false(seal_step(&config, fixture->catalog, &is_sealed, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    int64_t seq = 0;
    assert_done(segment_seal_point(fixture->catalog, &seq, &fact));
    assert_int_equal(seq, 2);
    bool is_found;
    struct segment_log_file file;
    assert_done(segment_next_log_file(fixture->catalog, &fixture->arena, &is_found, &file, &fact));
    assert_true(is_found);
    assert_true(file.is_corrupt);
    // What fixture_free does not know of.
    assert_done(file_walk(fixture->directory, "", fixture_remove_file, NULL, &fact));
    char path[128];
    (void)snprintf(path, sizeof path, "%s/lake/2023-11-14", fixture->directory);
    assert_int_equal(rmdir(path), 0);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path), 0);
}

// --- Kills

static int acknowledge_fd; // of the child that is to be killed

static void send_until_killed(struct ingest_fixture *fixture)
{
    for (int i = 0;; i++) {
        if (i % 7 == 0)
            send_bulk(fixture);
        fixture_send_number(fixture, i);
        const int64_t seq = ingest_log_last_seq(fixture->log);
        if (write(acknowledge_fd, &seq, sizeof seq) != (ssize_t)sizeof seq)
            return;
    }
}

static void test_kill_at_random_times(void **state)
{
    struct ingest_fixture *fixture = *state;
    struct rng_seeded rng;
    rng_seeded_init(&rng, 99);
    fixture->config.file_age_ms = 5;
    for (int round = 0; round < 12; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        const pid_t child = fork();
        if (child == 0) {
            (void)close(ends[0]);
            acknowledge_fd = ends[1];
            fixture_open(fixture);
            send_until_killed(fixture);
            _exit(1);
        }
        (void)close(ends[1]);
        (void)usleep((useconds_t)(20000 + rng_below(&rng.base, 60000)));
        assert_int_equal(kill(child, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        int64_t acknowledged = 0;
        int64_t seq;
        while (read(ends[0], &seq, sizeof seq) == (ssize_t)sizeof seq)
            acknowledged = seq;
        (void)close(ends[0]);
        fixture_open(fixture);
        assert_true(ingest_log_last_seq(fixture->log) >= acknowledged);
        const int64_t line_count = ingest_log_last_seq(fixture->log);
        ingest_log_close(&fixture->log);
        assert_int_equal(fixture_count_lines(fixture), line_count);
    }
}

// --- Storage that fails

// The open log file's descriptor now leads elsewhere.
static void redirect_log(struct ingest_fixture *fixture, int64_t id, const char *target, int flags)
{
    char path[INGEST_PATH_CHARS];
    log_path(fixture, id, path);
    const int fd = fixture_find_descriptor(path);
    assert_true(fd >= 0);
    const int other = open(target, flags | O_CLOEXEC);
    assert_true(other >= 0);
    assert_int_equal(dup3(other, fd, O_CLOEXEC), fd);
    (void)close(other);
}

static void test_a_failed_write_abandons_the_file(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture_open(fixture);
    struct ingest_batch_spec spec = fixture_spec(fixture);
    const char *body = "{\"timestamp\":1700000000000,\"n\":2}\n";
    fixture_send_number(fixture, 1);
    redirect_log(fixture, 1, "/dev/full", O_WRONLY);
    spec.idempotency_key = slice_text("key");
    assert_refuses(fixture, &spec, body, ERR_FULL, "Insufficient storage");
    assert_sends(fixture, &spec, body, "{\"accepted\":1}");
    bool is_found;
    struct segment_log_file last;
    assert_done(segment_last_log_file(fixture->catalog, &is_found, &last, &fact));
    assert_int_equal(last.id, 1);
    assert_int_equal(last.seq_hi, 1);
    // The other failures: 503, on a file that is read-only all of a sudden.
    redirect_log(fixture, 2, "/dev/null", O_RDONLY);
    assert_refuses(fixture, &spec, "{\"timestamp\":1700000000000,\"n\":9}\n", ERR_CONFLICT,
                   "Idempotency-Key reused with a different request");
    spec.idempotency_key = slice_text("");
    assert_refuses(fixture, &spec, body, ERR_UNAVAILABLE, "Storage unavailable");
    int64_t failure_count;
    struct err failure;
    ingest_log_last_failure(fixture->log, &failure_count, &failure);
    assert_int_equal(failure_count, 2);
    assert_int_equal(failure.kind, ERR_IO);
    fixture_send_number(fixture, 3);
    ingest_log_close(&fixture->log);
    assert_opens_with(fixture, 3);
}

// --- Keys of sealed files

static void test_sealed_keys_are_in_the_catalog(void **state)
{
    struct ingest_fixture *fixture = *state;
    struct clock_fixed clock;
    clock_fixed_init(&clock, INT64_C(1700000000000), 0);
    fixture->config.clock = &clock.base;
    fixture_open(fixture);
    struct ingest_batch_spec spec = fixture_spec(fixture);
    spec.idempotency_key = slice_text("key");
    const char *body = "{\"timestamp\":1700000000000}\n";
    assert_sends(fixture, &spec, body, "{\"accepted\":1}");
    ingest_log_close(&fixture->log);
    const struct ingest_reader_options options = {
        .data_directory = fixture->directory, .file_id = 1, .byte_limit = INT64_MAX};
    struct ingest_reader *reader = NULL;
    assert_done(ingest_reader_open(&options, &reader, &fact));
    struct ingest_piece piece;
    bool is_found;
    assert_done(ingest_reader_next(reader, &is_found, &piece, &fact));
    assert_true(piece.is_last_of_frame);
    char *scope = arena_copy_slice(&fixture->arena, piece.frame->idempotency_scope);
    char *sha256 = arena_copy_slice(&fixture->arena, piece.frame->body_sha256);
    char *answer = arena_copy_slice(&fixture->arena, piece.frame->answer);
    assert_string_equal(answer, "{\"accepted\":1}");
    const struct segment_idempotency key = {scope, sha256, answer,
                                            piece.frame->received_at_ms + INGEST_IDEMPOTENCY_MS};
    ingest_reader_close(&reader);
    const struct segment_seal seal = {.log_file_id = 1,
                                      .is_file_done = true,
                                      .seq_to = 1,
                                      .keys = &key,
                                      .key_count = 1,
                                      .now_ms = 1000};
    assert_done(segment_commit_seal(fixture->catalog, &seal, &fact));
    fixture_open(fixture);
    assert_sends(fixture, &spec, body, "{\"accepted\":1}");
    assert_int_equal(ingest_log_last_seq(fixture->log), 1);
    assert_refuses(fixture, &spec, "{\"timestamp\":1700000000001}\n", ERR_CONFLICT,
                   "Idempotency-Key reused with a different request");
    ingest_log_close(&fixture->log);
    // An unsealed key expires as well.
    fixture_open(fixture);
    spec.idempotency_key = slice_text("key-2");
    assert_sends(fixture, &spec, body, "{\"accepted\":1}");
    ingest_log_close(&fixture->log);
    // A day later the keys are free again.
    clock.now_wall_ms += INGEST_IDEMPOTENCY_MS + 1;
    fixture_open(fixture);
    assert_sends(fixture, &spec, "{\"timestamp\":1700000000001}\n", "{\"accepted\":1}");
    spec.idempotency_key = slice_text("key");
    assert_sends(fixture, &spec, "{\"timestamp\":1700000000001}\n", "{\"accepted\":1}");
    assert_int_equal(ingest_log_last_seq(fixture->log), 4);
    ingest_log_close(&fixture->log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_crash_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_tail_at_every_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_torn_group_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_before_the_tail_is_corrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loss_can_be_accepted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_files_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loss_of_closed_files_can_be_accepted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loss_at_the_end_of_a_closed_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bulk_files_are_part_of_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loss_behind_a_bulk_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_last_header, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_out_of_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spare_files_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_short_file_is_not_sealed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill_at_random_times, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_write_abandons_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sealed_keys_are_in_the_catalog, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
