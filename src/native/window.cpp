// The classes of 64 bytes: in a few instructions where the processor has wide registers, which is
// found out when the program starts, and byte by byte elsewhere.
#include "window.h"

#include <array>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace groundup {
namespace {

enum : u8 { U = 1, L = 2, D = 4, B = 8, N = 16, S = 32, Q = 64, F = 128 };
constexpr u8 SLASH = '/';

constexpr std::array<u8, 256> kinds() {
  std::array<u8, 256> kind{};
  for (int c = 'A'; c <= 'Z'; c++) kind[c] = U;
  for (int c = 'a'; c <= 'z'; c++) kind[c] = L;
  for (int c = '0'; c <= '9'; c++) kind[c] = D;
  for (int c : {'\t', '\v', '\f'}) kind[c] = B;
  for (int c : {'\n', '\r'}) kind[c] = N;
  kind[' '] = B | S;
  kind['\''] = Q;
  for (int c = 0x80; c < 0x100; c++) kind[c] = F;
  return kind;
}
constexpr std::array<u8, 256> KIND = kinds();

void read_bytes(const u8 *window, Masks &masks) {
  masks = {};
  for (int i = 0; i < WINDOW; i++) {
    const u64 kind = KIND[window[i]];
    masks.upper |= (kind & 1) << i;
    masks.lower |= (kind >> 1 & 1) << i;
    masks.digit |= (kind >> 2 & 1) << i;
    masks.blank |= (kind >> 3 & 1) << i;
    masks.newline |= (kind >> 4 & 1) << i;
    masks.space |= (kind >> 5 & 1) << i;
    masks.quote |= (kind >> 6 & 1) << i;
    masks.foreign |= (kind >> 7 & 1) << i;
    masks.slash |= u64(window[i] == SLASH) << i;
  }
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) u64 mask_of(__m256i low, __m256i high) {
  return u32(_mm256_movemask_epi8(low)) | u64(u32(_mm256_movemask_epi8(high))) << 32;
}

// c is between `from` and `from + span`: subtracted without sign, at most `span`
__attribute__((target("avx2"))) u64 between(__m256i low, __m256i high, u8 from, u8 span) {
  const __m256i first = _mm256_set1_epi8(char(from)), most = _mm256_set1_epi8(char(span));
  low = _mm256_sub_epi8(low, first), high = _mm256_sub_epi8(high, first);
  return mask_of(_mm256_cmpeq_epi8(_mm256_min_epu8(low, most), low),
                 _mm256_cmpeq_epi8(_mm256_min_epu8(high, most), high));
}

__attribute__((target("avx2"))) void read_avx2(const u8 *window, Masks &masks) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(window));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(window + 32));
  masks.upper = between(low, high, 'A', 25);
  masks.lower = between(low, high, 'a', 25);
  masks.digit = between(low, high, '0', 9);
  masks.newline = between(low, high, '\n', 0) | between(low, high, '\r', 0);
  masks.space = between(low, high, ' ', 0);
  masks.blank = masks.space | (between(low, high, '\t', 4) & ~masks.newline);
  masks.quote = between(low, high, '\'', 0);
  masks.slash = between(low, high, SLASH, 0);
  masks.foreign = mask_of(low, high);
}

__attribute__((target("avx512f,avx512bw"))) u64 between(__m512i bytes, u8 from, u8 span) {
  return _mm512_cmple_epu8_mask(_mm512_sub_epi8(bytes, _mm512_set1_epi8(char(from))),
                                _mm512_set1_epi8(char(span)));
}

__attribute__((target("avx512f,avx512bw"))) void read_avx512(const u8 *window, Masks &masks) {
  const __m512i bytes = _mm512_loadu_si512(window);
  masks.upper = between(bytes, 'A', 25);
  masks.lower = between(bytes, 'a', 25);
  masks.digit = between(bytes, '0', 9);
  masks.newline = between(bytes, '\n', 0) | between(bytes, '\r', 0);
  masks.space = between(bytes, ' ', 0);
  masks.blank = masks.space | (between(bytes, '\t', 4) & ~masks.newline);
  masks.quote = between(bytes, '\'', 0);
  masks.slash = between(bytes, SLASH, 0);
  masks.foreign = _mm512_movepi8_mask(bytes);
}

#endif

using Reader = void (*)(const u8 *, Masks &);

Reader best_reader() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512bw")) return read_avx512;
  if (__builtin_cpu_supports("avx2")) return read_avx2;
#endif
  return read_bytes;
}

const Reader READER = best_reader();

} // namespace

void read_masks(const u8 *window, Masks &masks) { READER(window, masks); }

} // namespace groundup
