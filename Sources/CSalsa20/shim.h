/* Salsa20 with sixteen blocks side by side, for processors with AVX-512. Why it is ours: decision 018. Source: D. J. Bernstein, "The Salsa20 family of
   stream ciphers"; 20 rounds, a key of 32 bytes. In a header, so that it is compiled with the Swift code that calls it. */
#ifndef WIDE_SALSA20_H
#define WIDE_SALSA20_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of sixteen blocks. */
#define WIDE_SALSA20_STRIDE 1024

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

#define SALSA20_WIDE __attribute__((target("avx512f")))
#define SALSA20_INLINED static inline __attribute__((always_inline)) SALSA20_WIDE

enum { salsa20_words = 16, salsa20_lanes = 16, salsa20_double_rounds = 10 };

/* Whether this processor and the kernel have what wide_salsa20_xor needs. */
static inline bool wide_salsa20_is_available(void) {
    const uint32_t needed_state = 0xe6; /* XMM, YMM, and the three parts of ZMM */
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return false;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    if ((a & needed_state) != needed_state) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX512F);
}

/* ---- The rounds: word i of sixteen blocks lies in x[i] ---- */

SALSA20_INLINED void salsa20_quarter(__m512i *x, int a, int b, int c, int d) {
    x[b] = _mm512_xor_si512(x[b], _mm512_rol_epi32(_mm512_add_epi32(x[a], x[d]), 7));
    x[c] = _mm512_xor_si512(x[c], _mm512_rol_epi32(_mm512_add_epi32(x[b], x[a]), 9));
    x[d] = _mm512_xor_si512(x[d], _mm512_rol_epi32(_mm512_add_epi32(x[c], x[b]), 13));
    x[a] = _mm512_xor_si512(x[a], _mm512_rol_epi32(_mm512_add_epi32(x[d], x[c]), 18));
}

SALSA20_INLINED void salsa20_double_round(__m512i *x) {
    salsa20_quarter(x, 0, 4, 8, 12);
    salsa20_quarter(x, 5, 9, 13, 1);
    salsa20_quarter(x, 10, 14, 2, 6);
    salsa20_quarter(x, 15, 3, 7, 11);
    salsa20_quarter(x, 0, 1, 2, 3);
    salsa20_quarter(x, 5, 6, 7, 4);
    salsa20_quarter(x, 10, 11, 8, 9);
    salsa20_quarter(x, 15, 12, 13, 14);
}

/* ---- From words side by side to blocks ---- */

/* Four rows of words become, in each quarter of a register, four words of one block: of block 4 q + i, in quarter q of x[i]. */
SALSA20_INLINED void salsa20_turn_four(__m512i *x) {
    __m512i low01 = _mm512_unpacklo_epi32(x[0], x[1]), high01 = _mm512_unpackhi_epi32(x[0], x[1]);
    __m512i low23 = _mm512_unpacklo_epi32(x[2], x[3]), high23 = _mm512_unpackhi_epi32(x[2], x[3]);
    x[0] = _mm512_unpacklo_epi64(low01, low23);
    x[1] = _mm512_unpackhi_epi64(low01, low23);
    x[2] = _mm512_unpacklo_epi64(high01, high23);
    x[3] = _mm512_unpackhi_epi64(high01, high23);
}

SALSA20_INLINED void salsa20_xor_block(uint8_t *bytes, __m512i stream) { _mm512_storeu_si512(bytes, _mm512_xor_si512(_mm512_loadu_si512(bytes), stream)); }

/* Gathers blocks i, 4 + i, 8 + i and 12 + i from the quarters of their four registers. */
SALSA20_INLINED void salsa20_xor_four(uint8_t *bytes, __m512i a, __m512i b, __m512i c, __m512i d, int i) {
    __m512i ab_low = _mm512_shuffle_i32x4(a, b, 0x44), ab_high = _mm512_shuffle_i32x4(a, b, 0xee);
    __m512i cd_low = _mm512_shuffle_i32x4(c, d, 0x44), cd_high = _mm512_shuffle_i32x4(c, d, 0xee);
    salsa20_xor_block(bytes + 64 * i, _mm512_shuffle_i32x4(ab_low, cd_low, 0x88));
    salsa20_xor_block(bytes + 64 * (4 + i), _mm512_shuffle_i32x4(ab_low, cd_low, 0xdd));
    salsa20_xor_block(bytes + 64 * (8 + i), _mm512_shuffle_i32x4(ab_high, cd_high, 0x88));
    salsa20_xor_block(bytes + 64 * (12 + i), _mm512_shuffle_i32x4(ab_high, cd_high, 0xdd));
}

/* ---- Sixteen blocks ---- */

struct salsa20_start {
    uint32_t word[salsa20_words];
};

static inline struct salsa20_start salsa20_begin(const uint8_t nonce[8], const uint8_t key[32]) {
    struct salsa20_start start = {.word = {[0] = 0x61707865, [5] = 0x3320646e, [10] = 0x79622d32, [15] = 0x6b206574}};
    memcpy(start.word + 1, key, 16);
    memcpy(start.word + 6, nonce, 8);
    memcpy(start.word + 11, key + 16, 16);
    return start;
}

SALSA20_WIDE static inline void salsa20_xor_stride(uint8_t *bytes, const struct salsa20_start *start, uint64_t counter) {
    uint32_t low[salsa20_lanes], high[salsa20_lanes];
    for (int lane = 0; lane < salsa20_lanes; lane++) {
        low[lane] = (uint32_t)(counter + (uint64_t)lane);
        high[lane] = (uint32_t)((counter + (uint64_t)lane) >> 32);
    }
    __m512i x[salsa20_words];
    for (int i = 0; i < salsa20_words; i++) x[i] = _mm512_set1_epi32((int)start->word[i]);
    x[8] = _mm512_loadu_si512(low);
    x[9] = _mm512_loadu_si512(high);
    for (int i = 0; i < salsa20_double_rounds; i++) salsa20_double_round(x);
    for (int i = 0; i < salsa20_words; i++) {
        __m512i first = i == 8 ? _mm512_loadu_si512(low) : i == 9 ? _mm512_loadu_si512(high) : _mm512_set1_epi32((int)start->word[i]);
        x[i] = _mm512_add_epi32(x[i], first);
    }
    for (int i = 0; i < salsa20_words; i += 4) salsa20_turn_four(x + i);
    for (int i = 0; i < 4; i++) salsa20_xor_four(bytes, x[i], x[4 + i], x[8 + i], x[12 + i], i);
}

/* XORs the front of `bytes` with the key stream from block `counter` on, and returns how many bytes that was: all whole strides of `count`.
   Precondition: wide_salsa20_is_available(). */
SALSA20_WIDE static inline size_t wide_salsa20_xor(uint8_t *bytes, size_t count, const uint8_t nonce[8], uint64_t counter, const uint8_t key[32]) {
    struct salsa20_start start = salsa20_begin(nonce, key);
    size_t done = 0;
    for (; count - done >= WIDE_SALSA20_STRIDE; done += WIDE_SALSA20_STRIDE, counter += salsa20_lanes) salsa20_xor_stride(bytes + done, &start, counter);
    /* The copy of the key goes with the stack frame, which the compiler may not leave as it is. */
    explicit_bzero(&start, sizeof start);
    return done;
}

#undef SALSA20_INLINED
#undef SALSA20_WIDE

#else

static inline bool wide_salsa20_is_available(void) { return false; }

static inline size_t wide_salsa20_xor(uint8_t *bytes, size_t count, const uint8_t nonce[8], uint64_t counter, const uint8_t key[32]) {
    (void)bytes, (void)count, (void)nonce, (void)counter, (void)key;
    return 0;
}

#endif

#endif
