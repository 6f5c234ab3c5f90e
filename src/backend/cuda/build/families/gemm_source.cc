#include "backend/cuda/build/families/gemm_source.h"

#include "backend/cuda/build/families/gemm_frame.h"

namespace tenon::cuda {

int64_t Pixels::taps() const {
  int64_t n = 1;
  for (int64_t k : kernel) n *= k;
  return n;
}

int Tile::threads() const {
  switch (kind) {
    case mma: return bm / wm * (bn / wn) * 32;
    case simt: return bm / wm * (bn / wn);
    case rows: return bn * splits * 32;
    case wgmma: return wgmma_threads(*this);
  }
  return 0;
}

std::string Tile::to_string() const {
  const char* const kinds[] = {"mma", "simt", "rows", "wgmma"};
  std::string s = kind == rows ? cat("rows.", bn) : cat(kinds[kind], ".", bm, "x", bn, "x", bk);
  if (cluster > 1) s += cat(".c", cluster);
  if (alternate) s += ".alt";
  if (kind == mma || kind == wgmma) s += cat(".s", stages);
  if (splits > 1) s += cat(".k", splits);
  return s;
}

bool fits(const Product& p, const Tile& t, const Chip& chip) {
  if (shared_bytes(p, t) > chip.shared_per_block || t.threads() > 1024 || t.threads() < 32) return false;
  if (t.kind == Tile::rows) return p.m.is_const() && p.m.constant() > 0 && p.a.form == Matrix::k_major && p.b.form == Matrix::k_major && p.plane.is(0);
  if (t.kind == Tile::simt) return bits(p.type) >= 32;
  if (t.kind == Tile::wgmma) return wgmma_fits(p, t, chip);
  if (p.type == DType::f16 || p.type == DType::bf16) return true;
  // There is no transposed ldmatrix for 32 bits.
  return p.type == DType::f32 && p.tf32 && p.a.form != Matrix::columns && p.b.form != Matrix::columns;
}

// Places are counted with 32 bits where that is sure to be enough; what only the run tells is checked by it.
static Status check_sizes(Product& p, const Tile& t, Recipe& recipe) {
  const auto span = [](const Matrix& x, const Dim& rows, const SymShape& batch) {
    Dim n = x.form == Matrix::pixels    ? x.image.images * x.image.image_stride
            : x.form == Matrix::columns ? x.ld * x.k_limit
                                        : x.ld * rows;
    for (size_t d = 0; d < batch.size(); ++d) n = n + batch[d] * x.batch_strides[d];
    return n;
  };
  const Dim batches = product(p.batch);
  for (const Dim& n : {span(p.a, p.m, p.batch), span(p.b, p.n, p.batch), batches * p.m * p.n * Dim(t.splits), batches * p.m * p.n,
                       p.plane.is(0) ? p.m * p.ldc : Dim(0)}) {
    if (n.is_const()) p.wide = p.wide || n.constant() >= int64_t(1) << 31;
    else if (std::none_of(recipe.below_2g.begin(), recipe.below_2g.end(), [&](const Dim& d) { return d == n; })) recipe.below_2g.push_back(n);
  }
  const Dim tiles = ceil_div(p.m, std::max(t.bm, 1)) * ceil_div(p.n, t.bn) * batches * Dim(t.splits);
  if (tiles.is_const() && tiles.constant() >= int64_t(1) << 31) return unsupported("the product has too many tiles");
  for (const Dim& d : {p.m, p.n, p.k})
    if (d.is_const() && d.constant() >= (int64_t(1) << 31) - 1024) return unsupported("a side of the product is too long");
  return {};
}

Status write_product(const Product& product, const Tile& t, Program& out) {
  Product p = product;
  TRY(check_sizes(p, t, out.recipe));
  if (out.source.empty()) out.source = kGemmPrelude;
  if (t.kind == Tile::rows) return write_rows(p, t, out);
  if (t.kind == Tile::wgmma) TRY(write_wgmma(p, t, out));
  else TRY(t.kind == Tile::mma ? write_mma(p, t, out) : write_simt(p, t, out));
  if (t.splits == 1) return {};
  out.recipe.scratch = max(out.recipe.scratch, parts_bytes(p, t));
  return write_sum(p, t, out);
}

}  // namespace tenon::cuda
