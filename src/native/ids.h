// Arrays of ids: they grow, are handed over to Python, and leave their memory to the next.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

#include "text.h"

namespace groundup {

// The memory of the last long array that went, for the next one. Memory that is new must first be
// cleared by the system, page by page, and with every call anew: a quarter of encoding's time.
class Spare {
public:
  struct Block {
    u32 *data = nullptr;
    i64 capacity = 0; // ids
  };
  static constexpr i64 LEAST = 1 << 18, MOST = 1 << 23; // ids: 1 MiB, 32 MiB

  static Block take() {
    const std::lock_guard lock(mutex());
    return std::exchange(kept(), {});
  }

  // Keeps the larger one of this block and the one that is there; frees the other.
  static void keep(Block block) {
    if (block.capacity >= LEAST && block.capacity <= MOST) {
      const std::lock_guard lock(mutex());
      if (block.capacity > kept().capacity) std::swap(block, kept());
    }
    std::free(block.data);
  }

private:
  static Block &kept() {
    static Block block; // never freed: arrays may live until the process ends
    return block;
  }
  static std::mutex &mutex() {
    static auto *mutex = new std::mutex;
    return *mutex;
  }
};

class Ids {
public:
  Ids() = default;
  Ids(Ids &&other) noexcept
      : block_(std::exchange(other.block_, {})), size_(std::exchange(other.size_, 0)) {}
  Ids &operator=(Ids &&other) noexcept {
    std::swap(block_, other.block_), std::swap(size_, other.size_);
    return *this;
  }
  ~Ids() { Spare::keep(block_); }

  // Where the next ids go; there is room for `count` of them, and for SLACK that are written beyond.
  u32 *room(i64 count) {
    if (!has_room(count)) grow(std::max(block_.capacity + block_.capacity / 2, size_ + count + SLACK));
    return block_.data + size_;
  }
  bool has_room(i64 count) const { return size_ + count + SLACK <= block_.capacity; }
  void add(i64 count) { size_ += count; }
  void clear() { size_ = 0; }

  i64 size() const { return size_; }
  u32 *data() { return block_.data; }
  const u32 *data() const { return block_.data; }

  // Gives back memory that was not needed. Not that of a long array which is more than half full:
  // what was never written is no memory yet, and the rest serves the next array.
  void fit() {
    if (block_.capacity < Spare::LEAST || size_ < block_.capacity / 2) resize(std::max<i64>(size_, 1));
  }

  static constexpr i64 SLACK = 8;

private:
  void grow(i64 capacity) {
    if (!block_.data && capacity >= Spare::LEAST) block_ = Spare::take();
    if (block_.capacity < capacity) resize(capacity);
  }

  void resize(i64 capacity) {
    void *data = std::realloc(block_.data, std::size_t(capacity) * sizeof *block_.data);
    if (!data) throw std::bad_alloc();
    block_ = {static_cast<u32 *>(data), capacity};
  }

  Spare::Block block_;
  i64 size_ = 0;
};

} // namespace groundup
