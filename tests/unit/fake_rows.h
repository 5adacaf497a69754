/* Rows of a fake database, from text: "column=value;column=value|next row…"; "<null>" is SQL null,
 * NULL or "" no row. Values hold neither ';' nor '|'. */
#ifndef FLEET_FAKE_ROWS_H
#define FLEET_FAKE_ROWS_H

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define FAKE_COLUMNS_MAX 64

static inline void fake_cells(PGresult *res, int row, char *text)
{
    char *rest = NULL;
    int column = 0;
    for (char *cell = strtok_r(text, ";", &rest); cell; cell = strtok_r(NULL, ";", &rest)) {
        char *value = strchr(cell, '=');
        *value++ = '\0';
        if (strcmp(value, "<null>") == 0)
            PQsetvalue(res, row, column, NULL, -1);
        else
            PQsetvalue(res, row, column, value, (int)strlen(value));
        column++;
    }
}

static inline PGresult *fake_rows(const char *rows)
{
    PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    if (rows == NULL || rows[0] == '\0')
        return res;
    char *copy = mem_strdup(rows), *rest = NULL, *names = mem_strdup(rows);
    PGresAttDesc attributes[FAKE_COLUMNS_MAX];
    int columns = 0;
    names[strcspn(names, "|")] = '\0';
    for (char *cell = strtok_r(names, ";", &rest); cell; cell = strtok_r(NULL, ";", &rest)) {
        *strchr(cell, '=') = '\0';
        attributes[columns++] = (PGresAttDesc){.name = cell, .typlen = -1, .atttypmod = -1};
    }
    PQsetResultAttrs(res, columns, attributes);
    int row = 0;
    for (char *line = strtok_r(copy, "|", &rest); line; line = strtok_r(NULL, "|", &rest))
        fake_cells(res, row++, line);
    free(copy);
    free(names);
    return res;
}

#endif
