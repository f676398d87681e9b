// A linear classifier of texts, after fastText (Joulin et al. 2017) without its hidden layer:
// a class's logit is its bias and the mean of its weights of the buckets that a text's n-grams fall into.
//
// groundup.curate.classify.linear has the reference in Python.
#pragma once

#include <cmath>

#include "ngrams.h"

namespace groundup {

// Sums of a text's weights, from weights of a byte each; what a word adds is kept, as most words of
// a text were there before.
class Scorer {
public:
  // weights: [2^bits, classes]; they must outlive the scorer.
  Scorer(Ngrams ngrams, const std::int8_t *weights, int classes)
      : ngrams_(std::move(ngrams)), weights_(weights), classes_(classes), known_(KNOWN) {
    sums_.resize(std::size_t(KNOWN * classes));
  }

  // sums: of the weights, [classes]; returns how many features there are.
  i64 sum(const Units &text, i64 *sums) {
    std::fill_n(sums, classes_, 0);
    i64 features = 0;
    ngrams_.each(
        text,
        [&](const u8 *word, i64 size, u64 hash) {
          const std::size_t place = std::size_t(hash % KNOWN);
          Known &known = known_[place];
          std::int32_t *const kept = &sums_[place * std::size_t(classes_)];
          if (known.hash != hash || known.features == 0) {
            known = {hash, 0};
            std::fill_n(kept, classes_, 0);
            ngrams_.of_word(word, size, hash, [&](u32 bucket) {
              const std::int8_t *const row = weights_ + i64(bucket) * classes_;
              for (int c = 0; c < classes_; c++) kept[c] += row[c];
              known.features++;
            });
          }
          for (int c = 0; c < classes_; c++) sums[c] += kept[c];
          features += known.features;
        },
        [&](u32 bucket) {
          const std::int8_t *const row = weights_ + i64(bucket) * classes_;
          for (int c = 0; c < classes_; c++) sums[c] += row[c];
          features++;
        });
    return features;
  }

private:
  static constexpr std::size_t KNOWN = 4093; // a prime, as hashes of words are not scrambled

  struct Known {
    u64 hash;
    i64 features;
  };

  Ngrams ngrams_;
  const std::int8_t *weights_;
  int classes_;
  std::vector<Known> known_;
  std::vector<std::int32_t> sums_;
};

// Steps of AdaGrad (Duchi et al. 2011) down the cross-entropy, a text at a time.
//
// features: the buckets of text t are features[ends[t − 1]] … features[ends[t] − 1].
// weights, squares: [2^bits, classes], the latter the sums of squared gradients so far.
struct Steps {
  const u32 *features;
  const i64 *ends;
  const std::int32_t *labels;
  const float *importance; // of each class
  int classes;
  float *weights, *squares, *bias, *bias_squares;

  // The rate of a step is `first` less what it falls by until then, `fall` over all texts.
  void take(const i64 *order, i64 texts, float first, float fall) {
    std::vector<float> logits(static_cast<std::size_t>(classes));
    for (i64 i = 0; i < texts; i++) {
      const float rate = first - fall * float(double(i) / double(texts));
      const i64 text = order[i], begin = text ? ends[text - 1] : 0, end = ends[text];
      const float share = end > begin ? 1.0F / float(end - begin) : 0.0F;
      std::fill(logits.begin(), logits.end(), 0.0F);
      for (i64 f = begin; f < end; f++) {
        const float *const row = weights + i64(features[f]) * classes;
        for (int c = 0; c < classes; c++) logits[std::size_t(c)] += row[c];
      }
      float largest = -INFINITY;
      for (int c = 0; c < classes; c++) {
        float &logit = logits[std::size_t(c)];
        logit = logit * share + bias[c];
        largest = std::max(largest, logit);
      }
      float total = 0;
      for (float &logit : logits) total += logit = std::exp(logit - largest);
      const int label = labels[text];
      for (int c = 0; c < classes; c++) {
        float &gradient = logits[std::size_t(c)];
        gradient = importance[label] * (gradient / total - float(c == label));
        bias_squares[c] += gradient * gradient;
        bias[c] -= rate * gradient / std::sqrt(bias_squares[c] + FLOOR);
        gradient *= share;
      }
      for (i64 f = begin; f < end; f++) {
        float *const row = weights + i64(features[f]) * classes;
        float *const square = squares + i64(features[f]) * classes;
        for (int c = 0; c < classes; c++) {
          const float gradient = logits[std::size_t(c)];
          square[c] += gradient * gradient;
          row[c] -= rate * gradient / std::sqrt(square[c] + FLOOR);
        }
      }
    }
  }

private:
  static constexpr float FLOOR = 1e-10F;
};

} // namespace groundup
