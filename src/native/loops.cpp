// Which loops this processor takes.
#include "layers.h"

namespace groundup {

namespace any {
const Loops<float> &in_float32();
const Loops<Bf16> &in_bfloat16();
} // namespace any

#ifdef SEVERAL_WIDTHS

namespace avx2 {
const Loops<float> &in_float32();
const Loops<Bf16> &in_bfloat16();
} // namespace avx2
namespace avx512 {
const Loops<float> &in_float32();
const Loops<Bf16> &in_bfloat16();
} // namespace avx512

namespace {
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bf16");
}
} // namespace

template <> const Loops<float> &loops() {
  static const Loops<float> &widest = has_avx512() ? avx512::in_float32()
                                      : has_avx2() ? avx2::in_float32()
                                                   : any::in_float32();
  return widest;
}
template <> const Loops<Bf16> &loops() {
  static const Loops<Bf16> &widest = has_avx512() ? avx512::in_bfloat16()
                                     : has_avx2() ? avx2::in_bfloat16()
                                                  : any::in_bfloat16();
  return widest;
}

#else

template <> const Loops<float> &loops() { return any::in_float32(); }
template <> const Loops<Bf16> &loops() { return any::in_bfloat16(); }

#endif

} // namespace groundup
