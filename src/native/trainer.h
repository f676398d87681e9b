// Learn merges: the most frequent pair of neighbours becomes a token, again and again.
#pragma once

#include <limits>
#include <queue>
#include <string>
#include <utility>

#include "counter.h"

namespace groundup {

// Only the words that hold the merged pair are looked at, and the queue of pairs is brought up to
// date when a pair comes up, not when its count changes: counts only fall, but for pairs with the
// newest token, which are put into the queue at its end. Most pairs are rare and never come up: below a
// bar, which falls when the queue is empty, they are not queued at all.
class Trainer {
public:
  struct Pair {
    u32 left, right;
  };

  // Pairs that are less frequent than `least`, or would make a token longer than `longest` bytes, are
  // not merged.
  Trainer(const PieceCounter &counts, i64 least, i64 longest)
      : least_(least), longest_(longest), table_(1 << 16, Slot{0, NOTHING}), queue_(Before{this}) {
    for (int byte = 0; byte < 256; byte++) tokens_.push_back(std::string(1, char(byte)));
    symbols_.reserve(counts.bytes());
    words_.reserve(counts.size());
    counts.each([&](const u8 *piece, i64 bytes, i64 count) {
      if (bytes < 2) return;
      words_.push_back({symbols_.size(), u32(bytes), count});
      symbols_.insert(symbols_.end(), piece, piece + bytes);
    });
    for (u32 word = 0; word < words_.size(); word++) {
      const u32 *symbols = &symbols_[words_[word].start];
      for (u32 i = 0; i + 1 < words_[word].length; i++) found(symbols[i], symbols[i + 1], word);
    }
    enqueue();
  }

  // Learns up to `wanted` more merges; fewer, if no pairs are left.
  std::vector<Pair> learn(i64 wanted) {
    std::vector<Pair> merges;
    while (i64(merges.size()) < wanted) {
      const u32 pair = pop();
      if (pair == NOTHING) break;
      merges.push_back({pairs_[pair].left, pairs_[pair].right});
      merge(pair);
    }
    return merges;
  }

private:
  static constexpr u32 NOTHING = ~0u;
  static constexpr std::size_t AHEAD = 8; // words whose memory is asked for before it is needed

  struct Word {
    u64 start; // in `symbols_`
    u32 length;
    i64 count;
  };
  struct State {
    u32 left, right;
    i64 count;
    bool queued;
    std::vector<u32> words; // that hold, or once held, the pair
  };
  struct Slot {
    u64 key; // left and right
    u32 pair;
  };
  struct Entry {
    i64 count;
    u32 pair;
  };
  struct Before { // the less frequent; of equals the lesser bytes, left before right
    const Trainer *trainer;
    bool operator()(const Entry &a, const Entry &b) const {
      if (a.count != b.count) return a.count < b.count;
      const auto &tokens = trainer->tokens_;
      const State &x = trainer->pairs_[a.pair], &y = trainer->pairs_[b.pair];
      if (x.left != y.left) return tokens[x.left] < tokens[y.left];
      return tokens[x.right] < tokens[y.right];
    }
  };

  u32 index(u32 left, u32 right) {
    const u64 mask = table_.size() - 1, key = u64(left) << 32 | right;
    u64 at = mix(left, right) & mask;
    for (; table_[at].pair != NOTHING; at = (at + 1) & mask)
      if (table_[at].key == key) return table_[at].pair;
    table_[at] = {key, u32(pairs_.size())};
    pairs_.push_back({left, right, 0, false, {}});
    if (2 * pairs_.size() > table_.size()) grow();
    return u32(pairs_.size() - 1);
  }

  void grow() {
    table_.assign(4 * table_.size(), Slot{0, NOTHING});
    for (u32 i = 0; i < pairs_.size(); i++) {
      const State &pair = pairs_[i];
      u64 at = mix(pair.left, pair.right) & (table_.size() - 1);
      while (table_[at].pair != NOTHING) at = (at + 1) & (table_.size() - 1);
      table_[at] = {u64(pair.left) << 32 | pair.right, i};
    }
  }

  void found(u32 left, u32 right, u32 word) {
    const u32 at = index(left, right);
    State &pair = pairs_[at];
    pair.count += words_[word].count;
    if (pair.words.empty() || pair.words.back() != word) pair.words.push_back(word);
    if (!pair.queued) pair.queued = true, fresh_.push_back(at);
  }

  void lost(u32 left, u32 right, u32 word) { pairs_[index(left, right)].count -= words_[word].count; }

  void enqueue() {
    for (const u32 at : fresh_) {
      const State &pair = pairs_[at];
      if (i64(tokens_[pair.left].size() + tokens_[pair.right].size()) <= longest_) push(at);
    }
    fresh_.clear();
  }

  void push(u32 pair) {
    const i64 count = pairs_[pair].count;
    if (count < least_) return;
    if (count > bar_) queue_.push({count, pair});
    else rare_.push_back(pair);
  }

  // Takes the most frequent pair out of the queue; NOTHING if none is left.
  u32 pop() {
    for (;;) {
      if (queue_.empty() && !lower_bar()) return NOTHING;
      const Entry entry = queue_.top();
      queue_.pop();
      if (pairs_[entry.pair].count == entry.count) return entry.pair;
      push(entry.pair); // it has become rarer
    }
  }

  // Queues the most frequent of the rare pairs; false if there are none.
  bool lower_bar() {
    i64 most = 0;
    for (const u32 pair : rare_) most = std::max(most, pairs_[pair].count);
    bar_ = most / 4;
    for (const u32 pair : std::exchange(rare_, {})) push(pair);
    return !queue_.empty();
  }

  void merge(u32 pair) {
    const u32 left = pairs_[pair].left, right = pairs_[pair].right, id = u32(tokens_.size());
    tokens_.push_back(tokens_[left] + tokens_[right]);
    const std::vector<u32> words = std::move(pairs_[pair].words);
    for (std::size_t at = 0; at < words.size(); at++) {
      if (at + AHEAD < words.size()) __builtin_prefetch(&words_[words[at + AHEAD]]);
      if (at + AHEAD / 2 < words.size())
        __builtin_prefetch(&symbols_[words_[words[at + AHEAD / 2]].start]);
      const u32 index = words[at];
      Word &word = words_[index];
      u32 *symbols = &symbols_[word.start];
      u32 kept = 0;
      for (u32 i = 0; i < word.length;) {
        if (i + 1 == word.length || symbols[i] != left || symbols[i + 1] != right) {
          symbols[kept++] = symbols[i++];
          continue;
        }
        if (kept > 0) lost(symbols[kept - 1], left, index), found(symbols[kept - 1], id, index);
        if (i + 2 < word.length) lost(right, symbols[i + 2], index), found(id, symbols[i + 2], index);
        symbols[kept++] = id, i += 2;
      }
      word.length = kept;
    }
    pairs_[pair].count = 0;
    enqueue();
  }

  i64 least_, longest_;
  std::vector<std::string> tokens_; // bytes of each id
  std::vector<u32> symbols_;        // of all words
  std::vector<Word> words_;
  std::vector<State> pairs_;
  std::vector<Slot> table_; // from a pair to its place in `pairs_`
  std::vector<u32> fresh_; // pairs that are not in the queue yet
  i64 bar_ = std::numeric_limits<i64>::max();
  std::vector<u32> rare_; // pairs that occur `bar_` times or less often
  std::priority_queue<Entry, std::vector<Entry>, Before> queue_;
};

} // namespace groundup
