/* A tree of files as a stream of bytes, for whom another account reads or writes it.
 *
 * Of a folder: for each name u8 kind, u16 length, the name, u32 mode, u64 time (ns since 1970);
 * then, of
 * - a folder ('d'): the same for what is in it, up to an 'e'
 * - a file ('f'): u64 size; pieces, each u32 length, u64 offset, the bytes; 0 ends them. What no
 *   piece has is zero
 * - a link ('l'): u16 length, where it points
 * The stream ends with an 'e' of its own. All numbers are little-endian. Other kinds of files are
 * left out, as is what cannot be read.
 *
 * Whoever reads it believes nothing: names are single ones and are made anew, no link is followed,
 * modes lose what gives rights away, and all is bounded. */
#ifndef FLEET_RUNNER_GIVE_H
#define FLEET_RUNNER_GIVE_H

#include <stdbool.h>
#include <stdint.h>

#define GIVE_DEPTH 256 /* of folders */
#define GIVE_NAMES ((int64_t)4 << 20)

/* Writes what is in `dir` to `out`. Rights that our own account was deprived of are given back on
 * the way. False: errno; ELOOP: too deep. */
bool give_write(int dir, int out);
/* Makes in `dir`, which is empty, what comes from `in`. False: errno; EPROTO: it is no tree. */
bool give_read(int in, int dir);

#endif
