/* Ids of streams, read strictly: a number has one form. */
#include "server/follow/place.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct reader {
    const char *at;
    size_t left;
    bool bad;
};

static uint64_t read_number(struct reader *reader, uint64_t max)
{
    uint64_t value = 0;
    size_t digits = 0;
    while (digits < reader->left && reader->at[digits] >= '0' && reader->at[digits] <= '9') {
        unsigned digit = (unsigned)(reader->at[digits++] - '0');
        if (value > (max - digit) / 10) {
            reader->bad = true;
            return 0;
        }
        value = value * 10 + digit;
    }
    if (digits == 0 || (digits > 1 && reader->at[0] == '0'))
        reader->bad = true;
    reader->at += digits;
    reader->left -= digits;
    return value;
}

static void read_dash(struct reader *reader)
{
    if (reader->left == 0 || reader->at[0] != '-') {
        reader->bad = true;
        return;
    }
    reader->at++;
    reader->left--;
}

static void read_incarnation(struct reader *reader, char text[9])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 8; i++) {
        if (i >= reader->left || reader->at[i] == '\0' || strchr(digits, reader->at[i]) == NULL) {
            reader->bad = true;
            return;
        }
        text[i] = reader->at[i];
    }
    text[8] = '\0';
    reader->at += 8;
    reader->left -= 8;
}

bool event_place_read(struct event_place *place, const char *text, size_t len)
{
    struct reader reader = {text, len, false};
    memset(place, 0, sizeof *place);
    read_incarnation(&reader, place->incarnation);
    read_dash(&reader);
    place->xid = read_number(&reader, UINT64_MAX);
    read_dash(&reader);
    place->event = (int64_t)read_number(&reader, INT64_MAX);
    return !reader.bad && reader.left == 0;
}

bool log_place_read(struct log_place *place, const char *text, size_t len)
{
    struct reader reader = {text, len, false};
    place->number = (int)read_number(&reader, INT32_MAX);
    for (int i = 0; i < 2; i++) {
        read_dash(&reader);
        place->at[i] = (int64_t)read_number(&reader, INT64_MAX);
    }
    return !reader.bad && reader.left == 0;
}

void event_place_write(const struct event_place *place, char text[PLACE_TEXT])
{
    snprintf(text, PLACE_TEXT, "%s-%" PRIu64 "-%" PRId64, place->incarnation, place->xid,
             place->event);
}

void log_place_write(const struct log_place *place, char text[PLACE_TEXT])
{
    snprintf(text, PLACE_TEXT, "%d-%" PRId64 "-%" PRId64, place->number, place->at[0],
             place->at[1]);
}

int event_place_compare(const struct event_place *a, const struct event_place *b)
{
    if (a->xid != b->xid)
        return a->xid < b->xid ? -1 : 1;
    return (a->event > b->event) - (a->event < b->event);
}
