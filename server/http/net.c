/* Addresses and host names, taken apart and compared. */
#include "server/http/net.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so that one comparison serves both. */
static bool parse_address(const char *text, uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (inet_pton(AF_INET6, text, bytes) == 1)
        return true;
    memcpy(bytes, mapped, sizeof mapped);
    return inet_pton(AF_INET, text, bytes + 12) == 1;
}

static bool same_prefix(const uint8_t a[16], const uint8_t b[16], int bits)
{
    int whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, (size_t)whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool net_is_loopback(const char *address)
{
    static const uint8_t one[16] = {[15] = 1};
    uint8_t bytes[16];
    if (strcmp(address, "localhost") == 0)
        return true;
    if (!parse_address(address, bytes))
        return false;
    if (memcmp(bytes, one, sizeof one) == 0)
        return true;
    uint8_t four[16];
    return parse_address("127.0.0.0", four) && same_prefix(bytes, four, 96 + 8);
}

static bool in_entry(const char *entry, const uint8_t address[16])
{
    char text[64];
    uint8_t network[16];
    size_t len = strcspn(entry, "/");
    if (len >= sizeof text)
        return false;
    memcpy(text, entry, len);
    text[len] = '\0';
    if (!parse_address(text, network))
        return false;
    int offset = strchr(text, ':') == NULL ? 96 : 0;
    if (entry[len] == '\0')
        return memcmp(network, address, 16) == 0;
    char *end;
    long bits = strtol(entry + len + 1, &end, 10);
    if (*end != '\0' || end == entry + len + 1 || bits < 0 || bits > 128 - offset)
        return false;
    return same_prefix(network, address, offset + (int)bits);
}

bool net_in_list(const struct config_list *list, const char *address)
{
    uint8_t bytes[16];
    if (!parse_address(address, bytes))
        return false;
    for (size_t i = 0; i < list->count; i++) {
        if (in_entry(list->items[i], bytes))
            return true;
    }
    return false;
}

void net_client(const struct config_list *trusted, const char *peer, const char *forwarded,
                size_t forwarded_len, char *client, size_t size)
{
    snprintf(client, size, "%s", peer);
    if (forwarded == NULL || !net_in_list(trusted, peer))
        return;
    size_t end = forwarded_len;
    while (end > 0 && (forwarded[end - 1] == ' ' || forwarded[end - 1] == '\t'))
        end--;
    size_t begin = end;
    while (begin > 0 && forwarded[begin - 1] != ',' && forwarded[begin - 1] != ' ')
        begin--;
    char hop[64];
    uint8_t bytes[16];
    if (end - begin >= sizeof hop)
        return;
    memcpy(hop, forwarded + begin, end - begin);
    hop[end - begin] = '\0';
    if (parse_address(hop,
                      bytes)) /* anything else is not an address, and no proxy of ours wrote it */
        snprintf(client, size, "%s", hop);
}

/* Length of the name in "name:port", "[v6]:port" or "name". */
static size_t name_length(const char *host, size_t len)
{
    const char *bracket = len > 0 && host[0] == '[' ? memchr(host, ']', len) : NULL;
    if (bracket != NULL)
        return (size_t)(bracket - host) + 1;
    const char *colon = memchr(host, ':', len);
    return colon != NULL ? (size_t)(colon - host) : len;
}

bool net_host_is_loopback(const char *host, size_t len)
{
    char text[64];
    len = name_length(host, len);
    if (len >= 2 && host[0] == '[') {
        host++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof text)
        return false;
    memcpy(text, host, len);
    text[len] = '\0';
    return strcasecmp(text, "localhost") == 0 || net_is_loopback(text);
}

bool net_host_known(const struct config_list *hosts, const char *host, size_t len)
{
    size_t name_len = name_length(host, len);
    if (hosts->count == 0 || net_host_is_loopback(host, len))
        return true;
    for (size_t i = 0; i < hosts->count; i++) {
        size_t entry_len = strlen(hosts->items[i]);
        if ((entry_len == len || entry_len == name_len) &&
            strncasecmp(hosts->items[i], host, entry_len) == 0)
            return true;
    }
    return false;
}
