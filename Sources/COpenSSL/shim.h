#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/ec.h>

/* What XGETBV tells of the vector registers. Decision 017. */
#include <stdbool.h>
#include <stdint.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static inline bool meshnet_has_upper_halves(void) {
#if defined(__x86_64__)
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX)) return false;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (a & 6) == 6;
#else
    return false;
#endif
}

/* Precondition: meshnet_has_upper_halves(). */
static inline void meshnet_clear_upper_halves(void) {
#if defined(__x86_64__)
    __asm__ volatile("vzeroupper" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                     "xmm14", "xmm15");
#endif
}

/* Whether the upper half of any vector register is in use; -1: the processor does not tell. */
static inline int meshnet_upper_halves_in_use(void) {
#if defined(__x86_64__)
    uint32_t a, b, c, d;
    if (!meshnet_has_upper_halves() || !__get_cpuid_count(13, 1, &a, &b, &c, &d) || !(a & 4)) return -1;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(1));
    return (a & 4) != 0;
#else
    return -1;
#endif
}
