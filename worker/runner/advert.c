/* Lines of a server: "ref: refs/heads/main\tHEAD", and "<object>\t<name>". */
#include "worker/runner/advert.h"

#include <stdio.h>
#include <string.h>

void advert_read(const char *text, char head[static REFS_NAME_SIZE], bool *sha256)
{
    static const char symbolic[] = "ref: ", of_head[] = "\tHEAD";
    head[0] = '\0';
    for (const char *line = text; *line != '\0';
         line += strcspn(line, "\n"), line += *line == '\n') {
        size_t len = strcspn(line, "\t\n");
        if (strncmp(line, symbolic, sizeof symbolic - 1) != 0) {
            *sha256 = len == 64;
            continue;
        }
        const char *name = line + sizeof symbolic - 1, *rest = line + len;
        len -= sizeof symbolic - 1;
        if (strcspn(rest, "\n") == sizeof of_head - 1 &&
            strncmp(rest, of_head, sizeof of_head - 1) == 0 && len < REFS_NAME_SIZE)
            snprintf(head, REFS_NAME_SIZE, "%.*s", (int)len, name);
    }
    if (strncmp(head, "refs/heads/", 11) != 0 || !refs_is_name(head))
        head[0] = '\0';
}
