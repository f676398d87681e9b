// All loops for one kind of processor, which is named WIDTH.
#pragma once

#include "head.h"
#include "norm.h"
#include "product.h"
#include "reach.h"
#include "softmax.h"

namespace groundup {
namespace WIDTH {

template <typename T> constexpr Loops<T> LOOPS = {
    norm<T>,      norm_back<T>, add<T>,          gate<T>,     gate_back<T>,   dropout<T>,    head<T>,
    head_back<T>, softmax<T>,   softmax_back<T>, log_sums<T>, losses_back<T>, product<T, T>,
    product<std::int8_t, T>,    reach<T>,
};
const Loops<float> &in_float32() { return LOOPS<float>; }
const Loops<Bf16> &in_bfloat16() { return LOOPS<Bf16>; }

} // namespace WIDTH
} // namespace groundup
