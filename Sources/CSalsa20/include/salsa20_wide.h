#ifndef SALSA20_WIDE_H
#define SALSA20_WIDE_H

#include <stddef.h>
#include <stdint.h>

/*
 * XORs the Salsa20 key stream, from the block numbered `block` on, over as many of the bytes as are whole runs of 1,024, and returns how many that are:
 * none on a processor without AVX-512. The rest is for libsodium. `key` has 32 bytes, `nonce` 8.
 */
size_t salsa20_wide_xor(uint8_t *bytes, size_t count, const uint8_t *nonce, uint64_t block, const uint8_t *key);

#endif
