// Which loops this processor takes: the widest, unless another kind is chosen; or none, where the compiler or
// the processor is of no kind that they were measured to pay for.
#include <algorithm>
#include <atomic>
#include <stdexcept>

#include "layers.h"

namespace groundup {

namespace avx2 {
const Loops<float> &in_float32();
const Loops<Bf16> &in_bfloat16();
} // namespace avx2
namespace avx512 {
const Loops<float> &in_float32();
const Loops<Bf16> &in_bfloat16();
} // namespace avx512

namespace {

struct Kind {
  const char *name;
  const Loops<float> &(*in_float32)();
  const Loops<Bf16> &(*in_bfloat16)();
};

// From the narrowest to the widest.
std::vector<Kind> found() {
  std::vector<Kind> kinds;
#ifdef SEVERAL_WIDTHS
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return kinds;
  kinds.push_back({"avx2", avx2::in_float32, avx2::in_bfloat16});
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bf16"))
    kinds.push_back({"avx512", avx512::in_float32, avx512::in_bfloat16});
#endif
  return kinds;
}

const std::vector<Kind> KINDS = found();
std::atomic<const Kind *> chosen{KINDS.empty() ? nullptr : &KINDS.back()};

} // namespace

template <> const Loops<float> &loops() { return chosen.load()->in_float32(); }
template <> const Loops<Bf16> &loops() { return chosen.load()->in_bfloat16(); }

bool has_loops() { return chosen.load(); }

std::vector<std::string> loop_kinds() {
  std::vector<std::string> names;
  for (const Kind &kind : KINDS) names.push_back(kind.name);
  return names;
}

void choose_loops(const std::string &name) {
  const auto kind = std::find_if(KINDS.begin(), KINDS.end(), [&](const Kind &k) { return name == k.name; });
  if (kind == KINDS.end()) throw std::invalid_argument("this processor has no loops of the kind " + name);
  chosen = &*kind;
}

} // namespace groundup
