#include "salsa20_wide.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#define WIDE __attribute__((target("avx512f")))

enum { words = 16, block_bytes = 64, run_bytes = words * block_bytes, double_rounds = 10 };

/* One word of sixteen blocks in each register; the quarter round of Bernstein's specification, section 3. */
#define STEP(target, a, b, bits) target = _mm512_xor_si512(target, _mm512_rol_epi32(_mm512_add_epi32(a, b), bits))
#define QUARTER_ROUND(a, b, c, d) \
    STEP(b, a, d, 7);             \
    STEP(c, b, a, 9);             \
    STEP(d, c, b, 13);            \
    STEP(a, d, c, 18)

WIDE static void double_round(__m512i x[words])
{
    QUARTER_ROUND(x[0], x[4], x[8], x[12]);
    QUARTER_ROUND(x[5], x[9], x[13], x[1]);
    QUARTER_ROUND(x[10], x[14], x[2], x[6]);
    QUARTER_ROUND(x[15], x[3], x[7], x[11]);
    QUARTER_ROUND(x[0], x[1], x[2], x[3]);
    QUARTER_ROUND(x[5], x[6], x[7], x[4]);
    QUARTER_ROUND(x[10], x[11], x[8], x[9]);
    QUARTER_ROUND(x[15], x[12], x[13], x[14]);
}

/* Registers of one word each become registers of one block each, four of them at a time, and meet the bytes. */
WIDE static void xor_blocks(__m512i x[words], uint8_t *bytes)
{
    __m512i t[words];
    for (int i = 0; i < words; i += 4) {
        __m512i a = _mm512_unpacklo_epi32(x[i], x[i + 1]), b = _mm512_unpackhi_epi32(x[i], x[i + 1]);
        __m512i c = _mm512_unpacklo_epi32(x[i + 2], x[i + 3]), d = _mm512_unpackhi_epi32(x[i + 2], x[i + 3]);
        t[i] = _mm512_unpacklo_epi64(a, c);
        t[i + 1] = _mm512_unpackhi_epi64(a, c);
        t[i + 2] = _mm512_unpacklo_epi64(b, d);
        t[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
    for (int j = 0; j < 4; j++) {
        __m512i a = _mm512_shuffle_i32x4(t[j], t[4 + j], 0x88), b = _mm512_shuffle_i32x4(t[j], t[4 + j], 0xdd);
        __m512i c = _mm512_shuffle_i32x4(t[8 + j], t[12 + j], 0x88), d = _mm512_shuffle_i32x4(t[8 + j], t[12 + j], 0xdd);
        __m512i rows[4] = {_mm512_shuffle_i32x4(a, c, 0x88), _mm512_shuffle_i32x4(b, d, 0x88),
                           _mm512_shuffle_i32x4(a, c, 0xdd), _mm512_shuffle_i32x4(b, d, 0xdd)};
        for (int i = 0; i < 4; i++) {
            uint8_t *at = bytes + (4 * i + j) * block_bytes;
            _mm512_storeu_si512(at, _mm512_xor_si512(rows[i], _mm512_loadu_si512(at)));
        }
    }
}

/* Section 8: constants on the diagonal, the key in two halves, nonce and block number between them. */
static void set_up(uint32_t state[words], const uint8_t *nonce, const uint8_t *key)
{
    static const uint32_t diagonal[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    for (int i = 0; i < 4; i++) state[5 * i] = diagonal[i];
    memcpy(state + 1, key, 16);
    memcpy(state + 6, nonce, 8);
    memset(state + 8, 0, 8);
    memcpy(state + 11, key + 16, 16);
}

WIDE static void xor_run(const uint32_t state[words], uint64_t block, uint8_t *bytes)
{
    uint32_t low[words], high[words];
    __m512i start[words], x[words];
    for (int i = 0; i < words; i++) {
        low[i] = (uint32_t)(block + (uint64_t)i);
        high[i] = (uint32_t)((block + (uint64_t)i) >> 32);
        start[i] = _mm512_set1_epi32((int)state[i]);
    }
    start[8] = _mm512_loadu_si512(low);
    start[9] = _mm512_loadu_si512(high);
    memcpy(x, start, sizeof x);
    for (int i = 0; i < double_rounds; i++) double_round(x);
    for (int i = 0; i < words; i++) x[i] = _mm512_add_epi32(x[i], start[i]);
    xor_blocks(x, bytes);
}

size_t salsa20_wide_xor(uint8_t *bytes, size_t count, const uint8_t *nonce, uint64_t block, const uint8_t *key)
{
    uint32_t state[words];
    size_t done = 0;
    if (count < run_bytes || !__builtin_cpu_supports("avx512f")) return 0;
    set_up(state, nonce, key);
    for (; count - done >= run_bytes; done += run_bytes, block += words) xor_run(state, block, bytes + done);
    return done;
}

#else

size_t salsa20_wide_xor(uint8_t *bytes, size_t count, const uint8_t *nonce, uint64_t block, const uint8_t *key)
{
    (void)bytes, (void)count, (void)nonce, (void)block, (void)key;
    return 0;
}

#endif
