/* What was found about one host: a row for each check, with its remedy.
 *
 * Life: sheet_init, sheet_row for each check in the order in which they are shown (until something
 * is said, it was not tried), row_say, hints, sheet_release. Whatever a text is made of, it becomes
 * one line without control characters, bounded. */
#ifndef FLEET_CHECK_SHEET_H
#define FLEET_CHECK_SHEET_H

#include <stdbool.h>
#include <stddef.h>

enum check_result {
    CHECK_NOT_TRIED, /* something before it failed, or it is not for this host */
    CHECK_GOOD,
    CHECK_DOUBTFUL, /* runs work, but not for ever or not always */
    CHECK_FAILED,
};

/* A line of a remedy: what to do, or something to paste. */
struct check_hint {
    bool paste;
    char *text; /* owned */
};

struct check_row {
    char name[96];
    enum check_result result;
    char *text;               /* owned; NULL: nothing is said */
    struct check_hint *hints; /* owned */
    size_t hint_count;
};

#define SHEET_ROWS_MAX 320 /* 13 and one for each agent of a host */

struct check_sheet {
    struct check_row rows[SHEET_ROWS_MAX];
    size_t count;
};

void sheet_init(struct check_sheet *sheet);
void sheet_release(struct check_sheet *sheet);
/* The next row; aborts when there are too many. */
struct check_row *sheet_row(struct check_sheet *sheet, const char *name, const char *detail);
/* The first row with that result; NULL without. */
const struct check_row *sheet_find(const struct check_sheet *sheet, enum check_result result);

void row_say(struct check_row *row, enum check_result result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void row_note(struct check_row *row, const char *format, ...) __attribute__((format(printf, 2, 3)));
void row_paste(struct check_row *row, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* 'text' for a shell; the caller frees it. */
char *sheet_quote(const char *text);

#endif
