/* Whatever an agent wrote into HEAD, a reference or packed-refs: no crash, and what is taken for a
 * name or a commit's is one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/runner/refs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ref ref;
    char commit[REFS_COMMIT_SIZE] = "", *text = malloc(size > 0 ? size : 1);
    memcpy(text, data, size);
    if (refs_parse(text, size, &ref)) {
        must((ref.name[0] == '\0') != (ref.commit[0] == '\0'));
        must(ref.name[0] == '\0' || (refs_is_name(ref.name) && strstr(ref.name, "..") == NULL));
        must(ref.commit[0] == '\0' || refs_is_commit(ref.commit, strlen(ref.commit)));
    }
    if (refs_packed(text, size, "refs/heads/task/x", commit))
        must(refs_is_commit(commit, strlen(commit)));
    free(text);
    return 0;
}
