// Text to ids: cut into pieces, look each piece up, merge the few that are not known.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "cache.h"
#include "ids.h"
#include "merge.h"
#include "pieces.h"

namespace groundup {

// What one thread needs while it encodes; kept between calls.
struct State {
  PieceCache cache;
  Merger merger;
};

class Encoder {
public:
  // classes: CODE_POINTS of them, copied. tokens: with their ids, the most frequent first. whole: a
  // piece that is a token becomes its id without merging.
  Encoder(const u8 *classes, Pattern pattern, Merges merges,
          std::vector<std::pair<std::string, u32>> tokens, bool whole)
      : classes_(classes, classes + CODE_POINTS), pattern_(pattern), merges_(std::move(merges)),
        tokens_(std::move(tokens)) {
    if (whole) whole_.insert(tokens_.begin(), tokens_.end());
    idle_.push_back(fresh());
  }

  // States of the pool for as long as they are in use, so that threads share nothing while they work.
  class Lease {
  public:
    Lease(Encoder &encoder, int count) : encoder_(encoder) {
      {
        const std::lock_guard lock(encoder_.mutex_);
        while (count > i64(states_.size()) && !encoder_.idle_.empty()) {
          states_.push_back(std::move(encoder_.idle_.back()));
          encoder_.idle_.pop_back();
        }
      }
      if (states_.empty()) states_.push_back(encoder_.fresh());
      while (count > i64(states_.size())) states_.push_back(std::make_unique<State>(*states_[0]));
    }
    ~Lease() {
      const std::lock_guard lock(encoder_.mutex_);
      while (!states_.empty()) { // the first one last, which is the first to be lent again
        encoder_.idle_.push_back(std::move(states_.back()));
        states_.pop_back();
      }
    }
    State &operator[](int thread) const { return *states_[std::size_t(thread)]; }

  private:
    Encoder &encoder_;
    std::vector<std::unique_ptr<State>> states_;
  };

  // Adds the ids of n bytes of UTF-8.
  void encode(const u8 *bytes, i64 n, State &state, Ids &out) const {
    const Text text{classes_.data(), bytes + n};
    switch (pattern_) {
    case Pattern::gpt2: return encode<Pattern::gpt2>(text, bytes, state, out);
    case Pattern::cl100k: return encode<Pattern::cl100k>(text, bytes, state, out);
    case Pattern::qwen2: return encode<Pattern::qwen2>(text, bytes, state, out);
    case Pattern::o200k: return encode<Pattern::o200k>(text, bytes, state, out);
    }
  }

  // The ids of one piece, which is not cut further.
  void merge(const u8 *piece, i64 bytes, State &state, Ids &out) const {
    out.add(bytes ? merge_piece(piece, bytes, state, out.room(bytes)) : 0);
  }

private:
  struct Piece {
    const u8 *start;
    u64 hash;
    Key key;
  };
  // Pieces of a batch: few enough to stay in the processor's first cache, and while the text is
  // new, enough to find several that must be merged.
  static constexpr int BATCH = 48, LONG_BATCH = 192;
  static constexpr std::size_t MOST_LIKELY = 1 << 16; // tokens, a quarter of what the cache holds

  // A State that knows the tokens: they are the likeliest pieces.
  std::unique_ptr<State> fresh() const {
    auto state = std::make_unique<State>();
    for (std::size_t i = 0; i < std::min(tokens_.size(), MOST_LIKELY); i++) {
      const std::string &token = tokens_[i].first;
      const u8 *start = reinterpret_cast<const u8 *>(token.data());
      Piece piece[2] = {{start, 0, Key::of(start, i64(token.size()), start + token.size())},
                        {start + token.size(), 0, {}}};
      piece[0].hash = piece[0].key.hash();
      learn(piece, piece + 1, *state);
    }
    return state;
  }

  // In batches of three passes: cut; ask for the memory of each piece's entry; look it up. By the
  // time that an entry is looked at, it has come.
  template <Pattern P> void encode(const Text &text, const u8 *p, State &state, Ids &out) const {
    Piece pieces[LONG_BATCH + WINDOW + 1];
    int batch = BATCH;
    while (p < text.end) {
      pieces[0].start = p;
      int count = 0;
      while (count < batch && pieces[count].start < text.end) {
        const u8 *start = pieces[count].start;
        const Cuts cuts = next_cuts<P>(text, start);
        for (u64 bits = cuts.bits; bits; bits &= bits - 1) pieces[++count].start = start + lowest(bits);
        if (!cuts.bits) pieces[++count].start = cuts.end;
      }
      prefetch(pieces, count, text.end, state.cache.lines());
      p = pieces[count].start;
      u32 *ids = out.room(p - pieces[0].start);
      const i64 learned = state.cache.size();
      out.add(look_up(pieces, count, state, ids) - ids);
      batch = state.cache.size() == learned ? BATCH : LONG_BATCH;
    }
  }

  static void prefetch(Piece *pieces, int count, const u8 *limit, PieceCache::Lines lines) {
    for (Piece *piece = pieces; piece < pieces + count; piece++) {
      piece->key = Key::of(piece->start, piece[1].start - piece->start, limit);
      piece->hash = piece->key.hash();
      lines.prefetch(piece->hash);
    }
  }

  // Writes the ids of the pieces to `ids`; returns where they end.
  u32 *look_up(const Piece *pieces, int count, State &state, u32 *ids) const {
    const Piece *end = pieces + count;
    PieceCache::Lines lines = state.cache.lines();
    for (const Piece *piece = pieces; piece < end; piece++) {
      i64 added = lines.copy_few(piece->key, piece->hash, ids);
      if (__builtin_expect(!added, false)) {
        added = copy_or_merge(piece, end, state, ids);
        lines = state.cache.lines();
      }
      ids += added;
    }
    return ids;
  }

  __attribute__((noinline)) i64 copy_or_merge(const Piece *piece, const Piece *end, State &state,
                                              u32 *ids) const {
    const i64 bytes = piece[1].start - piece->start;
    if (bytes > Key::LONGEST) return merge_piece(piece->start, bytes, state, ids);
    i64 count = state.cache.copy(piece->start, piece->key, piece->hash, ids);
    if (count) return count;
    learn(piece, end, state);
    count = state.cache.copy(piece->start, piece->key, piece->hash, ids);
    return count ? count : merge_piece(piece->start, bytes, state, ids);
  }

  // Merges those of the pieces that are not in the cache, the short ones several at a time, and
  // keeps them there.
  void learn(const Piece *begin, const Piece *end, State &state) const {
    Merger::Job jobs[Merger::LANES];
    const Piece *missing[Merger::LANES];
    int count = 0;
    for (const Piece *piece = begin; piece < end; piece++) {
      const i64 bytes = piece[1].start - piece->start;
      if (bytes > Key::LONGEST || state.cache.has(piece->key, piece->hash)) continue;
      if (bytes > ShortMerge::LONGEST || whole_id(piece->start, bytes)) {
        u32 ids[Key::LONGEST];
        const i64 merged = merge_piece(piece->start, bytes, state, ids);
        state.cache.keep(piece->start, piece->key, piece->hash, ids, u32(merged));
        continue;
      }
      jobs[count].piece = piece->start, jobs[count].bytes = int(bytes);
      missing[count++] = piece;
      if (count == Merger::LANES) keep(jobs, missing, std::exchange(count, 0), state);
    }
    keep(jobs, missing, count, state);
  }

  void keep(Merger::Job *jobs, const Piece **pieces, int count, State &state) const {
    state.merger.merge(merges_, jobs, count);
    for (int i = 0; i < count; i++)
      state.cache.keep(pieces[i]->start, pieces[i]->key, pieces[i]->hash, jobs[i].ids, u32(jobs[i].count));
  }

  i64 merge_piece(const u8 *piece, i64 bytes, State &state, u32 *ids) const {
    if (const u32 *whole = whole_id(piece, bytes)) return *ids = *whole, 1;
    return state.merger.merge(merges_, piece, bytes, ids);
  }

  // The id that the piece becomes without merging, or nullptr.
  const u32 *whole_id(const u8 *piece, i64 bytes) const {
    if (whole_.empty()) return nullptr;
    const std::string_view text(reinterpret_cast<const char *>(piece), std::size_t(bytes));
    const auto known = whole_.find(text);
    return known == whole_.end() ? nullptr : &known->second;
  }

  const std::vector<u8> classes_;
  const Pattern pattern_;
  const Merges merges_;
  const std::vector<std::pair<std::string, u32>> tokens_;
  std::unordered_map<std::string_view, u32> whole_; // into `tokens_`
  std::mutex mutex_;
  std::vector<std::unique_ptr<State>> idle_;
};

} // namespace groundup
