// TensorProto to Tensor: shares the file's bytes where it can, reads external data by mapping its file.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/mapped_file.h"
#include "base/tensor.h"
#include "onnx/proto.h"

namespace tenon::onnx {

// Where tensors' bytes live: the model file (or buffer) and the files of external data beside it.
class TensorSource {
 public:
  // `owner` keeps the model's bytes alive; `folder` is where external data is looked for ("" forbids it).
  TensorSource(std::shared_ptr<const void> owner, std::string folder)
      : owner_(std::move(owner)), folder_(std::move(folder)) {}

  // Errors: invalid_model (sizes that do not match, a path that leaves the folder), unsupported (strings), io.
  Result<Tensor> load(const TensorProto& proto);
  Result<Tensor> load_sparse(const SparseTensorProto& proto);

 private:
  Result<Tensor> load_external(const TensorProto& proto, DType dtype, int64_t bytes);

  std::shared_ptr<const void> owner_;
  std::string folder_;
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;
};

}  // namespace tenon::onnx
