#include "onnx/import.h"

#include <algorithm>

#include "base/memory_limit.h"
#include "onnx/check.h"
#include "onnx/scope.h"

namespace tenon::onnx {

std::string_view plain_domain(std::string_view domain) { return domain == "ai.onnx" ? "" : domain; }

Opsets opset_map(const std::vector<OpsetProto>& list) {
  Opsets out;
  for (const OpsetProto& o : list) out[std::string(plain_domain(o.domain))] = o.version;
  return out;
}

const FunctionProto* find_function(const ModelProto& m, std::string_view domain, std::string_view name,
                                   std::string_view overload) {
  for (const FunctionProto& f : m.functions)
    if (f.name == name && plain_domain(f.domain) == plain_domain(domain) && f.overload == overload) return &f;
  return nullptr;
}

static Status check_opset(const Opsets& opsets) {
  auto it = opsets.find("");
  if (it == opsets.end()) return {};
  if (it->second < 1) return invalid_model("opset ", it->second, " does not exist");
  if (it->second > kNewestOpset)
    return Status(Code::unsupported, cat("the model uses opset ", it->second, "; the newest one supported is ", kNewestOpset),
                  "export the model with a lower opset_version");
  return {};
}

static Result<ImportedModel> import_all(std::span<const uint8_t> bytes, std::shared_ptr<const void> owner,
                                        const std::string& folder) {
  const ModelProto proto = TRY(decode_model(bytes));
  TensorSource tensors(std::move(owner), folder);
  Model model{proto, tensors, opset_map(proto.opsets)};
  TRY(check_opset(model.opsets));
  auto missing = find_unsupported(proto, model.opsets);
  if (!missing.empty()) return unsupported_nodes(missing);

  ImportedModel out;
  out.opset = model.opsets.contains("") ? model.opsets[""] : 0;
  out.producer = escape(proto.producer);
  for (const auto& [key, value] : proto.metadata) out.metadata.emplace(key, value);
  Scope scope{&out.graph, nullptr, &model.opsets};
  TRY(import_graph(model, scope, *proto.graph, true));
  return out;
}

Result<ImportedModel> import_bytes(std::span<const uint8_t> bytes, std::shared_ptr<const void> owner,
                                   const std::string& folder) {
  return catch_bad_alloc([&] { return import_all(bytes, std::move(owner), folder); });
}

Result<ImportedModel> import_file(const std::string& path) {
  auto file = TRY(MappedFile::open(path));
  size_t slash = path.rfind('/');
  auto model = import_bytes(file->bytes(), file, slash == path.npos ? "." : path.substr(0, slash + 1));
  if (!model.ok()) return model.status().with_prefix(cat("'", path, "': "));
  return model;
}

}  // namespace tenon::onnx
