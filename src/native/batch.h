// Encode many texts, or a long one, on several threads.
#pragma once

#include <condition_variable>

#include "encoder.h"
#include "memory.h"
#include "parts.h"

namespace groundup {

constexpr i64 UNITS_A_TOKEN = 3; // fewer than most text has

struct Encoded {
  Ids ids;               // of all texts, one after the other
  std::vector<i64> ends; // of each text, in `ids`
};

// Puts the ids of stretches, which come from several threads in any order, one after the other.
// Each thread copies its own, as soon as all before them have come and so their place is known.
class InOrder {
public:
  InOrder(Ids &all, int threads, std::size_t count)
      : all_(all), came_(count), placed_(std::size_t(threads)) {}

  // Takes the ids of stretch i from a thread, and leaves an empty array in their place.
  void put(int thread, std::size_t i, Ids &ids) {
    std::unique_lock lock(mutex_);
    came_[i] = {thread, std::move(ids)};
    for (; next_ < came_.size() && came_[next_].thread != NOBODY; next_++) {
      Came &came = came_[next_];
      placed_[std::size_t(came.thread)].push_back({end_, std::move(came.ids)});
      end_ += placed_[std::size_t(came.thread)].back().ids.size();
    }
    std::vector<Placed> mine = std::exchange(placed_[std::size_t(thread)], {});
    if (!all_.has_room(end_)) { // it may move: let nobody copy meanwhile
      nobody_.wait(lock, [&] { return copying_ == 0; });
      all_.room(end_);
    }
    copying_++;
    lock.unlock();
    copy(mine);
    lock.lock();
    if (--copying_ == 0) nobody_.notify_all();
    for (Placed &some : mine) free_.push_back(std::move(some.ids));
    if (free_.empty()) return;
    ids = std::move(free_.back()), ids.clear();
    free_.pop_back();
  }

  // Copies what is left, when all have come and no thread works any more.
  void finish() {
    for (const std::vector<Placed> &some : placed_) copy(some);
    all_.add(end_);
  }

private:
  static constexpr int NOBODY = -1;

  struct Came {
    int thread = NOBODY;
    Ids ids;
  };
  struct Placed {
    i64 start;
    Ids ids;
  };

  void copy(const std::vector<Placed> &placed) {
    for (const Placed &some : placed)
      copy_away(some.ids.data(), some.ids.size(), all_.data() + some.start);
  }

  Ids &all_;
  i64 end_ = 0; // of the ids whose place is known
  std::vector<Came> came_;
  std::size_t next_ = 0; // the first stretch that has not come
  std::vector<std::vector<Placed>> placed_; // of each thread, not yet copied
  std::vector<Ids> free_;
  int copying_ = 0; // threads
  std::mutex mutex_;
  std::condition_variable nobody_;
};

// What a thread works with, in lines of the processor's cache that no other thread writes to.
struct alignas(128) Own {
  Buffer buffer;
  Ids ids;
};

inline Encoded encode_batch(Encoder &encoder, const std::vector<Units> &texts, int threads) {
  const std::vector<Part> parts = parts_of(texts);
  const std::vector<Stretch> stretches = stretches_of(parts);
  threads = int(std::clamp<i64>(i64(stretches.size()), 1, threads));
  Encoded all;
  i64 units = 0;
  for (const Units &text : texts) units += text.length;
  all.ids.room(units / UNITS_A_TOKEN);
  std::vector<i64> sizes(parts.size());
  const Encoder::Lease states(encoder, threads);
  std::vector<Own> own(static_cast<std::size_t>(threads));
  const auto encode = [&](int thread, std::size_t i, Ids &ids) {
    for (std::size_t part = stretches[i].begin; part < stretches[i].end; part++) {
      i64 bytes;
      const u8 *utf8 = parts[part].text->utf8(parts[part].begin, parts[part].end, own[thread].buffer, bytes);
      const i64 before = ids.size();
      encoder.encode(utf8, bytes, states[thread], ids);
      sizes[part] = ids.size() - before;
    }
  };
  if (threads == 1) {
    for (std::size_t i = 0; i < stretches.size(); i++) encode(0, i, all.ids);
  } else {
    InOrder order(all.ids, threads, stretches.size());
    in_parallel(threads, stretches.size(), [&](int thread, std::size_t i) {
      encode(thread, i, own[thread].ids);
      order.put(thread, i, own[thread].ids);
    });
    order.finish();
  }
  i64 end = 0;
  for (std::size_t i = 0; i < parts.size(); i++) {
    end += sizes[i];
    if (parts[i].last) all.ends.push_back(end);
  }
  return all;
}

} // namespace groundup
