// Steps of element-wise optimizers in one pass over memory: each number is read once and written once.
#pragma once

#include <cstdint>

namespace groundup {

// A stretch of a parameter and of what is kept of it. second: the second moment, or z; Lion has none.
struct Stretched {
  float *weight;
  const float *grad;
  float *first, *second;
  std::int64_t count;
};

// shrink: factor of the weight before the step (AdamW's decay). penalty: times the weight, added to
// the gradient (Adam's). new1, new2: 1 − β of each moment, which float32 could not say exactly if it had
// to subtract. rate, root: with the corrections of both moments' bias.
struct Adam {
  float shrink, penalty, new1, beta2, new2, rate, root, eps;
  void operator()(const Stretched &part) const;
};

struct Lion {
  float shrink, new1, new2, rate;
  void operator()(const Stretched &part) const;
};

// weight: y. first: z. back: of y towards z, where x is.
struct ScheduleFree {
  float decay, beta1, beta2, new2, rate, root, eps, back, share;
  void operator()(const Stretched &part) const;
};

} // namespace groundup
