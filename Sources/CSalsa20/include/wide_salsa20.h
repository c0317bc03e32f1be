/* Salsa20 with sixteen blocks side by side, for processors with AVX-512. Why it is ours: decision 018. Source: D. J. Bernstein, "The Salsa20 family of
   stream ciphers"; 20 rounds, a key of 32 bytes. */
#ifndef WIDE_SALSA20_H
#define WIDE_SALSA20_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether this processor and the kernel have what wide_salsa20_xor needs. */
bool wide_salsa20_is_available(void);

/* Bytes of sixteen blocks. */
#define WIDE_SALSA20_STRIDE 1024

/* XORs the front of `bytes` with the key stream from block `counter` on, and returns how many bytes that was: all whole strides of `count`.
   Precondition: wide_salsa20_is_available(). */
size_t wide_salsa20_xor(uint8_t *bytes, size_t count, const uint8_t nonce[8], uint64_t counter, const uint8_t key[32]);

#endif
