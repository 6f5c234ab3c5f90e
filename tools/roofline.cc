#include "roofline.h"

#include "console.h"

namespace tenon::cli {

Roofline roofline(const Work& w, const Peaks& p, bool tf32) {
  Roofline best;
  const auto bound = [&](double amount, double a_second, const std::string& by) {
    if (amount > 0 && a_second > 0 && amount / a_second > best.seconds) best = {amount / a_second, by};
  };
  bound(w.bytes, p.bytes, "memory");
  bound(w.flops.other, p.arithmetic, "arithmetic");
  bound(w.flops.products, p.products(w.factors, tf32), cat("products ", tf32 && w.factors == DType::f32 ? "tf32" : name(w.factors)));
  return best;
}

static std::string tera(double v, const char* unit) { return v >= 1e12 ? cat(fixed(v * 1e-12, 2), " T", unit) : cat(fixed(v * 1e-9, 1), " G", unit); }

std::string show_peaks(const Peaks& p) {
  std::vector<std::string> parts = {cat("memory ", tera(p.bytes, "B/s"))};
  const std::pair<const char*, double> kinds[] = {{"f64", p.f64}, {"f32", p.f32}, {"tf32", p.tf32}, {"f16", p.f16}, {"f8", p.f8}, {"i8", p.i8}};
  for (const auto& [type, flops] : kinds)
    if (flops > 0) parts.push_back(cat("products ", type, " ", tera(flops, "FLOP/s")));
  return cat(join(parts, ", "), " (", p.source, ")");
}

}  // namespace tenon::cli
