// SPDX-License-Identifier: Apache-2.0
#include "catalog/audit.h"

#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "catalog/catalog_internal.h"

#define AUDIT_KEY_LIFE_MS CIVIL_DAY_MS
#define AUDIT_LIMIT_MAX   INT64_C(10001) // a page, and one to see if there are more

void catalog_act_for(struct catalog *catalog, const struct catalog_actor *actor)
{
    catalog->actor = actor;
}

// A key that expired but is not removed yet is free again.
static bool audit_claim_key(struct catalog *catalog, const struct audit_change *change,
                            struct err *err)
{
    const struct catalog_actor *actor = catalog->actor;
    const struct db_value values[] = {
        db_text(actor->idempotency_scope), db_text(actor->body_sha256), db_text(change->object_id),
        db_int64(actor->now_ms + AUDIT_KEY_LIFE_MS), db_int64(actor->now_ms)};
    int64_t changed = 0;
    TRY(db_exec(catalog->db,
                "INSERT INTO idempotency_keys(scope, body_sha256, answer, expires_at_ms)"
                " VALUES($1, $2, $3, $4) ON CONFLICT(scope) DO UPDATE SET"
                " body_sha256 = excluded.body_sha256, answer = excluded.answer,"
                " expires_at_ms = excluded.expires_at_ms"
                " WHERE idempotency_keys.expires_at_ms <= $5",
                values, ARRAY_COUNT(values), &changed, err));
    if (changed == 0)
        return err_set(err, ERR_CONFLICT, "Request in progress");
    return true;
}

bool audit_record(struct catalog *catalog, const struct audit_change *change, struct err *err)
{
    const struct catalog_actor *actor = catalog->actor;
    if (actor == NULL)
        return true;
    const struct db_value values[] = {
        db_int64(actor->now_ms),  db_text(change->organization_id),
        db_text(actor->key_id),   db_int64(actor->user_id),
        db_text(actor->peer),     db_text(actor->request_id),
        db_text(change->action),  db_text(change->object_id),
        db_text(change->details),
    };
    TRY(db_exec(catalog->db,
                "INSERT INTO audit_entries(at_ms, organization_id, key_id, user_id, peer,"
                " request_id, action, object_id, details)"
                " VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                values, ARRAY_COUNT(values), NULL, err));
    if (!change->is_creation || actor->idempotency_scope == NULL)
        return true;
    return audit_claim_key(catalog, change, err);
}

// Names and numbers of one thing: far below this.
#define AUDIT_NOTE_BYTES_MAX ((size_t)64 * 1024)

void audit_note_init(struct audit_note *note)
{
    buf_init(&note->text, AUDIT_NOTE_BYTES_MAX);
    json_text_init(&note->json, &note->text);
    json_text_open(&note->json, '{');
}

void audit_note_clear(struct audit_note *note)
{
    buf_clear(&note->text);
}

bool audit_record_note(struct catalog *catalog, struct audit_change change, struct audit_note *note,
                       struct err *err)
{
    json_text_close(&note->json, '}');
    TRY(buf_check(&note->text, err));
    change.details = buf_text(&note->text);
    return audit_record(catalog, &change, err);
}

#define AUDIT_COLUMNS                                                                              \
    "id, at_ms, organization_id, key_id, user_id, peer, request_id, action, object_id, details"

bool audit_list(struct catalog *catalog, const struct audit_query *query, struct arena *arena,
                struct audit_entry **ret_entries, size_t *ret_count, struct err *err)
{
    ASSERT(query->limit > 0);
    ASSERT(query->limit <= AUDIT_LIMIT_MAX);
    const struct db_value values[] = {
        db_text(query->organization_id),
        db_int64(query->before_id == 0 ? INT64_MAX : query->before_id),
        db_int64(query->limit),
    };
    // Two statements, so that each has its index.
    const char *sql = query->organization_id == NULL
                          ? "SELECT " AUDIT_COLUMNS " FROM audit_entries"
                            " WHERE id < $2 ORDER BY id DESC LIMIT $3"
                          : "SELECT " AUDIT_COLUMNS " FROM audit_entries"
                            " WHERE organization_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db, sql, values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct audit_entry *entry = catalog_list_add(&list, arena, sizeof *entry);
        *entry = (struct audit_entry){
            .id = db_rows_int64(rows, 0),
            .at_ms = db_rows_int64(rows, 1),
            .organization_id = catalog_row_text(rows, 2, arena),
            .key_id = catalog_row_text(rows, 3, arena),
            .user_id = db_rows_int64(rows, 4),
            .peer = catalog_row_text(rows, 5, arena),
            .request_id = catalog_row_text(rows, 6, arena),
            .action = catalog_row_text(rows, 7, arena),
            .object_id = catalog_row_text(rows, 8, arena),
            .details = catalog_row_text(rows, 9, arena),
        };
    }
    TRY(err->kind == ERR_NONE);
    *ret_entries = list.items;
    *ret_count = list.count;
    return true;
}

bool audit_find_creation(struct catalog *catalog, const char *scope, int64_t now_ms,
                         struct arena *arena, struct audit_creation *ret_creation, struct err *err)
{
    const struct db_value values[] = {db_text(scope), db_int64(now_ms)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT answer, body_sha256 FROM idempotency_keys"
                          " WHERE scope = $1 AND expires_at_ms > $2",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "no such idempotency key");
    *ret_creation = (struct audit_creation){
        .object_id = catalog_row_text(rows, 0, arena),
        .body_sha256 = catalog_row_text(rows, 1, arena),
    };
    return true;
}
