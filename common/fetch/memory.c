/* The memory of libcurl, which is wiped when it is given back: it holds tokens and bodies. */
#include <curl/curl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/fetch/internal.h"

union block {
    size_t size;
    max_align_t align;
};

static void *block_alloc(size_t size)
{
    union block *block = malloc(sizeof *block + size);

    if (!block)
        return NULL;
    block->size = size;
    return block + 1;
}

static void block_free(void *bytes)
{
    union block *block = bytes;

    if (!block)
        return;
    block--;
    crypto_wipe(block, sizeof *block + block->size);
    free(block);
}

static void *block_resize(void *bytes, size_t size)
{
    void *larger = block_alloc(size);

    if (!larger || !bytes)
        return larger;
    size_t old = ((union block *)bytes - 1)->size;
    memcpy(larger, bytes, old < size ? old : size);
    block_free(bytes);
    return larger;
}

static char *block_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = block_alloc(size);

    return copy ? memcpy(copy, text, size) : NULL;
}

static void *block_array(size_t count, size_t size)
{
    size_t all;

    if (__builtin_mul_overflow(count, size, &all))
        return NULL;
    void *bytes = block_alloc(all);
    return bytes ? memset(bytes, 0, all) : NULL;
}

void fetch_memory_must(bool well)
{
    if (well)
        return;
    fprintf(stderr, "fatal: libcurl has no memory\n");
    abort();
}

void fetch_memory_begin(void)
{
    fetch_memory_must(curl_global_init_mem(CURL_GLOBAL_DEFAULT, block_alloc, block_free,
                                           block_resize, block_strdup, block_array) == CURLE_OK);
}
