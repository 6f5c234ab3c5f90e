// What generators write source with: operand dimensions, parameters, types, index arithmetic, scalar programs.
#pragma once

#include <map>

#include "backend/cuda/build/family.h"
#include "ir/scalar_region.h"

namespace tenon::cuda {

// "float", "half", "bf16" (the prelude's type), "int", "long long", "unsigned char", "bool" ...; "" for types that have
// no device form (strings, 4-bit).
std::string device_type(DType t);

// The dimensions of a request's operands as the recipe names them. A constant stays one; a symbolic dimension is named
// after the first operand dimension that is equal to it, so equal sizes are one symbol.
class OperandDims {
 public:
  // Errors: unsupported where an operand's rank is not known.
  static Result<OperandDims> of(const KernelRequest& r);
  const SymShape& in(size_t i) const { return in_[i]; }    // empty where absent
  const SymShape& out(size_t i) const { return out_[i]; }

 private:
  std::vector<SymShape> in_, out_;
};

// Collects a kernel's parameters while its body is written.
//
//   KernelWriter k("softmax");
//   std::string x = k.input(0, "const float*"), n = k.size(dims.in(0)[1]);   // n: "768", or a parameter's name
//   k.body << "...";
//   program.source += k.text();  program.recipe.launches.push_back(k.launch({blocks}, {128}));
class KernelWriter {
 public:
  explicit KernelWriter(std::string name, int max_threads = 0) : name_(std::move(name)), max_threads_(max_threads) {}

  // Parameters; each gives the name to use in the body. `type` is the pointer's whole type.
  std::string input(int index, const std::string& type);
  std::string output(int index, const std::string& type);
  std::string data(int index, const std::string& type);
  std::string scratch(const Dim& offset, const std::string& type);
  // A number: its literal where it is constant, else an int (or long long: `wide`) parameter; equal Dims share one.
  std::string size(const Dim& d, bool wide = false);
  std::string number(double value);  // a float literal that gives back exactly this value

  std::string body;                     // statements; the prelude's PDL_WAIT is the first
  // The whole kernel: extern "C" __global__ void NAME(...) { body }.
  std::string text() const;
  KernelLaunch launch(std::vector<Dim> grid, std::vector<Dim> block, Dim shared = 0) const;

 private:
  std::string add(Arg arg, const std::string& type, const std::string& hint);
  std::string name_;
  int max_threads_;
  std::vector<std::string> params_;
  std::vector<Arg> args_;
  std::map<std::string, std::string> sizes_;
};

// Statements that compute a scalar program for one element. `inputs[k]` is the expression of input k in its own type;
// gives the expressions of the outputs. Floats of 16 bits and 8 bits are computed in float and rounded where the program's
// types say so. Names of temporaries start with `prefix`. Errors: unsupported types (float64 is supported).
Result<std::vector<std::string>> write_scalar(const ScalarProgram& program, const std::vector<std::string>& inputs,
                                              const std::string& prefix, std::string& statements);

// Loops over many dimensions collapsed: neighbours that are contiguous in every operand become one.
// Strides in elements, symbolic; 0 where broadcast.
struct CollapsedLoop {
  SymShape dims;                       // outermost first
  std::vector<SymShape> strides;       // [operand][dim]
};
CollapsedLoop collapse(const SymShape& dims, const std::vector<SymShape>& strides);
SymShape sym_row_major_strides(const SymShape& shape);

}  // namespace tenon::cuda
