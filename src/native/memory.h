// Long arrays on large pages, where the system has them.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
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

} // namespace groundup
