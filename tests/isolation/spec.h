/*
 * A spec is one race written down: named sessions, each with named steps of SQL, and the orders in
 * which the steps are to be tried. Format (a # begins a comment, names are in double quotes, SQL
 * stands in braces, which must balance):
 *
 *     setup { SQL }                      before every order, as the owner of the test
 *     teardown { SQL }
 *     session "w1" as "role"             one connection; "as" is optional
 *       setup { SQL }
 *       step "claim" { SQL }
 *       step "late" allow "AF002 AF001" { SQL }    SQLSTATEs that are a good answer (a class: "AF")
 *       step "look" nowait { SQL }                 must not wait for another session's lock
 *     order "claim" "cancel"             one order; without any order or race: every interleaving
 *     race "claim" "cancel" rounds 20    all at the same instant, so many times
 *     expect "one attempt" { SQL }       after every order; the first column must be true
 */
#ifndef FLEET_TESTS_ISOLATION_SPEC_H
#define FLEET_TESTS_ISOLATION_SPEC_H

#include <stdbool.h>
#include <stddef.h>

enum { SPEC_SESSIONS = 16, SPEC_STEPS = 64, SPEC_ORDERS = 20000, SPEC_EXPECTS = 32 };

struct spec_step {
    char *name;  /* owned; unique in the spec */
    char *sql;   /* owned */
    char *allow; /* owned; SQLSTATEs or classes of them, separated by blanks; may be NULL */
    bool nowait; /* waiting for a lock is a failure */
    int session; /* index into spec.sessions */
};

struct spec_session {
    char *name;  /* owned */
    char *role;  /* owned; the user to connect as, NULL for the one of the URL */
    char *setup; /* owned; may be NULL */
};

struct spec_expect {
    char *name; /* owned */
    char *sql;  /* owned */
};

/* One way to run the steps. `race` sends them all at once, else each follows the one before. */
struct spec_order {
    int steps[SPEC_STEPS];
    int count;
    bool race;
    int rounds;
};

struct spec {
    char *path;     /* owned */
    char *setup;    /* owned; may be NULL */
    char *teardown; /* owned; may be NULL */
    struct spec_session sessions[SPEC_SESSIONS];
    int session_count;
    struct spec_step steps[SPEC_STEPS];
    int step_count;
    struct spec_expect expects[SPEC_EXPECTS];
    int expect_count;
    struct spec_order *orders; /* owned */
    int order_count;
    bool generated; /* the orders are every interleaving, not written down */
};

/* Reads one spec. A fault ends the program with file and line: a spec is part of the test. */
void spec_load(struct spec *spec, const char *path);

/* Shuffles the orders; the same seed gives the same. */
void spec_shuffle(struct spec *spec, unsigned seed);

void spec_release(struct spec *spec);

#endif
