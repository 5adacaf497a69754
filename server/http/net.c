/* Addresses and host names, taken apart and compared. */
/* Who is at the other end, and under which name we are asked. */
#include "server/http/net.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/network.h"

bool net_in_list(const struct config_list *list, const char *address)
{
    struct network network;
    for (size_t i = 0; i < list->count; i++) {
        if (network_parse(list->items[i], &network) && network_holds(&network, address))
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
    if (end - begin >= sizeof hop)
        return;
    memcpy(hop, forwarded + begin, end - begin);
    hop[end - begin] = '\0';
    if (network_is_address(
            hop)) /* anything else is not an address, and no proxy of ours wrote it */
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
    return strcasecmp(text, "localhost") == 0 || network_is_loopback(text);
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
