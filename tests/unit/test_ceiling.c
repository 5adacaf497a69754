/* server/ceiling: seats by node, kind and token, and what is told when a token ends. */
#include "tests/unit/api_scene.h"

#define CONNECTIONS 16 /* 12 seats, 8 of a kind, 6 of a token and kind */

static struct {
    struct ceiling *ceiling;
    struct call call; /* gone: refusals are not sent */
    struct seat seats[CONNECTIONS];
    int told;
} scene;

static void setup(void)
{
    api_setup();
    memset(&scene, 0, sizeof scene);
    scene.ceiling = ceiling_new(&api.server.loop, api.server.db, CONNECTIONS);
}

static void teardown(void)
{
    for (int i = 0; i < CONNECTIONS; i++)
        seat_leave(scene.ceiling, &scene.seats[i]);
    ck_assert_uint_eq(ceiling_taken(scene.ceiling, SEAT_STREAM), 0);
    ck_assert_uint_eq(ceiling_taken(scene.ceiling, SEAT_POLL), 0);
    ceiling_free(scene.ceiling);
    api_teardown();
}

static void on_revoked(void *data)
{
    scene.told++;
    seat_leave(scene.ceiling, data);
}

static bool take(int seat, enum seat_kind kind, int64_t token_id)
{
    scene.call.who.token_id = token_id;
    return seat_take(scene.ceiling, &scene.seats[seat], kind, &scene.call, on_revoked,
                     &scene.seats[seat]);
}

/* How many of `most` more a token gets. */
static int fill(int first, int most, enum seat_kind kind, int64_t token_id)
{
    int taken = 0;
    while (taken < most && take(first + taken, kind, token_id))
        taken++;
    return taken;
}

START_TEST(no_token_has_all_seats)
{
    ck_assert_int_eq(fill(0, 8, SEAT_STREAM, 1), 6);
    ck_assert_int_eq(fill(6, 3, SEAT_STREAM, 2), 2);
    ck_assert_int_eq(fill(8, 8, SEAT_POLL, 1), 4);
    ck_assert(!take(15, SEAT_POLL, 3));
    seat_leave(scene.ceiling, &scene.seats[0]);
    ck_assert(take(15, SEAT_POLL, 3));
}
END_TEST

START_TEST(what_is_many_has_its_kind)
{
    ck_assert_int_eq(fill(0, 9, SEAT_POLL, -1), 8);
    ck_assert_int_eq(fill(8, 9, SEAT_STREAM, 0), 4);
}
END_TEST

START_TEST(an_ended_token_is_told_once)
{
    bool done = false;
    api_sql("tokens_ended", "token_id=2");
    ck_assert(take(0, SEAT_STREAM, 1));
    ck_assert(take(1, SEAT_STREAM, 2));
    ck_assert(take(2, SEAT_POLL, 2));
    ck_assert(take(3, SEAT_POLL, 0));
    ceiling_check(scene.ceiling);
    ceiling_check(scene.ceiling); /* the answer on its way may be older than this */
    while (!done) {
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
        done = api_asked("tokens_ended")->calls == 2 && list_empty(&api.queries);
    }
    ck_assert_int_eq(scene.told, 2);
    ck_assert_uint_eq(ceiling_taken(scene.ceiling, SEAT_STREAM), 1);
    ck_assert_uint_eq(ceiling_taken(scene.ceiling, SEAT_POLL), 1);
}
END_TEST

static void on_revoked_stay(void *data)
{
    (void)data;
    scene.told++;
}

START_TEST(who_stays_is_not_told_again)
{
    api_sql("tokens_ended", "token_id=2");
    scene.call.who.token_id = 2;
    for (int i = 0; i < 3; i++)
        ck_assert(seat_take(scene.ceiling, &scene.seats[i], SEAT_POLL, &scene.call, on_revoked_stay,
                            NULL));
    for (int round = 1; round <= 2; round++) {
        ceiling_check(scene.ceiling);
        while (!list_empty(&api.queries))
            uv_run(&api.server.loop.uv, UV_RUN_ONCE);
        ck_assert_int_eq(scene.told, 3);
    }
}
END_TEST

START_TEST(an_unknown_answer_ends_nothing)
{
    api_sql_fails("tokens_ended", "08001");
    ck_assert(take(0, SEAT_STREAM, 1));
    ceiling_check(scene.ceiling);
    while (!list_empty(&api.queries))
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
    ck_assert_int_eq(scene.told, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("ceiling");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, no_token_has_all_seats);
    tcase_add_test(tcase, what_is_many_has_its_kind);
    tcase_add_test(tcase, an_ended_token_is_told_once);
    tcase_add_test(tcase, who_stays_is_not_told_again);
    tcase_add_test(tcase, an_unknown_answer_ends_nothing);
    return api_run(tcase);
}
