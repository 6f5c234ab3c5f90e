// NonMaxSuppression. Each class of each batch has a list of boxes in the order of their scores, sorted tile
// by tile and merged by counting. Then a block goes down each list, 64 boxes at a time: which of them overlap
// a kept one, and which keep each other out. Long lists of few classes are compared beforehand by the whole
// GPU, which leaves a bit for each pair; otherwise the block compares with what it has kept. What is kept is
// written class after class.
//
// Overlaps are the reference's, which computes them in double: in float with a bound on the error, in double
// where that does not decide.
#include "backend/cuda/build/families/nms.h"

namespace tenon::cuda {

using namespace nms;

static bool concerns(const KernelRequest& r) {
  return op_is(r.node, "NonMaxSuppression");
}

static constexpr int64_t kTile = 2048;
static constexpr int kSortThreads = 512, kScanThreads = 512, kPairThreads = 256;
// Bits for all pairs: no more memory than this, and no more lists.
static constexpr int64_t kMostBytes = int64_t(1) << 28, kMostLists = 16;
static constexpr int64_t kMostWords = 1472;  // of a row of bits within kMostBytes: 2 * ceil(n / 64)

// A number that is an input: its literal, or read from memory. Empty: it is absent.
static std::string scalar(KernelWriter& k, const KernelRequest& r, size_t input) {
  if (!present(r, input)) return "";
  const ValueId v = r.node.inputs[input];
  if (r.graph.is_constant(v) && r.graph.constant(v).size() == 1)
    return float_literal(r.graph.constant(v).at(0));
  return k.input(int(input), "const float*") + "[0]";
}

namespace {

class Nms {
 public:
  explicit Nms(const KernelRequest& r) : r_(r) {}

  Result<Program> write() {
    const OperandDims dims = TRY(OperandDims::of(r_));
    classes_ = dims.in(1)[1], n_ = dims.in(1)[2], lists_ = dims.in(1)[0] * classes_;
    TRY(index_with_32_bits(p_.recipe, {dims.in(0), dims.in(1)}));
    if (const ValueId v = r_.node.inputs.size() > 3 ? r_.node.inputs[3] : kNoValue;
        v != kNoValue && r_.graph.is_constant(v))
      if (const Tensor& iou = r_.graph.constant(v); iou.size() != 1 || !(iou.at(0) >= 0 && iou.at(0) <= 1))
        return unsupported("its iou_threshold is not within [0, 1]");
    Dim most = 0;
    if (const auto known = constant_ints(r_, 2))
      most = (*known)[0];
    else if (present(r_, 2))
      most = Dim::symbol("u2_0"), p_.recipe.value_inputs = 1u << 2;
    cap_ = min(max(Dim(0), most), n_);
    p_.recipe.most = lists_ * cap_;
    p_.recipe.results = {{Dim::symbol("count"), 3}};

    const bool center = r_.node.attrs.i("center_point_box") != 0;
    p_.source =
        cat(kKeyHelpers, kHelpers,
            fill(kExact,
                 {{"BOX", center ? "r.y0 = b - d / 2, r.x0 = a - c / 2, r.y1 = b + d / 2, r.x1 = a + c / 2;"
                                 : "r.y0 = c < a ? c : a, r.x0 = d < b ? d : b, r.y1 = a < c ? c : a, r.x1 = "
                                   "b < d ? d : b;"}}));
    tile_ = n_.is_const() ? std::max(64, power_of_two_from(n_.constant(), int(kTile))) : int(kTile);
    tiles_ = ceil_div(n_, tile_);
    words_ = ceil_div(n_, 64) * Dim(2);
    // 1 where all pairs are compared beforehand.
    const Dim bytes = lists_ * n_ * words_ * Dim(4);
    const Dim all_pairs = min(Dim(1), floor_div(Dim(kMostBytes), max(Dim(1), bytes))) *
                          min(Dim(1), floor_div(Dim(kMostLists), max(Dim(1), lists_)));
    place_scratch(bytes * all_pairs);
    sort();
    rank();
    if (!all_pairs.is(0)) pairs(all_pairs), scan(true, all_pairs);
    if (!all_pairs.is(1)) scan(false, Dim(1) - all_pairs);
    write_results();
    p_.variant = cat("nms", all_pairs.is(1) ? ".pairs" : all_pairs.is(0) ? ".kept" : "");
    return std::move(p_);
  }

 private:
  void place_scratch(const Dim& bits) {
    Dim end = 0;
    const auto take = [&](const Dim& bytes) {
      const Dim at = end;
      end = end + ceil_div(bytes, 16) * Dim(16);
      return at;
    };
    const Dim all = lists_ * n_;
    sorted_ = take(all * Dim(8)), corners_ = take(all * Dim(16)), sizes_ = take(all * Dim(8)),
    order_ = take(all * Dim(4));
    candidates_ = take(lists_ * tiles_ * Dim(4)), taken_ = take(lists_ * Dim(4)),
    kept_ = take(lists_ * cap_ * Dim(4));
    bits_ = take(bits);
    p_.recipe.scratch = end;
  }

  // What the texts have in common; each kernel asks only for what it names.
  Holes holes(KernelWriter& k, int threads, const std::string& text) {
    Holes h{{"THREADS", cat(threads)}, {"WARPS", cat(threads / 32)}, {"TILE", cat(tile_)}};
    const auto put = [&](const char* name, const auto& make) {
      if (text.find(cat("$", name)) != text.npos) h[name] = make();
    };
    put("N", [&] { return unsigned_size(k, n_); });
    put("CLASSES", [&] { return unsigned_size(k, classes_); });
    put("LISTS", [&] { return unsigned_size(k, lists_); });
    put("TILES", [&] { return unsigned_size(k, tiles_); });
    put("WORDS", [&] { return unsigned_size(k, words_); });
    put("CAP", [&] { return unsigned_size(k, cap_); });
    put("BOXES", [&] { return k.input(0, "const float*"); });
    put("SCORES", [&] { return k.input(1, "const float*"); });
    put("SORTED", [&] { return k.scratch(sorted_, "Wide*"); });
    put("CORNERS", [&] { return k.scratch(corners_, "Corners*"); });
    put("SIZES", [&] { return k.scratch(sizes_, "Size*"); });
    put("ORDER", [&] { return k.scratch(order_, "unsigned*"); });
    put("CANDIDATES", [&] { return k.scratch(candidates_, "int*"); });
    put("TAKEN", [&] { return k.scratch(taken_, "int*"); });
    put("KEEP", [&] { return k.scratch(kept_, "unsigned*"); });
    put("BITS", [&] { return k.scratch(bits_, "unsigned*"); });
    put("COUNT", [&] { return k.count(); });
    put("Y", [&] { return k.output(0, "long long*"); });
    put("MOST", [&] {
      const std::string iou = scalar(k, r_, 3);
      return iou.empty()          ? "0.f"
             : iou.ends_with("]") ? cat("(!(", iou, " > 0.f) ? 0.f : ", iou, " > 1.f ? 1.f : ", iou, ")")
                                  : iou;
    });
    return h;
  }

  void add(const char* name, int threads, std::string text, Holes more, const Dim& blocks) {
    // Parts that hold holes themselves.
    for (auto& [hole, value] : more)
      for (size_t at; (at = text.find("$" + hole)) != text.npos;) text.replace(at, hole.size() + 1, value);
    KernelWriter k(name, threads);
    k.body = fill(text, holes(k, threads, text));
    p_.source += k.text();
    p_.recipe.launches.push_back(k.launch({blocks}, {threads}));
  }

  void sort() {
    KernelWriter k("nms_sort", kSortThreads);
    Holes h = holes(k, kSortThreads, kSort);
    const std::string least = scalar(k, r_, 4);
    h["CHOSEN"] = least.empty() ? "score == score" : "score > " + least;
    k.body = fill(kSort, h);
    p_.source += k.text();
    p_.recipe.launches.push_back(k.launch({lists_ * tiles_}, {kSortThreads}));
  }
  void rank() { add("nms_rank", kSortThreads, kRank, {}, lists_ * tiles_); }
  void pairs(const Dim& wanted) {
    const Dim rows = ceil_div(n_, kPairThreads), parts = ceil_div(n_, 64);
    KernelWriter k("nms_pairs", kPairThreads);
    const std::string text = with_length(kPairs);
    Holes h = holes(k, kPairThreads, text);
    h["ROWS"] = unsigned_size(k, rows), h["PARTS"] = unsigned_size(k, parts);
    k.body = fill(text, h);
    p_.source += k.text();
    p_.recipe.launches.push_back(k.launch({lists_ * rows * parts * wanted}, {kPairThreads}));
  }
  // Goes down each list. What is kept is noted by its place in the list where it is compared with later.
  void scan(bool with_bits, const Dim& wanted) {
    add(with_bits ? "nms_scan" : "nms_walk", kScanThreads, with_length(kScan),
        {{"SHARED", with_bits ? cat("__shared__ unsigned removed[",
                                    n_.is_const() ? words_.constant() + 2 : kMostWords, "];")
                              : "__shared__ Corners corners[64];\n__shared__ Size sizes[64];"},
         {"BEGIN", with_bits ? kBitsBegin : kDirectBegin},
         {"LOOK", with_bits ? kBitsLook : kDirectLook},
         {"GOON", with_bits ? kBitsGoOn : ""},
         {"KEPT", "first + threadIdx.x"}},
        lists_ * wanted);
  }
  void write_results() {
    add("nms_write", 256, kWrite, {{"RESULT", "$ORDER[blockIdx.x * $N + $KEEP[blockIdx.x * $CAP + k]]"}},
        max(Dim(1), lists_));
  }
  static std::string with_length(std::string text) {
    const size_t at = text.find("$LENGTH");
    return text.replace(at, 7, kLength);
  }

  const KernelRequest& r_;
  Program p_;
  Dim classes_, n_, lists_, cap_, tiles_, words_;
  int tile_ = 0;
  Dim sorted_, corners_, sizes_, order_, candidates_, taken_, kept_, bits_;  // in scratch memory
};

}  // namespace

static Result<Program> generate(const KernelRequest& r, const Chip&) {
  return Nms(r).write();
}

extern const Family kNonMaxSuppression{"nms", concerns, can_generate<generate>, generate};

}  // namespace tenon::cuda
