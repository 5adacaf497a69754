/* What secrets are called, and what they look like. */
#include "worker/runner/secret.h"

#include <fnmatch.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "worker/runner/file.h"

#define PIECE ((size_t)64 << 10)
#define OVERLAP ((size_t)256) /* a secret's shape is shorter */

static const char *const names[] = {
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.kdb",
    "*.ppk",
    "*.p8",
    "*.asc.key",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".netrc",
    "_netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".git-credentials",
    "credentials",
    "credentials.*",
    "credentials-*",
    "*-credentials.json",
    "client_secret*.json",
    "secrets.yml",
    "secrets.yaml",
    ".dockercfg",
    "auth.json",
    ".vault-token",
    "*.ovpn",
    "*.tfvars",
    "terraform.tfstate*",
};

/* ... and source, whose content is looked at as that of every file. */
static const char *const examples[] = {
    "*.example", "*.sample", "*.template", "*.dist", "*.tmpl", "id_*.pub", "*.c",   "*.h",
    "*.cc",      "*.cpp",    "*.cs",       "*.go",   "*.py",   "*.js",     "*.jsx", "*.ts",
    "*.tsx",     "*.rb",     "*.rs",       "*.java", "*.kt",   "*.php",    "*.vue", "*.swift",
    "*.scala",   "*.md",     "*.rst",      "*.html", "*.css",  "*.sh",     "*.sql", "*.ex",
};

static bool is_of(const char *name, const char *const *patterns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fnmatch(patterns[i], name, FNM_CASEFOLD) == 0)
            return true;
    return false;
}

bool secret_is_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    return is_of(name, names, sizeof names / sizeof names[0]) &&
           !is_of(name, examples, sizeof examples / sizeof examples[0]);
}

/* --- Shapes --- */

#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"
#define WORD UPPER "abcdefghijklmnopqrstuvwxyz" DIGIT

/* A text, and how many bytes of a set follow it at least. */
struct shape {
    const char *begin, *set;
    size_t least;
};

static const struct shape shapes[] = {
    {"PRIVATE KEY-----", NULL, 0},
    {"PRIVATE KEY BLOCK-----", NULL, 0},
    {"PuTTY-User-Key-File-", DIGIT, 1},
    {"AGE-SECRET-KEY-1", WORD, 40},
    {"ghp_", WORD, 36},
    {"gho_", WORD, 36},
    {"ghu_", WORD, 36},
    {"ghs_", WORD, 36},
    {"ghr_", WORD, 36},
    {"github_pat_", WORD "_", 40},
    {"glpat-", WORD "_-", 20},
    {"sk-ant-", WORD "_-", 32},
    {"sk-proj-", WORD "_-", 32},
    {"sk-or-v1-", WORD, 32},
    {"sk-", WORD, 40},
    {"AKIA", UPPER DIGIT, 16},
    {"ASIA", UPPER DIGIT, 16},
    {"AIza", WORD "_-", 35},
    {"ya29.", WORD "_-", 40},
    {"xoxb-", WORD "-", 20},
    {"xoxp-", WORD "-", 20},
    {"xoxa-", WORD "-", 20},
    {"xoxs-", WORD "-", 20},
    {"npm_", WORD, 36},
    {"hf_", WORD, 30},
    {"pypi-", WORD "_-", 60},
    {"sk_live_", WORD, 20},
    {"rk_live_", WORD, 20},
    {"SG.", WORD "_-.", 50},
    {"dop_v1_", WORD, 60},
};

static bool in_set(const char *set, char byte)
{
    return byte != '\0' && strchr(set, byte) != NULL;
}

/* At `at`, and not in the middle of a longer word. */
static bool has_shape(const struct shape *shape, const char *bytes, size_t len, size_t at)
{
    size_t begin = strlen(shape->begin), found = 0;
    if (len - at < begin + shape->least || memcmp(bytes + at, shape->begin, begin) != 0)
        return false;
    if (shape->set == NULL)
        return at >= 6 &&
               memmem(bytes + (at > 40 ? at - 40 : 0), at > 40 ? 40 : at, "-----BEGIN", 10) != NULL;
    if (at > 0 && in_set(WORD, bytes[at - 1]))
        return false;
    for (size_t i = at + begin; i < len && found < shape->least && in_set(shape->set, bytes[i]);
         i++)
        found++;
    return found >= shape->least;
}

bool secret_is_in(const char *bytes, size_t len)
{
    static bool begins[256];
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        begins[(uint8_t)shapes[i].begin[0]] = true;
    for (size_t at = 0; at < len; at++)
        for (size_t i = 0; begins[(uint8_t)bytes[at]] && i < sizeof shapes / sizeof shapes[0]; i++)
            if (has_shape(&shapes[i], bytes, len, at))
                return true;
    return false;
}

/* Each piece begins with the end of the one before. */
bool secret_is_in_file(int fd)
{
    static char bytes[OVERLAP + PIECE];
    size_t kept = 0, got;
    while ((got = file_read_some(fd, bytes + kept, PIECE)) > 0) {
        if (secret_is_in(bytes, kept + got))
            return true;
        size_t all = kept + got;
        kept = all < OVERLAP ? all : OVERLAP;
        memmove(bytes, bytes + all - kept, kept);
    }
    return false;
}
