// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

// One suite over all compressors: what comes out is read back by the format's own tool, and is the
// same however the bytes came in and however many threads helped.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "compress/compress.h"

#define OUTPUT_BYTES_MAX ((size_t)64 * 1024 * 1024)

static const enum compress_method methods[] = {COMPRESS_NONE, COMPRESS_GZIP, COMPRESS_SNAPPY,
                                               COMPRESS_ZSTD};

// Text-like, or noise that does not shrink.
static char *make_input(size_t size, bool is_noise)
{
    struct rng_seeded rng;
    rng_seeded_init(&rng, size);
    char *input = mem_alloc(size + 1);
    rng_fill(&rng.base, input, size);
    for (size_t i = 0; !is_noise && i < size; i++)
        input[i] = "campaign,install,2026\n"[(unsigned char)input[i] % 22];
    return input;
}

static void compress_in_steps(enum compress_method method, unsigned helper_count,
                              struct slice input, size_t step, struct buf *output)
{
    struct err err = {0};
    const struct compress_options options = {method, helper_count};
    struct sink *sink CLEANUP(sink_free) = compress_sink_new(&options, sink_memory_new(output));
    while (input.size_bytes > 0) {
        const size_t part = input.size_bytes < step ? input.size_bytes : step;
        assert_true(sink_write(sink, slice_part(input, 0, part), &err));
        input = slice_from(input, part);
    }
    assert_true(sink_finish(sink, &err));
}

static void run_tool(const char *const *arguments, const char *input_path, const char *output_path)
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (freopen(input_path, "r", stdin) == NULL || freopen(output_path, "w", stdout) == NULL)
            _exit(126);
        char *copies[8] = {0};
        for (size_t i = 0; i < 7 && arguments[i] != NULL; i++)
            copies[i] = mem_copy_text(arguments[i]);
        (void)execvp(copies[0], copies);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void assert_tool_reads(const char *const *arguments, const struct buf *output,
                              struct slice expected)
{
    struct err err = {0};
    char input_path[] = "/tmp/milkrun-compress-XXXXXX";
    char output_path[] = "/tmp/milkrun-compress-XXXXXX";
    const int input_fd = mkstemp(input_path);
    const int output_fd = mkstemp(output_path);
    assert_true(input_fd >= 0);
    assert_true(output_fd >= 0);
    assert_true(file_write_all(input_fd, buf_slice(output), input_path, &err));
    run_tool(arguments, input_path, output_path);
    struct buf read_back CLEANUP(buf_clear);
    buf_init(&read_back, OUTPUT_BYTES_MAX);
    assert_true(file_read(output_path, &read_back, &err));
    assert_int_equal(read_back.size_bytes, expected.size_bytes);
    assert_true(slice_equal(buf_slice(&read_back), expected));
    (void)close(input_fd);
    (void)close(output_fd);
    (void)unlink(input_path);
    (void)unlink(output_path);
}

static void test_sizes_around_block_edges_are_read_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 1048575, 1048576, 1048577, 3500000};
    static const char *const gzip[] = {"gzip", "-dc", NULL};
    // Reads exactly one member: bytes behind it would be left in unused_data.
    static const char *const one_member[] = {
        "python3", "-c",
        "import sys,zlib;d=zlib.decompressobj(31);b=sys.stdin.buffer.read();"
        "o=d.decompress(b)+d.flush();assert d.eof and not d.unused_data;sys.stdout.buffer.write(o)",
        NULL};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int noise = 0; noise < 2; noise++) {
            char *input CLEANUP(mem_free_at) = make_input(sizes[i], noise == 1);
            struct buf output CLEANUP(buf_clear);
            buf_init(&output, OUTPUT_BYTES_MAX);
            compress_in_steps(COMPRESS_GZIP, 1, slice_of(input, sizes[i]), 100000, &output);
            assert_tool_reads(gzip, &output, slice_of(input, sizes[i]));
            assert_tool_reads(one_member, &output, slice_of(input, sizes[i]));
        }
    }
}

static void assert_same_bytes(enum compress_method method, struct slice input)
{
    struct buf first CLEANUP(buf_clear);
    buf_init(&first, OUTPUT_BYTES_MAX);
    compress_in_steps(method, 0, input, input.size_bytes + 1, &first);
    static const size_t steps[] = {977, 65536, 1048576, 1500000};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct buf other CLEANUP(buf_clear);
        buf_init(&other, OUTPUT_BYTES_MAX);
        compress_in_steps(method, (unsigned)i, input, steps[i], &other);
        assert_true(slice_equal(buf_slice(&first), buf_slice(&other)));
    }
}

static void test_bytes_depend_on_the_input_alone(void **state)
{
    (void)state;
    char *input CLEANUP(mem_free_at) = make_input(5000000, false);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        assert_same_bytes(methods[i], slice_of(input, 5000000));
}

static void test_a_failing_destination_fails_the_chain(void **state)
{
    (void)state;
    char *input CLEANUP(mem_free_at) = make_input(3000000, true);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        for (uint64_t call = 1; call < 50; call++) {
            struct err err = {0};
            struct buf output CLEANUP(buf_clear);
            buf_init(&output, OUTPUT_BYTES_MAX);
            const struct compress_options options = {methods[i], 2};
            struct sink *sink CLEANUP(sink_free) = compress_sink_new(
                &options, sink_fault_new(sink_memory_new(&output), call, ERR_FULL));
            const bool is_done = sink_write(sink, slice_of(input, 1500000), &err) &&
                                 sink_write(sink, slice_of(input + 1500000, 1500000), &err) &&
                                 sink_finish(sink, &err);
            if (is_done)
                break; // more calls than the chain makes
            assert_int_equal(err.kind, ERR_FULL);
        }
    }
}

static void test_abandoned_chains_end_their_threads(void **state)
{
    (void)state;
    char *input CLEANUP(mem_free_at) = make_input(4000000, false);
    for (unsigned helpers = 0; helpers < 4; helpers++) {
        struct err err = {0};
        struct buf output CLEANUP(buf_clear);
        buf_init(&output, OUTPUT_BYTES_MAX);
        const struct compress_options options = {COMPRESS_GZIP, helpers};
        struct sink *sink = compress_sink_new(&options, sink_memory_new(&output));
        assert_true(sink_write(sink, slice_of(input, 4000000), &err));
        sink_free(&sink);
        assert_null(sink);
    }
}

static void test_snappy_frames_by_the_specification(void **state)
{
    (void)state;
    struct buf output CLEANUP(buf_clear);
    buf_init(&output, OUTPUT_BYTES_MAX);
    compress_in_steps(COMPRESS_SNAPPY, 0, slice_text("Wikipedia"), 4, &output);
    // Identifier, then a stored chunk: type 1, length 13, masked CRC32C, the bytes.
    static const uint8_t head[] = {0xff, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y', 1, 13, 0, 0};
    assert_int_equal(output.size_bytes, sizeof head + 4 + 9);
    assert_memory_equal(output.data, head, sizeof head);
    assert_memory_equal(output.data + sizeof head + 4, "Wikipedia", 9);
}

static void test_ids_name_library_and_level(void **state)
{
    (void)state;
    assert_non_null(strstr(compress_id(COMPRESS_GZIP), "isal-"));
    assert_non_null(strstr(compress_id(COMPRESS_ZSTD), "zstd-"));
    assert_non_null(strstr(compress_id(COMPRESS_SNAPPY), "snappy-"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_around_block_edges_are_read_back),
        cmocka_unit_test(test_bytes_depend_on_the_input_alone),
        cmocka_unit_test(test_a_failing_destination_fails_the_chain),
        cmocka_unit_test(test_abandoned_chains_end_their_threads),
        cmocka_unit_test(test_snappy_frames_by_the_specification),
        cmocka_unit_test(test_ids_name_library_and_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
