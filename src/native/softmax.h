// Softmax: of attention, whose rows see only what stands before them, and of cross-entropy.
#pragma once

#include "lanes.h"

namespace groundup {
namespace WIDTH {

INLINE i64 smaller(i64 a, i64 b) { return a < b ? a : b; }

constexpr float NOTHING = -__builtin_inff();

// Calls work(i, how many are there, how many of them count) for the first `count` of `columns` numbers.
template <typename Work> INLINE void each_visible(i64 count, i64 columns, const Work &work) {
  i64 i = 0;
  for (; i + LANES <= count; i += LANES) work(i, Whole{}, Whole{});
  if (i >= count) return;
  if (i + LANES <= columns) work(i, Whole{}, Some{count - i});
  else work(i, Some{columns - i}, Some{count - i});
}

template <typename T> INLINE void clear(T *row, i64 count) {
  __builtin_memset(row, 0, std::size_t(count) * sizeof(T));
}

// What `each_visible` did not come to.
template <typename T> INLINE void clear_rest(T *row, i64 seen, i64 columns) {
  const i64 written = (seen + LANES - 1) / LANES * LANES;
  if (written < columns) clear(row + written, columns - written);
}

INLINE Words seen_of(const std::uint8_t *mask, Whole) {
  Bytes bytes;
  __builtin_memcpy(&bytes, mask, sizeof bytes);
  return __builtin_convertvector(bytes, Words) != 0;
}
INLINE Words seen_of(const std::uint8_t *mask, Some some) {
  std::uint8_t bytes[LANES] = {};
  for (i64 i = 0; i < some.count; i++) bytes[i] = mask[i];
  return seen_of(bytes, Whole{});
}

INLINE bool any_of(const std::uint8_t *mask, i64 count) {
  for (i64 i = 0; i < count; i++)
    if (mask[i]) return true;
  return false;
}

template <typename T> void softmax(const Softmax<T> &softmax, T *y, i64 rows) {
  const i64 columns = softmax.columns;
  const T *logits = softmax.logits;
  const std::uint8_t *mask = softmax.mask;
  for (i64 row = 0; row < rows; row++, logits += columns, y += columns) {
    const i64 seen = mask ? columns : smaller(columns, softmax.visible + row);
    const auto scaled = [&](i64 i, auto there, auto count) INLINE_HERE {
      const Floats x = first(count, load(logits + i, there) * softmax.scale, NOTHING);
      return mask ? seen_of(mask + row * columns + i, there) ? x : all(NOTHING) : x;
    };
    Floats most = all(NOTHING);
    each_visible(seen, columns, [&](i64 i, auto there, auto count) INLINE_HERE {
      const Floats x = scaled(i, there, count);
      most = x > most ? x : most;
    });
    const float top = largest(most);
    if (mask && top == NOTHING && !any_of(mask + row * columns, columns)) { // it sees nothing
      clear(y, columns);
      continue;
    }
    Floats total{};
    each_visible(seen, columns, [&](i64 i, auto there, auto count) INLINE_HERE {
      total += exp(scaled(i, there, count) - top);
    });
    const float factor = 1 / sum(total);
    each_visible(seen, columns, [&](i64 i, auto there, auto count) INLINE_HERE {
      store(y + i, exp(scaled(i, there, count) - top) * factor, there);
    });
    clear_rest(y, seen, columns);
  }
}

// dx = scale · y · (dy − Σ y · dy). What is not seen has y = 0.
template <typename T>
void softmax_back(const Softmax<T> &softmax, const T *y, const T *dy, T *dx, i64 rows) {
  const i64 columns = softmax.columns;
  for (i64 row = 0; row < rows; row++, y += columns, dy += columns, dx += columns) {
    const i64 seen = smaller(columns, softmax.visible + row);
    Floats products{};
    each_visible(seen, columns, [&](i64 i, auto there, auto) INLINE_HERE {
      products += load(y + i, there) * load(dy + i, there);
    });
    const float mean = sum(products);
    each_visible(seen, columns, [&](i64 i, auto there, auto) INLINE_HERE {
      store(dx + i, load(y + i, there) * (load(dy + i, there) - mean) * softmax.scale, there);
    });
    clear_rest(dx, seen, columns);
  }
}

template <typename T> void log_sums(const T *logits, float *sums, i64 rows, i64 columns) {
  for (i64 row = 0; row < rows; row++, logits += columns) {
    Floats most = all(NOTHING);
    each_lanes(columns, [&](i64 i, auto some) INLINE_HERE {
      const Floats x = first(some, load(logits + i, some), NOTHING);
      most = x > most ? x : most;
    });
    const float top = largest(most);
    Floats total{};
    each_lanes(columns, [&](i64 i, auto some) INLINE_HERE {
      total += exp(first(some, load(logits + i, some), NOTHING) - top);
    });
    sums[row] = top + __builtin_logf(sum(total));
  }
}

template <typename T>
void losses_back(const Losses<T> &losses, const float *a, const float *b, T *dx, i64 rows) {
  const T *logits = losses.logits;
  for (i64 row = 0; row < rows; row++, logits += losses.columns, dx += losses.columns) {
    const float factor = a[row], log_sum = losses.sums[row];
    each_lanes(losses.columns, [&](i64 i, auto some) INLINE_HERE {
      store(dx + i, exp(load(logits + i, some) - log_sum) * factor, some);
    });
    const i64 target = losses.targets[row];
    T numbers[LANES] = {};
    numbers[0] = logits[target];
    store(dx + target, exp(load(numbers) - log_sum) * factor - b[row], Some{1});
  }
}

} // namespace WIDTH
} // namespace groundup
