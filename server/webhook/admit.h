/* What the configuration admits: whose secret signs for which repository, which repositories,
 * events and senders. Names are compared without case, as Forgejo does. Pure. */
#ifndef FLEET_WEBHOOK_ADMIT_H
#define FLEET_WEBHOOK_ADMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/config.h"
#include "common/crypto.h"
#include "common/json.h"

/* Is there a secret at all? */
bool admit_has_secret(const struct config *config);

/* Did a secret that may sign for this repository make this MAC of these bytes? A secret of
 * forgejo.webhook_secrets signs for the repositories that it names, the general one for those that
 * no entry names; each also by the secret before. repo NULL: any of them, as long as the bytes
 * are not read, and for what is about no repository. */
bool admit_signed(const struct config *config, const char *repo, const void *json, size_t len,
                  const uint8_t mac[SHA256_SIZE]);

/* For which repositories the secret that made it may sign: {"covers": […], "but": […]}, which the
 * caller puts. NULL: there is none but the general one. */
struct json_object *admit_signer(const struct config *config, const void *json, size_t len,
                                 const uint8_t mac[SHA256_SIZE]);

/* By forgejo.repositories. */
bool admit_repository(const struct config *config, const char *repo);
/* By forgejo.events: a type, or a name where there is no type; an empty list admits all. */
bool admit_event(const struct config *config, const char *word);
/* By forgejo.trigger_users. */
bool admit_sender(const struct config *config, const char *login);

#endif
