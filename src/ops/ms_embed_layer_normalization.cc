// EmbedLayerNormalization (com.microsoft): layer normalisation of the sum of word, position and segment
// embeddings.
#include "ops/common/movement.h"
#include "ops/common/skip_norm.h"

namespace tenon::ops {

enum Input : size_t { kIds, kSegmentIds, kWords, kPositions, kSegments, kGamma, kBeta, kMask, kPositionIds };

static Status infer(InferArgs& a) {
  const DType t = a.dtype(kWords);
  if (a.has(kSegmentIds) != a.has(kSegments))
    return invalid_model("segment_ids and segment_embedding go together");
  if (a.ranked(kIds) && a.rank(kIds) != 2)
    return invalid_model("input_ids has rank ", a.rank(kIds), ", not 2");
  const Dim batch = a.ranked(kIds) ? a.shape(kIds)[0] : a.fresh("batch");
  const Dim steps = a.ranked(kIds) ? a.shape(kIds)[1] : a.fresh("sequence");
  Dim hidden = a.fresh("hidden");
  for (size_t i : {kWords, kPositions, kSegments}) {
    if (!a.ranked(i)) continue;
    if (a.rank(i) != 2)
      return invalid_model("input '", a.op.inputs[i].name, "' has rank ", a.rank(i), ", not 2");
    const Dim& h = a.shape(i)[1];
    if (hidden.is_const() && h.is_const() && !(h == hidden))
      return invalid_model("the embeddings differ in width");
    if (!hidden.is_const()) hidden = h;
  }
  for (size_t i : {kGamma, kBeta}) TRY(check_hidden(a, i, hidden));
  for (size_t i : {kSegmentIds, kMask, kPositionIds}) {
    if (!a.ranked(i)) continue;
    const SymShape& s = a.shape(i);
    auto fits = [](const Dim& d, const Dim& want) { return !d.is_const() || !want.is_const() || d == want; };
    const bool shared = i == kPositionIds && s.size() == 2 && s[0].is(1);
    if (s.size() != 2 || !(fits(s[0], batch) || shared) || !fits(s[1], steps))
      return invalid_model("input '", a.op.inputs[i].name, "' has shape ", to_string(s),
                           ", not that of input_ids");
  }
  a.set(0, t, {batch, steps, hidden});
  a.set(1, DType::i32, {batch});
  a.set(2, t, {batch, steps, hidden});
  return {};
}

static Status reference(RefArgs& a) {
  const Tensor& ids = a.x(kIds);
  const int64_t batch = ids.dim(0), steps = ids.dim(1), hidden = a.x(kWords).dim(1);
  const std::vector<double> gamma = a.x(kGamma).to_doubles(), beta = a.x(kBeta).to_doubles();
  RowNorm norm{false, double(a.attrs.f("epsilon")), gamma.data(), beta.data()};
  std::vector<double> sum(static_cast<size_t>(hidden)), part(sum), y(sum);
  auto add_row = [&](size_t table, int64_t index) -> Status {
    const Tensor& t = a.x(table);
    if (index < 0 || index >= t.dim(0))
      return invalid_argument("index ", index, " is out of '", a.op.inputs[table].name, "', which has ",
                              t.dim(0), " rows");
    load_doubles(t.dtype(), t.data(), index * hidden, hidden, part.data());
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
    return {};
  };
  for (int64_t row = 0; row < batch * steps; ++row) {
    std::fill(sum.begin(), sum.end(), 0.0);
    TRY(add_row(kWords, ids.int_at(row)));
    int64_t position = row % steps;
    if (a.has(kPositionIds)) position = a.x(kPositionIds).int_at(row % a.x(kPositionIds).size());
    TRY(add_row(kPositions, position));
    if (a.has(kSegmentIds)) TRY(add_row(kSegments, a.x(kSegmentIds).int_at(row)));
    if (hidden > 0) norm.run(sum.data(), hidden, y.data());
    store_doubles(a.y(0).dtype(), a.y(0).data(), row * hidden, hidden, y.data());
    if (a.wants(2)) store_doubles(a.y(2).dtype(), a.y(2).data(), row * hidden, hidden, sum.data());
  }
  if (!a.wants(1)) return {};
  for (int64_t b = 0; b < batch; ++b) {  // how many tokens the mask lets through
    int64_t count = 0;
    for (int64_t s = 0; a.has(kMask) && s < steps; ++s) count += a.x(kMask).int_at(b * steps + s) == 1;
    a.y(1).set_int(b, count);
  }
  return {};
}

extern const Op op_ms_embed_layer_normalization{
    .name = "EmbedLayerNormalization",
    .domain = "com.microsoft",
    .inputs = {{"input_ids", DType::i32, 0},
               {"segment_ids", DType::i32, 0, Param::optional},
               {"word_embedding", kFloats},
               {"position_embedding", kFloats},
               {"segment_embedding", kFloats, 'T', Param::optional},
               {"gamma", kFloats},
               {"beta", kFloats},
               {"mask", DType::i32, 0, Param::optional},
               {"position_ids", DType::i32, 0, Param::optional}},
    .outputs = {{"output"},
                {"mask_index", DType::i32, 0, Param::optional},
                {"embedding_sum", kFloats, 'T', Param::optional}},
    .attrs = {{"epsilon", 1e-12f}, {"mask_index_type", int64_t(0)}},
    .infer = infer,
    .reference = reference,
    .tolerance = {64, 4},
    .samples = {{{{{2, 3}, DType::i32, 0, 6},
                  {{2, 3}, DType::i32, 0, 1},
                  {{7, 8}},
                  {{5, 8}},
                  {{2, 8}},
                  {{8}},
                  {{8}},
                  {{2, 3}, DType::i32, 0, 1}},
                 {},
                 3}},
};

}  // namespace tenon::ops
