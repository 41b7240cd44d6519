// SPDX-License-Identifier: Apache-2.0
// The only file that includes ISA-L's deflate header. Level 1 alone: its bytes are the same on
// every CPU with SSE4.2, those of level 3 are not.
#include "base/gzip.h"

#include <isa-l/igzip_lib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/mem.h"

#define GZIP_MEMBERS_MAX 1000
#define GZIP_FIRST_BYTES UINT32_C(16) // what ISA-L treats as short input

struct gzip_deflater {
    struct isal_zstream stream;
    uint8_t *level_buffer;
};

struct gzip_deflater *gzip_deflater_new(void)
{
    struct gzip_deflater *deflater = mem_alloc(sizeof *deflater);
    deflater->level_buffer = mem_alloc(ISAL_DEF_LVL1_DEFAULT);
    return deflater;
}

void gzip_deflater_free(struct gzip_deflater **deflater)
{
    if (*deflater == NULL)
        return;
    mem_free((*deflater)->level_buffer);
    mem_free(*deflater);
    *deflater = NULL;
}

// ISA-L's pointers are not const although input is only read.
static uint8_t *gzip_input(struct slice input)
{
    union {
        const void *readable;
        uint8_t *plain;
    } start = {.readable = input.data};
    return start.plain;
}

static void gzip_deflate_part(struct isal_zstream *stream, uint32_t size_bytes, uint16_t flush)
{
    stream->avail_in = size_bytes;
    stream->flush = flush;
    const int status = isal_deflate(stream);
    ASSERT(status == COMP_OK);
    ASSERT(stream->avail_in == 0);
    ASSERT(stream->avail_out > 0);
}

// The first bytes go on their own. When a stream without history begins with more than that, ISA-L
// (2.30 to 2.32 at least, igzip_icf_body_h1_gr_bt.asm at .write_first_byte) hashes a register that
// it has not set, which holds the address of the stream: the bytes of one block in some thousand
// would depend on where the memory lies. The code for short input does not do that, and has left a
// history for the rest. It costs some 40 bytes in a block.
size_t gzip_deflate_block(struct gzip_deflater *deflater, struct slice input, uint8_t *ret_bytes,
                          uint32_t *ret_crc)
{
    ASSERT(input.size_bytes > 0);
    ASSERT(input.size_bytes <= GZIP_BLOCK_INPUT_BYTES);
    struct isal_zstream *stream = &deflater->stream;
    isal_deflate_init(stream);
    stream->level = 1;
    stream->level_buf = deflater->level_buffer;
    stream->level_buf_size = ISAL_DEF_LVL1_DEFAULT;
    stream->gzip_flag = IGZIP_DEFLATE;
    stream->end_of_stream = 0;
    stream->next_in = gzip_input(input);
    stream->next_out = ret_bytes;
    stream->avail_out = (uint32_t)GZIP_BLOCK_OUTPUT_BYTES;
    const uint32_t size_bytes = (uint32_t)input.size_bytes;
    if (size_bytes > GZIP_FIRST_BYTES) {
        gzip_deflate_part(stream, GZIP_FIRST_BYTES, SYNC_FLUSH);
        gzip_deflate_part(stream, size_bytes - GZIP_FIRST_BYTES, FULL_FLUSH);
    } else {
        gzip_deflate_part(stream, size_bytes, FULL_FLUSH);
    }
    *ret_crc = crc32_gzip(input);
    return GZIP_BLOCK_OUTPUT_BYTES - stream->avail_out;
}

// CRC-32 is linear over GF(2): appending n zero bytes multiplies the register by x^(8n) modulo the
// polynomial. Products of polynomials in the reflected bit order of the CRC.
static uint32_t gzip_crc_multiply(uint32_t left, uint32_t right)
{
    uint32_t product = 0;
    for (uint32_t bit = UINT32_C(1) << 31; bit != 0; bit >>= 1) {
        if ((left & bit) != 0)
            product ^= right;
        right = (right >> 1) ^ ((right & 1) != 0 ? UINT32_C(0xedb88320) : 0);
    }
    return product;
}

uint32_t gzip_crc_combine(uint32_t crc_a, uint32_t crc_b, uint64_t size_b_bytes)
{
    uint32_t power = UINT32_C(1) << 23; // x^8
    uint32_t shift = UINT32_C(1) << 31; // x^0
    for (uint64_t rest = size_b_bytes; rest > 0; rest >>= 1) {
        if ((rest & 1) != 0)
            shift = gzip_crc_multiply(shift, power);
        power = gzip_crc_multiply(power, power);
    }
    return gzip_crc_multiply(shift, crc_a) ^ crc_b;
}

void gzip_write_header(uint8_t ret_bytes[GZIP_HEADER_BYTES])
{
    // Magic, deflate, no flags, no time, no extra flags, unknown system.
    static const uint8_t header[GZIP_HEADER_BYTES] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
    memcpy(ret_bytes, header, sizeof header);
}

static void gzip_write_little_endian(uint32_t value, uint8_t *ret_bytes)
{
    for (unsigned i = 0; i < 4; i++)
        ret_bytes[i] = (uint8_t)(value >> (8 * i));
}

void gzip_write_trailer(uint32_t crc, uint64_t input_bytes, uint8_t ret_bytes[GZIP_TRAILER_BYTES])
{
    ret_bytes[0] = 3; // an empty block with fixed codes that is the last one
    ret_bytes[1] = 0;
    gzip_write_little_endian(crc, ret_bytes + 2);
    gzip_write_little_endian((uint32_t)input_bytes, ret_bytes + 6); // modulo 2^32 by RFC 1952
}

bool gzip_self_check(void)
{
    // Text-like bytes from a multiplicative generator: repeats, literals and matches all occur.
    static const char expected[] =
        "6ada2bcac8c1cb24a4f1c649f7405fc8fa335f56c27120d88e3ed2b30b862d24";
    uint8_t *input CLEANUP(mem_free_at) = mem_alloc(64 * 1024);
    uint8_t *output CLEANUP(mem_free_at) = mem_alloc(GZIP_BLOCK_OUTPUT_BYTES);
    struct gzip_deflater *deflater CLEANUP(gzip_deflater_free) = gzip_deflater_new();
    uint32_t state = 1;
    for (size_t i = 0; i < (size_t)64 * 1024; i++) {
        state = state * 1664525 + 1013904223;
        input[i] = (uint8_t)("campaign,install,2026-01-02"[(state >> 24) % 27] + (i % 977 == 0));
    }
    uint32_t crc;
    const size_t size = gzip_deflate_block(deflater, slice_of(input, (size_t)64 * 1024), output,
                                           &crc);
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_CHARS + 1];
    sha256_of(slice_of(output, size), digest);
    hex_encode(slice_of(digest, sizeof digest), hex);
    return strcmp(hex, expected) == 0;
}

const char *gzip_encoder_id(void)
{
    return "isal-" MILKRUN_ISAL_VERSION "-l1-1m";
}

struct gunzip {
    struct inflate_state state;
    int member_count;
    size_t head_size; // of the four bytes that are checked here
    bool is_inside;   // a member has begun and not ended
};

struct gunzip *gunzip_new(void)
{
    struct gunzip *gunzip = mem_alloc(sizeof *gunzip);
    isal_inflate_init(&gunzip->state);
    gunzip->state.crc_flag = ISAL_GZIP;
    return gunzip;
}

void gunzip_free(struct gunzip **gunzip)
{
    mem_free(*gunzip);
    *gunzip = NULL;
}

static bool gunzip_invalid(struct err *err)
{
    return err_set(err, ERR_INVALID, "Invalid gzip data");
}

// ISA-L does not look at reserved flags, so the head of each member is checked here as it passes.
static bool gunzip_check_head(struct gunzip *gunzip, struct slice input)
{
    const uint8_t *bytes = input.data;
    for (size_t i = 0; i < input.size_bytes && gunzip->head_size < 4; i++, gunzip->head_size++) {
        static const uint8_t magic[] = {0x1f, 0x8b, 8};
        const bool is_right = gunzip->head_size < 3 ? bytes[i] == magic[gunzip->head_size]
                                                    : (bytes[i] & 0xe0) == 0;
        if (!is_right)
            return false;
    }
    return true;
}

static bool gunzip_begin_member(struct gunzip *gunzip, struct err *err)
{
    if (++gunzip->member_count > GZIP_MEMBERS_MAX)
        return gunzip_invalid(err);
    if (gunzip->member_count > 1) {
        isal_inflate_reset(&gunzip->state);
        gunzip->state.crc_flag = ISAL_GZIP;
    }
    gunzip->head_size = 0;
    gunzip->is_inside = true;
    return true;
}

bool gunzip_next(struct gunzip *gunzip, struct slice *input, uint8_t *ret_bytes,
                 size_t capacity_bytes, size_t *ret_size_bytes, struct err *err)
{
    ASSERT(capacity_bytes > 0);
    size_t size = 0;
    while (size == 0 && (input->size_bytes > 0 || gunzip->is_inside)) {
        if (!gunzip->is_inside)
            TRY(gunzip_begin_member(gunzip, err));
        if (!gunzip_check_head(gunzip, *input))
            return gunzip_invalid(err);
        struct inflate_state *state = &gunzip->state;
        const size_t in_size = input->size_bytes < UINT32_MAX ? input->size_bytes : UINT32_MAX;
        const size_t out_size = capacity_bytes < UINT32_MAX ? capacity_bytes : UINT32_MAX;
        state->next_in = gzip_input(*input);
        state->avail_in = (uint32_t)in_size;
        state->next_out = ret_bytes;
        state->avail_out = (uint32_t)out_size;
        const int status = isal_inflate(state);
        if (status != ISAL_DECOMP_OK && status != ISAL_END_INPUT && status != ISAL_OUT_OVERFLOW)
            return gunzip_invalid(err);
        *input = slice_from(*input, in_size - state->avail_in);
        size = out_size - state->avail_out;
        if (state->block_state == ISAL_BLOCK_FINISH)
            gunzip->is_inside = false;
        else if (size == 0 && input->size_bytes == 0)
            break; // needs more input
    }
    *ret_size_bytes = size;
    return true;
}

bool gunzip_end(struct gunzip *gunzip, struct err *err)
{
    if (gunzip->is_inside || gunzip->member_count == 0)
        return gunzip_invalid(err);
    return true;
}
