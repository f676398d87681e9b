// The threads that PyTorch already has, for work between its operations.
#pragma once

#include <atomic>
#include <cstddef>

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#endif

#include "parts.h"

namespace groundup {

// How a compiler calls OpenMP for `#pragma omp parallel` (GNU's libgomp; LLVM's libomp has it too).
using Parallel = void (*)(void (*work)(void *), void *data, unsigned threads, unsigned flags);

// That of the runtime which PyTorch has loaded; null where there is none.
inline Parallel parallel_of_torch() {
#if defined(__unix__) || defined(__APPLE__)
  return reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
#else
  return nullptr;
#endif
}

// Calls work(i), which does not throw, for every i below `count`. After an operation, PyTorch's threads
// look out for the next one for some milliseconds, without rest: threads of our own would have to share
// the processors with them.
template <typename Work> void on_team(int threads, std::size_t count, const Work &work) {
  static const Parallel parallel = parallel_of_torch();
  if (!parallel || threads == 1)
    return in_parallel(threads, count, [&](int, std::size_t i) { work(i); });
  struct Shared {
    const Work &work;
    std::size_t count;
    std::atomic<std::size_t> next{0};
  } shared{work, count};
  const auto take = [](void *data) {
    Shared &shared = *static_cast<Shared *>(data);
    for (std::size_t i; (i = shared.next++) < shared.count;) shared.work(i);
  };
  parallel(take, &shared, unsigned(threads), 0);
}

} // namespace groundup
