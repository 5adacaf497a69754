/* Reads addresses and networks, and compares them. */
#include "common/network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static bool parse_address(const char *text, uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (inet_pton(AF_INET6, text, bytes) == 1)
        return true;
    memcpy(bytes, mapped, sizeof mapped);
    return inet_pton(AF_INET, text, bytes + 12) == 1;
}

bool network_is_address(const char *text)
{
    uint8_t bytes[16];
    return parse_address(text, bytes);
}

bool network_parse(const char *text, struct network *network)
{
    char address[64];
    size_t len = strcspn(text, "/");
    if (len >= sizeof address)
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    if (!parse_address(address, network->bytes))
        return false;
    network->bits = 128;
    if (text[len] == '\0')
        return true;
    const char *digits = text + len + 1;
    size_t count = strspn(digits, "0123456789");
    long bits = strtol(digits, NULL, 10);
    int offset = strchr(address, ':') == NULL ? 96 : 0;
    if (count == 0 || count > 3 || digits[count] != '\0' || bits > 128 - offset)
        return false;
    network->bits = offset + (int)bits;
    return true;
}

bool network_holds(const struct network *network, const char *address)
{
    uint8_t bytes[16];
    size_t whole = (size_t)network->bits / 8;
    int rest = network->bits % 8;
    if (!parse_address(address, bytes) || memcmp(network->bytes, bytes, whole) != 0)
        return false;
    return rest == 0 || ((network->bytes[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}

bool network_is_loopback(const char *address)
{
    static const struct network four = {{[10] = 0xff, [11] = 0xff, [12] = 127}, 96 + 8};
    static const struct network six = {{[15] = 1}, 128};
    return network_holds(&four, address) || network_holds(&six, address);
}
