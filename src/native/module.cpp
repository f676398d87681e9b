// groundup._native: the hot loops of tokenization, of optimizers and of layers, as functions on Python's
// own objects and on NumPy's.
//
// src/groundup/_native.pyi has the types; groundup.tokenizers, groundup.optim and groundup.layers have the
// references in Python that say what each must return.
#include <optional>
#include <utility>

#include "batch.h"
#include "block.h"
#include "calls.h"
#include "decoder.h"
#include "memory.h"
#include "python_text.h"
#include "trainer.h"
#include "updates.h"

namespace groundup {

void define_curation(py::module_ &module);

namespace {

const u8 *bytes_of(std::string_view text) { return reinterpret_cast<const u8 *>(text.data()); }

Pattern pattern_of(const std::string &name) {
  if (name == "gpt2") return Pattern::gpt2;
  if (name == "cl100k") return Pattern::cl100k;
  if (name == "qwen2") return Pattern::qwen2;
  if (name == "o200k") return Pattern::o200k;
  throw std::invalid_argument("there is no splitter for the pattern " + name);
}

// The class of every code point: a bit of `Class` each.
const u8 *classes_of(std::string_view classes) {
  if (classes.size() != CODE_POINTS) throw std::invalid_argument("a class a code point is needed");
  for (const char kind : classes)
    if (u8(kind) == 0 || u8(kind) > OTHER || (u8(kind) & (u8(kind) - 1)))
      throw std::invalid_argument("a class is one bit, up to OTHER");
  return bytes_of(classes);
}

py::array_t<u32> array_of(Ids ids) {
  ids.fit();
  auto *kept = new Ids(std::move(ids));
  const py::capsule owner(kept, [](void *ids) { delete static_cast<Ids *>(ids); });
  return py::array_t<u32>({kept->size()}, {sizeof(u32)}, kept->data(), owner);
}

constexpr i64 AHEAD = 64; // Python's numbers are asked for this many before they are needed

// Python's numbers 0, 1, …, made once: a list of ids then only points to them.
class Numbers {
public:
  // end: more than any id.
  explicit Numbers(u32 end) : end_(end) {}

  py::list list(const u32 *ids, i64 count) {
    while (numbers_.size() < end_) numbers_.push_back(py::int_(numbers_.size()));
    py::list list(count);
    PyObject **items = PySequence_Fast_ITEMS(list.ptr());
    for (i64 i = 0; i < count; i++) {
      __builtin_prefetch(numbers_[ids[std::min(i + AHEAD, count - 1)]].ptr(), 1);
      items[i] = numbers_[ids[i]].inc_ref().ptr();
    }
    return list;
  }

private:
  u32 end_;
  std::vector<py::object> numbers_; // none until there is a list
};

class BytePairs {
public:
  using Matrix = py::array_t<u32, py::array::c_style | py::array::forcecast>;

  BytePairs(const py::bytes &classes, const std::optional<std::string> &pattern,
            const std::vector<u32> &byte_ids, const Matrix &merges, const std::vector<u32> &orders,
            const std::vector<std::pair<py::bytes, u32>> &tokens, bool whole)
      : numbers_(end_of(byte_ids, merges, tokens)), cuts_(pattern),
        encoder_(classes_of(classes), pattern_of(pattern.value_or("gpt2")),
                 table(byte_ids, merges, orders), contents(tokens), whole) {}

  py::list encode(const py::str &text) {
    const Encoded encoded = run(py::make_tuple(text), 1);
    return numbers_.list(encoded.ids.data(), encoded.ids.size());
  }

  py::list encode_batch(const py::list &texts, int threads) {
    const Encoded encoded = run(py::tuple(texts), threads);
    py::list lists(encoded.ends.size());
    i64 begin = 0;
    for (std::size_t i = 0; i < encoded.ends.size(); i++) {
      const i64 end = encoded.ends[i];
      lists[i] = numbers_.list(encoded.ids.data() + begin, end - begin);
      begin = end;
    }
    return lists;
  }

  py::tuple encode_to_numpy(const py::list &texts, int threads) {
    Encoded encoded = run(py::tuple(texts), threads);
    const py::array_t<i64> ends(i64(encoded.ends.size()), encoded.ends.data());
    return py::make_tuple(array_of(std::move(encoded.ids)), ends);
  }

  py::list merge(const py::bytes &piece) {
    const std::string_view bytes = piece;
    Ids ids;
    encoder_.merge(bytes_of(bytes), i64(bytes.size()), Encoder::Lease(encoder_, 1)[0], ids);
    return numbers_.list(ids.data(), ids.size());
  }

private:
  // texts: a tuple, which nobody can change while the interpreter is free to run other threads.
  Encoded run(const py::tuple &texts, int threads) {
    const std::vector<Units> units = units_of(texts);
    if (!cuts_) throw std::invalid_argument("without a pattern, only pieces can be merged");
    const py::gil_scoped_release release;
    return groundup::encode_batch(encoder_, units, threads);
  }

  using Tokens = std::vector<std::pair<py::bytes, u32>>;

  // More than any id.
  static u32 end_of(const std::vector<u32> &byte_ids, const Matrix &merges, const Tokens &tokens) {
    u32 most = 0;
    for (const u32 id : byte_ids) most = std::max(most, id);
    for (py::ssize_t i = 0; i < merges.size(); i++) most = std::max(most, merges.data()[i]);
    for (const auto &token : tokens) most = std::max(most, token.second);
    if (most >= Merges::NO_ID) throw std::invalid_argument("ids must be less than 2,097,151");
    return most + 1;
  }

  static Merges table(const std::vector<u32> &byte_ids, const Matrix &rows,
                      const std::vector<u32> &orders) {
    if (byte_ids.size() != 256) throw std::invalid_argument("an id a byte is needed");
    if (rows.ndim() != 2 || rows.shape(1) != 3 || std::size_t(rows.shape(0)) != orders.size())
      throw std::invalid_argument("merges are rows of left, right and id, with an order each");
    std::array<u32, 256> bytes;
    std::copy(byte_ids.begin(), byte_ids.end(), bytes.begin());
    std::vector<Merge> merges;
    for (py::ssize_t i = 0; i < rows.shape(0); i++) {
      const u32 *row = rows.data(i, 0);
      merges.push_back({row[0], row[1], row[2]});
    }
    if (!std::is_sorted(orders.begin(), orders.end()) ||
        (!orders.empty() && orders.back() >= Merges::NO_ORDER))
      throw std::invalid_argument("orders must not fall, and be less than 4,194,303");
    return Merges(bytes, merges, orders);
  }

  static std::vector<std::pair<std::string, u32>>
  contents(const Tokens &tokens) {
    return {tokens.begin(), tokens.end()};
  }

  Numbers numbers_;
  bool cuts_; // whether there is a pattern
  Encoder encoder_;
};

// Where each piece of a text ends, in bytes of its UTF-8.
py::array_t<i64> piece_ends(const py::bytes &classes, const std::string &pattern,
                            const py::str &text) {
  const Text view{classes_of(classes), nullptr};
  const Units units = units_of(text);
  Buffer buffer;
  i64 bytes;
  const u8 *start = units.utf8(0, units.length, buffer, bytes);
  std::vector<i64> ends;
  each_piece(pattern_of(pattern), Text{view.classes, start + bytes}, start,
             [&](const u8 *, const u8 *end) { ends.push_back(end - start); });
  return py::array_t<i64>(i64(ends.size()), ends.data());
}

// Whether a whole number has one digit of 30 bits, as nearly all have: it is then read without a call.
inline bool is_plain(PyObject *object, i64 &value) {
  const auto *number = reinterpret_cast<const PyLongObject *>(object);
  if (!PyLong_CheckExact(object)) return false;
#if PY_VERSION_HEX >= 0x030C0000
  if (!PyUnstable_Long_IsCompact(number)) return false;
  value = PyUnstable_Long_CompactValue(number);
#else
  if (Py_SIZE(object) != 1) return false;
  value = number->ob_digit[0];
#endif
  return true;
}

i64 number_of(PyObject *object) {
  const long long value = PyLong_AsLongLong(object);
  if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
  return value;
}

// Python's bytes, which grow.
class Bytes {
public:
  // ids: how many tokens there will be. Room for 8 bytes each: what is not written is no memory yet.
  explicit Bytes(i64 ids) { resize(8 * ids); }
  Bytes(const Bytes &) = delete;
  ~Bytes() { Py_XDECREF(bytes_); }

  u8 *room(i64 more) {
    if (size_ + more > capacity_) resize(std::max(size_ + more, 2 * capacity_));
    return start() + size_;
  }
  void end(const u8 *at) { size_ = at - start(); }

  py::object take() {
    resize(size_);
    return py::reinterpret_steal<py::object>(std::exchange(bytes_, nullptr));
  }

private:
  u8 *start() { return reinterpret_cast<u8 *>(PyBytes_AS_STRING(bytes_)); }

  void resize(i64 capacity) {
    if (bytes_) _PyBytes_Resize(&bytes_, capacity);
    else bytes_ = PyBytes_FromStringAndSize(nullptr, capacity);
    if (!bytes_) throw py::error_already_set();
    if (capacity > capacity_) wish_large_pages(start(), std::size_t(capacity));
    capacity_ = capacity;
  }

  PyObject *bytes_ = nullptr;
  i64 size_ = 0, capacity_ = 0;
};

class Vocabulary {
public:
  explicit Vocabulary(const std::vector<std::optional<py::bytes>> &tokens)
      : decoder_(contents(tokens), holes(tokens)) {}

  // The bytes of the ids, or the first id that has no token.
  py::object decode(const py::object &ids) const {
    if (PyList_Check(ids.ptr())) return decode_list(ids);
    if (py::isinstance<py::array_t<u32>>(ids)) return decode_array<u32>(ids);
    if (py::isinstance<py::array_t<std::uint16_t>>(ids)) return decode_array<std::uint16_t>(ids);
    return decode_array<i64>(ids);
  }

private:
  template <typename Id> py::object decode_array(const py::object &object) const {
    const auto array = py::array_t<Id, py::array::c_style>::ensure(object);
    if (!array || array.ndim() != 1)
      throw py::type_error("ids must be whole numbers in one dimension");
    const Id *ids = array.data();
    return decode_numbers(array.size(), [=](i64 i) { return i64(ids[i]); });
  }

  py::object decode_list(const py::object &list) const {
    const i64 count = PyList_GET_SIZE(list.ptr());
    PyObject **items = PySequence_Fast_ITEMS(list.ptr());
    return decode_numbers(count, [&list, count, items](i64 i) mutable {
      __builtin_prefetch(items[std::min(i + AHEAD, count - 1)]);
      i64 id;
      if (__builtin_expect(is_plain(items[i], id), true)) return id;
      id = number_of(py::reinterpret_borrow<py::object>(items[i]).ptr());
      if (PyList_GET_SIZE(list.ptr()) < count) // a number's own __index__ may change the list
        throw py::type_error("the list became shorter while it was read");
      items = PySequence_Fast_ITEMS(list.ptr());
      return id;
    });
  }

  template <typename Number> py::object decode_numbers(i64 count, Number number) const {
    Bytes bytes(count);
    i64 wrong;
    if (!decoder_.decode(count, number, bytes, wrong)) return py::int_(wrong);
    return bytes.take();
  }

  static std::vector<std::string> contents(const std::vector<std::optional<py::bytes>> &tokens) {
    std::vector<std::string> contents;
    for (const auto &token : tokens) contents.push_back(token ? std::string(*token) : "");
    return contents;
  }

  static std::vector<bool> holes(const std::vector<std::optional<py::bytes>> &tokens) {
    std::vector<bool> holes;
    for (const auto &token : tokens) holes.push_back(!token);
    return holes;
  }

  Decoder decoder_;
};

// The pieces of texts and how often each occurs.
class Counter {
public:
  using Numbers64 = py::array_t<i64, py::array::c_style | py::array::forcecast>;

  explicit Counter(const py::bytes &classes) : classes_(std::string(classes)) {
    classes_of(classes_);
  }

  void count(const py::list &texts, const std::string &name, int threads) {
    const Pattern pattern = pattern_of(name);
    const py::tuple held(texts); // which nobody can change meanwhile
    const std::vector<Units> units = units_of(held);
    const py::gil_scoped_release release;
    const std::vector<Part> parts = parts_of(units);
    const std::vector<Stretch> stretches = stretches_of(parts);
    threads = int(std::clamp<i64>(i64(stretches.size()), 1, threads));
    if (counters_.size() < std::size_t(threads)) counters_.resize(std::size_t(threads));
    std::vector<Buffer> buffers(static_cast<std::size_t>(threads));
    in_parallel(threads, stretches.size(), [&](int thread, std::size_t stretch) {
      PieceCounter &counter = counters_[thread];
      for (std::size_t i = stretches[stretch].begin; i < stretches[stretch].end; i++) {
        i64 bytes;
        const u8 *start = parts[i].text->utf8(parts[i].begin, parts[i].end, buffers[thread], bytes);
        const Text text{bytes_of(classes_), start + bytes};
        each_piece(pattern, text, start, [&](const u8 *piece, const u8 *end) {
          counter.add_soon(piece, end - piece, text.end);
        });
        counter.finish();
      }
    });
  }

  // Adds pieces that stand one after the other.
  void add(const py::bytes &pieces, const Numbers64 &ends, const Numbers64 &counts) {
    const std::string_view bytes = pieces;
    if (ends.size() != counts.size()) throw std::invalid_argument("every piece has an end and a count");
    i64 start = 0;
    for (py::ssize_t i = 0; i < ends.size(); i++) {
      const i64 end = ends.data()[i], count = counts.data()[i];
      if (end <= start || end > i64(bytes.size()) || count < 1)
        throw std::invalid_argument("a piece has bytes and a count");
      counters_[0].add(bytes_of(bytes) + start, end - start, count, bytes_of(bytes) + bytes.size());
      start = end;
    }
  }

  // Drops the rarest pieces if there are more than `most`, down to half as many or fewer: those that
  // occur no more often than the number that is returned.
  i64 drop_rare(i64 most) {
    const py::gil_scoped_release release;
    std::size_t size = 0; // at least that of all together
    for (const PieceCounter &counter : counters_) size += counter.size();
    if (size <= std::size_t(most) || together().size() <= std::size_t(most)) return 0;
    const i64 bar = counters_[0].bar(std::size_t(most) / 2);
    PieceCounter kept;
    counters_[0].each([&](const u8 *piece, i64 bytes, i64 count) {
      if (count > bar) kept.add(piece, bytes, count, piece + bytes);
    });
    counters_[0] = std::move(kept);
    return bar;
  }

  i64 size() { return i64(together().size()); }

  // The pieces one after the other, where each ends, and how often it occurs.
  py::tuple pieces() {
    const PieceCounter &all = together();
    std::string bytes;
    std::vector<i64> ends, counts;
    all.each([&](const u8 *piece, i64 size, i64 count) {
      bytes.append(reinterpret_cast<const char *>(piece), std::size_t(size));
      ends.push_back(i64(bytes.size())), counts.push_back(count);
    });
    return py::make_tuple(py::bytes(bytes), py::array_t<i64>(i64(ends.size()), ends.data()),
                          py::array_t<i64>(i64(counts.size()), counts.data()));
  }

  const PieceCounter &together() {
    for (std::size_t i = 1; i < counters_.size(); i++) counters_[0].add(counters_[i]);
    counters_.resize(1);
    return counters_[0];
  }

private:
  std::string classes_;
  std::vector<PieceCounter> counters_ = std::vector<PieceCounter>(1); // of each thread
};

} // namespace

PYBIND11_MODULE(_native, module) {
  module.doc() = "The hot loops of tokenization, of curation, of optimizers and of layers.";

  py::class_<BytePairs>(module, "BytePairs")
      .def(py::init<const py::bytes &, const std::optional<std::string> &,
                    const std::vector<u32> &, const BytePairs::Matrix &, const std::vector<u32> &,
                    const std::vector<std::pair<py::bytes, u32>> &, bool>())
      .def("encode", &BytePairs::encode)
      .def("encode_to_numpy", &BytePairs::encode_to_numpy)
      .def("encode_batch", &BytePairs::encode_batch)
      .def("merge", &BytePairs::merge);

  module.def("piece_ends", &piece_ends);

  py::class_<Vocabulary>(module, "Vocabulary")
      .def(py::init<const std::vector<std::optional<py::bytes>> &>())
      .def("decode", &Vocabulary::decode);

  py::class_<Counter>(module, "Counter")
      .def(py::init<const py::bytes &>())
      .def("count", &Counter::count)
      .def("add", &Counter::add)
      .def("drop_rare", &Counter::drop_rare)
      .def("size", &Counter::size)
      .def("pieces", &Counter::pieces);

  py::class_<Trainer>(module, "Trainer")
      .def(py::init([](Counter &counter, i64 least, i64 longest) {
        const PieceCounter &counts = counter.together();
        const py::gil_scoped_release release;
        return std::make_unique<Trainer>(counts, least, longest);
      }))
      .def("learn", [](Trainer &trainer, i64 wanted) {
        std::vector<Trainer::Pair> merges;
        {
          const py::gil_scoped_release release;
          merges = trainer.learn(wanted);
        }
        py::list pairs;
        for (const Trainer::Pair pair : merges) pairs.append(py::make_tuple(pair.left, pair.right));
        return pairs;
      });

  define_curation(module);
  define_updates(module);
  define_kinds(module);
  define_norm(module);
  define_gate(module);
  define_dropout(module);
  define_heads(module);
  define_softmax(module);
  define_losses(module);
  define_serving(module);
  define_block(module);
}

} // namespace groundup
