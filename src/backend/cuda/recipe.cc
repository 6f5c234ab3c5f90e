#include "backend/cuda/recipe.h"

#include <nlohmann/json.hpp>

namespace tenon::cuda {

using nlohmann::json;

static constexpr const char* kKinds[] = {"input", "output", "data", "scratch", "i32", "i64", "f32", "map", "count"};
// No kernel of ours comes near these; a damaged engine must not make us allocate at its will.
static constexpr size_t kMaxLaunches = 10000, kMaxArgs = 256, kMaxRank = 5;

uint32_t Recipe::unread_inputs(size_t inputs) const {
  uint32_t read = value_inputs;
  for (const KernelLaunch& l : launches)
    for (const Arg& a : l.args)
      if ((a.kind == Arg::tensor_map ? a.base : a.kind) == Arg::input && a.index < 32) read |= 1u << a.index;
  return inputs >= 32 ? ~read : ~read & ((1u << inputs) - 1);
}

// ---- writing -----------------------------------------------------------------------------------------------------

static json dim_json(const Dim& d) { return d.is_const() ? json(d.constant()) : json(d.to_string()); }

static json dims_json(const std::vector<Dim>& dims) {
  json j = json::array();
  for (const Dim& d : dims) j.push_back(dim_json(d));
  return j;
}

static json map_json(const TensorMap& m) {
  json j = {{"type", m.type}, {"dims", dims_json(m.dims)}, {"strides", dims_json(m.strides)}, {"box", m.box},
            {"element_strides", m.element_strides}, {"swizzle", m.swizzle}, {"l2", m.l2_promotion}};
  if (!m.lower.empty()) j["im2col"] = {{"lower", m.lower}, {"upper", m.upper}, {"channels", m.channels}, {"pixels", m.pixels}};
  return j;
}

static json arg_json(const Arg& a) {
  json j = {{"kind", kKinds[a.kind]}};
  switch (a.kind) {
    case Arg::i32:
    case Arg::i64: j["value"] = dim_json(a.value); break;
    case Arg::f32: j["number"] = cat(a.number); break;  // as text: JSON has neither infinity nor NaN
    case Arg::tensor_map:
      j["base"] = kKinds[a.base];
      j["map"] = map_json(a.map);
      [[fallthrough]];
    default:
      if (a.index) j["index"] = a.index;
      if (!a.value.is(0)) j["value"] = dim_json(a.value);
  }
  return j;
}

std::string Recipe::to_text() const {
  json all = json::array();
  for (const KernelLaunch& l : launches) {
    json j = {{"kernel", l.kernel}, {"grid", dims_json({l.grid[0], l.grid[1], l.grid[2]})},
              {"block", dims_json({l.block[0], l.block[1], l.block[2]})}, {"args", json::array()}};
    if (!l.shared.is(0)) j["shared"] = dim_json(l.shared);
    if (l.cluster != 1) j["cluster"] = l.cluster;
    if (l.programmatic) j["programmatic"] = true;
    for (const Arg& a : l.args) j["args"].push_back(arg_json(a));
    all.push_back(std::move(j));
  }
  json j = {{"launches", std::move(all)}};
  if (!scratch.is(0)) j["scratch"] = dim_json(scratch);
  if (value_inputs) j["value_inputs"] = value_inputs;
  if (!below_2g.empty()) j["below_2g"] = dims_json(below_2g);
  if (!results.empty()) {
    j["most"] = dim_json(most);
    for (const SymShape& shape : results) j["results"].push_back(dims_json(shape));
  }
  return j.dump();
}

// ---- reading -----------------------------------------------------------------------------------------------------

namespace {

Status damaged(const std::string& what) {
  return Status(Code::data_loss, "the step's recipe is damaged: " + what, "build the engine again");
}

const json& member(const json& j, const char* key) {
  static const json null;
  if (!j.is_object()) return null;
  auto it = j.find(key);
  return it == j.end() ? null : *it;
}

Result<Dim> read_dim(const json& j, const char* what) {
  if (j.is_null()) return Dim(0);
  if (j.is_number_integer()) return Dim(j.get<int64_t>());
  if (!j.is_string()) return damaged(cat(what, " is no size"));
  auto dim = Dim::parse(j.get_ref<const std::string&>());
  return dim.ok() ? dim : damaged(cat(what, ": ", dim.status().message()));
}

Result<std::vector<Dim>> read_dims(const json& j, const char* what, size_t most) {
  if (!j.is_array() || j.size() > most) return damaged(cat(what, " is no list of at most ", most));
  std::vector<Dim> out;
  for (const json& d : j) out.push_back(TRY(read_dim(d, what)));
  return out;
}

Result<int> read_int(const json& j, const char* what, int low, int high, int fallback) {
  if (j.is_null()) return fallback;
  if (!j.is_number_integer()) return damaged(cat(what, " is no whole number"));
  const int64_t v = j.get<int64_t>();
  if (v < low || v > high) return damaged(cat(what, " is ", v, ", not ", low, " to ", high));
  return int(v);
}

Result<std::vector<int>> read_ints(const json& j, const char* what, int low, int high) {
  if (j.is_null()) return std::vector<int>();
  if (!j.is_array() || j.size() > kMaxRank) return damaged(cat(what, " is no list of at most ", kMaxRank));
  std::vector<int> out;
  for (const json& v : j) {
    if (v.is_null()) return damaged(cat(what, " has a gap"));
    out.push_back(TRY(read_int(v, what, low, high, 0)));
  }
  return out;
}

Result<Arg::Kind> read_kind(const json& j) {
  for (int k = 0; k <= Arg::count; ++k)
    if (j.is_string() && j.get_ref<const std::string&>() == kKinds[k]) return Arg::Kind(k);
  return damaged("an argument is of no known kind");
}

Result<TensorMap> read_map(const json& j) {
  TensorMap m;
  const json& type = member(j, "type");
  if (!type.is_string()) return damaged("a tensor map has no type");
  m.type = type.get<std::string>();
  m.dims = TRY(read_dims(member(j, "dims"), "a tensor map's dims", kMaxRank));
  m.strides = TRY(read_dims(member(j, "strides"), "a tensor map's strides", kMaxRank));
  m.box = TRY(read_ints(member(j, "box"), "a tensor map's box", 1, 256));
  m.element_strides = TRY(read_ints(member(j, "element_strides"), "a tensor map's element_strides", 1, 8));
  m.swizzle = TRY(read_int(member(j, "swizzle"), "a tensor map's swizzle", 0, 128, 0));
  m.l2_promotion = TRY(read_int(member(j, "l2"), "a tensor map's l2", 0, 256, 128));
  const size_t rank = m.dims.size();
  if (rank < 1 || m.strides.size() != rank - 1 || m.element_strides.size() != rank)
    return damaged("a tensor map's lists do not fit each other");
  if (const json& im2col = member(j, "im2col"); !im2col.is_null()) {
    m.lower = TRY(read_ints(member(im2col, "lower"), "a tensor map's lower", -32768, 32767));
    m.upper = TRY(read_ints(member(im2col, "upper"), "a tensor map's upper", -32768, 32767));
    m.channels = TRY(read_int(member(im2col, "channels"), "a tensor map's channels", 1, 256, 1));
    m.pixels = TRY(read_int(member(im2col, "pixels"), "a tensor map's pixels", 1, 1024, 1));
    if (rank < 3 || m.lower.size() != rank - 2 || m.upper.size() != rank - 2) return damaged("a tensor map's corners do not fit its rank");
  } else if (m.box.size() != rank) {
    return damaged("a tensor map's box does not fit its rank");
  }
  return m;
}

Result<Arg> read_arg(const json& j) {
  Arg a;
  a.kind = TRY(read_kind(member(j, "kind")));
  a.index = TRY(read_int(member(j, "index"), "an argument's index", 0, 65535, 0));
  a.value = TRY(read_dim(member(j, "value"), "an argument's value"));
  if (a.kind == Arg::f32) {
    const json& number = member(j, "number");
    if (!number.is_string() || !parse_double(number.get_ref<const std::string&>(), a.number)) return damaged("an argument is no number");
  }
  if (a.kind == Arg::tensor_map) {
    a.base = TRY(read_kind(member(j, "base")));
    if (a.base > Arg::scratch) return damaged("a tensor map stands over no memory");
    a.map = TRY(read_map(member(j, "map")));
  }
  return a;
}

Status read_three(const json& j, const char* what, Dim (&out)[3]) {
  std::vector<Dim> dims = TRY(read_dims(j, what, 3));
  if (dims.size() != 3) return damaged(cat(what, " has not three sizes"));
  for (int i = 0; i < 3; ++i) out[i] = dims[size_t(i)];
  return {};
}

Result<KernelLaunch> read_launch(const json& j) {
  KernelLaunch l;
  const json &kernel = member(j, "kernel"), &args = member(j, "args"), &programmatic = member(j, "programmatic");
  if (!kernel.is_string()) return damaged("a launch names no kernel");
  l.kernel = kernel.get<std::string>();
  // It goes to the driver as a C string.
  if (l.kernel.empty() || l.kernel.find('\0') != l.kernel.npos) return damaged("a kernel's name is no name");
  TRY(read_three(member(j, "grid"), "a grid", l.grid));
  TRY(read_three(member(j, "block"), "a block", l.block));
  l.shared = TRY(read_dim(member(j, "shared"), "shared memory"));
  l.cluster = TRY(read_int(member(j, "cluster"), "a cluster", 1, 16, 1));
  l.programmatic = programmatic.is_boolean() && programmatic.get<bool>();
  if (!args.is_array() || args.size() > kMaxArgs) return damaged("a launch has no list of arguments");
  for (const json& a : args) l.args.push_back(TRY(read_arg(a)));
  return l;
}

}  // namespace

Result<Recipe> Recipe::parse(std::string_view text) {
  const json j = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!j.is_object()) return damaged("it is no JSON object");
  const json &launches = member(j, "launches"), &values = member(j, "value_inputs");
  if (!launches.is_array() || launches.size() > kMaxLaunches) return damaged("it has no list of launches");
  Recipe r;
  for (const json& l : launches) r.launches.push_back(TRY(read_launch(l)));
  r.scratch = TRY(read_dim(member(j, "scratch"), "scratch"));
  if (!values.is_null()) {
    if (!values.is_number_integer() || values.get<int64_t>() < 0 || values.get<int64_t>() > int64_t(UINT32_MAX))
      return damaged("value_inputs is no set of inputs");
    r.value_inputs = uint32_t(values.get<int64_t>());
  }
  if (const json& results = member(j, "results"); !results.is_null()) {
    if (!results.is_array() || results.empty() || results.size() > kMaxArgs) return damaged("its results are no list");
    for (const json& shape : results) r.results.push_back(TRY(read_dims(shape, "a result's shape", 64)));
    r.most = TRY(read_dim(member(j, "most"), "the most that it can find"));
  }
  if (const json& below = member(j, "below_2g"); !below.is_null()) r.below_2g = TRY(read_dims(below, "below_2g", 256));
  return r;
}

}  // namespace tenon::cuda
