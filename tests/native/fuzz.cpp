// Random input for the compiled core, under the sanitizers: fuzz SECONDS SEED.
//
// Every buffer has exactly its size, so that a byte read too many is seen. What is computed is
// compared with the slow and obvious way.
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <string>

#include "batch.h"
#include "cues.h"
#include "decoder.h"
#include "fasttext.h"
#include "keys.h"
#include "known.h"
#include "linear.h"
#include "minhash.h"
#include "page.h"
#include "rows.h"
#include "perplexity.h"
#include "trainer.h"
#include "word_counts.h"

using namespace groundup;

namespace {

std::mt19937_64 source;

u64 below_(u64 limit) { return source() % limit; }

void require(bool fact, const char *what, const std::string &input) {
  if (fact) return;
  std::fprintf(stderr, "not so: %s, for the bytes", what);
  for (const char byte : input) std::fprintf(stderr, " %02x", u8(byte));
  std::fprintf(stderr, "\n");
  std::abort();
}

const std::vector<std::string> PARTS = {
    "a", "B", "cD", "é", "É", "中", "\u0301", "ǅ", "ª", "²", "٣", "🙂", " ", "  ", "\t", "\n", "\r\n",
    "\u00a0", "\u2003", "'s", "'S", "'ſ", "'ll", "'LL", "'r", "'", "1", "1234567", "(", ");", "/",
    "\n/", "...", "word", " word", "WORD", "wordWord", "\xff", "\xc3", "\xe4\xb8", "\xf0\x9f", "\x80",
    "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80"};

std::string random_input() {
  std::string input;
  const u64 kind = below_(4), size = below_(kind == 3 ? 2000 : 200);
  const std::string again = PARTS[below_(PARTS.size())];
  while (input.size() < size) {
    if (kind == 0) input += char(source());
    else if (kind == 1) input += char(32 + below_(95));
    else if (kind == 2) input += PARTS[below_(PARTS.size())];
    else input += below_(200) ? again : PARTS[below_(PARTS.size())];
  }
  return input;
}

// The same bytes in memory of exactly their size.
std::vector<u8> exact(const std::string &input) { return {input.begin(), input.end()}; }

// What decoding writes: never more room than was asked for.
struct Bytes {
  u8 *room(i64 more) {
    content.resize(std::size_t(size + more));
    content.shrink_to_fit();
    return content.data() + size;
  }
  void end(const u8 *at) { size = at - content.data(); }
  std::vector<u8> taken() const { return {content.begin(), content.begin() + size}; }

  std::vector<u8> content;
  i64 size = 0;
};

template <Pattern P> void check_cuts(const Text &text, const std::vector<u8> &bytes,
                                     const std::string &input) {
  const u8 *next = bytes.data();
  each_piece<P>(text, bytes.data(), [&](const u8 *piece, const u8 *end) {
    require(piece == next && end > piece, "pieces follow each other", input);
    require(piece_end<P>(text, piece) == end, "a window cuts as the pattern does", input);
    next = end;
  });
  require(next == text.end, "the pieces are all of the text", input);
}

std::vector<u32> slow_merge(const std::map<std::pair<u32, u32>, u32> &orders, std::vector<u32> ids) {
  for (;;) {
    std::size_t at = 0;
    u32 best = NONE;
    for (std::size_t i = 0; i + 1 < ids.size(); i++) {
      const auto pair = orders.find({ids[i], ids[i + 1]});
      if (pair != orders.end() && pair->second < best) best = pair->second, at = i;
    }
    if (best == NONE) return ids;
    ids[at] = 256 + best;
    ids.erase(ids.begin() + long(at) + 1);
  }
}

struct Model {
  std::map<std::pair<u32, u32>, u32> orders;
  std::vector<std::string> tokens;
  std::unique_ptr<Encoder> encoder;
};

// A tokenizer that is learned from random text.
Model random_model(const std::vector<u8> &classes, Pattern pattern) {
  PieceCounter counter;
  for (int i = 0; i < 40; i++) {
    const std::vector<u8> bytes = exact(random_input());
    const Text text{classes.data(), bytes.data() + bytes.size()};
    each_piece(pattern, text, bytes.data(), [&](const u8 *piece, const u8 *end) {
      counter.add_soon(piece, end - piece, text.end);
      if (!below_(3)) counter.add(piece, end - piece, 1 + i64(below_(5)), text.end);
    });
    counter.finish();
  }
  Model model;
  std::array<u32, 256> byte_ids;
  for (u32 byte = 0; byte < 256; byte++) {
    byte_ids[byte] = byte;
    model.tokens.push_back(std::string(1, char(byte)));
  }
  Trainer trainer(counter, 1 + i64(below_(3)), 2 + i64(below_(30)));
  std::vector<Merge> merges;
  std::vector<u32> orders;
  for (const Trainer::Pair pair : trainer.learn(i64(below_(400)))) {
    const u32 order = u32(merges.size());
    merges.push_back({pair.left, pair.right, 256 + order});
    orders.push_back(order);
    model.orders[{pair.left, pair.right}] = order;
    model.tokens.push_back(model.tokens[pair.left] + model.tokens[pair.right]);
  }
  model.encoder = std::make_unique<Encoder>(classes.data(), pattern,
                                            Merges(byte_ids, merges, orders),
                                            std::vector<std::pair<std::string, u32>>{}, false);
  return model;
}

void check_ids(const Model &model, const Text &text, const std::vector<u8> &bytes, Pattern pattern,
               const std::string &input) {
  std::vector<u32> expected;
  each_piece(pattern, text, bytes.data(), [&](const u8 *piece, const u8 *end) {
    if (end - piece > 400) return;
    const std::vector<u32> ids = slow_merge(model.orders, {piece, end});
    Ids merged;
    model.encoder->merge(piece, end - piece, Encoder::Lease(*model.encoder, 1)[0], merged);
    require(std::equal(ids.begin(), ids.end(), merged.data(), merged.data() + merged.size()),
            "a piece is merged as the slow way merges it", input);
    expected.insert(expected.end(), ids.begin(), ids.end());
  });
  const Decoder decoder(model.tokens, std::vector<bool>(model.tokens.size()));
  for (int repeat = 0; repeat < 2; repeat++) { // the second time from the cache
    Ids ids;
    model.encoder->encode(bytes.data(), i64(bytes.size()), Encoder::Lease(*model.encoder, 1)[0], ids);
    Bytes back;
    i64 wrong;
    require(decoder.decode(ids.size(), [&](i64 i) { return i64(ids.data()[i]); }, back, wrong) &&
                back.taken() == bytes,
            "decoding undoes encoding", input);
    if (ids.size() == i64(expected.size()))
      require(std::equal(expected.begin(), expected.end(), ids.data()), "the ids are right", input);
  }
}

// Long texts and short ones: threads get some of each, and finish in any order.
void check_threads(const Model &model) {
  std::vector<std::vector<u8>> texts;
  for (int i = 0; i < 8; i++) {
    const std::string input = random_input() + " \nx y";
    std::string text;
    for (const u64 size = below_(2) ? below_(3 * PART) : below_(100); text.size() < size;) text += input;
    texts.push_back(exact(text));
  }
  std::vector<Units> units;
  for (const std::vector<u8> &text : texts) units.push_back({0, text.data(), i64(text.size())});
  const Encoded one = encode_batch(*model.encoder, units, 1);
  const Encoded three = encode_batch(*model.encoder, units, 3);
  require(one.ends == three.ends && one.ids.size() == three.ids.size() &&
              std::equal(one.ids.data(), one.ids.data() + one.ids.size(), three.ids.data()),
          "threads change nothing", "");
}

void check_wrong_ids(const Model &model, const std::string &input) {
  std::vector<bool> holes(model.tokens.size());
  holes[below_(holes.size())] = true;
  const Decoder decoder(model.tokens, holes);
  std::vector<i64> ids;
  for (int i = 0; i < 20; i++) ids.push_back(i64(below_(2) ? source() : below_(holes.size() + 2)));
  const auto wrong = std::find_if(ids.begin(), ids.end(), [&](i64 id) {
    return id < 0 || id >= i64(holes.size()) || holes[std::size_t(id)];
  });
  Bytes back;
  i64 found;
  const bool right =
      decoder.decode(i64(ids.size()), [&](i64 i) { return ids[std::size_t(i)]; }, back, found);
  require(right ? wrong == ids.end() : wrong != ids.end() && found == *wrong,
          "the first wrong id is found", input);
}

template <typename Unit> void check_units(u32 limit) {
  std::vector<Unit> points(below_(300));
  std::string expected;
  for (Unit &point : points) {
    do point = Unit(below_(4) ? below_(128) : below_(limit));
    while (point >= 0xD800 && point < 0xE000);
    const u32 p = point;
    if (p < 0x80) expected += char(p);
    else if (p < 0x800) expected += {char(0xC0 | p >> 6), char(0x80 | (p & 63))};
    else if (p < 0x10000)
      expected += {char(0xE0 | p >> 12), char(0x80 | (p >> 6 & 63)), char(0x80 | (p & 63))};
    else
      expected += {char(0xF0 | p >> 18), char(0x80 | (p >> 12 & 63)), char(0x80 | (p >> 6 & 63)),
                   char(0x80 | (p & 63))};
  }
  const Units units{sizeof(Unit), reinterpret_cast<const u8 *>(points.data()), i64(points.size())};
  std::string parts;
  Buffer buffer;
  for (i64 begin = 0; begin < units.length;) {
    const i64 end = units.part_end(begin, 1 + i64(below_(50)));
    i64 bytes;
    const u8 *utf8 = units.utf8(begin, end, buffer, bytes);
    parts.append(reinterpret_cast<const char *>(utf8), std::size_t(bytes));
    begin = end;
  }
  require(parts == expected, "the parts are the text in UTF-8", expected);
}

std::vector<u8> read_classes(const char *path) {
  const std::map<std::string, u8> bits = {{"upper", UPPER},   {"lower", LOWER},
                                          {"caseless", CASELESS}, {"mark", MARK},
                                          {"number", NUMBER}, {"space", SPACE}};
  std::vector<u8> classes(CODE_POINTS, OTHER);
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    u32 first, last;
    std::string name;
    if (line[0] == '#' || !(words >> std::hex >> first >> last >> name)) continue;
    std::fill(classes.begin() + first, classes.begin() + last + 1, bits.at(name));
  }
  return classes;
}

const std::vector<std::string> MARKUP = {
    "<p>", "</p>", "<div class=\"Nav\">", "</div>", "<a href=\"x\">", "</a>", "<br>", "<pre>", "</pre>", "<",
    "&amp;", "&nbsp", "\"", "=", ">", "<script>", "</script>", "<svg>", "</svg>", "<math alttext=\"x\">",
    "<math>", "<annotation encoding=\"application/x-tex\">", "</math>", "<!--", "-->", "<!x>", " style=\"display: none\"",
    "<p hidden=\"\">", "\n", "word ", "é", "中", "🙂", "\u3000", "1,2. "};

// Valid UTF-8, as Python's strings give it.
std::string random_page() {
  std::string page;
  for (u64 i = 0, count = below_(80); i < count; i++)
    page += below_(4) ? MARKUP[below_(MARKUP.size())] : std::string(1 + below_(9), char(32 + below_(95)));
  return page;
}

// What rules of quality count, against sets of strings.
void check_rules(const Units &text, const std::vector<u8> &classes, const std::string &input) {
  std::vector<std::string> words;
  i64 characters = 0;
  each_word<true>(text.data, text.data + text.length, [&](const u8 *word, i64 size) {
    words.emplace_back(reinterpret_cast<const char *>(word), std::size_t(size));
    for (const char byte : words.back()) characters += (byte & 0xC0) != 0x80;
  });
  const WordCounts counts = count_words(text, classes.data());
  require(counts.words == i64(words.size()) && counts.characters == characters, "words are counted", input);
  require(counts.letters + counts.numbers <= characters && counts.with_letter <= counts.letters,
          "letters are characters", input);
  const std::vector<i64> rows = Rows().count(text);
  for (std::size_t n = 2; n <= LAST_REPEATED; n++) {
    std::map<std::string, i64> seen;
    i64 often = 1, longest = 0, repeated = 0;
    for (std::size_t i = 0; i + n <= words.size();) {
      std::string row;
      i64 size = 0;
      for (std::size_t j = i; j < i + n; j++) {
        row += words[j] + " ";
        for (const char byte : words[j]) size += (byte & 0xC0) != 0x80;
      }
      const i64 count = ++seen[row];
      if (n >= FIRST_REPEATED) {
        repeated += count > 1 ? size : 0;
        i += count > 1 ? n : 1;
        continue;
      }
      if (count > often) longest = 0;
      if (count > 1 && count >= often) often = count, longest = std::max(longest, size + i64(n) - 1);
      i++;
    }
    require(rows[n - 2] == (n < FIRST_REPEATED ? often * longest : repeated), "rows that repeat are counted", input);
  }
}

// What is found of a text's own shingles.
void check_known(const Units &units, int width, const std::string &input) {
  Shingles shingles(width, false);
  std::vector<u64> known;
  shingles.each(units, [](const u8 *, i64) {}, [&](u64 hash) { known.push_back(hash); });
  const std::size_t rows = known.size();
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  std::vector<FoundShingle> found;
  KnownShingles(width, false, known.data(), i64(known.size())).find(units, found);
  require(found.size() == rows, "each row of a text is one of its own", input);
  for (const FoundShingle &one : found)
    require(one.begin >= 0 && one.begin < one.end && one.end <= units.length, "a row is in its text", input);
}

// Blocks, shingles, keys, signatures and buckets, whose room has exactly the size that it needs.
void check_curation(const PageTables &tables, const std::vector<u8> &classes) {
  const std::string input = random_page();
  const std::vector<u8> bytes = exact(input);
  Page page = PageScanner(tables).scan({reinterpret_cast<const char *>(bytes.data()), bytes.size()});
  require(page.element.size() == page.texts.size() && page.counts.size() == Page::COUNTS * page.texts.size(),
          "each block has an element and counts", input);
  for (std::size_t i = 0; i < page.parent.size(); i++)
    require(page.parent[i] < std::int32_t(i) && page.first[i] <= page.last[i] && page.last[i] <= std::int32_t(page.texts.size()),
            "an element stands behind the one that holds it, and has blocks of the page", input);
  const Units units{0, bytes.data(), i64(bytes.size())};
  i64 words = 0, visible = 0;
  each_word<false>(bytes.data(), bytes.data() + bytes.size(), [&](const u8 *, i64) { words++; });
  each_word<true>(bytes.data(), bytes.data() + bytes.size(), [&](const u8 *, i64) { visible++; });
  const int width = 1 + int(below_(6));
  for (const bool punctuation : {false, true}) {
    const i64 of = punctuation ? visible : words;
    Shingles shingles(width, punctuation);
    require(i64(shingles.of(units).size()) == (of ? std::max<i64>(1, of - width + 1) : 0),
            "a shingle begins at each word but the last", input);
  }
  check_known(units, width, input);
  require(WordsKeys().of(units).words == words, "a key is of all words", input);
  std::vector<u32> factors(1 + below_(130), 1), offsets(factors.size()), least(factors.size());
  MinHash(width, false, factors, offsets).write(units, least.data());
  const int bits = 1 + int(below_(8));
  const std::vector<std::int8_t> weights(std::size_t(3) << bits, 1);
  Ngrams ngrams(bits, 1 + int(below_(5)), 1 + int(below_(4)), int(below_(8)));
  i64 sums[3];
  const i64 features = Scorer(std::move(ngrams), weights.data(), 3).sum(units, sums);
  require(sums[0] == features && sums[2] == features, "each bucket has a weight of one", input);
  check_rules(units, classes, input);
  const u64 size = u64(1) << below_(6);
  std::vector<u32> slots(2 * size);
  for (u32 &slot : slots) slot = below_(2) ? u32(source()) : 0;
  for (std::size_t i = 1; i < slots.size(); i += 2) slots[i] = 0x3F003F00; // a half and a half
  WordRows rows(1 + int(below_(WordRows::MOST)));
  double sum;
  log_likelihood(units, rows, {slots.data(), size, 0.25F}, sum);
  require(std::isfinite(sum), "a probability is above 0", input);
}

const std::vector<std::string> FASTTEXT_PARTS = {"a", "é", "🙂", " ", "\n", "</s>", "<", "__label__a", "word", "\v"};

// Rows of ones: every vector that is no mean of nothing is one.
void check_fasttext() {
  std::string input;
  for (u64 i = 0, count = below_(40); i < count; i++) input += FASTTEXT_PARTS[below_(FASTTEXT_PARTS.size())];
  const std::vector<u8> bytes = exact(input);
  const std::vector<std::string> words = {"</s>", "a", "word", "é"}, labels = {"__label__a"};
  const u32 buckets = 1 + u32(below_(20));
  const i64 width = 1 + i64(below_(7)), part = 1 + i64(below_(u64(width)));
  std::vector<std::pair<u32, u32>> kept;
  for (u32 i = 0; i < buckets; i++)
    if (below_(2)) kept.emplace_back(i, u32(kept.size()));
  const bool prunes = below_(2), quantised = below_(2);
  const i64 count = i64(words.size()) + i64(prunes ? kept.size() : buckets);
  const std::vector<float> numbers(std::size_t(count * width), 1), norms(std::size_t(count), 0.5F);
  const std::vector<float> centroids(std::size_t(FastTextRows::CENTROIDS * width), 2);
  FastTextRows rows{count, width, quantised ? nullptr : numbers.data(), part, nullptr, centroids.data(), norms.data()};
  std::vector<u8> codes(std::size_t(count * rows.parts()));
  for (u8 &code : codes) code = u8(source());
  rows.codes = codes.data();
  const FastTextSizes sizes(1 + int(below_(4)), 1 + int(below_(3)), int(below_(6)), buckets);
  FastText model(words, labels, sizes, prunes ? &kept : nullptr, rows);
  std::vector<float> mean(std::size_t(width), 0);
  for (int repeat = 0; repeat < 2; repeat++) { // the second time from what is known of words
    model.hidden({0, bytes.data(), i64(bytes.size())}, mean.data());
    for (const float number : mean) require(std::abs(number - 1) < 1e-5F, "a mean of ones is one", input);
  }
}

const std::vector<std::string> CUES = {"a", "Z", "f", "0", "19", "123456", ":", "::", "-", "@", " ", ".", "\n", "é", "abc"};

template <typename Unit> Cues cues_of(const std::string &input) {
  std::vector<Unit> units;
  for (const char byte : input) units.push_back(u8(byte));
  return find_cues({int(sizeof(Unit)), reinterpret_cast<const u8 *>(units.data()), i64(units.size())});
}

// The same in units of each width; and each row of letters and digits as a slow search has it.
void check_cues() {
  std::string input;
  const std::string often = CUES[below_(CUES.size())];
  for (u64 i = 0, count = below_(100); i < count; i++) input += below_(3) ? CUES[below_(CUES.size())] : often;
  const Cues bytes = cues_of<u8>(input), pairs = cues_of<std::uint16_t>(input), fours = cues_of<u32>(input);
  for (const Cues *other : {&pairs, &fours})
    require(bytes.at == other->at && bytes.number == other->number && bytes.code == other->code &&
                bytes.hexadecimal == other->hexadecimal,
            "cues do not depend on the width of units", input);
  std::vector<Span> rows;
  for (std::size_t begin = 0, end; begin < input.size(); begin = end + 1) {
    bool digit = false, letter = false;
    for (end = begin; end < input.size() && std::isalnum(u8(input[end])); end++)
      (std::isdigit(u8(input[end])) ? digit : letter) = true;
    if (end - begin >= 8 && digit && letter) rows.push_back({i64(begin), i64(end)});
  }
  require(bytes.code == rows, "rows of letters and digits are found", input);
}

} // namespace

int main(int, char **arguments) {
  const std::vector<u8> classes = read_classes(arguments[1]);
  const auto stop = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(arguments[2]));
  source.seed(std::strtoull(arguments[3], nullptr, 10));
  u64 inputs = 0;
  const PageTables tables{{"other", "p", "div", "pre"}, {"a", "b"}, {"br", "hr"}, {"script", "title"}, {"svg", "math"},
                          {{"nav"}, {"x", "word"}}};
  while (std::chrono::steady_clock::now() < stop) {
    const Pattern pattern = Pattern(below_(4));
    const Model model = random_model(classes, pattern);
    check_threads(model);
    for (int i = 0; i < 100; i++, inputs++) {
      const std::string input = random_input();
      const std::vector<u8> bytes = exact(input);
      const Text text{classes.data(), bytes.data() + bytes.size()};
      check_cuts<Pattern::gpt2>(text, bytes, input);
      check_cuts<Pattern::cl100k>(text, bytes, input);
      check_cuts<Pattern::qwen2>(text, bytes, input);
      check_cuts<Pattern::o200k>(text, bytes, input);
      check_ids(model, text, bytes, pattern, input);
      check_wrong_ids(model, input);
      check_units<u8>(0x100);
      check_units<std::uint16_t>(0x10000);
      check_units<u32>(CODE_POINTS);
      check_curation(tables, classes);
      check_fasttext();
      check_cues();
    }
  }
  std::printf("%llu inputs\n", static_cast<unsigned long long>(inputs));
}
