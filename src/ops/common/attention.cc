#include "ops/common/attention.h"

#include <algorithm>
#include <cmath>

namespace tenon {

// Softmax over a row of logits plus bias, in place; keys with a bias of -inf are out whatever their logit is.
static void masked_softmax(std::vector<double>& row, const std::vector<double>& bias, const double* sink) {
  double top = sink ? *sink : -HUGE_VAL, sum = 0;
  bool any = sink != nullptr;
  for (size_t j = 0; j < row.size(); ++j) {
    if (bias[j] == -HUGE_VAL) continue;
    row[j] += bias[j];
    if (row[j] > top || std::isnan(row[j])) top = row[j];
    any = any || row[j] != -HUGE_VAL;
  }
  if (!any) {
    std::fill(row.begin(), row.end(), 0.0);
    return;
  }
  if (sink) sum = std::exp(*sink - top);
  for (size_t j = 0; j < row.size(); ++j) sum += row[j] = bias[j] == -HUGE_VAL ? 0 : std::exp(row[j] - top);
  for (double& v : row) v /= sum;
}

std::vector<double> attention(const AttentionProblem& p, AttentionStage stage, std::vector<double>* logits) {
  std::vector<double> y(size_t(p.batch * p.q_heads * p.q_len * p.v_head), 0.0);
  if (logits) logits->assign(size_t(p.batch * p.q_heads * p.q_len * p.kv_len), 0.0);
  const int64_t group = p.kv_heads ? std::max<int64_t>(1, p.q_heads / p.kv_heads) : 1;
  std::vector<double> row(size_t(p.kv_len)), bias(size_t(p.kv_len));
  for (int64_t b = 0; b < p.batch; ++b)
    for (int64_t h = 0; h < p.q_heads; ++h)
      for (int64_t i = 0; i < p.q_len; ++i) {
        const int64_t q_row = (b * p.q_heads + h) * p.q_len + i,
                      kv_row = (b * p.kv_heads + h / group) * p.kv_len;
        const double* q = p.q.data() + q_row * p.head;
        auto keep = [&](AttentionStage s) {
          if (logits && s == stage) std::copy(row.begin(), row.end(), logits->begin() + q_row * p.kv_len);
        };
        for (int64_t j = 0; j < p.kv_len; ++j) {
          const double* k = p.k.data() + (kv_row + j) * p.head;
          double dot = 0;
          for (int64_t d = 0; d < p.head; ++d) dot += q[d] * k[d];
          row[size_t(j)] = dot * p.scale;
        }
        keep(AttentionStage::product);
        if (p.softcap > 0)
          for (double& v : row) v = p.softcap * std::tanh(v / p.softcap);
        keep(AttentionStage::capped);
        std::fill(bias.begin(), bias.end(), 0.0);
        if (p.bias) p.bias(b, h, i, bias.data());
        if (logits && stage == AttentionStage::biased)
          for (int64_t j = 0; j < p.kv_len; ++j)
            (*logits)[size_t(q_row * p.kv_len + j)] = row[size_t(j)] + bias[size_t(j)];
        masked_softmax(row, bias, p.sink.empty() ? nullptr : &p.sink[size_t(h)]);
        keep(AttentionStage::probabilities);
        double* out = y.data() + q_row * p.v_head;
        for (int64_t j = 0; j < p.kv_len; ++j) {
          if (bias[size_t(j)] == -HUGE_VAL) continue;
          const double* v = p.v.data() + (kv_row + j) * p.v_head;
          for (int64_t d = 0; d < p.v_head; ++d) out[d] += row[size_t(j)] * v[d];
        }
      }
  return y;
}

std::vector<double> split_heads(const std::vector<double>& x, int64_t batch, int64_t length, int64_t heads) {
  std::vector<double> y(x.size());
  if (x.empty()) return y;
  const int64_t size = int64_t(x.size()) / (batch * length * heads);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t t = 0; t < length; ++t)
      for (int64_t h = 0; h < heads; ++h)
        std::copy_n(x.begin() + ((b * length + t) * heads + h) * size, size,
                    y.begin() + ((b * heads + h) * length + t) * size);
  return y;
}

std::vector<double> merge_heads(const std::vector<double>& x, int64_t batch, int64_t heads, int64_t length) {
  return split_heads(x, batch, heads, length);  // both swap the middle dimensions
}

std::vector<double> join_middle(const std::vector<double>& x, const std::vector<double>& y, int64_t outer) {
  std::vector<double> out;
  out.reserve(x.size() + y.size());
  if (outer == 0) return out;
  const auto nx = int64_t(x.size()) / outer, ny = int64_t(y.size()) / outer;
  for (int64_t o = 0; o < outer; ++o) {
    out.insert(out.end(), x.begin() + o * nx, x.begin() + (o + 1) * nx);
    out.insert(out.end(), y.begin() + o * ny, y.begin() + (o + 1) * ny);
  }
  return out;
}

Result<HeadDims> head_dims(InferArgs& a, size_t input, int64_t heads) {
  const std::string& name = a.op.inputs[input].name;
  if (!a.ranked(input))
    return HeadDims{a.fresh("batch"), heads > 0 ? Dim(heads) : a.fresh("heads"), a.fresh("length"),
                    a.fresh("head")};
  const SymShape& s = a.shape(input);
  if (s.size() == 4) return HeadDims{s[0], s[1], s[2], s[3]};
  if (s.size() != 3) return invalid_model("input '", name, "' must have rank 3 or 4, it has rank ", s.size());
  if (heads < 1)
    return invalid_model("input '", name, "' of rank 3 needs the number of heads as an attribute");
  if (s[2].is_const() && s[2].constant() % heads != 0)
    return invalid_model("input '", name, "' of hidden size ", s[2].constant(), " does not divide into ",
                         heads, " heads");
  return HeadDims{s[0], Dim(heads), s[1], floor_div(s[2], Dim(heads))};
}

}  // namespace tenon
