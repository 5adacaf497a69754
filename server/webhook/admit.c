/* Lists of the configuration, applied to a delivery. */
#include "server/webhook/admit.h"

#include <string.h>
#include <strings.h>

#include "server/webhook/signature.h"

/* What was signed, and what the signature claims. */
struct signed_bytes {
    const void *json; /* borrowed */
    size_t len;
    const uint8_t *mac; /* borrowed */
};

static bool one_fits(const char *secret, const char *previous, const struct signed_bytes *bytes)
{
    return signature_fits(secret, bytes->json, bytes->len, bytes->mac) ||
           signature_fits(previous, bytes->json, bytes->len, bytes->mac);
}

bool admit_has_secret(const struct config *config)
{
    const char *secret = config->forgejo.webhook_secret;
    return (secret != NULL && secret[0] != '\0') || config->forgejo.signer_count > 0;
}

bool admit_signed(const struct config *config, const char *repo, const void *json, size_t len,
                  const uint8_t mac[SHA256_SIZE])
{
    const struct signed_bytes bytes = {json, len, mac};
    bool named = false;
    for (size_t i = 0; i < config->forgejo.signer_count; i++) {
        const struct config_signer *signer = &config->forgejo.signers[i];
        bool covers = repo != NULL && config_list_covers(&signer->repositories, repo);
        if ((repo == NULL || covers) && one_fits(signer->secret, signer->previous, &bytes))
            return true;
        named = named || covers;
    }
    return !named && one_fits(config->forgejo.webhook_secret,
                              config->forgejo.webhook_secret_previous, &bytes);
}

static void add_list(struct json_object *names, const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        json_object_array_add(names, json_object_new_string(list->items[i]));
}

struct json_object *admit_signer(const struct config *config, const void *json, size_t len,
                                 const uint8_t mac[SHA256_SIZE])
{
    const struct signed_bytes bytes = {json, len, mac};
    if (config->forgejo.signer_count == 0)
        return NULL;
    struct json_object *signer = json_object_new_object(), *covers = json_object_new_array(),
                       *but = json_object_new_array();
    json_object_object_add(signer, "covers", covers);
    json_object_object_add(signer, "but", but);
    for (size_t i = 0; i < config->forgejo.signer_count; i++) {
        const struct config_signer *one = &config->forgejo.signers[i];
        add_list(one_fits(one->secret, one->previous, &bytes) ? covers : but, &one->repositories);
    }
    if (json_object_array_length(covers) == 0)
        json_object_array_add(covers, json_object_new_string("*"));
    else
        json_object_object_del(signer, "but");
    return signer;
}

bool admit_repository(const struct config *config, const char *repo)
{
    return config_list_covers(&config->forgejo.repositories, repo);
}

bool admit_event(const struct config *config, const char *word)
{
    return config->forgejo.events.count == 0 || config_list_has(&config->forgejo.events, word);
}

bool admit_sender(const struct config *config, const char *login)
{
    const struct config_list *users = &config->forgejo.trigger_users;
    for (size_t i = 0; i < users->count; i++)
        if (strcmp(users->items[i], "*") == 0 || strcasecmp(users->items[i], login) == 0)
            return true;
    return false;
}
