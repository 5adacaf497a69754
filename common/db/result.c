/* Values of a result, by row and column. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/db/internal.h"
#include "common/log.h"

int db_rows(const struct db_result *res)
{
    return PQntuples(res->pg);
}

/* PQfnumber copies and folds the name at every call: too dear for every value of every row. */
static int column_number(const PGresult *pg, const char *column)
{
    int count = PQnfields(pg);

    for (int i = 0; i < count; i++) {
        if (strcmp(PQfname(pg, i), column) == 0)
            return i;
    }
    log_error(NULL, "the database's answer has no column \"%s\"", column);
    abort();
}

const char *db_text(const struct db_result *res, int row, const char *column)
{
    int number = column_number(res->pg, column);

    if (row < 0 || row >= PQntuples(res->pg)) {
        log_error(NULL, "the database's answer has no row %d", row);
        abort();
    }
    return PQgetisnull(res->pg, row, number) ? NULL : PQgetvalue(res->pg, row, number);
}

int64_t db_int(const struct db_result *res, int row, const char *column, int64_t fallback)
{
    const char *text = db_text(res, row, column);
    char *end;
    long long value;

    if (!text)
        return fallback;
    errno = 0;
    value = strtoll(text, &end, 10);
    return errno || end == text || *end ? fallback : value;
}

bool db_bool(const struct db_result *res, int row, const char *column)
{
    const char *text = db_text(res, row, column);

    return text && strcmp(text, "t") == 0;
}

bool db_bytes(const struct db_result *res, int row, const char *column, struct buf *out)
{
    const char *text = db_text(res, row, column);
    unsigned char piece[512];
    size_t digits, before = out->len;

    if (!text || text[0] != '\\' || text[1] != 'x')
        return false;
    text += 2;
    digits = strlen(text);
    if (digits % 2 != 0)
        return false;
    while (digits > 0) {
        size_t some = digits < 2 * sizeof piece ? digits : 2 * sizeof piece;

        if (!crypto_unhex(text, some, piece) || !buf_add(out, piece, some / 2)) {
            out->len = before;
            return false;
        }
        text += some;
        digits -= some;
    }
    return true;
}
