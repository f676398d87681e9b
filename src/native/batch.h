// Encode many texts, or a long one, on several threads.
#pragma once

#include <condition_variable>

#include "encoder.h"
#include "parts.h"

namespace groundup {

constexpr i64 UNITS_A_TOKEN = 3; // fewer than most text has

struct Encoded {
  Ids ids;               // of all texts, one after the other
  std::vector<i64> ends; // of each text, in `ids`
};

// Puts the ids of stretches, which come from several threads in any order, one after the other.
class InOrder {
public:
  InOrder(Ids &all, std::size_t count) : all_(all), waiting_(count), there_(count) {}

  // Takes the ids of stretch i, and leaves an empty array in their place. Stretches are copied as
  // soon as all before them have come: by the thread that brought the last one missing.
  void put(std::size_t i, Ids &ids) {
    std::vector<Placed> placed;
    std::unique_lock lock(mutex_);
    waiting_[i] = std::move(ids), there_[i] = true;
    for (; next_ < there_.size() && there_[next_]; next_++) {
      placed.push_back({end_, std::move(waiting_[next_])});
      end_ += placed.back().ids.size();
    }
    if (placed.empty()) return;
    if (!all_.has_room(end_)) { // it may move: let nobody copy meanwhile
      nobody_.wait(lock, [&] { return copying_ == 0; });
      all_.room(end_);
    }
    copying_++;
    lock.unlock();
    for (const Placed &some : placed)
      std::copy_n(some.ids.data(), some.ids.size(), all_.data() + some.start);
    ids = std::move(placed[0].ids), ids.clear();
    lock.lock();
    if (--copying_ == 0) nobody_.notify_all();
  }

  i64 size() const { return end_; }

private:
  struct Placed {
    i64 start;
    Ids ids;
  };

  Ids &all_;
  i64 end_ = 0; // of the ids that have their place
  std::vector<Ids> waiting_;
  std::vector<bool> there_;
  std::size_t next_ = 0;
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
    InOrder order(all.ids, stretches.size());
    in_parallel(threads, stretches.size(), [&](int thread, std::size_t i) {
      encode(thread, i, own[thread].ids);
      order.put(i, own[thread].ids);
    });
    all.ids.add(order.size());
  }
  i64 end = 0;
  for (std::size_t i = 0; i < parts.size(); i++) {
    end += sizes[i];
    if (parts[i].last) all.ends.push_back(end);
  }
  return all;
}

} // namespace groundup
