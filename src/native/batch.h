// Encode many texts, or a long one, on several threads.
#pragma once

#include "encoder.h"
#include "parts.h"

namespace groundup {

constexpr i64 UNITS_A_TOKEN = 3; // fewer than most text has

struct Encoded {
  Ids ids;               // of all texts, one after the other
  std::vector<i64> ends; // of each text, in `ids`
};

// The threads share nothing; the ids of the second and later ones are copied behind those of the
// first.
inline Encoded encode_batch(Encoder &encoder, const std::vector<Units> &texts, int threads) {
  const std::vector<Part> parts = parts_of(texts);
  const std::vector<std::size_t> shares = shares_of(parts, threads);
  const int count = int(shares.size()) - 1;
  std::vector<Ids> ids(static_cast<std::size_t>(count));
  std::vector<i64> sizes(parts.size());
  in_parallel(count, [&](int thread) {
    Ids mine;
    Buffer buffer;
    i64 units = 0;
    for (std::size_t i = shares[thread]; i < shares[thread + 1]; i++)
      units += parts[i].end - parts[i].begin;
    mine.expect(units / UNITS_A_TOKEN);
    for (std::size_t i = shares[thread]; i < shares[thread + 1]; i++) {
      i64 bytes;
      const u8 *utf8 = parts[i].text->utf8(parts[i].begin, parts[i].end, buffer, bytes);
      const i64 before = mine.size();
      encoder.encode(utf8, bytes, mine);
      sizes[i] = mine.size() - before;
    }
    ids[thread] = std::move(mine);
  });
  i64 size = 0;
  std::vector<i64> starts;
  for (const Ids &some : ids) starts.push_back(size), size += some.size();
  Encoded all{std::move(ids[0]), {}};
  const i64 first = all.ids.size();
  u32 *rest = all.ids.room(size - first) - first;
  all.ids.add(size - first);
  in_parallel(count, [&](int thread) {
    if (thread) std::copy_n(ids[thread].data(), ids[thread].size(), rest + starts[thread]);
  });
  i64 end = 0;
  for (std::size_t i = 0; i < parts.size(); i++) {
    end += sizes[i];
    if (parts[i].last) all.ends.push_back(end);
  }
  return all;
}

} // namespace groundup
