// Pieces whose ids are known: most text is the same few pieces.
#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "memory.h"
#include "text.h"

namespace groundup {

inline u64 mix(u64 a, u64 b) { // the halves of the 128-bit product
  const auto product =
      static_cast<unsigned __int128>(a ^ 0x9E3779B97F4A7C15ull) * (b ^ 0xC2B2AE3D27D4EB4Full);
  return u64(product) ^ u64(product >> 64);
}

// A piece as a number of 128 bits. One of up to 15 bytes is its own: the bytes, zeros, and the length
// in the last byte. A longer one has its hash and its length, and must be compared byte by byte.
struct Key {
  static constexpr i64 WHOLE = 15, LONGEST = 255; // bytes

  u64 low, high;

  // limit: up to where bytes may be read.
  static Key of(const u8 *piece, i64 bytes, const u8 *limit) {
    if (__builtin_expect(bytes > WHOLE, false)) return of_long(piece, bytes);
    u64 low, high;
    if (__builtin_expect(limit - piece >= 16, true)) {
      std::memcpy(&low, piece, 8);
      std::memcpy(&high, piece + 8, 8);
    } else {
      low = read(piece, std::min<i64>(bytes, 8));
      high = bytes > 8 ? read(piece + 8, bytes - 8) : 0;
    }
    return {low & MASKS[bytes][0], (high & MASKS[bytes][1]) | u64(bytes) << 56};
  }

  i64 bytes() const { return i64(high >> 56); }
  u64 hash() const { return mix(low, high); }

private:
  static u64 read(const u8 *bytes, i64 count) { // up to 8
    u64 word = 0;
    std::memcpy(&word, bytes, std::size_t(count));
    return word;
  }

  __attribute__((noinline)) static Key of_long(const u8 *piece, i64 bytes) {
    bytes = std::min(bytes, i64(LONGEST));
    Key key{0, u64(bytes) << 56};
    for (i64 at = 0; at < bytes; at += 8)
      key.low = mix(key.low ^ read(piece + at, std::min<i64>(8, bytes - at)), key.high);
    return key;
  }

  using Masks = std::array<std::array<u64, 2>, WHOLE + 1>;

  static constexpr Masks masks() { // of the first 0, 1, … bytes; little-endian
    Masks all{};
    for (int bytes = 0; bytes <= WHOLE; bytes++)
      for (int i = 0; i < bytes; i++) all[bytes][i / 8] |= 0xFFull << (i % 8 * 8);
    return all;
  }
  static const Masks MASKS;
};
inline constexpr Key::Masks Key::MASKS = Key::masks();

// A hash table that grows, up to a limit, and then starts anew. Two entries are one line of the
// processor's cache, and are compared together.
class PieceCache {
public:
  static constexpr u32 FEW = 3; // ids that an entry holds itself

  struct Entry {
    u64 low, high; // the key; no piece has the length 0, so all zeros is an empty entry
    u32 ids[FEW];
    u32 count;

    bool is(const Key &key) const { return !((low ^ key.low) | (high ^ key.high)); }
  };

  PieceCache() { resize(FIRST); }
  PieceCache(const PieceCache &other)
      : size_(other.size_), ids_(other.ids_), bytes_(other.bytes_) {
    resize(other.capacity_);
    std::copy_n(other.entries_, capacity_, entries_);
  }

  // The table as it is until the next `keep`: a copy for loops, which then keep it in registers.
  struct Lines {
    const Entry *entries;
    u64 mask;

    const Entry *of(u64 hash) const { return entries + (hash & mask); }
    void prefetch(u64 hash) const { __builtin_prefetch(of(hash)); }

    // Copies the ids of a piece, if they are in its own line and few, to where there is room for
    // FEW + 1; returns how many, or 0.
    u32 copy_few(const Key &key, u64 hash, u32 *ids) const {
      const Entry *line = of(hash), *entry = line + line[1].is(key);
      if (!entry->is(key) || entry->count > FEW) return 0;
      std::memcpy(ids, entry->ids, sizeof entry->ids + sizeof entry->count);
      return entry->count;
    }
  };
  i64 size() const { return i64(size_); }
  Lines lines() const { return {entries_, capacity_ - 2}; }

  // Whether a piece is here, or another long one of the same hash.
  bool has(const Key &key, u64 hash) const {
    const Entry *entry = lines().of(hash);
    for (; !entry->is(key); entry = next(entry))
      if (!entry->count) return false;
    return true;
  }

  // Copies the ids of any piece that is here; returns how many, or 0.
  u32 copy(const u8 *piece, const Key &key, u64 hash, u32 *ids) const {
    const Entry *entry = lines().of(hash);
    for (; !entry->is(key); entry = next(entry))
      if (!entry->count) return 0;
    if (entry->count <= FEW) {
      std::memcpy(ids, entry->ids, sizeof entry->ids);
      return entry->count;
    }
    const u32 count = entry->count - FAR;
    if (key.bytes() > Key::WHOLE && std::memcmp(&bytes_[entry->ids[1]], piece, key.bytes()) != 0)
      return 0; // another piece of the same hash: only the first is kept
    std::memcpy(ids, &ids_[entry->ids[0]], count * sizeof *ids);
    return count;
  }

  void keep(const u8 *piece, const Key &key, u64 hash, const u32 *ids, u32 count) {
    if (2 * (size_ + 1) > capacity_ || ids_.size() > MOST_FAR || bytes_.size() > MOST_FAR)
      make_room();
    Entry entry{key.low, key.high, {}, count};
    const bool whole = key.bytes() <= Key::WHOLE;
    if (whole && count <= FEW) {
      std::memcpy(entry.ids, ids, count * sizeof *ids);
    } else {
      entry.count += FAR; // ids[0] and ids[1] tell where the ids, and a long piece's bytes, are
      entry.ids[0] = u32(ids_.size());
      ids_.insert(ids_.end(), ids, ids + count);
      entry.ids[1] = u32(bytes_.size());
      if (!whole) bytes_.insert(bytes_.end(), piece, piece + key.bytes());
    }
    insert(entry, hash);
    size_++;
  }

private:
  static constexpr u64 FIRST = 1 << 16, MOST = 1 << 19; // entries: 2 MiB, 16 MiB
  static constexpr u32 FAR = 1 << 16; // added to the count
  static constexpr std::size_t MOST_FAR = 1 << 20;

  const Entry *next(const Entry *entry) const {
    return ++entry == entries_ + capacity_ ? entries_ : entry;
  }

  void insert(const Entry &entry, u64 hash) {
    const Entry *at = lines().of(hash);
    while (at->count) at = next(at);
    entries_[at - entries_] = entry;
  }

  void make_room() {
    if (capacity_ < MOST && 2 * (size_ + 1) > capacity_) {
      const auto kept = std::move(memory_);
      const Entry *old = entries_, *end = old + capacity_;
      resize(MOST);
      for (; old < end; old++)
        if (old->count) insert(*old, mix(old->low, old->high));
    } else {
      resize(capacity_);
      size_ = 0;
      ids_.clear(), bytes_.clear();
    }
  }

  // calloc gives long stretches that the system has cleared, and clears only when they are used.
  void resize(u64 capacity) {
    const std::size_t bytes = capacity * sizeof(Entry);
    memory_.reset(); // before there is more
    memory_.reset(std::calloc(1, bytes + HUGE_PAGE));
    if (!memory_) throw std::bad_alloc();
    const auto start = (reinterpret_cast<std::uintptr_t>(memory_.get()) + HUGE_PAGE - 1) & -HUGE_PAGE;
    entries_ = reinterpret_cast<Entry *>(start);
    wish_large_pages(entries_, bytes);
    capacity_ = capacity;
  }

  struct Free {
    void operator()(void *memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
  Entry *entries_ = nullptr; // in `memory_`, at the start of a page
  u64 capacity_ = 0, size_ = 0;
  std::vector<u32> ids_;  // of pieces with more than an entry holds
  std::vector<u8> bytes_; // of pieces that are longer than a key
};

} // namespace groundup
