/* forgejo.webhook_url as the Forgejo sees it: it sends to public addresses unless told otherwise.
 */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/network.h"
#include "server/doctor/doctor.h"

/* Sets the host of a URL, without brackets; false: it has none. */
static bool host_of(const char *url, char *host, size_t size)
{
    const char *from = strstr(url, "://");
    if (from == NULL)
        return false;
    from += 3;
    bool bracket = *from == '[';
    from += bracket;
    size_t len = strcspn(from, bracket ? "]" : ":/");
    if (len == 0 || len >= size)
        return false;
    memcpy(host, from, len);
    host[len] = '\0';
    return true;
}

static bool is_in(const char *address, const char *const *networks)
{
    struct network network;
    for (; *networks != NULL; networks++)
        if (network_parse(*networks, &network) && network_holds(&network, address))
            return true;
    return false;
}

/* What ALLOWED_HOST_LIST has to hold for this address; NULL: its default "external" does. */
static const char *word_for(const char *address)
{
    static const char *const private[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
                                          "fc00::/7", NULL};
    static const char *const local[] = {"169.254.0.0/16", "fe80::/10", NULL};
    if (network_is_loopback(address))
        return "loopback";
    if (is_in(address, private))
        return "private";
    return is_in(address, local) ? address : NULL;
}

/* The same of a host's first address that needs a word; `found`: it has an address at all. */
static const char *word_of_host(const char *host, char *address, size_t size, bool *found)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    const char *word = NULL;
    *found = getaddrinfo(host, NULL, &hints, &list) == 0;
    for (const struct addrinfo *at = list; at != NULL && word == NULL; at = at->ai_next)
        if (getnameinfo(at->ai_addr, at->ai_addrlen, address, (socklen_t)size, NULL, 0,
                        NI_NUMERICHOST) == 0)
            word = word_for(address);
    if (list != NULL)
        freeaddrinfo(list);
    return word;
}

static void say_reach(struct doctor *doctor, const char *host)
{
    char address[64] = "";
    bool found;
    const char *word = word_of_host(host, address, sizeof address, &found);
    struct doctor_delivery last;
    if (!found) {
        doctor_say(doctor, DOCTOR_WARN, "forgejo.webhook_url", "%s has no address here", host);
        doctor_mend("the Forgejo has to know it: getent hosts %s, on its machine", host);
    } else if (word == NULL) {
        doctor_say(doctor, DOCTOR_OK, "forgejo.webhook_url",
                   "has a public address, which Forgejo sends to");
    } else if (doctor_delivery(doctor, NULL, 0, &last) && last.number > 0) {
        doctor_say(doctor, DOCTOR_OK, "forgejo.webhook_url",
                   "has the address %s, and deliveries came", address);
    } else {
        doctor_say(doctor, DOCTOR_WARN, "forgejo.webhook_url",
                   "has the address %s, which Forgejo refuses to send to unless it is allowed",
                   address);
        doctor_mend("app.ini of the Forgejo: [webhook] ALLOWED_HOST_LIST = external,%s; then start "
                    "it again",
                    word);
    }
}

void doctor_address(struct doctor *doctor)
{
    const char *url = doctor->config->forgejo.webhook_url;
    char host[256];
    if (doctor->config->forgejo.poll_only)
        return;
    if (url == NULL) {
        doctor_say(doctor, DOCTOR_WARN, "forgejo.webhook_url",
                   "is not set, so that a webhook's address cannot be compared, nor one be made");
        doctor_mend("forgejo: { webhook_url: https://fleet.example.org" DOCTOR_HOOK_PATH " }");
    } else if (host_of(url, host, sizeof host)) {
        say_reach(doctor, host);
    }
}
