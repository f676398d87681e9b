// MinHash: of each of many permutations of 32-bit numbers, the least that a text's shingles become.
//
// groundup.curate.duplicates.minhash has the reference in Python.
#pragma once

#include "words.h"

namespace groundup {

constexpr i64 TOGETHER = 64; // permutations that are gone through at once

using Lanes4 = u32 __attribute__((vector_size(16)));
using Lanes8 = u32 __attribute__((vector_size(32)));
using Lanes16 = u32 __attribute__((vector_size(64)));

// least[p] = min over x of (factor[p] · x + offset[p]) mod 2³², for TOGETHER permutations, four
// registers of them at a time.
template <typename Lanes>
__attribute__((always_inline)) inline void lower_least(const u32 *shingles, i64 count, const u32 *factors,
                                                       const u32 *offsets, u32 *least) {
  constexpr i64 LANES = sizeof(Lanes) / sizeof(u32), AT_ONCE = 4;
  for (i64 p = 0; p < TOGETHER; p += LANES * AT_ONCE) {
    Lanes factor[AT_ONCE], offset[AT_ONCE], best[AT_ONCE];
    std::memcpy(factor, factors + p, sizeof factor);
    std::memcpy(offset, offsets + p, sizeof offset);
    std::memcpy(best, least + p, sizeof best);
    for (i64 i = 0; i < count; i++) {
#pragma GCC unroll 4
      for (i64 j = 0; j < AT_ONCE; j++) {
        const Lanes image = factor[j] * shingles[i] + offset[j];
        best[j] = image < best[j] ? image : best[j];
      }
    }
    std::memcpy(least + p, best, sizeof best);
  }
}

using LowerLeast = void (*)(const u32 *, i64, const u32 *, const u32 *, u32 *);

inline void lower_least_anywhere(const u32 *x, i64 count, const u32 *a, const u32 *b, u32 *least) {
  lower_least<Lanes4>(x, count, a, b, least);
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx2"))) inline void lower_least_avx2(const u32 *x, i64 count, const u32 *a, const u32 *b,
                                                             u32 *least) {
  lower_least<Lanes8>(x, count, a, b, least);
}
__attribute__((target("avx512f"))) inline void lower_least_avx512(const u32 *x, i64 count, const u32 *a,
                                                                  const u32 *b, u32 *least) {
  lower_least<Lanes16>(x, count, a, b, least);
}
#endif

// The one for the widest registers that this processor has.
inline LowerLeast widest() {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return lower_least_avx512;
  if (__builtin_cpu_supports("avx2")) return lower_least_avx2;
#endif
  return lower_least_anywhere;
}

class MinHash {
public:
  // factors are odd: each gives a permutation, with its offset.
  MinHash(int width, bool punctuation, std::vector<u32> factors, std::vector<u32> offsets)
      : shingles_(width, punctuation), factors_(std::move(factors)), offsets_(std::move(offsets)),
        count_(i64(factors_.size())) {
    if (factors_.size() != offsets_.size()) throw std::invalid_argument("each factor has an offset");
    const std::size_t whole = std::size_t((count_ + TOGETHER - 1) / TOGETHER * TOGETHER);
    factors_.resize(whole, 1), offsets_.resize(whole, 0), least_.resize(whole);
  }

  i64 count() const { return count_; }

  // Writes the least numbers; 2³² − 1 for a text without words.
  void write(const Units &text, u32 *to) {
    const std::vector<u64> &hashes = shingles_.of(text);
    std::fill(least_.begin(), least_.end(), ~u32(0));
    for (std::size_t begin = 0; begin < hashes.size(); begin += BLOCK) {
      const std::size_t size = std::min(BLOCK, hashes.size() - begin);
      for (std::size_t i = 0; i < size; i++) block_[i] = u32(hashes[begin + i] >> 32);
      for (std::size_t p = 0; p < least_.size(); p += TOGETHER)
        lower_(block_, i64(size), &factors_[p], &offsets_[p], &least_[p]);
    }
    std::copy_n(least_.begin(), count_, to);
  }

private:
  static constexpr std::size_t BLOCK = 1024; // shingles that stay in the cache meanwhile

  const LowerLeast lower_ = widest();
  Shingles shingles_;
  std::vector<u32> factors_, offsets_;
  i64 count_;
  std::vector<u32> least_;
  u32 block_[BLOCK];
};

} // namespace groundup
