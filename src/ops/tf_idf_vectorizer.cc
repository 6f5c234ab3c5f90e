// TfIdfVectorizer: counts how often each n-gram of a pool occurs in each row of token numbers, skipping up to
// max_skip_count tokens between its members; `mode` TF gives counts, IDF weights of what occurs, TFIDF both.
#include <algorithm>
#include <map>

#include "ops/op.h"

namespace tenon::ops {

// From n-gram to its number in the pool; sorted, so that prefixes can be told apart from strangers.
using Pool = std::map<Ints, int64_t>;

static Result<Pool> read_pool(const Attrs& attrs) {
  const Ints &tokens = attrs.ints("pool_int64s"), &starts = attrs.ints("ngram_counts"),
             &columns = attrs.ints("ngram_indexes");
  const int64_t least = attrs.i("min_gram_length"), most = attrs.i("max_gram_length"),
                total = int64_t(tokens.size());
  Pool pool;
  size_t id = 0;
  for (size_t g = 0; g < starts.size(); ++g) {
    const int64_t size = int64_t(g) + 1, begin = starts[g],
                  end = g + 1 < starts.size() ? starts[g + 1] : total;
    if (begin < 0 || end < begin || end > total)
      return invalid_model("ngram_counts does not divide the pool of ", total, " tokens");
    for (int64_t k = begin; k + size <= end; k += size, ++id) {
      if (id >= columns.size())
        return invalid_model("ngram_indexes has ", columns.size(), " entries, the pool has more");
      if (size >= least && size <= most)
        pool[Ints(tokens.begin() + k, tokens.begin() + k + size)] = int64_t(id);
    }
  }
  return pool;
}

static Status infer(InferArgs& a) {
  if (a.attrs.has("pool_strings")) return unsupported("TfIdfVectorizer of strings");
  const std::string& mode = a.attrs.s("mode");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF") return invalid_model("mode '", escape(mode), "'");
  if (a.attrs.i("min_gram_length") < 1 || a.attrs.i("max_gram_length") < a.attrs.i("min_gram_length"))
    return invalid_model("n-gram lengths from ", a.attrs.i("min_gram_length"), " to ",
                         a.attrs.i("max_gram_length"));
  if (a.attrs.i("max_skip_count") < 0) return invalid_model("max_skip_count is negative");
  TRY(read_pool(a.attrs));
  int64_t width = 0;
  for (int64_t column : a.attrs.ints("ngram_indexes")) {
    if (column < 0 || column > INT32_MAX) return invalid_model("ngram_indexes has ", column);
    width = std::max(width, column + 1);
  }
  if (a.attrs.has("weights") && int64_t(a.attrs.floats("weights").size()) < width)
    return invalid_model("weights has ", a.attrs.floats("weights").size(), " entries for ", width,
                         " columns");
  if (!a.ranked(0)) return a.set_unranked(0, DType::f32), Status();
  if (a.rank(0) > 2) return invalid_model("TfIdfVectorizer of an input of rank ", a.rank(0));
  if (a.rank(0) == 2)
    a.set(0, DType::f32, {a.shape(0)[0], Dim(width)});
  else
    a.set(0, DType::f32, {Dim(width)});
  return {};
}

// Calls found(number) for every n-gram of the pool in a row of tokens.
template <class Found>
static void find_grams(const Pool& pool, const int64_t* row, int64_t length, const Attrs& attrs,
                       const Found& found) {
  int64_t least = attrs.i("min_gram_length");
  const int64_t most = attrs.i("max_gram_length"), skips = std::min(attrs.i("max_skip_count"), length);
  for (int64_t distance = 1; distance <= skips + 1; ++distance) {
    for (int64_t begin = 0; begin < length; ++begin) {
      Ints gram;
      for (int64_t k = begin; k < length && int64_t(gram.size()) < most; k += distance) {
        gram.push_back(row[k]);
        auto it = pool.lower_bound(gram);
        if (it == pool.end() || it->first.size() < gram.size() ||
            !std::equal(gram.begin(), gram.end(), it->first.begin()))
          break;  // nothing in the pool starts like this
        if (it->first.size() == gram.size() && int64_t(gram.size()) >= least) found(size_t(it->second));
      }
    }
    // A single token has nothing to skip, so it counts once.
    if (least == 1 && ++least > most) break;
  }
}

static Status reference(RefArgs& a) {
  const Pool pool = TRY(read_pool(a.attrs));
  const Tensor& x = a.x(0);
  Tensor& y = a.y(0);
  const int64_t rows = x.rank() == 2 ? x.dim(0) : 1, length = x.rank() == 0 ? 1 : x.shape().back();
  const Ints tokens = x.to_ints(), &columns = a.attrs.ints("ngram_indexes");
  const Floats& weights = a.attrs.floats("weights");
  const std::string& mode = a.attrs.s("mode");
  std::vector<double> out(size_t(y.size()), 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    double* row = out.data() + r * y.shape().back();
    find_grams(pool, tokens.data() + r * length, length, a.attrs, [&](size_t gram) {
      const double weight = mode == "TF" || weights.empty() ? 1 : double(weights[gram]);
      double& cell = row[columns[gram]];
      cell = mode == "IDF" ? weight : cell + weight;
    });
  }
  store_doubles(y.dtype(), y.data(), 0, y.size(), out.data());
  return {};
}

extern const Op op_tf_idf_vectorizer{
    .name = "TfIdfVectorizer",
    .version = 9,
    .compatible_from = 9,
    .inputs = {{"X", kIndex}},
    .attrs = {required_attr("mode", AttrKind::s), required_attr("ngram_indexes", AttrKind::ints),
              required_attr("ngram_counts", AttrKind::ints), required_attr("max_skip_count", AttrKind::i),
              required_attr("min_gram_length", AttrKind::i), required_attr("max_gram_length", AttrKind::i),
              optional_attr("weights", AttrKind::floats), optional_attr("pool_int64s", AttrKind::ints),
              optional_attr("pool_strings", AttrKind::strings)},
    .infer = infer,
    .reference = reference,
    .samples = {{{{{2, 6}, DType::i64, 1, 6}},
                 {{"mode", std::string("TF")},
                  {"ngram_indexes", Ints{0, 1, 2, 3, 4, 5}},
                  {"ngram_counts", Ints{0, 3}},
                  {"max_skip_count", int64_t(2)},
                  {"min_gram_length", int64_t(1)},
                  {"max_gram_length", int64_t(2)},
                  {"pool_int64s", Ints{2, 3, 5, 5, 4, 5, 6, 1, 2}}}}},
};

}  // namespace tenon::ops
