// What generators write source with: operand dimensions, parameters, types, index arithmetic, scalar programs.
#pragma once

#include <map>

#include "backend/cuda/build/family.h"
#include "ir/scalar_region.h"

namespace tenon::cuda {

// The type in memory: "float", "half", "bf16", "f8e4m3fn" (types of the prelude), "int", "long long", "unsigned char"
// (bool too: any byte but 0 is true) ...; "" for types that have no device form (strings, 4-bit).
std::string device_type(DType t);
// The type that values of `t` are computed in: "float" for floats of up to 32 bits, "double"; "int", "unsigned",
// "long long", "unsigned long long" for integers, "bool". The prelude's narrow<MEMORY TYPE>(v) goes back.
std::string compute_type(DType t);
// Literals that give back exactly this value (infinities and NaN too), rounded to float first where the type is float.
std::string float_literal(double v);
std::string double_literal(double v);

// The dimensions of a request's operands as the recipe names them. A constant stays one; a symbolic dimension is named
// after the first operand dimension that is equal to it, so equal sizes are one symbol.
class OperandDims {
 public:
  // Errors: unsupported where an operand's rank is not known.
  static Result<OperandDims> of(const KernelRequest& r);
  const SymShape& in(size_t i) const { return in_[i]; }    // empty where absent
  const SymShape& out(size_t i) const { return out_[i]; }
  // What the names are planned for, where somebody gave them a size: the optimum of the request's profile.
  const std::map<std::string, int64_t>& likely() const { return likely_; }

 private:
  std::vector<SymShape> in_, out_;
  std::map<std::string, int64_t> likely_;
};

// Collects a kernel's parameters while its body is written.
//
//   KernelWriter k("softmax");
//   std::string x = k.input(0, "const float*"), n = k.size(dims.in(0)[1]);   // n: "768", or a parameter's name
//   k.body += "...";
//   program.source += k.text();  program.recipe.launches.push_back(k.launch({blocks}, {128}));
class KernelWriter {
 public:
  // `blocks`: how many blocks share a multiprocessor at least; 0: not said.
  explicit KernelWriter(const std::string& name, int max_threads = 0, int blocks = 0)
      : name_("tenon_" + name), max_threads_(max_threads), blocks_(blocks) {}  // CUDA has a norm() of its own

  // Parameters; each gives the name to use in the body. `type` is the pointer's whole type. No __restrict__: what it
  // points to may still be written by the kernel in front until PDL_WAIT, and the compiler must not load it before.
  std::string input(int index, const std::string& type);
  std::string output(int index, const std::string& type);
  std::string data(int index, const std::string& type);
  std::string scratch(const Dim& offset, const std::string& type);
  // Where a kernel whose results' size the data decides puts how many it has found.
  std::string count();
  // A view for the copy engine (prelude/hopper.cuh) of input, output or stored tensor `index`.
  std::string map(TensorMap map, Arg::Kind base, int index);
  // A number: its literal where it is constant, else an int (or long long: `wide`) parameter; equal Dims share one.
  std::string size(const Dim& d, bool wide = false);
  std::string number(double value) { return float_literal(value); }

  // Statements. Where they do not say PDL_WAIT themselves, text() puts "PDL_WAIT; PDL_LAUNCH;" first.
  std::string body;
  // The whole kernel: extern "C" __global__ void NAME(...) { body }.
  std::string text() const;
  // Kernels wait for their predecessor themselves, so the launch is marked as programmatic.
  KernelLaunch launch(std::vector<Dim> grid, std::vector<Dim> block, Dim shared = 0) const;

 private:
  std::string add(Arg arg, const std::string& type, const std::string& hint);
  std::string name_;
  int max_threads_, blocks_;
  std::vector<std::string> params_;
  std::vector<Arg> args_;
  std::map<std::string, std::string> sizes_;
};

// Statements that compute a scalar program for one element. `inputs[k]` is the expression of input k, in its memory type
// or in the type it is computed in (a float accumulator for a program that starts from f16, say). Gives the expressions
// of the outputs, in the types that they are computed in: narrow<half>(...) rounds to memory. Floats of 16 and 8 bits are
// computed in float; only casts round. Names of temporaries start with `prefix`. Errors: unsupported types and
// operations (float64 is supported).
Result<std::vector<std::string>> write_scalar(const ScalarProgram& program, const std::vector<std::string>& inputs,
                                              const std::string& prefix, std::string& statements);

// Loops over many dimensions collapsed: neighbours that are contiguous in every operand become one, and dimensions of
// one element go. At least one dimension is left. Strides in elements, symbolic; 0 where broadcast.
struct CollapsedLoop {
  SymShape dims;                       // outermost first
  std::vector<SymShape> strides;       // [operand][dim]
};
CollapsedLoop collapse(const SymShape& dims, const std::vector<SymShape>& strides);
SymShape sym_row_major_strides(const SymShape& shape);
// The strides with which an operand of shape `in` is read in a loop over `out`, one for each dimension of `out`.
SymShape broadcast_strides(const SymShape& in, const SymShape& out);

}  // namespace tenon::cuda
