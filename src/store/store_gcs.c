// SPDX-License-Identifier: Apache-2.0
#include "store/store_gcs.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_gcs_internal.h"

#define STORE_GCS_PIECE_BYTES ((uint64_t)16 * 1024 * 1024)
#define STORE_GCS_PAGE        "500" // objects; names may be long, and an answer is 1 MiB at most

static_assert(STORE_GCS_PIECE_BYTES % STORE_GCS_GRANULE_BYTES == 0, "whole granules");

static const struct store_hooks store_gcs_no_hooks = {0};

// For calls that have no hooks.
static struct store_gcs_work store_gcs_work_on(struct store *store, const char *key,
                                               struct arena *arena)
{
    struct store_gcs *gcs = (struct store_gcs *)store;
    return (struct store_gcs_work){.gcs = gcs,
                                   .hooks = &store_gcs_no_hooks,
                                   .arena = arena,
                                   .key = store_gcs_key(gcs, key, arena)};
}

static struct store_gcs_expectation store_gcs_expect(uint64_t size_bytes, const uint8_t *sha256,
                                                     struct arena *arena)
{
    char *hex = arena_alloc(arena, SHA256_HEX_CHARS + 1);
    hex_encode(slice_of(sha256, SHA256_BYTES), hex);
    return (struct store_gcs_expectation){.size_bytes = size_bytes, .sha256_hex = hex};
}

static bool store_gcs_check(struct store *store, const struct store_object *object,
                            enum store_state *ret_state, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct store_gcs_work work = store_gcs_work_on(store, object->key, &arena);
    const struct store_gcs_expectation expected = store_gcs_expect(object->size_bytes,
                                                                   object->sha256, &arena);
    struct store_gcs_look look;
    TRY(store_gcs_look(&work, &expected, false, &look, err));
    *ret_state = look.state;
    return true;
}

static bool store_gcs_delete_object(struct store *store, const char *key, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct store_gcs_work work = store_gcs_work_on(store, key, &arena);
    return store_gcs_remove(&work, work.key, NULL, err);
}

// --- Probe

// An object that is there already is an earlier attempt, whose answer was lost.
static bool store_gcs_probe_write(const struct store_gcs_work *work, struct err *err)
{
    const char *path =
        arena_format(work->arena, "%s?uploadType=media&ifGenerationMatch=0&name=%s",
                     gcs_upload_path(gcs_client_bucket(work->gcs->client), work->arena),
                     gcs_encode(work->key, work->arena));
    const struct http_client_header header = {"Content-Type", "text/plain"};
    struct gcs_call call = store_gcs_call(work, "create object", "POST", path);
    call.permission = STORE_GCS_CREATE;
    call.role = STORE_GCS_CREATOR;
    call.headers = &header;
    call.header_count = 1;
    call.text = slice_text(STORE_PROBE_TEXT);
    call.statuses[0] = 201;
    call.statuses[1] = 412;
    struct gcs_reply reply;
    return gcs_client_send(work->gcs->client, &call, work->arena, &reply, NULL, err);
}

static bool store_gcs_probe(struct store *store, const char *key, struct store_probe *ret_probe,
                            struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct store_gcs_work work = store_gcs_work_on(store, key, &arena);
    uint8_t sha256[SHA256_BYTES];
    sha256_of(slice_text(STORE_PROBE_TEXT), sha256);
    const struct store_gcs_expectation expected = store_gcs_expect(sizeof STORE_PROBE_TEXT - 1,
                                                                   sha256, &arena);
    TRY(store_gcs_probe_write(&work, err));
    enum store_state state = STORE_ABSENT;
    TRY(store_gcs_look_at_bytes(&work, &expected, false, &state, err));
    if (state != STORE_SAME && state != STORE_UNREADABLE)
        return err_set(err, ERR_CORRUPT, "other bytes came back than were written");
    struct err failure = {0};
    const bool is_deleted = store_gcs_remove(&work, work.key, NULL, &failure);
    if (!is_deleted && failure.kind != ERR_DENIED)
        return err_set(err, failure.kind, "%s", failure.message);
    *ret_probe = (struct store_probe){.is_readable = state == STORE_SAME,
                                      .is_deletable = is_deleted};
    return true;
}

// --- Sweep. Uploads that nobody finished cannot be listed: Google forgets them after a week.

static bool store_gcs_sweep_one(const struct store_gcs_work *work, const struct store_sweep *sweep,
                                const struct gcs_object *object, struct err *err)
{
    const size_t prefix_chars = strlen(work->gcs->prefix);
    const int64_t oldest_ms = gcs_client_now_ms(work->gcs->client) - sweep->age_ms;
    if (object->created_at_ms == 0 || object->created_at_ms > oldest_ms ||
        strncmp(object->name, work->gcs->prefix, prefix_chars) != 0)
        return true;
    bool is_listed = true;
    TRY(sweep->is_listed(object->name + prefix_chars, sweep->context, &is_listed, err));
    return is_listed || store_gcs_remove(work, object->name, object->generation, err);
}

struct store_gcs_page {
    struct arena *arena;
    struct gcs_listing *listing;
};

static bool store_gcs_take_page(void *context, const struct gcs_reply *reply, struct err *err)
{
    const struct store_gcs_page *page = context;
    return gcs_listing_parse(reply->body, page->arena, page->listing, err);
}

static bool store_gcs_list(const struct store_gcs_work *work, const char *page,
                           struct gcs_listing *ret_listing, struct err *err)
{
    struct arena *arena = work->arena;
    const char *path = arena_format(
        arena,
        "%s?maxResults=" STORE_GCS_PAGE "&prefix=%s&fields=nextPageToken%%2Citems%%28name%%2C"
        "generation%%2Csize%%2CtimeCreated%%29%s%s",
        gcs_object_path(gcs_client_bucket(work->gcs->client), NULL, arena),
        gcs_encode(work->gcs->prefix, arena),
        page == NULL ? "" : "&pageToken=", page == NULL ? "" : gcs_encode(page, arena));
    struct gcs_call call = store_gcs_call(work, "list objects", "GET", path);
    call.permission = STORE_GCS_LIST;
    call.role = STORE_GCS_USER;
    struct store_gcs_page taken = {arena, ret_listing};
    call.check = store_gcs_take_page;
    call.check_context = &taken;
    struct gcs_reply reply;
    return gcs_client_send(work->gcs->client, &call, arena, &reply, NULL, err);
}

static bool store_gcs_sweep(struct store *store, const struct store_sweep *sweep, struct err *err)
{
    const char *page = NULL;
    char *next CLEANUP(mem_free_at) = NULL; // outlives the page's arena
    while (sweep->is_listed != NULL) {
        struct arena arena CLEANUP(arena_clear);
        arena_init(&arena);
        const struct store_gcs_work work = store_gcs_work_on(store, "", &arena);
        struct gcs_listing listing = {0};
        TRY(store_gcs_list(&work, page, &listing, err));
        for (size_t i = 0; i < listing.count; i++)
            TRY(store_gcs_sweep_one(&work, sweep, &listing.objects[i], err));
        if (listing.next_page == NULL)
            break;
        if (next != NULL && strcmp(next, listing.next_page) == 0)
            return err_set(err, ERR_UNAVAILABLE, "list objects: the same page again");
        mem_free(next);
        page = next = mem_copy_text(listing.next_page);
    }
    return true;
}

static void store_gcs_close(struct store *store)
{
    struct store_gcs *gcs = (struct store_gcs *)store;
    gcs_client_close(&gcs->client);
    mem_free(gcs->prefix);
    mem_free(gcs);
}

static const struct store_ops store_gcs_ops = {
    .name = "gcs",
    .put_file = store_gcs_put_file,
    .check = store_gcs_check,
    .probe = store_gcs_probe,
    .abort_upload = store_gcs_abort_upload,
    .delete_object = store_gcs_delete_object,
    .sweep = store_gcs_sweep,
    .close = store_gcs_close,
};

bool store_gcs_open(const struct store_gcs_config *config, struct store **ret_store,
                    struct err *err)
{
    struct store_gcs *gcs = mem_alloc(sizeof *gcs);
    struct store *store CLEANUP(store_close) = &gcs->base;
    store->ops = &store_gcs_ops;
    gcs->prefix = mem_copy_text(config->prefix == NULL ? "" : config->prefix);
    gcs->piece_bytes = config->piece_bytes == 0 ? STORE_GCS_PIECE_BYTES : config->piece_bytes;
    TRY(gcs_client_open(&config->gcs, &gcs->client, err));
    *ret_store = store;
    store = NULL;
    return true;
}
