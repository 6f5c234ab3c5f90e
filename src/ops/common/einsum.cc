#include "ops/common/einsum.h"

#include <algorithm>

#include "base/text.h"

namespace tenon {

static int label_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  return c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1;
}

namespace {
// "ij...k" as letters before and after the ellipsis.
struct Term {
  std::vector<int> before, after;
  bool ellipsis = false;
};
}  // namespace

static Result<Term> parse_term(std::string_view text) {
  Term t;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '.') {
      if (t.ellipsis || text.substr(i, 3) != "...")
        return invalid_model("Einsum term '", text, "' has stray dots");
      t.ellipsis = true;
      i += 2;
      continue;
    }
    const int label = label_of(text[i]);
    if (label < 0)
      return invalid_model("Einsum term '", text, "' has the character '", escape(text.substr(i, 1)), "'");
    (t.ellipsis ? t.after : t.before).push_back(label);
  }
  return t;
}

Result<EinsumEquation> parse_einsum(std::string text, const std::vector<size_t>& ranks) {
  std::erase(text, ' ');
  const size_t arrow = text.find("->");
  const std::vector<std::string> parts = split(std::string_view(text).substr(0, arrow), ',');
  if (parts.size() != ranks.size())
    return invalid_model("Einsum equation '", escape(text), "' has ", parts.size(), " terms for ",
                         ranks.size(), " inputs");
  EinsumEquation eq;
  std::vector<Term> terms;
  size_t widest = 0;  // dimensions that the ellipsis stands for
  for (size_t i = 0; i < parts.size(); ++i) {
    terms.push_back(TRY(parse_term(parts[i])));
    const size_t named = terms[i].before.size() + terms[i].after.size();
    if (terms[i].ellipsis ? ranks[i] < named : ranks[i] != named)
      return invalid_model("Einsum term '", parts[i], "' does not fit input ", i, " of rank ", ranks[i]);
    widest = std::max(widest, ranks[i] - named);
  }
  eq.labels = 52 + int(widest);
  std::vector<int> seen(52, 0);
  for (size_t i = 0; i < terms.size(); ++i) {
    std::vector<int> t = terms[i].before;
    const size_t dims = ranks[i] - t.size() - terms[i].after.size();
    for (size_t e = widest - dims; e < widest; ++e) t.push_back(52 + int(e));  // aligned at the right
    t.insert(t.end(), terms[i].after.begin(), terms[i].after.end());
    for (int label : t)
      if (label < 52) ++seen[size_t(label)];
    eq.terms.push_back(std::move(t));
  }
  auto push_ellipsis = [&] {
    for (size_t e = 0; e < widest; ++e) eq.output.push_back(52 + int(e));
  };
  if (arrow == std::string::npos) {
    push_ellipsis();
    for (int label = 0; label < 52; ++label)
      if (seen[size_t(label)] == 1) eq.output.push_back(label);
    return eq;
  }
  const Term out = TRY(parse_term(std::string_view(text).substr(arrow + 2)));
  eq.output = out.before;
  if (out.ellipsis) push_ellipsis();
  eq.output.insert(eq.output.end(), out.after.begin(), out.after.end());
  for (size_t i = 0; i < eq.output.size(); ++i) {
    const int label = eq.output[i];
    if (label < 52 && !seen[size_t(label)])
      return invalid_model("an output label of '", escape(text), "' is in no input");
    if (std::count(eq.output.begin(), eq.output.end(), label) > 1)
      return invalid_model("an output label of '", escape(text), "' is there twice");
  }
  return eq;
}

}  // namespace tenon
