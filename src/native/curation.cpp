// The hot loops of curation, as functions on Python's own strings and on NumPy's arrays.
#include <optional>

#include "fasttext.h"
#include "cues.h"
#include "keys.h"
#include "known.h"
#include "linear.h"
#include "minhash.h"
#include "page.h"
#include "perplexity.h"
#include "python_text.h"
#include "rows.h"
#include "word_counts.h"

namespace groundup {
namespace {

template <typename T> using Array = py::array_t<T, py::array::c_style>;

py::array_t<u64> shingles(const py::str &text, int width, bool punctuation) {
  Shingles shingles(width, punctuation);
  const std::vector<u64> &found = shingles.of(units_of(text));
  std::vector<u64> hashes(found);
  std::sort(hashes.begin(), hashes.end());
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
  return py::array_t<u64>(i64(hashes.size()), hashes.data());
}

// How many numbers two sorted arrays without repeats share.
i64 shared(const Array<u64> &one, const Array<u64> &other) {
  const u64 *a = one.data(), *b = other.data();
  const u64 *const a_end = a + one.size(), *const b_end = b + other.size();
  i64 count = 0;
  while (a < a_end && b < b_end) {
    const u64 x = *a, y = *b;
    count += x == y;
    a += x <= y;
    b += y <= x;
  }
  return count;
}

// The hashes of every `width` words in a row of all texts, as they stand, and where each text's end.
py::tuple rows(const py::list &texts, int width, bool punctuation) {
  const py::tuple held(texts);
  Shingles shingles(width, punctuation);
  std::vector<u64> hashes;
  std::vector<i64> ends;
  for (const Units &text : units_of(held)) {
    shingles.each(text, [](const u8 *, i64) {}, [&](u64 hash) { hashes.push_back(hash); });
    ends.push_back(i64(hashes.size()));
  }
  return py::make_tuple(py::array_t<u64>(i64(hashes.size()), hashes.data()),
                        py::array_t<i64>(i64(ends.size()), ends.data()));
}

class KnownShinglesOfPython {
public:
  KnownShinglesOfPython(int width, bool punctuation, Array<u64> sorted)
      : held_(std::move(sorted)), known_(width, punctuation, held_.data(), held_.size()) {}

  // Of each that is found its number, and the characters where it begins and ends: [3, found].
  py::array_t<i64> find(const py::str &text) {
    std::vector<FoundShingle> found;
    known_.find(units_of(text), found);
    const i64 count = i64(found.size());
    py::array_t<i64> rows({i64(3), count});
    i64 *const row = rows.mutable_data();
    for (i64 i = 0; i < count; i++) {
      const FoundShingle &one = found[std::size_t(i)];
      row[i] = one.number, row[count + i] = one.begin, row[2 * count + i] = one.end;
    }
    return rows;
  }

private:
  const Array<u64> held_;
  KnownShingles known_;
};

// The keys of texts, [texts, 2], and how many words each has.
py::tuple keys(const py::list &texts) {
  const py::tuple held(texts); // which nobody can change meanwhile
  const std::vector<Units> units = units_of(held);
  py::array_t<u64> keys({i64(units.size()), i64(2)});
  py::array_t<i64> words(i64(units.size()));
  u64 *key = keys.mutable_data();
  i64 *count = words.mutable_data();
  {
    const py::gil_scoped_release release;
    WordsKeys hasher;
    for (const Units &text : units) {
      const WordsKey found = hasher.of(text);
      *key++ = found.upper, *key++ = found.lower, *count++ = found.words;
    }
  }
  return py::make_tuple(keys, words);
}

py::array_t<u32> minhash(const py::list &texts, int width, bool punctuation, const std::vector<u32> &factors,
                         const std::vector<u32> &offsets) {
  const py::tuple held(texts); // which nobody can change meanwhile
  const std::vector<Units> units = units_of(held);
  MinHash minhash(width, punctuation, factors, offsets);
  py::array_t<u32> least({i64(units.size()), minhash.count()});
  u32 *to = least.mutable_data();
  const py::gil_scoped_release release;
  for (const Units &text : units) {
    minhash.write(text, to);
    to += minhash.count();
  }
  return least;
}

// bits, words, shortest, longest: see Ngrams
using Kind = std::tuple<int, int, int, int>;

Ngrams ngrams_of(const Kind &kind) { return std::make_from_tuple<Ngrams>(kind); }

// The buckets of all texts one after the other, and where each text's end.
py::tuple features(const py::list &texts, const Kind &kind) {
  const py::tuple held(texts);
  Ngrams ngrams = ngrams_of(kind);
  std::vector<u32> buckets;
  std::vector<i64> ends;
  for (const Units &text : units_of(held)) {
    const auto add = [&](u32 bucket) { buckets.push_back(bucket); };
    ngrams.each(
        text, [&](const u8 *word, i64 size, u64 hash) { ngrams.of_word(word, size, hash, add); }, add);
    ends.push_back(i64(buckets.size()));
  }
  return py::make_tuple(py::array_t<u32>(i64(buckets.size()), buckets.data()),
                        py::array_t<i64>(i64(ends.size()), ends.data()));
}

// Of each text the sums of its buckets' weights, and how many buckets there were.
py::tuple sums(const py::list &texts, const Kind &kind, const Array<std::int8_t> &weights) {
  const py::tuple held(texts);
  const std::vector<Units> units = units_of(held);
  if (weights.ndim() != 2 || weights.shape(0) != i64(1) << std::get<0>(kind))
    throw std::invalid_argument("each bucket has a row of weights");
  const i64 classes = weights.shape(1);
  py::array_t<i64> sums({i64(units.size()), classes}), counts(i64(units.size()));
  i64 *sum = sums.mutable_data(), *count = counts.mutable_data();
  const std::int8_t *const rows = weights.data();
  {
    const py::gil_scoped_release release;
    Scorer scorer(ngrams_of(kind), rows, int(classes));
    for (const Units &text : units) {
      *count++ = scorer.sum(text, sum);
      sum += classes;
    }
  }
  return py::make_tuple(sums, counts);
}

void learn(const Array<u32> &features, const Array<i64> &ends, const Array<std::int32_t> &labels,
           const Array<float> &importance, const Array<i64> &order, float first, float fall,
           Array<float> &weights, Array<float> &squares, Array<float> &bias, Array<float> &bias_squares) {
  const i64 classes = importance.size(), texts = labels.size();
  const auto all_below = [](const auto &numbers, i64 end) {
    const auto *at = numbers.data();
    return std::all_of(at, at + numbers.size(), [&](auto number) { return number >= 0 && i64(number) < end; });
  };
  const auto of_shape = [](const Array<float> &array, i64 rows, i64 columns) {
    return array.ndim() == 2 && array.shape(0) == rows && array.shape(1) == columns;
  };
  const i64 rows = weights.ndim() == 2 ? weights.shape(0) : 0;
  if (!of_shape(weights, rows, classes) || !of_shape(squares, rows, classes) || bias.size() != classes ||
      bias_squares.size() != classes || ends.size() != texts || !all_below(labels, classes) ||
      !all_below(order, texts) || !all_below(features, rows) || !all_below(ends, features.size() + 1) ||
      !std::is_sorted(ends.data(), ends.data() + texts))
    throw std::invalid_argument("arrays of a training do not fit each other");
  Steps steps{features.data(),          ends.data(),           labels.data(),
              importance.data(),        int(classes),          weights.mutable_data(),
              squares.mutable_data(),   bias.mutable_data(),   bias_squares.mutable_data()};
  const i64 *const in_order = order.data();
  const py::gil_scoped_release release;
  steps.take(in_order, order.size(), first, fall);
}

// words, characters, letters, numbers, words with a letter, stop words
py::tuple word_counts(const py::str &text, const py::bytes &classes) {
  const std::string_view table = classes;
  if (table.size() != CODE_POINTS) throw std::invalid_argument("each code point has a class");
  const WordCounts counts = count_words(units_of(text), reinterpret_cast<const u8 *>(table.data()));
  return py::make_tuple(counts.words, counts.characters, counts.letters, counts.numbers, counts.with_letter,
                        __builtin_popcount(counts.stop_words));
}

std::vector<i64> repeated_rows(const py::str &text) { return Rows().count(units_of(text)); }
// Of every word of the texts the keys of rows of 1, 2, … words that end there; 0 where the text begins later.
py::array_t<u64> word_keys(const py::list &texts, int order) {
  const py::tuple held(texts);
  WordRows rows(order);
  std::vector<u64> keys;
  for (const Units &text : units_of(held))
    rows.each(text, [&](const u64 *of_word, int known) {
      keys.insert(keys.end(), of_word, of_word + known);
      keys.insert(keys.end(), std::size_t(order - known), 0);
    });
  return py::array_t<u64>({i64(keys.size()) / order, i64(order)}, keys.data());
}

// Of each text the sum of the logarithms of its words' probabilities, and how many words there are.
py::tuple log_likelihoods(const py::list &texts, int order, const Array<u32> &table, float unknown) {
  const py::tuple held(texts);
  const std::vector<Units> units = units_of(held);
  const i64 size = table.ndim() == 2 ? table.shape(0) : 0;
  if (size < 1 || (size & (size - 1)) != 0 || table.shape(1) != 2)
    throw std::invalid_argument("a table has rows of two numbers, and a power of two of them");
  py::array_t<double> sums(i64(units.size()));
  py::array_t<i64> counts(i64(units.size()));
  double *sum = sums.mutable_data();
  i64 *count = counts.mutable_data();
  const WordTable words{table.data(), u64(size), unknown};
  WordRows rows(order);
  {
    const py::gil_scoped_release release;
    for (const Units &text : units) *count++ = log_likelihood(text, rows, words, *sum++);
  }
  return py::make_tuple(sums, counts);
}

using Kept = std::vector<std::pair<u32, u32>>;
using Quantised = std::tuple<i64, i64, Array<u8>, Array<float>, Array<float>>;

// Holds what a FastText points to.
class FastTextScorer {
public:
  FastTextScorer(const std::vector<std::string> &words, const std::vector<std::string> &labels,
                 const std::tuple<int, int, int, u32> &sizes, const std::optional<Kept> &kept,
                 const std::optional<Array<float>> &numbers, const std::optional<Quantised> &quantised)
      : numbers_(numbers), quantised_(quantised),
        model_(words, labels, std::make_from_tuple<FastTextSizes>(sizes), kept ? &*kept : nullptr, rows()) {}

  py::array_t<float> hidden(const py::list &texts) {
    const py::tuple held(texts);
    py::array_t<float> means({i64(held.size()), model_.width()});
    float *mean = means.mutable_data();
    for (const py::handle text : held) {
      model_.hidden(units_of(text), mean);
      mean += model_.width();
    }
    return means;
  }

private:
  FastTextRows rows() const {
    if (numbers_) {
      if (numbers_->ndim() != 2) throw std::invalid_argument("a matrix has rows and columns");
      return {numbers_->shape(0), numbers_->shape(1), numbers_->data(), 0, nullptr, nullptr, nullptr};
    }
    const auto &[width, part, codes, centroids, norms] = quantised_.value();
    const FastTextRows rows{norms.size(), width, nullptr, part, codes.data(), centroids.data(), norms.data()};
    if (width < 1 || part < 1 || codes.size() != rows.count * rows.parts() ||
        centroids.size() != FastTextRows::CENTROIDS * width)
      throw std::invalid_argument("the parts of a matrix do not fit each other");
    return rows;
  }

  std::optional<Array<float>> numbers_;
  std::optional<Quantised> quantised_;
  FastText model_;
};

// Begin and end of each cue: at, number, code, hexadecimal.
py::tuple cues(const py::str &text) {
  const Units units = units_of(text);
  Cues found;
  {
    const py::gil_scoped_release release;
    found = find_cues(units);
  }
  return py::make_tuple(found.at, found.number, found.code, found.hexadecimal);
}

// tags; elements in a line, without contents, of raw text, that are skipped; words that hint at something
using Names = std::vector<std::string>;
using Tables = std::tuple<Names, Names, Names, Names, Names, std::vector<Names>>;

class PageReader {
public:
  explicit PageReader(const Tables &tables) {
    const auto set = [](const Names &names) { return std::unordered_set<std::string>(names.begin(), names.end()); };
    const auto &[tags, in_line, empty, raw, skipped, hints] = tables;
    for (const Names &words : hints)
      for (const std::string &word : words)
        if (word.empty()) throw std::invalid_argument("a word that hints at something has letters");
    if (hints.size() > 30 || tags.empty()) throw std::invalid_argument("there are too many hints, or no tags");
    tables_ = {tags, set(in_line), set(empty), set(raw), set(skipped), hints};
  }

  py::tuple read(const py::str &html) const {
    const Units units = units_of(html);
    Page page;
    {
      const py::gil_scoped_release release;
      Buffer buffer;
      i64 bytes;
      const u8 *const utf8 = units.utf8(0, units.length, buffer, bytes);
      page = PageScanner(tables_).scan({reinterpret_cast<const char *>(utf8), std::size_t(bytes)});
    }
    py::list texts;
    for (const std::string &text : page.texts) texts.append(py::str(text));
    const auto array = [](const std::vector<std::int32_t> &numbers) {
      return py::array_t<std::int32_t>(i64(numbers.size()), numbers.data());
    };
    const i64 blocks = i64(page.texts.size());
    return py::make_tuple(texts, array(page.element), array(page.counts).reshape({blocks, i64(Page::COUNTS)}),
                          array(page.parent), array(page.tag), array(page.hints), array(page.first),
                          array(page.last));
  }

private:
  PageTables tables_;
};

} // namespace

void define_curation(py::module_ &module) {
  py::class_<PageReader>(module, "PageReader").def(py::init<const Tables &>()).def("read", &PageReader::read);
  py::class_<FastTextScorer>(module, "FastText")
      .def(py::init<const std::vector<std::string> &, const std::vector<std::string> &,
                    const std::tuple<int, int, int, u32> &, const std::optional<Kept> &,
                    const std::optional<Array<float>> &, const std::optional<Quantised> &>())
      .def("hidden", &FastTextScorer::hidden);
  module.def("cues", &cues);
  py::class_<KnownShinglesOfPython>(module, "KnownShingles")
      .def(py::init<int, bool, Array<u64>>(), py::arg(), py::arg(), py::arg().noconvert())
      .def("find", &KnownShinglesOfPython::find);
  module.def("shingles", &shingles);
  module.def("rows", &rows);
  module.def("shared", &shared);
  module.def("keys", &keys);
  module.def("minhash", &minhash);
  module.def("word_counts", &word_counts);
  module.def("repeated_rows", &repeated_rows);
  module.def("features", &features);
  module.def("sums", &sums);
  module.def("word_keys", &word_keys);
  module.def("log_likelihoods", &log_likelihoods, py::arg(), py::arg(), py::arg().noconvert(), py::arg());
  module.def("learn", &learn, py::arg().noconvert(), py::arg().noconvert(), py::arg().noconvert(),
             py::arg().noconvert(), py::arg().noconvert(), py::arg(), py::arg(), py::arg().noconvert(),
             py::arg().noconvert(), py::arg().noconvert(), py::arg().noconvert());
}

} // namespace groundup
