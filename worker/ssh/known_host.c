/* Lines of known_hosts, read and matched. */
#include "worker/ssh/known_host.h"

#include <errno.h>
#include <libssh2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/file.h"
#include "common/mem.h"

#define FILE_MAX (4 << 20)
#define LINE_MAX_BYTES 16384
#define KEY_MAX 4096 /* bytes of a key's wire form: RSA of 16384 bits has half of it */
#define HASH_SIZE 20 /* SHA-1: what ssh-keygen -H uses */

struct key_type {
    const char *name;
    bool usable; /* by libssh2 1.10 against a server of today: it has no rsa-sha2 */
    int bits;    /* libssh2's name for it */
};
/* Best first. */
static const struct key_type key_types[] = {
    {"ssh-ed25519", true, LIBSSH2_KNOWNHOST_KEY_ED25519},
    {"ecdsa-sha2-nistp256", true, LIBSSH2_KNOWNHOST_KEY_ECDSA_256},
    {"ecdsa-sha2-nistp384", true, LIBSSH2_KNOWNHOST_KEY_ECDSA_384},
    {"ecdsa-sha2-nistp521", true, LIBSSH2_KNOWNHOST_KEY_ECDSA_521},
    {"ssh-rsa", false, LIBSSH2_KNOWNHOST_KEY_SSHRSA},
    {"ssh-dss", false, LIBSSH2_KNOWNHOST_KEY_SSHDSS},
};
#define TYPE_COUNT (sizeof key_types / sizeof key_types[0])

struct entry {
    char *names;    /* owned; comma-separated, lower case; NULL when hashed */
    char *salt;     /* owned; base64, when hashed */
    char *hash;     /* owned; base64, when hashed */
    size_t type;    /* index in key_types */
    char *key_text; /* owned; base64 */
    uint8_t *key;   /* owned; wire form */
    size_t key_len;
};

struct known_hosts {
    struct entry *entries; /* owned */
    size_t count;
    LIBSSH2_SESSION *session; /* owned; never connected, for libssh2's HMAC-SHA-1 */
};

void known_hosts_free(struct known_hosts *known)
{
    if (known == NULL)
        return;
    for (size_t i = 0; i < known->count; i++) {
        struct entry *entry = &known->entries[i];
        free(entry->names);
        free(entry->salt);
        free(entry->hash);
        free(entry->key_text);
        free(entry->key);
    }
    free(known->entries);
    libssh2_session_free(known->session);
    free(known);
}

/* The next word of a line; NULL at its end. */
static char *take_word(char **line)
{
    char *word = *line + strspn(*line, " \t");
    if (*word == '\0')
        return NULL;
    size_t len = strcspn(word, " \t");
    *line = word + len;
    if (word[len] != '\0') {
        word[len] = '\0';
        (*line)++;
    }
    return word;
}

static bool is_hash_part(const char *text)
{
    uint8_t bytes[HASH_SIZE + 4];
    size_t len = sizeof bytes;
    return strlen(text) == 28 && crypto_unbase64(text, 28, bytes, &len) && len == HASH_SIZE;
}

/* |1|salt|hash */
static const char *take_hashed(struct entry *entry, char *names)
{
    if (strncmp(names, "|1|", 3) != 0)
        return "an unknown way of hashing the host's name";
    char *salt = names + 3, *bar = strchr(salt, '|');
    if (bar == NULL)
        return "a broken hashed host name";
    *bar = '\0';
    if (!is_hash_part(salt) || !is_hash_part(bar + 1))
        return "a broken hashed host name";
    entry->salt = mem_strdup(salt);
    entry->hash = mem_strdup(bar + 1);
    return NULL;
}

static const char *take_names(struct entry *entry, char *names)
{
    if (names[0] == '@')
        return "a @cert-authority or @revoked line, which is not supported: remove it";
    if (names[0] == '|')
        return take_hashed(entry, names);
    if (strpbrk(names, "*?!") != NULL)
        return "a host pattern (* ? !), which is not supported: list the hosts by name";
    if (names[0] == ',' || names[strlen(names) - 1] == ',' || strstr(names, ",,") != NULL)
        return "an empty host name";
    entry->names = mem_strdup(names);
    for (char *at = entry->names; *at != '\0'; at++) {
        if (*at < 0x21 || *at > 0x7e)
            return "a host name that is not printable ASCII";
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    }
    return NULL;
}

/* RFC 4251 5, string: the first one in a key's wire form is its type (RFC 4253 6.6). */
static bool starts_with_type(const uint8_t *key, size_t len, const char *type)
{
    size_t type_len = strlen(type);
    return len > 4 + type_len && key[0] == 0 && key[1] == 0 && key[2] == 0 && key[3] == type_len &&
           memcmp(key + 4, type, type_len) == 0;
}

static const char *take_key(struct entry *entry, const char *type, const char *text)
{
    uint8_t key[KEY_MAX];
    size_t len = sizeof key, index = 0;
    while (index < TYPE_COUNT && strcmp(type, key_types[index].name) != 0)
        index++;
    if (index == TYPE_COUNT)
        return "an unknown type of key (supported: ssh-ed25519, ecdsa-sha2-nistp256, -384, -521)";
    if (!crypto_unbase64(text, strlen(text), key, &len) || !starts_with_type(key, len, type))
        return "a broken key";
    if (index == 0 && len != 4 + strlen("ssh-ed25519") + 4 + 32) /* RFC 8709 4 */
        return "a broken key";
    entry->type = index;
    entry->key_text = mem_strdup(text);
    entry->key = mem_alloc(len);
    memcpy(entry->key, key, len);
    entry->key_len = len;
    return NULL;
}

/* NULL when the line is right or says nothing. What was taken before a fault belongs to
 * the entry. */
static const char *take_line(struct known_hosts *known, char *line)
{
    char *names = take_word(&line);
    if (names == NULL || names[0] == '#')
        return NULL;
    known->entries = mem_resize(known->entries, known->count + 1, sizeof *known->entries);
    struct entry *entry = &known->entries[known->count++];
    *entry = (struct entry){0};
    const char *fault = take_names(entry, names);
    if (fault != NULL)
        return fault;
    char *type = take_word(&line), *key = take_word(&line);
    if (type == NULL || key == NULL)
        return "a line that ends too early (host names, type, key)";
    return take_key(entry, type, key);
}

static const char *take_bytes(struct known_hosts *known, const char *bytes, size_t len,
                              size_t *number)
{
    const char *at = bytes, *end = bytes + len;
    char line[LINE_MAX_BYTES];
    for (*number = 1; at < end; (*number)++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t size = (size_t)((newline != NULL ? newline : end) - at);
        if (size >= sizeof line)
            return "a line that is too long";
        if (memchr(at, '\0', size) != NULL || memchr(at, '\r', size) != NULL)
            return "a NUL byte or a carriage return";
        memcpy(line, at, size);
        line[size] = '\0';
        const char *fault = take_line(known, line);
        if (fault != NULL)
            return fault;
        at += size + (newline != NULL);
    }
    return NULL;
}

struct known_hosts *known_hosts_parse(const char *bytes, size_t len, const char *path,
                                      struct error *err)
{
    struct known_hosts *known = mem_alloc(sizeof *known);
    size_t number = 0;
    known->session = libssh2_session_init();
    if (known->session == NULL) {
        error_set(err, "libssh2 cannot make a session");
        free(known);
        return NULL;
    }
    const char *fault = take_bytes(known, bytes, len, &number);
    if (fault == NULL)
        return known;
    error_set(err, "%s:%zu: %s", path, number, fault);
    known_hosts_free(known);
    return NULL;
}

struct known_hosts *known_hosts_read(const char *path, struct error *err)
{
    struct buf bytes;
    struct error why;
    if (!file_read(path, FILE_REGULAR, FILE_MAX, &bytes, NULL, &why)) {
        if (errno == ENOENT)
            return known_hosts_parse("", 0, path, err);
        error_set(err, "known_hosts: %s", why.text);
        return NULL;
    }
    struct known_hosts *known = known_hosts_parse(buf_text(&bytes), bytes.len, path, err);
    buf_release(&bytes);
    return known;
}

void known_host_name(const char *hostname, int port, char name[KNOWN_HOST_NAME])
{
    if (port == 22)
        snprintf(name, KNOWN_HOST_NAME, "%s", hostname);
    else
        snprintf(name, KNOWN_HOST_NAME, "[%s]:%d", hostname, port);
    for (char *at = name; *at != '\0'; at++) {
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    }
}

static bool names_hold(const char *names, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = names; at != NULL; at = strchr(at, ',')) {
        if (*at == ',')
            at++;
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0'))
            return true;
    }
    return false;
}

static bool hash_holds(const struct known_hosts *known, const struct entry *entry, const char *name)
{
    int kind = LIBSSH2_KNOWNHOST_KEYENC_BASE64 | key_types[entry->type].bits;
    LIBSSH2_KNOWNHOSTS *one = libssh2_knownhost_init(known->session);
    if (one == NULL)
        return false;
    bool holds = libssh2_knownhost_addc(one, entry->hash, entry->salt, entry->key_text,
                                        strlen(entry->key_text), NULL, 0,
                                        LIBSSH2_KNOWNHOST_TYPE_SHA1 | kind, NULL) == 0 &&
                 libssh2_knownhost_check(one, name, entry->key_text, strlen(entry->key_text),
                                         LIBSSH2_KNOWNHOST_TYPE_PLAIN | kind,
                                         NULL) == LIBSSH2_KNOWNHOST_CHECK_MATCH;
    libssh2_knownhost_free(one);
    return holds;
}

static bool entry_is_of(const struct known_hosts *known, const struct entry *entry,
                        const char *name)
{
    return entry->names != NULL ? names_hold(entry->names, name) : hash_holds(known, entry, name);
}

enum known_verdict known_hosts_check(const struct known_hosts *known, const char *hostname,
                                     int port, const void *key, size_t key_len)
{
    enum known_verdict verdict = KNOWN_ABSENT;
    char name[KNOWN_HOST_NAME];
    known_host_name(hostname, port, name);
    for (size_t i = 0; i < known->count; i++) {
        const struct entry *entry = &known->entries[i];
        if (!entry_is_of(known, entry, name))
            continue;
        if (entry->key_len == key_len && memcmp(entry->key, key, key_len) == 0)
            return KNOWN_MATCH;
        verdict = KNOWN_OTHER;
    }
    return verdict;
}

void known_hosts_types(const struct known_hosts *known, const char *hostname, int port,
                       struct buf *types)
{
    bool found[TYPE_COUNT] = {false};
    char name[KNOWN_HOST_NAME];
    known_host_name(hostname, port, name);
    for (size_t i = 0; i < known->count; i++) {
        if (entry_is_of(known, &known->entries[i], name))
            found[known->entries[i].type] = true;
    }
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (found[i] && key_types[i].usable)
            buf_addf(types, "%s%s", types->len > 0 ? "," : "", key_types[i].name);
    }
}

void known_host_fingerprint(const void *key, size_t key_len, char text[64])
{
    uint8_t digest[SHA256_SIZE];
    crypto_sha256(key, key_len, digest);
    memcpy(text, "SHA256:", 8);
    crypto_base64url(digest, sizeof digest, text + 7); /* 43 digits; ssh-keygen has the other two */
    for (char *at = text + 7; *at != '\0'; at++)
        *at = *at == '-' ? '+' : *at == '_' ? '/' : *at;
}
