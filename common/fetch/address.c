/* Addresses of foreign servers, read by libcurl's own parser, so that what is checked is what is
 * called. */
#include "common/fetch/address.h"

#include <ctype.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "common/network.h"

#define NO_URL "is no URL like https://git.example.org"

/* NULL for none; the caller gives it to curl_free(). */
static char *part_of(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL;

    return curl_url_get(url, part, &text, flags) == CURLUE_OK ? text : NULL;
}

static bool is_loopback(const char *host)
{
    char address[64] = "";
    size_t len = strlen(host);

    /* libcurl gives "localhost" the loopback addresses itself, whatever a resolver says. */
    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (host[0] == '[' && len > 2 && len - 2 < sizeof address)
        memcpy(address, host + 1, len - 2);
    return network_is_loopback(address[0] ? address : host);
}

static const char *fault_of(CURLU *url, bool allow_http)
{
    static const CURLUPart unwanted[] = {CURLUPART_USER,  CURLUPART_PASSWORD, CURLUPART_OPTIONS,
                                         CURLUPART_QUERY, CURLUPART_FRAGMENT, CURLUPART_ZONEID};
    char *scheme = part_of(url, CURLUPART_SCHEME, 0), *host = part_of(url, CURLUPART_HOST, 0);
    const char *fault = NULL;

    if (!scheme || !host || host[0] == '\0')
        fault = NO_URL;
    else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        fault = "is not https";
    else if (strcmp(scheme, "http") == 0 && !allow_http && !is_loopback(host))
        fault = "would carry tokens in clear: use https";
    for (size_t i = 0; !fault && i < sizeof unwanted / sizeof *unwanted; i++) {
        char *part = part_of(url, unwanted[i], 0);
        if (part)
            fault = "has more than a host, a port and a path";
        curl_free(part);
    }
    curl_free(scheme);
    curl_free(host);
    return fault;
}

/* The plain form: no port that is the scheme's own, the host in small letters. */
static char *plain(CURLU *url)
{
    char *host = part_of(url, CURLUPART_HOST, 0);

    for (char *at = host; at && *at; at++)
        *at = (char)tolower((unsigned char)*at);
    if (host)
        curl_url_set(url, CURLUPART_HOST, host, 0);
    curl_free(host);
    return part_of(url, CURLUPART_URL, CURLU_NO_DEFAULT_PORT);
}

static size_t without_slash(const char *text)
{
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '/')
        len--;
    return len;
}

bool address_read(const char *text, bool allow_http, char **base, struct error *err)
{
    CURLU *url = curl_url();
    const char *fault = NO_URL;
    char *path = NULL, *whole = NULL;

    if (text && url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK)
        fault = fault_of(url, allow_http);
    if (!fault && (path = part_of(url, CURLUPART_PATH, 0)) != NULL && !address_path_fits(path))
        fault = NO_URL;
    if (!fault && (whole = plain(url)) == NULL)
        fault = NO_URL;
    if (!fault && base)
        *base = mem_strndup(whole, without_slash(whole));
    if (fault)
        error_set_state(err, "request", "The address of the server %s.", fault);
    curl_free(path);
    curl_free(whole);
    curl_url_cleanup(url);
    return !fault;
}

/* "." or "..", however they are written. */
static bool is_dots(const char *segment, size_t len)
{
    size_t dots = 0;

    for (size_t i = 0; i < len; dots++) {
        if (segment[i] == '.')
            i += 1;
        else if (len - i >= 3 && strncasecmp(segment + i, "%2e", 3) == 0)
            i += 3;
        else
            return false;
    }
    return dots == 1 || dots == 2;
}

/* RFC 3986 3.3, 3.4: nothing that would end the path or need encoding. */
bool address_path_fits(const char *path)
{
    static const char signs[] = "-._~!$&'()*+,;=:@/?%";
    size_t len = strnlen(path, ADDRESS_PATH_MAX + 1);

    if (path[0] != '/' || len > ADDRESS_PATH_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)path[i]) && !strchr(signs, path[i]))
            return false;
        if (path[i] == '%' &&
            (!isxdigit((unsigned char)path[i + 1]) || !isxdigit((unsigned char)path[i + 2])))
            return false;
    }
    for (const char *end = path + strcspn(path, "?"); path < end;) {
        size_t step = strcspn(++path, "/?");
        if (is_dots(path, step))
            return false;
        path += step;
    }
    return true;
}
