#include "backend/cuda/build/families/tiles.h"

#include <algorithm>
#include <cmath>

#include "backend/cuda/build/families/gemm_frame.h"

namespace tenon::cuda {

int64_t likely_size(const Product& p, const Dim& d) {
  const auto v = d.eval([&](const std::string& symbol) -> std::optional<int64_t> {
    if (const auto it = p.likely.find(symbol); it != p.likely.end()) return it->second;
    return symbol.size() > 2 && symbol.substr(symbol.size() - 2) == "_0" ? 8 : 128;
  });
  return std::max<int64_t>(v.value_or(128), 1);
}

static double ceil_of(double a, double b) { return double((int64_t(a) + int64_t(b) - 1) / int64_t(b)); }

// Instructions for an element behind the sum.
static double epilogue_work(const Product& p) {
  double work = 0;
  for (const ScalarInst& inst : p.epilogue.program.code)
    switch (inst.prim) {
      case Prim::input:
      case Prim::constant: break;
      case Prim::exp:
      case Prim::sigmoid:
      case Prim::tanh:
      case Prim::erf:
      case Prim::div:
      case Prim::pow: work += 12; break;
      default: work += 1;
    }
  return work;
}

double tile_cost(const Product& p, const Tile& t, const Chip& chip) {
  const double m = double(likely_size(p, p.m)), n = double(likely_size(p, p.n)), k = double(likely_size(p, p.k)), batch = double(likely_size(p, product(p.batch)));
  const double bytes = bits(p.type) / 8.0, sms = chip.multiprocessors;
  // Per multiprocessor and clock: what the second-level cache, and the device's memory, give when all ask.
  constexpr double kCache = 46, kMemory = 18, kLaunch = 1500, kFill = 700;
  const double floor = batch * (m * k + n * k + m * n) * bytes / (kMemory * sms);
  if (t.kind == Tile::rows) {
    // Reading B is all there is; few columns cannot ask for it fast enough.
    const double warps = batch * n * t.splits, busy = std::min(1.0, warps / (sms * 16));
    return batch * n * k * bytes / (kMemory * sms * busy) + 20 * m;
  }
  // Of tiles that all wait for memory the one with the least work of its own is best.
  const auto answer = [&](double cost) {
    // The parts of a split sum are written, read and added by a second kernel.
    if (t.splits > 1) cost += kLaunch + batch * m * n * (t.splits + 1) * 4 / (kCache / 2 * sms);
    return std::max(cost, floor) + 0.15 * cost;
  };
  if (t.kind == Tile::wgmma) {
    // Blocks stay; one tile's sums leave while the next one's operands come.
    const double blocks = sms / t.cluster, work = ceil_of(ceil_of(m, t.bm), t.cluster) * ceil_of(n, t.bn) * batch * t.splits;
    const double load = (t.bm + double(t.bn) / t.cluster) * 128 / kCache, math = t.bm * t.bn / 32.0;
    // Each instruction reads its 64 rows of A and all of B.
    const double shared_read = t.bm / 64 * (64 + t.bn), step = std::max({load, math, shared_read, 600.0 / t.stages});
    const double store = t.bm * t.bn * (t.splits > 1 ? 4.0 : bytes) / kCache + t.bm * t.bn * (8 + epilogue_work(p)) / 128.0;
    // Each tap of a convolution takes whole blocks of channels.
    double blocks_of_k = ceil_of(k, 64);
    if (p.a.form == Matrix::pixels) blocks_of_k = double(p.a.image.taps()) * ceil_of(double(likely_size(p, p.a.image.channels)), 64);
    const double loop = ceil_of(blocks_of_k, t.splits) * step;
    if (t.alternate) return answer(kFill + store + ceil_of(work, blocks) * std::max(loop, (loop + store) / 2));
    return answer(kFill + ceil_of(work, blocks) * (loop + store));
  }
  const double tiles = ceil_of(m, t.bm) * ceil_of(n, t.bn) * batch * t.splits;
  const int64_t shared = shared_bytes(p, t);
  const int registers = t.kind == Tile::mma ? t.wm * t.wn / 32 + 96 : t.wm * t.wn * int(bytes) / 4 + 80;
  const int resident = std::max<int>(1, int(std::min<int64_t>({chip.shared_per_block / std::max<int64_t>(shared, 1), 65536 / (std::min(registers, 255) * t.threads()), 8})));
  const double blocks_of_k = ceil_of(ceil_of(k, t.bk), t.splits);
  // One block's work on its own: operands from the cache, shared memory, arithmetic.
  const double load = (t.bm + t.bn) * t.bk * bytes / kCache;
  // Each warp reads its own rows of both operands; gathered elements cost instructions.
  double shared_read, math;
  if (t.kind == Tile::mma) {
    const double warps = t.threads() / 32.0;
    shared_read = ((t.wm + t.wn) * t.bk * bytes * warps + (t.bm + t.bn) * t.bk * bytes) / 128;
    // mma.sync reaches about 60% of what the chip's own instruction would on Hopper.
    math = 2.0 * t.bm * t.bn * t.bk / (chip.wgmma ? 2500.0 : 2048.0) * (bytes / 2);
  } else {
    shared_read = double(t.bm) * t.bn * t.bk * bytes * (1.0 / t.wm + 1.0 / t.wn) / 128;
    math = double(t.bm) * t.bn * t.bk / (bytes == 8 ? 64.0 : 128.0) * 1.15;
  }
  const int run = run_length(p.a, int(16 / bytes));
  const double gather = p.a.form == Matrix::pixels ? (run * bytes >= 16 ? 10.0 : 20.0) : run == 1 ? 6.0 : 4.0;
  const double issue = double(t.bm) * t.bk / std::max(1, run) * gather / 128 + 40;
  const double step = std::max({load, shared_read, math, issue});
  // A block alone on its multiprocessor waits for what it loads; several hide each other's waits.
  const double waves = ceil_of(tiles, sms * resident), last = tiles - (waves - 1) * sms * resident;
  const double occupied = waves > 1 ? resident : std::max(1.0, std::min<double>(resident, ceil_of(last, sms)));
  const double latency = t.kind == Tile::mma ? 600.0 / (std::max(1, t.stages - 1) * occupied) : 350.0 / occupied;
  const double loop = blocks_of_k * std::max(step, latency / occupied);
  const double store = t.bm * t.bn * (t.splits > 1 ? 4.0 : bytes) / kCache + t.bm * t.bn * 8.0 / (t.threads() / 32.0) / 32.0 / 4.0;
  return answer(kFill + waves * occupied * (loop + store));
}

std::vector<Tile> candidate_tiles(const Product& p, const Chip& chip) {
  std::vector<Tile> all;
  const int bytes = bits(p.type) / 8;
  const auto mma = [&](int bm, int bn, int wm, int wn) {
    for (int k_bytes : {64, 128})
      for (int stages : {4, 3, 2}) all.push_back({Tile::mma, bm, bn, k_bytes / bytes, wm, wn, stages, 1});
  };
  mma(128, 256, 64, 64);
  mma(256, 128, 64, 64);
  mma(128, 128, 64, 32);
  mma(128, 64, 32, 32);
  mma(64, 128, 32, 32);
  mma(64, 64, 32, 16);
  mma(256, 64, 64, 32);
  mma(64, 256, 32, 64);
  mma(128, 32, 32, 16);
  mma(32, 128, 16, 32);
  mma(32, 64, 16, 16);
  mma(64, 32, 16, 16);
  mma(16, 64, 16, 16);
  mma(16, 128, 16, 32);
  mma(32, 32, 16, 16);
  // Sharing B in a cluster measured slower on an H200 (n = 4096: 469 TFLOP/s instead of 705), so there is no candidate.
  const auto wgmma = [&](int bm, int bn, bool alternate) {
    Tile t{Tile::wgmma, bm, bn, 64, 64, bn, 8, 1};
    t.blocks = chip.multiprocessors;
    t.alternate = alternate;
    while (t.stages > 3 && wgmma_shared(t) > chip.shared_per_block) --t.stages;
    all.push_back(t);
  };
  if (bytes == 2) {
    for (const auto& [bm, bn] : {std::pair{128, 256}, {256, 128}, {128, 192}, {128, 128}, {256, 64}, {128, 96}, {128, 64}, {64, 256}, {64, 192}, {64, 128}, {64, 64}, {128, 32}, {64, 32}})
      wgmma(bm, bn, false);
    for (const auto& [bm, bn] : {std::pair{128, 192}, {128, 128}, {64, 256}, {128, 64}, {64, 128}}) wgmma(bm, bn, true);
  }
  const auto simt = [&](int bm, int bn, int bk, int tm, int tn) { all.push_back({Tile::simt, bm, bn, bk, tm, tn, 2, 1}); };
  if (bytes == 4) {
    simt(128, 128, 16, 8, 8);
    simt(128, 64, 16, 8, 4);
    simt(64, 128, 16, 4, 8);
  }
  simt(64, 64, 16, 4, 4);
  simt(32, 64, 16, 4, 4);
  simt(64, 32, 16, 4, 4);
  simt(32, 32, 16, 4, 4);
  // Shared sums over k, where there are few tiles.
  const size_t whole = all.size();
  for (size_t i = 0; i < whole; ++i)
    for (int splits : {2, 3, 4, 6, 8, 12, 16}) {
      Tile t = all[i];
      t.splits = splits;
      // Each part has something to add.
      const int64_t blocks = (likely_size(p, p.k) + t.bk - 1) / t.bk, share = (blocks + splits - 1) / splits;
      if (share >= 4 && share * (splits - 1) < blocks) all.push_back(t);
    }
  if (p.m.is_const() && p.m.constant() <= 4)
    for (int splits : {1, 4}) all.push_back({Tile::rows, 0, 4 / splits, 0, 0, 0, 1, splits});
  return all;
}

namespace {
struct Priced {
  Tile tile;
  double cost;  // clocks
};
}  // namespace

// Those that can do the product, fastest first by the model; equal ones in the order of candidate_tiles().
static std::vector<Priced> priced_tiles(const Product& p, const Chip& chip) {
  std::vector<Priced> out;
  for (const Tile& t : candidate_tiles(p, chip))
    if (fits(p, t, chip)) out.push_back({t, tile_cost(p, t, chip)});
  std::stable_sort(out.begin(), out.end(), [](const Priced& a, const Priced& b) { return a.cost < b.cost; });
  return out;
}

std::string variant_name(const Product& p, const Tile& t) { return cat(p.name, ".", t.to_string()); }

Result<Tile> choose_tile(const Product& p, const Chip& chip, const std::string& variant) {
  const std::vector<Priced> all = priced_tiles(p, chip);
  if (all.empty()) return unsupported("no kernel for products of ", name(p.type));
  if (variant.empty()) return all[0].tile;
  for (const Priced& c : all)
    if (variant_name(p, c.tile) == variant) return c.tile;
  return make_status(Code::no_kernel, "there is no variant '", escape(variant), "'");
}

// Main loops that behave unlike each other: the model may be wrong about one of them as a whole.
static int sort_of(const Tile& t) { return t.kind * 4 + t.alternate * 2 + (t.splits > 1); }

// Tiles that differ in little but the ring's depth, or in how finely the sum is split.
static bool alike(const Tile& a, const Tile& b) {
  const int least = std::min(a.splits, b.splits), most = std::max(a.splits, b.splits);
  return a.kind == b.kind && a.alternate == b.alternate && a.bm == b.bm && a.bn == b.bn && (least == most || (least > 1 && most < 2 * least));
}

std::vector<KernelVariant> tile_variants(const Product& p, const Chip& chip) {
  constexpr size_t kMost = 32;
  constexpr double kHopeless = 4;  // times the best estimate
  std::vector<Priced> all = priced_tiles(p, chip), out;
  std::erase_if(all, [best = all.empty() ? 0.0 : all[0].cost](const Priced& c) { return c.cost > kHopeless * best; });
  const auto offer_unlike = [&](auto same) {
    for (const Priced& c : all)
      if (out.size() < kMost && std::none_of(out.begin(), out.end(), [&](const Priced& o) { return same(o.tile, c.tile); })) out.push_back(c);
  };
  offer_unlike([](const Tile& a, const Tile& b) { return sort_of(a) == sort_of(b); });
  offer_unlike(alike);
  std::vector<KernelVariant> named;
  for (const Priced& c : out) named.push_back({variant_name(p, c.tile), std::round(c.cost / chip.gigahertz) / 1e9});  // to a nanosecond
  return named;
}

}  // namespace tenon::cuda
