// How often each piece occurs.
#pragma once

#include <functional>

#include "cache.h"

namespace groundup {

class PieceCounter {
public:
  struct Entry {
    u64 low, high; // the key; all zeros is an empty entry
    i64 count;
    u64 start; // of the piece, in `bytes_`
  };

  PieceCounter() : entries_(1 << 16) {}

  // limit: up to where bytes may be read.
  void add(const u8 *piece, i64 bytes, i64 count, const u8 *limit) {
    const Key key = Key::of(piece, bytes, limit);
    add({piece, bytes, key, key.hash()}, count);
  }

  // Counts one more of a piece some pieces later, when the memory of its entry has come; `finish`
  // counts the last ones. The piece must be there until then.
  void add_soon(const u8 *piece, i64 bytes, const u8 *limit) {
    const Key key = Key::of(piece, bytes, limit);
    Waiting &place = waiting_[next_++ % SOON];
    if (place.bytes) add(place, 1);
    place = {piece, bytes, key, key.hash()};
    __builtin_prefetch(&entries_[place.hash & (entries_.size() - 1)]);
  }

  void finish() {
    for (Waiting &place : waiting_) {
      if (place.bytes) add(place, 1);
      place.bytes = 0;
    }
  }

  void add(const PieceCounter &other) {
    other.each([&](const u8 *piece, i64 bytes, i64 count) { add(piece, bytes, count, piece + bytes); });
  }

  // Calls work(piece, bytes, count) for every piece, in the order in which they first came.
  template <typename Work> void each(Work work) const {
    for (std::size_t i = 0; i < order_.size(); i++) {
      const u64 end = i + 1 < order_.size() ? starts_[i + 1] : bytes_.size();
      work(bytes_.data() + starts_[i], i64(end - starts_[i]), entries_[order_[i]].count);
    }
  }

  // The least count such that at most `most` pieces occur more often; 0, if there are no more than
  // `most`.
  i64 bar(std::size_t most) const {
    if (size() <= most) return 0;
    std::vector<i64> counts;
    for (const u64 at : order_) counts.push_back(entries_[at].count);
    const auto bar = counts.begin() + i64(most);
    std::nth_element(counts.begin(), bar, counts.end(), std::greater<i64>());
    return *bar;
  }

  std::size_t size() const { return order_.size(); }
  std::size_t bytes() const { return bytes_.size(); }

private:
  static constexpr int SOON = 16;

  struct Waiting {
    const u8 *piece;
    i64 bytes; // 0: no piece waits here
    Key key;
    u64 hash;
  };

  void add(const Waiting &piece, i64 count) {
    u64 at = piece.hash & (entries_.size() - 1);
    for (; entries_[at].count; at = (at + 1) & (entries_.size() - 1)) {
      Entry &entry = entries_[at];
      if (entry.low != piece.key.low || entry.high != piece.key.high) continue;
      if (piece.bytes > Key::WHOLE && !same(entry, piece.piece, piece.bytes)) continue;
      entry.count += count;
      return;
    }
    entries_[at] = {piece.key.low, piece.key.high, count, bytes_.size()};
    starts_.push_back(bytes_.size());
    bytes_.insert(bytes_.end(), piece.piece, piece.piece + piece.bytes);
    order_.push_back(at);
    if (2 * order_.size() > entries_.size()) grow();
  }

  // The key of a long piece holds its hash and up to 255 of its length: compare all of it.
  bool same(const Entry &entry, const u8 *piece, i64 bytes) const {
    const auto next = std::upper_bound(starts_.begin(), starts_.end(), entry.start);
    const u64 end = next == starts_.end() ? bytes_.size() : *next;
    return i64(end - entry.start) == bytes &&
           std::memcmp(bytes_.data() + entry.start, piece, std::size_t(bytes)) == 0;
  }

  void grow() {
    std::vector<Entry> old(2 * entries_.size());
    old.swap(entries_);
    for (u64 &at : order_) {
      const Entry &entry = old[at];
      at = mix(entry.low, entry.high) & (entries_.size() - 1);
      while (entries_[at].count) at = (at + 1) & (entries_.size() - 1);
      entries_[at] = entry;
    }
  }

  std::array<Waiting, SOON> waiting_{};
  unsigned next_ = 0;
  std::vector<Entry> entries_;
  std::vector<u64> order_;  // where the entry of each piece is
  std::vector<u64> starts_; // of each piece, in `bytes_`
  std::vector<u8> bytes_;
};

} // namespace groundup
