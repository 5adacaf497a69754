/* A database URL taken apart, checked, and made into libpq's keywords. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/db/internal.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/network.h"

#define CONNECT_MS 5000

/* A login may have settings of its own (ALTER ROLE … SET) that change what a statement means or how
 * a value is written: these are ours whatever it has. Its limits (time-outs, read-only) stay. They
 * are set by the session's first statement, not at its start: poolers refuse options there. */
static const char *const pinned[][2] = {{"bytea_output", "hex"},
                                        {"DateStyle", "ISO"},
                                        {"IntervalStyle", "postgres"},
                                        {"TimeZone", "UTC"},
                                        {"extra_float_digits", "1"},
                                        {"standard_conforming_strings", "on"},
                                        {"array_nulls", "on"},
                                        {"transform_null_equals", "off"},
                                        {"exit_on_error", "off"},
                                        {"search_path", "pg_catalog,fleet,pg_temp"},
                                        {"default_tablespace", ""},
                                        {"default_transaction_isolation", "read committed"},
                                        {"default_transaction_deferrable", "off"}};

/* The options of a URL and, for what it leaves out, those of the environment (PGHOST, …). */
struct given {
    PQconninfoOption *url, *defaults; /* owned */
};

static void wipe_options(PQconninfoOption *options)
{
    for (PQconninfoOption *option = options; option && option->keyword; option++) {
        if (option->val)
            crypto_wipe(option->val, strlen(option->val));
    }
    PQconninfoFree(options);
}

static const char *find_option(const PQconninfoOption *options, const char *keyword)
{
    for (const PQconninfoOption *option = options; option && option->keyword; option++) {
        if (strcmp(option->keyword, keyword) == 0)
            return option->val && *option->val ? option->val : NULL;
    }
    return NULL;
}

/* What libpq would take: the URL's, else the environment's; "" for none. */
static const char *effective(const struct given *given, const char *keyword)
{
    const char *value = find_option(given->url, keyword);

    if (!value)
        value = find_option(given->defaults, keyword);
    return value ? value : "";
}

/* --- addresses --- */

void db_addresses_add(struct db_addresses *addresses, const char *host, const char *hostaddr,
                      const char *port)
{
    struct db_address *address;

    addresses->items = mem_resize(addresses->items, addresses->count + 1, sizeof *addresses->items);
    address = &addresses->items[addresses->count++];
    address->host = mem_strdup(host);
    address->hostaddr = mem_strdup(hostaddr);
    address->port = mem_strdup(port);
}

void db_addresses_release(struct db_addresses *addresses)
{
    for (size_t i = 0; i < addresses->count; i++) {
        free(addresses->items[i].host);
        free(addresses->items[i].hostaddr);
        free(addresses->items[i].port);
    }
    free(addresses->items);
    addresses->items = NULL;
    addresses->count = 0;
}

static size_t list_count(const char *list)
{
    size_t count = 1;

    for (; *list; list++)
        count += *list == ',';
    return count;
}

/* Element `number` of a comma-separated list; "" past its end. The caller frees. */
static char *list_item(const char *list, size_t number)
{
    while (number > 0 && *list) {
        if (*list++ == ',')
            number--;
    }
    return mem_strndup(list, strcspn(list, ","));
}

static bool is_ip(const char *text)
{
    struct sockaddr_in6 v6;
    struct sockaddr_in v4;

    return uv_ip4_addr(text, 0, &v4) == 0 || uv_ip6_addr(text, 0, &v6) == 0;
}

bool db_target_is_name(const struct db_address *address)
{
    const char *host = address->host;

    return !*address->hostaddr && *host && *host != '/' && *host != '@' && !is_ip(host);
}

static bool is_local(const struct db_address *address)
{
    const char *host = address->host;

    if (*address->hostaddr)
        return network_is_loopback(address->hostaddr);
    if (!*host || *host == '/' || *host == '@' || strcmp(host, "localhost") == 0)
        return true;
    return network_is_loopback(host);
}

/* A password with a bare '@', ':' or '/' slides into the host or port, and from there into the
 * messages of libpq: such a URL must not come as far as that. */
static bool is_plausible(const struct db_address *address)
{
    if (*address->host && strpbrk(address->host + 1, "@ \t:") && !is_ip(address->host) &&
        *address->host != '/')
        return false;
    if (*address->hostaddr && !is_ip(address->hostaddr))
        return false;
    return strspn(address->port, "0123456789") == strlen(address->port) &&
           strlen(address->port) <= 5 && strtol(address->port, NULL, 10) <= 65535;
}

static bool read_hosts(struct db_target *target, const struct given *given, struct error *err)
{
    const char *hosts = effective(given, "host");
    const char *addrs = effective(given, "hostaddr");
    const char *ports = effective(given, "port");
    size_t count = *addrs ? list_count(addrs) : list_count(hosts);
    size_t port_count = list_count(ports);

    if ((*hosts && list_count(hosts) != count) || (port_count != 1 && port_count != count) ||
        count > DB_ADDRESSES_MAX) {
        error_set(err, "the database URL does not give as many hosts as ports (at most %d)",
                  DB_ADDRESSES_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        char *host = list_item(hosts, i), *addr = list_item(addrs, i);
        char *port = list_item(ports, port_count == 1 ? 0 : i);
        struct db_address *last;

        db_addresses_add(&target->hosts, host, addr, port);
        free(host), free(addr), free(port);
        last = &target->hosts.items[i];
        if (!is_plausible(last) || strpbrk(effective(given, "dbname"), "@/")) {
            error_set(err,
                      "the database URL has a bad host, port or name; '@', ':', '/' and '%%' in a "
                      "user name or password must be percent-encoded");
            return false;
        }
        target->lookup |= db_target_is_name(last);
    }
    return true;
}

static bool check_privacy(const struct db_target *target, const struct given *given, bool allowed,
                          struct error *err)
{
    if (allowed || strcmp(effective(given, "sslmode"), "verify-full") == 0)
        return true;
    for (size_t i = 0; i < target->hosts.count; i++) {
        const struct db_address *address = &target->hosts.items[i];
        if (is_local(address))
            continue;
        error_set(err,
                  "the database at %s is not local: its URL needs sslmode=verify-full (or "
                  "database.insecure_plaintext: true, if nobody else is on the way)",
                  *address->host ? address->host : address->hostaddr);
        return false;
    }
    return true;
}

/* --- keywords --- */

static void put(struct db_target *target, const char *keyword, const char *value)
{
    target->keywords = mem_resize(target->keywords, target->count + 2, sizeof *target->keywords);
    target->values = mem_resize(target->values, target->count + 2, sizeof *target->values);
    target->keywords[target->count] = mem_strdup(keyword);
    target->values[target->count] = mem_strdup(value);
    target->count++;
    target->keywords[target->count] = NULL;
    target->values[target->count] = NULL;
}

static bool is_ours(const char *keyword)
{
    static const char *const ours[] = {"host", "hostaddr", "port", "connect_timeout",
                                       "client_encoding"};

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (strcmp(keyword, ours[i]) == 0)
            return true;
    }
    return false;
}

static char *settings_sql(int statement_ms)
{
    struct buf sql;

    buf_init(&sql, 4096);
    for (size_t i = 0; i < sizeof pinned / sizeof *pinned; i++)
        buf_addf(&sql, "%s pg_catalog.set_config('%s', '%s', false)", i == 0 ? "select" : ",",
                 pinned[i][0], pinned[i][1]);
    if (statement_ms > 0)
        buf_addf(&sql, ", pg_catalog.set_config('statement_timeout', '%d', false)", statement_ms);
    char *text = mem_strdup(buf_text(&sql));
    buf_release(&sql);
    return text;
}

static void put_all(struct db_target *target, const struct given *given, const char *application)
{
    /* A dead peer is noticed in 25 s, also while nothing is sent. GSS encryption would stand in the
     * way of sslmode=verify-full, and looks for its tickets synchronously. */
    const char *const ours[][2] = {
        {"application_name", application}, {"keepalives_idle", "10"},
        {"keepalives_interval", "5"},      {"keepalives_count", "3"},
        {"tcp_user_timeout", "15000"},     {"target_session_attrs", "read-write"},
        {"gssencmode", "disable"}};

    for (const PQconninfoOption *option = given->url; option->keyword; option++) {
        if (option->val && *option->val && !is_ours(option->keyword))
            put(target, option->keyword, option->val);
    }
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (ours[i][1] && !find_option(given->url, ours[i][0]))
            put(target, ours[i][0], ours[i][1]);
    }
    put(target, "client_encoding", "UTF8");
}

bool db_target_init(struct db_target *target, const char *url, const char *application,
                    int statement_ms, bool allow_plaintext, struct error *err)
{
    struct given given = {PQconninfoParse(url ? url : "", NULL), PQconndefaults()};
    long secs;
    bool fine = false;

    memset(target, 0, sizeof *target);
    if (!given.url || !given.defaults) {
        error_set(err, "the database URL cannot be read: it is written "
                       "postgresql://user:password@host:port/name?parameter=value, with special "
                       "characters percent-encoded");
    } else if (find_option(given.url, "service")) {
        error_set(err, "the database URL has service=, which is not supported: name the host");
    } else if (read_hosts(target, &given, err) &&
               check_privacy(target, &given, allow_plaintext, err)) {
        put_all(target, &given, application);
        target->settings = settings_sql(statement_ms);
        secs = strtol(effective(&given, "connect_timeout"), NULL, 10);
        target->connect_ms = secs > 0 && secs <= 600 ? (int)secs * 1000 : CONNECT_MS;
        fine = true;
    }
    wipe_options(given.url);
    wipe_options(given.defaults);
    if (!fine)
        db_target_release(target);
    return fine;
}

bool db_check_url(const char *url, bool allow_plaintext, struct error *err)
{
    struct db_target target;
    bool good = db_target_init(&target, url, "", 0, allow_plaintext, err);

    if (good)
        db_target_release(&target);
    return good;
}

void db_target_release(struct db_target *target)
{
    for (size_t i = 0; i < target->count; i++) {
        crypto_wipe(target->values[i], strlen(target->values[i]));
        free(target->keywords[i]);
        free(target->values[i]);
    }
    free(target->keywords);
    free(target->values);
    free(target->settings);
    db_addresses_release(&target->hosts);
    memset(target, 0, sizeof *target);
}

/* --- connecting --- */

static void add_item(struct buf *list, const char *item)
{
    buf_adds(list, item);
    buf_adds(list, ",");
}

static const char *ended(struct buf *list)
{
    if (list->len > 0)
        list->data[--list->len] = '\0';
    return buf_text(list);
}

PGconn *db_target_connect(const struct db_target *target, const struct db_addresses *addresses,
                          size_t first)
{
    const char **keywords = mem_array(target->count + 4, sizeof *keywords);
    const char **values = mem_array(target->count + 4, sizeof *values);
    struct buf hosts, addrs, ports;
    PGconn *pg;

    buf_init(&hosts, 1 << 16);
    buf_init(&addrs, 1 << 16);
    buf_init(&ports, 1 << 16);
    for (size_t i = 0; i < addresses->count; i++) {
        const struct db_address *address = &addresses->items[(first + i) % addresses->count];

        /* host stays beside hostaddr: it is the name that the certificate must bear. */
        add_item(&hosts, address->host);
        add_item(&addrs, address->hostaddr);
        add_item(&ports, address->port);
    }
    for (size_t i = 0; i < target->count; i++) {
        keywords[i + 3] = target->keywords[i];
        values[i + 3] = target->values[i];
    }
    keywords[0] = "host", values[0] = ended(&hosts);
    keywords[1] = "hostaddr", values[1] = ended(&addrs);
    keywords[2] = "port", values[2] = ended(&ports);
    pg = PQconnectStartParams(keywords, values, 0);
    buf_release(&hosts);
    buf_release(&addrs);
    buf_release(&ports);
    free(keywords);
    free(values);
    return pg;
}
