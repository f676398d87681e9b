// Long arrays: on large pages, where the system has them, and written past the processor's cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace groundup {

constexpr std::size_t HUGE_PAGE = 1 << 21;

// Asks that what lies wholly within this stretch be on pages of 2 MiB: the first use of a page is
// dear, and so is a miss of the cache of addresses. A wish: nothing depends on it.
inline void wish_large_pages([[maybe_unused]] void *start, [[maybe_unused]] std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  const auto begin = (reinterpret_cast<std::uintptr_t>(start) + HUGE_PAGE - 1) & -HUGE_PAGE;
  const auto end = (reinterpret_cast<std::uintptr_t>(start) + bytes) & -HUGE_PAGE;
  if (begin < end) madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

// Copies numbers that will not be read soon. They go to memory without what is there being fetched
// into the cache first, which would take as long again.
inline void copy_away(const std::uint32_t *from, std::int64_t count, std::uint32_t *to) {
#if defined(__SSE2__)
  for (; count && reinterpret_cast<std::uintptr_t>(to) % 16; count--) *to++ = *from++;
  for (; count >= 4; count -= 4, from += 4, to += 4)
    _mm_stream_si128(reinterpret_cast<__m128i *>(to),
                     _mm_loadu_si128(reinterpret_cast<const __m128i *>(from)));
  _mm_sfence(); // before another thread may see them
#endif
  std::copy_n(from, count, to);
}

} // namespace groundup
