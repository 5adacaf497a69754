/* config_parse on any bytes, as both nodes: a configuration, or a message that begins with the
 * place. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/config.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *bytes, size_t len, enum config_node node)
{
    struct error err = {{0}, ""};
    struct config *config = config_parse(bytes, len, "/nowhere/f.yaml", node, &err);
    if (config == NULL && strncmp(err.text, "/nowhere/f.yaml:", 16) != 0)
        abort();
    if (config == NULL && !text_is_utf8(err.text, strlen(err.text)))
        abort();
    if (config != NULL &&
        (config->database.url == NULL || (config->server.bind == NULL) != (node != CONFIG_SERVER)))
        abort();
    if (config != NULL && node != CONFIG_SERVER && config->forgejo.webhook_secret != NULL)
        abort();
    for (size_t i = 0; config != NULL && node != CONFIG_COMMAND && i < config->host_count; i++) {
        const struct config_host *host = &config->hosts[i];
        if (host->host_id == NULL || host->work_dir == NULL || host->work_dir[0] != '/' ||
            host->ssh_port < 1 || host->ssh_port > 65535)
            abort();
    }
    config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = size > 0 ? (const char *)data : "";
    if (memmem(bytes, size, "file", 4) != NULL || memmem(bytes, size, "credential", 10) != NULL)
        return 0; /* {file: PATH} would open what the fuzzer finds */
    check(bytes, size, CONFIG_SERVER);
    check(bytes, size, CONFIG_WORKER);
    check(bytes, size, CONFIG_COMMAND);
    return 0;
}
