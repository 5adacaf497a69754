/* Which keys there are: one row per key. Reading, defaults, errors and freeing all walk these rows,
 * so a new key is one row here and one member in config.h. */
#ifndef FLEET_CONFIG_SCHEMA_H
#define FLEET_CONFIG_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include "common/config/config.h"

enum field_type {
    FIELD_TEXT,  /* char * */
    FIELD_INT,   /* int */
    FIELD_INT64, /* int64_t */
    FIELD_FLAG,  /* bool */
    FIELD_TEXTS, /* struct config_list */
    FIELD_GROUP, /* a mapping whose members lie in the same struct */
    FIELD_ITEMS, /* an owned array of structs and its size_t count */
    FIELD_LATER  /* known, not taken: `text` says why */
};

enum field_flag {
    FIELD_REQUIRED = 1,
    FIELD_SECRET = 2,       /* a literal value wants a file that only its owner reads */
    FIELD_SERVER_ONLY = 4,  /* a worker does not resolve it: NULL there */
    FIELD_WORKER_ONLY = 8,  /* a server does not resolve it */
    FIELD_RAW = 16,         /* may hold "${" and control characters, entries may repeat */
    FIELD_PATH = 32,        /* "~/" and relative paths are made absolute */
    FIELD_NAMED = 64,       /* FIELD_ITEMS from a mapping; its key goes to the first member */
    FIELD_CAPABILITY = 128, /* one leading "agent:" is stripped */
    FIELD_ONE = 512,        /* FIELD_TEXTS: one entry may stand without a list */
    FIELD_PLAIN = 1024,     /* FIELD_NAMED: each entry is one value, of the only field */
    FIELD_URL = 256,        /* may hold a password: never shown; then as FIELD_SECRET */
    FIELD_RESTART = 2048,   /* read once, at the start */
    FIELD_DATABASE = 4096,  /* a command of the server needs it too */
    FIELD_FORGEJO = 8192,   /* so does the one that looks at the Forgejo */
};

struct config_field {
    const char *key; /* NULL ends a table */
    enum field_type type;
    unsigned flags;
    size_t offset;      /* of the member in its struct */
    int64_t min, max;   /* numbers: the range; texts: max is the length, 1024 when 0 */
    const char *text;   /* the default, or NULL; FIELD_LATER: the reason */
    const char *unit;   /* numbers: of what */
    const char *help;   /* for people: the effect; of groups and later keys NULL */
    const char *about;  /* for people: what the keys of a group at the top have in common */
    const char *one_of; /* texts: "a|b", or NULL for any */
    const char *(*check)(const char *text); /* NULL when right, else what would be right */
    const struct config_field *fields;      /* FIELD_GROUP, FIELD_ITEMS */
    size_t size;                            /* FIELD_ITEMS: of one struct */
    size_t count_offset;                    /* FIELD_ITEMS */
};

/* Characters of names, and how the tables say where a member lies and what a number may be. */
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define WORD LETTERS "0123456789._-"
#define AT(member) .offset = offsetof(struct config, member)
#define RANGE(low, high, standard, of) .min = (low), .max = (high), .text = (standard), .unit = (of)

/* 1 to `max` of the characters, the first no "-": nothing that a program takes for an option.
 * NULL when right, else `right`. */
const char *config_form(const char *text, const char *characters, size_t max, const char *right);
const char *config_check_repository(const char *text); /* "owner/name", "owner/" and "*", or "*" */

extern const struct config_field config_fields[];
extern const struct config_field config_forgejo_fields[];
extern const struct config_field config_host_fields[]; /* of one entry of hosts */

#endif
