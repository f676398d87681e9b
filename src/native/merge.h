// Byte-pair merging of one piece: the learned pair that comes first in order, the leftmost of equals,
// until none is left.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "text.h"

namespace groundup {

constexpr u32 NONE = ~0u;

struct Merge {
  u32 left, right, id; // the two tokens, and the one that they become
};

// The merges, in order, as a hash table from a pair of tokens to its place in the order.
//
// A pair is in one of two buckets of two slots (cuckoo hashing, Pagh and Rodler 2004), which may be
// four fifths full: the table stays small enough for the processor's second cache, and a look-up
// has no branch that could be guessed wrong. A slot is one number of 64 bits: left (21 bits), right
// (21 bits), order (22 bits).
class Merges {
public:
  static constexpr u32 NO_ID = (1u << 21) - 1; // more than any id: its pairs are never learned
  static constexpr u32 NO_ORDER = (1u << 22) - 1;

  // orders: of each merge; not falling, and equal where the source makes no difference.
  Merges(const std::array<u32, 256> &byte_ids, const std::vector<Merge> &merges,
         const std::vector<u32> &orders)
      : byte_ids_(byte_ids) {
    ids_.assign(orders.empty() ? 1 : orders.back() + 2, NO_ID);
    for (std::size_t i = 0; i < merges.size(); i++) ids_[orders[i]] = merges[i].id;
    int bits = 10;
    while ((4ull << bits) / 5 < merges.size()) bits++;
    while (!build(merges, orders, bits)) bits++;
    bytes_.resize(256 * 256);
    for (int a = 0; a < 256; a++)
      for (int b = 0; b < 256; b++) bytes_[a << 8 | b] = order(byte_ids_[a], byte_ids_[b]);
  }

  // The place of a pair in the order, or NO_ORDER.
  u32 order(u32 left, u32 right) const {
    const u64 key = u64(left) << 21 | right;
    const u64 *first = bucket(key, FIRST), *second = bucket(key, SECOND);
    u64 order = NO_ORDER;
    for (const u64 entry : {first[0], first[1], second[0], second[1]})
      order = entry >> 22 == key ? entry & NO_ORDER : order;
    return u32(order);
  }

  u32 byte_order(u8 left, u8 right) const { return bytes_[left << 8 | right]; }
  u32 byte_id(u8 byte) const { return byte_ids_[byte]; }
  // What a place of the order makes; NO_ID for NO_ORDER.
  u32 id(u32 order) const { return ids_[std::min<std::size_t>(order, ids_.size() - 1)]; }

private:
  static constexpr u64 EMPTY = ~0ull; // of the pair of NO_ID with itself
  static constexpr u64 FIRST = 0x9E3779B97F4A7C15ull, SECOND = 0xC2B2AE3D27D4EB4Full; // odd

  const u64 *bucket(u64 key, u64 factor) const { return &slots_[key * factor >> shift_ << 1]; }

  // Places all merges, or fails: some pairs cannot all be placed.
  bool build(const std::vector<Merge> &merges, const std::vector<u32> &orders, int bits) {
    slots_.assign(1ull << bits, EMPTY);
    shift_ = 64 - bits + 1;
    for (std::size_t i = 0; i < merges.size(); i++) {
      u64 entry = (u64(merges[i].left) << 21 | merges[i].right) << 22 | orders[i];
      u64 factor = FIRST;
      for (int moves = 0; entry != EMPTY; moves++) {
        if (moves > MOST_MOVES) return false;
        u64 *slots = &slots_[bucket(entry >> 22, factor) - &slots_[0]];
        std::swap(entry, slots[slots[0] == EMPTY ? 0 : slots[1] == EMPTY ? 1 : moves / 2 % 2]);
        const u64 *home = bucket(entry >> 22, FIRST);
        factor = home == slots ? SECOND : FIRST;
      }
    }
    return true;
  }

  static constexpr int MOST_MOVES = 500;

  std::array<u32, 256> byte_ids_;
  std::vector<u64> slots_;
  std::vector<u32> ids_;   // of the token that each place of the order makes
  std::vector<u32> bytes_; // order of each pair of bytes: most look-ups of a piece are its first
  int shift_;
};

// One short piece on its way: tokens stay where their first byte is, from 1 on, between two that are
// never part of a pair; a bit of `alive_` tells where one is. A candidate is a pair's order and the
// place of its left token in one number, so that the least is the next to merge.
class ShortMerge {
public:
  static constexpr int LONGEST = 62; // bytes: up to here, scanning all pairs beats a heap

  void start(const Merges &merges, const u8 *piece, int n) {
    rows_ = (n + 1 + 7) / 8 * 8;
    std::fill(candidates_, candidates_ + rows_, NONE);
    ids_[0] = ids_[n + 1] = Merges::NO_ID;
    for (int i = 0; i < n; i++) ids_[i + 1] = merges.byte_id(piece[i]);
    for (int i = 0; i + 1 < n; i++)
      consider(merges, i + 1, merges.byte_order(piece[i], piece[i + 1]));
    alive_ = ~0ull >> (64 - (n + 2));
  }

  // Merges one pair, if there is one.
  bool step(const Merges &merges) {
    u32 least[4] = {NONE, NONE, NONE, NONE};
    for (int i = 0; i < rows_; i += 4)
      for (int k = 0; k < 4; k++) least[k] = std::min(least[k], candidates_[i + k]);
    const u32 best = std::min(std::min(least[0], least[1]), std::min(least[2], least[3]));
    if (best >= Merges::NO_ORDER << 6) return false;
    const int at = best & 63;
    u64 after = alive_ >> at >> 1 << at << 1;
    const int right = __builtin_ctzll(after);
    after &= after - 1;
    alive_ &= ~(1ull << right);
    const int next = __builtin_ctzll(after);
    const int previous = 63 - __builtin_clzll(alive_ & ((1ull << at) - 1));
    ids_[at] = merged_[at];
    candidates_[right] = NONE;
    consider(merges, at, merges.order(ids_[at], ids_[next]));
    consider(merges, previous, merges.order(ids_[previous], ids_[at]));
    return true;
  }

  // Writes the ids to `out`; returns how many.
  i64 finish(u32 *out) const {
    i64 count = 0;
    for (u64 left = alive_ & (alive_ - 1); left & (left - 1); left &= left - 1)
      out[count++] = ids_[__builtin_ctzll(left)];
    return count;
  }

private:
  void consider(const Merges &merges, int at, u32 order) {
    candidates_[at] = order << 6 | u32(at);
    merged_[at] = merges.id(order);
  }

  u64 alive_;
  int rows_; // of candidates that are in use, a multiple of 8
  u32 ids_[LONGEST + 2];
  u32 merged_[LONGEST + 2]; // what each token and the next would become
  u32 candidates_[LONGEST + 2];
};

// Merges pieces; its buffers are kept between pieces.
class Merger {
public:
  static constexpr i64 LONGEST = 1 << 30; // bytes
  static constexpr int LANES = 8;

  struct Job {
    const u8 *piece;
    int bytes; // up to ShortMerge::LONGEST
    i64 count; // of the ids
    u32 ids[ShortMerge::LONGEST];
  };

  // Writes the ids of a piece of n bytes to `out`, which has room for n; returns how many.
  i64 merge(const Merges &merges, const u8 *piece, i64 n, u32 *out) {
    if (n > LONGEST) throw std::length_error("a piece of text without a cut is longer than 1 GiB");
    if (n > ShortMerge::LONGEST) return merge_long(merges, piece, n, out);
    lanes_[0].start(merges, piece, int(n));
    while (lanes_[0].step(merges)) {}
    return lanes_[0].finish(out);
  }

  // The same for up to LANES short pieces, a step of each in turn: a step waits for memory most of
  // the time, and the others go on meanwhile.
  void merge(const Merges &merges, Job *jobs, int count) {
    int lanes[LANES];
    for (int i = 0; i < count; i++) lanes_[lanes[i] = i].start(merges, jobs[i].piece, jobs[i].bytes);
    for (int busy = count; busy;) {
      for (int i = 0; i < busy;) {
        if (lanes_[lanes[i]].step(merges)) i++;
        else lanes[i] = lanes[--busy];
      }
    }
    for (int i = 0; i < count; i++) jobs[i].count = lanes_[i].finish(jobs[i].ids);
  }

private:
  // O(n log n): the tokens are a linked list, and a heap holds the candidates as order << 32 | place.
  // A candidate whose neighbours have changed since is dropped when it comes up.
  i64 merge_long(const Merges &merges, const u8 *piece, i64 n, u32 *out) {
    const u32 length = u32(n);
    ids_.resize(length), next_.resize(length), previous_.resize(length);
    heap_.clear();
    for (u32 i = 0; i < length; i++) {
      ids_[i] = merges.byte_id(piece[i]);
      next_[i] = i + 1 < length ? i + 1 : NONE;
      previous_[i] = i ? i - 1 : NONE;
    }
    for (u32 i = 0; i + 1 < length; i++) {
      const u32 order = merges.byte_order(piece[i], piece[i + 1]);
      if (order != Merges::NO_ORDER) heap_.push_back(u64(order) << 32 | i);
    }
    const auto later = std::greater<u64>();
    std::make_heap(heap_.begin(), heap_.end(), later);
    const auto consider = [&](u32 at) {
      const u32 order = merges.order(ids_[at], ids_[next_[at]]);
      if (order == Merges::NO_ORDER) return;
      heap_.push_back(u64(order) << 32 | at);
      std::push_heap(heap_.begin(), heap_.end(), later);
    };
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      const u32 order = u32(heap_.back() >> 32), at = u32(heap_.back());
      heap_.pop_back();
      const u32 right = next_[at];
      if (ids_[at] == NONE || right == NONE || merges.order(ids_[at], ids_[right]) != order) continue;
      ids_[at] = merges.id(order), ids_[right] = NONE;
      next_[at] = next_[right];
      if (next_[at] != NONE) previous_[next_[at]] = at, consider(at);
      if (previous_[at] != NONE) consider(previous_[at]);
    }
    i64 count = 0;
    for (u32 at = 0; at != NONE; at = next_[at]) out[count++] = ids_[at];
    if (length > RETAINED) *this = {};
    return count;
  }

  static constexpr u32 RETAINED = 1 << 18; // bytes of a piece; buffers for longer ones are given back

  ShortMerge lanes_[LANES];
  std::vector<u32> ids_, next_, previous_;
  std::vector<u64> heap_;
};

} // namespace groundup
