// Many texts, or a long one, on several threads.
#pragma once

#include <atomic>
#include <exception>
#include <system_error>
#include <thread>

#include "units.h"

namespace groundup {

// Of one text.
struct Part {
  const Units *text;
  i64 begin, end; // units
  bool last;      // of its text
};

// Parts that stand together: what one thread takes at a time.
struct Stretch {
  std::size_t begin, end; // parts
};

constexpr i64 PART = 1 << 17; // units

// The parts of the texts, in order.
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

inline std::vector<Stretch> stretches_of(const std::vector<Part> &parts) {
  std::vector<Stretch> stretches;
  i64 units = PART;
  for (std::size_t i = 0; i < parts.size(); i++) {
    if (units >= PART) stretches.push_back({i, i}), units = 0;
    stretches.back().end = i + 1;
    units += parts[i].end - parts[i].begin;
  }
  return stretches;
}

// Calls work(thread, i) for every i below `count`, of which each thread takes the next as soon as it
// has done one: processors are not equally fast. Raises what the first thread that failed raised.
template <typename Work> void in_parallel(int threads, std::size_t count, Work work) {
  std::vector<std::exception_ptr> errors(std::size_t(threads), nullptr);
  std::atomic<std::size_t> next = 0;
  const auto take = [&](int thread) {
    try {
      for (std::size_t i; (i = next++) < count;) work(thread, i);
    } catch (...) {
      errors[std::size_t(thread)] = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  others.reserve(std::size_t(threads));
  try {
    for (int thread = 1; thread < threads; thread++) others.emplace_back(take, thread);
  } catch (const std::system_error &) {
    // The system gives no more threads: those that there are take all.
  }
  take(0);
  for (std::thread &other : others) other.join();
  for (const std::exception_ptr &error : errors)
    if (error) std::rethrow_exception(error);
}

} // namespace groundup
