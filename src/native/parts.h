// Many texts, or a long one, on several threads.
#pragma once

#include <algorithm>
#include <exception>
#include <thread>

#include "units.h"

namespace groundup {

// What one thread takes at a time.
struct Part {
  const Units *text;
  i64 begin, end; // units
  bool last;      // of its text
};

constexpr i64 PART = 1 << 18; // units

// The parts of the texts, in order; whole texts, if the pattern is not one of ours.
inline std::vector<Part> parts_of(const std::vector<Units> &texts) {
  std::vector<Part> parts;
  for (const Units &text : texts) {
    i64 begin = 0;
    do {
      const i64 end = text.part_end(begin, PART);
      parts.push_back({&text, begin, end, end == text.length});
      begin = end;
    } while (!parts.back().last);
  }
  return parts;
}

// Where each thread's parts begin, and the last one's end: parts that stand together, about as many
// units as every other thread's. There are fewer threads where there is little to do.
inline std::vector<std::size_t> shares_of(const std::vector<Part> &parts, int threads) {
  i64 units = 0;
  for (const Part &part : parts) units += part.end - part.begin;
  threads = int(std::clamp<i64>(units / (PART / 2), 1, threads));
  std::vector<std::size_t> cuts{0};
  i64 before = 0;
  std::size_t next = 0;
  for (int thread = 1; thread < threads; thread++) {
    for (; before < units * thread / threads; next++) before += parts[next].end - parts[next].begin;
    cuts.push_back(next);
  }
  cuts.push_back(parts.size());
  return cuts;
}

// Calls work(0) … work(count - 1), each on its own thread; raises what the first of them raised.
template <typename Work> void in_parallel(int count, Work work) {
  std::vector<std::exception_ptr> errors(std::size_t(count), nullptr);
  const auto guarded = [&](int i) {
    try {
      work(i);
    } catch (...) {
      errors[std::size_t(i)] = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < count; i++) threads.emplace_back(guarded, i);
  guarded(0);
  for (std::thread &thread : threads) thread.join();
  for (const std::exception_ptr &error : errors)
    if (error) std::rethrow_exception(error);
}

} // namespace groundup
