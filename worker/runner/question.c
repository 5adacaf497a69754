/* Payloads of questions. */
#include "worker/runner/question.h"

bool question_looks(struct frame_in payload, struct question_looks *looks)
{
    uint32_t version = get_u32(&payload);
    looks->count = get_u8(&payload);
    if (version != FRAME_VERSION || looks->count > RUNNER_LOOKS_MAX)
        return false;
    for (int i = 0; i < looks->count; i++) {
        looks->look[i].version = get_u8(&payload) != 0;
        get_text(&payload, looks->text[i], sizeof looks->text[i]);
        looks->look[i].command = looks->text[i];
    }
    return frame_done(&payload);
}

bool question_work(struct frame_in payload, struct runner_key *key, struct runner_work *work)
{
    get_key(&payload, key);
    get_work(&payload, work);
    return frame_done(&payload);
}

bool question_is_proper(const struct frame *frame, char run[static RUNNER_RUN_SIZE])
{
    static struct question_looks looks;
    struct runner_key key = {0};
    struct runner_start start;
    struct runner_stop stop;
    struct runner_work work;
    struct frame_in in = frame->payload;
    run[0] = '\0';
    if (frame->type == FRAME_HELLO)
        return question_looks(in, &looks);
    if (frame->type == FRAME_CLEAN)
        get_folder(&in, (char[RUNNER_RUN_SIZE]){0});
    else if (frame->type != FRAME_LIST)
        get_key(&in, &key);
    if (frame->type == FRAME_START)
        get_start(&in, &start);
    else if (frame->type == FRAME_STOP)
        get_stop(&in, &stop);
    else if (frame->type == FRAME_RAISE)
        get_u64(&in);
    else if (frame->type == FRAME_PREPARE || frame->type == FRAME_HARVEST ||
             frame->type == FRAME_REMOVE)
        get_work(&in, &work);
    memcpy(run, key.run, RUNNER_RUN_SIZE);
    return frame_done(&in);
}
