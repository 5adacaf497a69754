/* One connection until it stands: look up, connect, back off, again. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/db/internal.h"
#include "common/log.h"
#include "common/pause.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000

/* The first half of a connection's life:
 *
 *   BACKING_OFF -> LOOKING_UP (when a host is a name) -> CONNECTING -> SETTLING -> STANDING …
 *
 * A broken connection is thrown away and built anew: PQreset would forget pipeline mode
 * and more. */

static const char *phase_name(enum db_phase phase)
{
    switch (phase) {
    case DB_CLOSED:
        return "closed";
    case DB_BACKING_OFF:
        return "backing off";
    case DB_LOOKING_UP:
        return "looking up";
    case DB_CONNECTING:
        return "connecting";
    case DB_SETTLING:
        return "settling";
    case DB_STANDING:
        return "standing";
    }
    return "?";
}

/* The only place where the phase changes. */
void db_connection_enter(struct db_connection *connection, enum db_phase phase)
{
    log_debug(connection->about, "database connection: %s", phase_name(phase));
    connection->phase = phase;
}

/* Throws the libpq connection away. The watch goes first: libuv must not see a closed fd. */
void db_connection_drop(struct db_connection *connection)
{
    watch_free(connection->watch);
    connection->watch = NULL;
    PQfinish(connection->pg);
    connection->pg = NULL;
    timer_stop(&connection->timer);
    if (connection->lookup)
        db_lookup_take(connection->lookup, NULL);
    connection->lookup = NULL;
    db_addresses_release(&connection->addresses);
}

void db_connection_back_off(struct db_connection *connection)
{
    connection->failures++;
    db_connection_enter(connection, DB_BACKING_OFF);
    int ms = pause_after(connection->failures, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
    timer_start(&connection->timer, (uint64_t)pause_jitter(ms), 0);
}

static void connect_failed(struct db_connection *connection, const char *message)
{
    struct db *db = connection->db;
    static const char trying[] = "cannot connect to the database, trying again: ";
    char said[sizeof db->refusal + sizeof trying];

    /* libpq's own words, for target_session_attrs=read-write */
    db->read_only = strstr(message, "session is read-only") != NULL;
    db_trouble_connect(message, db->refusal, sizeof db->refusal);
    snprintf(said, sizeof said, "%s%s", trying, db->refusal);
    db_trouble_say(&db->trouble, said);
    db_connection_drop(connection);
    db_connection_back_off(connection);
}

/* --- connecting --- */

static void connected(struct db_connection *connection)
{
    if (PQsetnonblocking(connection->pg, 1) != 0 || PQenterPipelineMode(connection->pg) != 1) {
        connect_failed(connection, PQerrorMessage(connection->pg));
        return;
    }
    PQsetErrorVerbosity(connection->pg, PQERRORS_DEFAULT);
    timer_stop(&connection->timer);
    db_addresses_release(&connection->addresses);
    db_connection_settle(connection);
}

/* Which address libpq is at. */
static size_t find_current(const struct db_connection *connection)
{
    const struct db_addresses *addresses = &connection->addresses;
    const char *host = PQhost(connection->pg), *port = PQport(connection->pg);
    const char *addr = PQhostaddr(connection->pg);

    for (size_t i = 0; host && port && addr && i < addresses->count; i++) {
        const struct db_address *address = &addresses->items[i];

        if ((!*address->host || strcmp(address->host, host) == 0) &&
            (!*address->hostaddr || strcmp(address->hostaddr, addr) == 0) &&
            (!*address->port || strcmp(address->port, port) == 0))
            return i;
    }
    return connection->current;
}

static int connect_ms(const struct db_connection *connection)
{
    int chosen = connection->db->connect_ms;

    return chosen > 0 ? chosen : connection->target->connect_ms;
}

static void on_connecting(void *data, bool readable, bool writable);

static void connect_wait(struct db_connection *connection, bool readable, bool writable)
{
    size_t current = find_current(connection);

    if (PQsocket(connection->pg) < 0) {
        connect_failed(connection, PQerrorMessage(connection->pg));
        return;
    }
    if (current != connection->current) {
        connection->current = current;
        timer_start(&connection->timer, (uint64_t)connect_ms(connection), 0);
    }
    connection->watch =
        watch_new(connection->db->loop, PQsocket(connection->pg), on_connecting, connection);
    watch_set(connection->watch, readable, writable);
}

static void on_connecting(void *data, bool readable, bool writable)
{
    struct db_connection *connection = data;

    (void)readable, (void)writable;
    /* PQconnectPoll may close its socket and open another one under the same number, so the watch
     * goes before every call. After a refused connection it knows best what is wrong. */
    watch_free(connection->watch);
    connection->watch = NULL;
    switch (PQconnectPoll(connection->pg)) {
    case PGRES_POLLING_READING:
        connect_wait(connection, true, false);
        return;
    case PGRES_POLLING_WRITING:
    case PGRES_POLLING_ACTIVE: /* never given */
        connect_wait(connection, false, true);
        return;
    case PGRES_POLLING_OK:
        connected(connection);
        return;
    case PGRES_POLLING_FAILED:
        connect_failed(connection, PQerrorMessage(connection->pg));
        return;
    }
}

/* Notices may hold what a function was given: they go nowhere. */
static void on_notice(void *data, const PGresult *result)
{
    (void)data, (void)result;
}

static void connect_begin(struct db_connection *connection)
{
    db_connection_enter(connection, DB_CONNECTING);
    connection->pg =
        db_target_connect(connection->target, &connection->addresses, connection->first);
    if (!connection->pg || PQstatus(connection->pg) == CONNECTION_BAD) {
        connect_failed(connection,
                       connection->pg ? PQerrorMessage(connection->pg) : "out of memory");
        return;
    }
    PQsetNoticeReceiver(connection->pg, on_notice, NULL);
    PQsetErrorVerbosity(connection->pg, PQERRORS_VERBOSE); /* with SQLSTATE, while connecting */
    connection->current = connection->first;
    timer_start(&connection->timer, (uint64_t)connect_ms(connection), 0);
    connect_wait(connection, false, true);
}

/* libpq ignores connect_timeout here, and would wait for a silent address for ever: go on with the
 * next one, until all were silent. */
static void on_silent_address(struct db_connection *connection)
{
    connection->silent++;
    connection->first = (find_current(connection) + 1) % connection->addresses.count;
    watch_free(connection->watch);
    connection->watch = NULL;
    PQfinish(connection->pg);
    connection->pg = NULL;
    if (connection->silent < connection->addresses.count)
        connect_begin(connection);
    else
        connect_failed(connection, "no answer in time");
}

static void on_looked_up(void *data)
{
    struct db_connection *connection = data;

    db_lookup_take(connection->lookup, &connection->addresses);
    connection->lookup = NULL;
    if (connection->addresses.count > 0)
        connect_begin(connection);
    else
        connect_failed(connection, "no address of its host is known");
}

void db_connection_open(struct db_connection *connection)
{
    const struct db_target *target = connection->target;

    connection->first = connection->silent = 0;
    if (target->lookup) {
        db_connection_enter(connection, DB_LOOKING_UP);
        timer_start(&connection->timer, (uint64_t)connect_ms(connection), 0);
        connection->lookup =
            db_lookup_start(connection->db->loop, target, on_looked_up, connection);
        return;
    }
    for (size_t i = 0; i < target->hosts.count; i++) {
        const struct db_address *host = &target->hosts.items[i];

        db_addresses_add(&connection->addresses, host->host, host->hostaddr, host->port);
    }
    connect_begin(connection);
}

void db_connection_on_connect_time(struct db_connection *connection)
{
    if (connection->phase == DB_LOOKING_UP)
        on_looked_up(connection); /* with what is known by now */
    else
        on_silent_address(connection);
}
