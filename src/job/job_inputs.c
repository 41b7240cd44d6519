// SPDX-License-Identifier: Apache-2.0
#include "job/job_inputs.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "catalog/segment_retention.h"
#include "catalog/segments.h"
#include "lake/compact.h"

#define JOB_INPUTS_PIN_TRIES 10

// A segment that one or more tasks read.
struct job_segment {
    struct segment segment;
    struct source_segment source; // without times, which are each task's
};

// Times of a task in one of its segments, until the segment is verified.
struct job_place {
    struct job_segment *segment;
    int64_t time_min_ms;
    int64_t time_max_ms;
};

struct job_gathering {
    const struct job_inputs_request *request;
    struct arena *arena;
    struct job_inputs inputs;
    struct job_place **places;     // of each task
    struct job_segment **segments; // by id, ascending, each once
    size_t segment_count;
    size_t segment_capacity;
};

bool job_inputs_apps(struct catalog *catalog, const struct job *job, struct arena *arena,
                     const char *const **ret_app_ids, size_t *ret_count, struct err *err)
{
    *ret_app_ids = NULL;
    *ret_count = 0;
    if (job->app_id != NULL)
        return true;
    const struct segment_slice wanted = {
        .topic_id = job->topic_id,
        .time_min_ms = job->start_ms,
        .time_max_ms = job->end_ms,
        .seq_min = job->seq_lo,
        .seq_max = job->seq_hi,
    };
    const bool is_supplement = job->kind == JOB_LATE || job->seq_lo > 0;
    return segment_find_apps(catalog, job->organization_id, &wanted, !is_supplement, arena,
                             ret_app_ids, ret_count, err);
}

void job_inputs_name_tasks(const struct job *job, const struct recipe *recipe, struct arena *arena,
                           struct job_inputs *ret_inputs)
{
    ASSERT((job->app_id == NULL) == (recipe->app_ids != NULL));
    const size_t count = job->app_id == NULL ? recipe->app_count : 1;
    struct job_task *tasks = arena_alloc_array(arena, count + 1, sizeof *tasks);
    for (size_t i = 0; i < count; i++)
        tasks[i].app_id = job->app_id == NULL ? recipe->app_ids[i] : job->app_id;
    *ret_inputs = (struct job_inputs){tasks, count};
}

static struct segment_slice job_inputs_wanted(const struct job_inputs_request *request,
                                              const struct job_task *task)
{
    const struct job *job = request->job;
    return (struct segment_slice){
        .topic_id = job->topic_id,
        .app_id = strtoll(task->app_id, NULL, 10),
        .time_min_ms = job->start_ms,
        .time_max_ms = job->end_ms,
        .seq_min = request->recipe->seq_lo,
        .seq_max = request->recipe->seq_hi,
    };
}

// Where the id is, or belongs.
static size_t job_gathering_index(const struct job_gathering *gathering, int64_t id)
{
    size_t low = 0;
    size_t high = gathering->segment_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (gathering->segments[middle]->segment.id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The one job_segment of the id; the found segment lives elsewhere and is copied when it is new.
static struct job_segment *job_gathering_intern(struct job_gathering *gathering,
                                                const struct segment *found)
{
    const size_t index = job_gathering_index(gathering, found->id);
    if (index < gathering->segment_count && gathering->segments[index]->segment.id == found->id)
        return gathering->segments[index];
    if (gathering->segment_count == gathering->segment_capacity) {
        gathering->segment_capacity = gathering->segment_capacity * 2 + 64;
        gathering->segments = mem_resize(gathering->segments, gathering->segment_capacity *
                                                                  sizeof(struct job_segment *));
    }
    struct job_segment *segment = arena_alloc(gathering->arena, sizeof *segment);
    segment->segment = *found;
    segment->segment.path = arena_copy_text(gathering->arena, found->path);
    segment->segment.columns = arena_copy_text(gathering->arena, found->columns);
    segment->segment.sha256 = arena_copy_text(gathering->arena, found->sha256);
    memmove(gathering->segments + index + 1, gathering->segments + index,
            (gathering->segment_count - index) * sizeof(struct job_segment *));
    gathering->segments[index] = segment;
    gathering->segment_count++;
    return segment;
}

static bool job_gathering_find(struct job_gathering *gathering, size_t task_index, struct err *err)
{
    const struct job_inputs_request *request = gathering->request;
    struct job_task *task = &gathering->inputs.tasks[task_index];
    // Tasks share segments, and texts of segments are long: they are kept once.
    struct arena scratch CLEANUP(arena_clear);
    arena_init(&scratch);
    const struct segment_slice wanted = job_inputs_wanted(request, task);
    struct segment *found = NULL;
    struct segment_slice *slices = NULL;
    size_t count = 0;
    TRY(segment_find(request->catalog, &wanted, &scratch, &found, &slices, &count, err));
    struct job_place *places = arena_alloc_array(gathering->arena, count + 1, sizeof *places);
    for (size_t i = 0; i < count; i++) {
        places[i] = (struct job_place){
            .segment = job_gathering_intern(gathering, &found[i]),
            .time_min_ms = slices[i].time_min_ms,
            .time_max_ms = slices[i].time_max_ms,
        };
    }
    gathering->places[task_index] = places;
    task->segment_count = count;
    return true;
}

static bool job_gathering_find_and_pin(struct job_gathering *gathering, struct err *err)
{
    const struct job_inputs_request *request = gathering->request;
    gathering->segment_count = 0;
    for (size_t i = 0; i < gathering->inputs.task_count; i++)
        TRY(job_gathering_find(gathering, i, err));
    int64_t *ids = arena_alloc_array(gathering->arena, gathering->segment_count + 1, sizeof *ids);
    for (size_t i = 0; i < gathering->segment_count; i++)
        ids[i] = gathering->segments[i]->segment.id;
    return segment_pin(request->catalog, request->job->claim_id, ids, gathering->segment_count,
                       request->pinned_until_ms, err);
}

// As above, again when compaction came in between: that is no failure of the job.
static bool job_gathering_pin_some(struct job_gathering *gathering, struct err *err)
{
    struct err failure = {0};
    for (int i = 0; i < JOB_INPUTS_PIN_TRIES; i++) {
        if (job_gathering_find_and_pin(gathering, &failure))
            return true;
        if (failure.kind != ERR_CONFLICT)
            return err_set(err, failure.kind, "%s", failure.message);
    }
    return err_set(err, ERR_UNAVAILABLE, "segments are replaced too fast: %s", failure.message);
}

// Rows of the range that retention took must not be missing silently. Asked after pinning: what is
// dropped later stays on disk. A sample only shows what is there.
static bool job_gathering_check_floors(const struct job_gathering *gathering, struct err *err)
{
    const struct job_inputs_request *request = gathering->request;
    if (request->job->kind == JOB_SAMPLE)
        return true;
    for (size_t i = 0; i < gathering->inputs.task_count; i++) {
        const struct segment_slice wanted = job_inputs_wanted(request, &gathering->inputs.tasks[i]);
        int64_t floor_seq = 0;
        TRY(segment_floor(request->catalog, &wanted, &floor_seq, err));
        if (floor_seq > request->recipe->seq_lo)
            return err_set(err, ERR_INVALID, "%s", job_reason_past_retention);
    }
    return true;
}

static bool job_segment_read_columns(struct job_segment *segment, struct arena *arena,
                                     struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    TRY(json_tree_parse(slice_text(segment->segment.columns), &tree, err));
    const struct json_node *names = json_tree_root(tree);
    const size_t count = json_node_count(names);
    const char **columns = arena_alloc_array(arena, count + 1, sizeof *columns);
    for (size_t i = 0; i < count; i++)
        columns[i] = arena_copy_slice(arena, json_node_text(json_node_at(names, i)));
    segment->source.physical_columns = columns;
    segment->source.physical_column_count = count;
    return true;
}

static bool job_gathering_verify(struct job_gathering *gathering, struct err *err)
{
    const struct job_inputs_request *request = gathering->request;
    for (size_t i = 0; i < gathering->segment_count; i++) {
        struct job_segment *segment = gathering->segments[i];
        TRY(compact_verify_segment(request->data_directory, &segment->segment, err));
        segment->source.path = arena_format(gathering->arena, "%s/%s", request->data_directory,
                                            segment->segment.path);
        TRY(job_segment_read_columns(segment, gathering->arena, err));
        atomic_fetch_add(request->progress, 1);
    }
    return true;
}

static void job_gathering_hand_out(struct job_gathering *gathering)
{
    for (size_t i = 0; i < gathering->inputs.task_count; i++) {
        struct job_task *task = &gathering->inputs.tasks[i];
        task->segments = arena_alloc_array(gathering->arena, task->segment_count + 1,
                                           sizeof *task->segments);
        for (size_t j = 0; j < task->segment_count; j++) {
            const struct job_place *place = &gathering->places[i][j];
            task->segments[j] = place->segment->source;
            task->segments[j].time_min_ms = place->time_min_ms;
            task->segments[j].time_max_ms = place->time_max_ms;
        }
    }
}

static void job_gathering_clear(struct job_gathering *gathering)
{
    mem_free(gathering->segments);
}

bool job_inputs_gather(const struct job_inputs_request *request, struct arena *arena,
                       struct job_inputs *ret_inputs, struct err *err)
{
    struct job_gathering gathering CLEANUP(job_gathering_clear) = {0};
    gathering.request = request;
    gathering.arena = arena;
    job_inputs_name_tasks(request->job, request->recipe, arena, &gathering.inputs);
    gathering.places = arena_alloc_array(arena, gathering.inputs.task_count + 1,
                                         sizeof *gathering.places);
    TRY(job_gathering_pin_some(&gathering, err));
    TRY(job_gathering_check_floors(&gathering, err));
    TRY(job_gathering_verify(&gathering, err));
    job_gathering_hand_out(&gathering);
    *ret_inputs = gathering.inputs;
    return true;
}
