/* Troubles of a node with its database, told to people. */
#include "common/db/trouble.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/pause.h"

#define AGAIN_MS 600000
#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 30000

void db_trouble_say(struct db_trouble *trouble, const char *text)
{
    int64_t now = clock_ms();
    int slot = -1;

    snprintf(trouble->now, sizeof trouble->now, "%s", text);
    for (int i = 0; i < DB_TROUBLE_SAID; i++) {
        if (strncmp(trouble->said[i].text, text, sizeof trouble->said[i].text - 1) == 0)
            slot = i;
    }
    if (slot >= 0 && trouble->said[slot].at > 0 && now - trouble->said[slot].at < AGAIN_MS)
        return;
    if (slot < 0) {
        slot = trouble->next;
        trouble->next = (trouble->next + 1) % DB_TROUBLE_SAID;
    }
    snprintf(trouble->said[slot].text, sizeof trouble->said[slot].text, "%s", text);
    trouble->said[slot].at = now;
    log_warn(NULL, "%s", text);
}

int db_trouble_pause(struct db_trouble *trouble)
{
    return pause_jitter(2 * pause_after(++trouble->failures, PAUSE_MIN_MS / 2, PAUSE_MAX_MS / 2));
}

bool db_trouble_end(struct db_trouble *trouble)
{
    bool said = trouble->said[0].at > 0;

    *trouble = (struct db_trouble){0};
    return said;
}

/* libpq's messages have several lines, the last one ended. */
void db_one_line(char *text, size_t size, const char *message)
{
    size_t used = 0;

    for (; *message && used + 1 < size; message++) {
        char byte = *message == '\n' || *message == '\t' ? ' ' : *message;

        if (byte != ' ' || (used > 0 && text[used - 1] != ' '))
            text[used++] = byte;
    }
    if (used > 0 && text[used - 1] == ' ')
        used--;
    text[used] = '\0';
}

/* ": 3D000: " in a message of PQERRORS_VERBOSE; NULL when there is none. */
static char *find_state(char *text)
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (char *at = strstr(text, ": "); at; at = strstr(at + 1, ": ")) {
        if (strspn(at + 2, letters) == 5 && strcspn(at + 2, "0123456789") < 5 &&
            strncmp(at + 7, ": ", 2) == 0)
            return at;
    }
    return NULL;
}

void db_trouble_connect(const char *message, char *text, size_t size)
{
    char line[1000], state[6] = "";
    const char *way = "";

    db_one_line(line, sizeof line, message);
    char *end = strstr(line, " LOCATION: ");
    if (end)
        *end = '\0';
    char *at = find_state(line);
    if (at) {
        snprintf(state, sizeof state, "%.5s", at + 2);
        memmove(at, at + 7, strlen(at + 7) + 1);
    }
    if (strcmp(state, "3D000") == 0)
        way = " (create it and run fleet-migrate, or name another one in database.url)";
    else if (strncmp(state, "28", 2) == 0)
        way = " (name a login that may, and its password, in database.url)";
    else if (strcmp(state, "42501") == 0)
        way = " (its owner runs: grant connect on database NAME to LOGIN;)";
    snprintf(text, size, "%.*s%s", (int)(size - strlen(way) - 1), line, way);
}

static bool is_any(const struct error *err, const char *states)
{
    return err->state[0] != '\0' && strstr(states, err->state) != NULL;
}

bool db_trouble_said_elsewhere(const struct error *err)
{
    return strncmp(err->state, "08", 2) == 0 || is_any(err, "AF010");
}

const char *db_trouble_word(const struct error *err)
{
    if (is_any(err, "3F000 42883 42P01 42703"))
        return "schema";
    if (is_any(err, "42501 AF009"))
        return "role";
    if (is_any(err, "AF010"))
        return "outdated";
    return is_any(err, "25006") ? "read_only" : "database";
}

void db_trouble_text(const struct error *err, const char *kind, char *text, size_t size)
{
    if (is_any(err, "3F000"))
        snprintf(text, size,
                 "the database has no schema of Agent Fleet: as its owner run fleet-migrate "
                 "(migrations/apply) postgresql://OWNER@HOST/DATABASE");
    else if (is_any(err, "42883 42P01 42703"))
        snprintf(text, size,
                 "the schema of the database does not fit this %s (%s): as its owner run this "
                 "version's fleet-migrate (migrations/apply) postgresql://OWNER@HOST/DATABASE",
                 kind, err->text);
    else if (is_any(err, "42501"))
        snprintf(text, size,
                 "this login may not do what a %s does (%s); name its own in database.url, or an "
                 "administrator runs: grant fleet_%s to LOGIN;",
                 kind, err->text, kind);
    else if (is_any(err, "25006"))
        snprintf(text, size,
                 "the database is read-only: name the primary in database.url, or all hosts of it");
    else
        snprintf(text, size, "this %s could not be registered: %s", kind, err->text);
}

void db_trouble_schema(int64_t schema, int needed, char *text, size_t size)
{
    text[0] = '\0';
    if (schema < needed)
        snprintf(text, size,
                 "the database has schema %" PRId64 ", this program needs %d: as its owner run "
                 "fleet-migrate (migrations/apply) postgresql://OWNER@HOST/DATABASE",
                 schema, needed);
}

void db_trouble_outdated(int64_t oldest, int ours, char *text, size_t size)
{
    text[0] = '\0';
    if (oldest > ours)
        snprintf(text, size,
                 "the database serves programs of schema %" PRId64 " and later, and this one is of "
                 "schema %d: install the release that the database's migrations came from, and "
                 "start it again",
                 oldest, ours);
}
