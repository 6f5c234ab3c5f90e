/* Tenon's C API: build an engine from an ONNX model, load it, run it.
 *
 * Calls that can fail return a tenon_status*, null when all is well; the caller destroys it. Strings that a handle
 * gives live as long as the handle. Handles are destroyed with their own function, which takes null too. Structs start
 * with their size: fill in sizeof, and zero is the default of every other field, so that programs built against an
 * older header run on.
 *
 * Engine files and engines may be used on any thread; a context by one thread at a time, several contexts at once.
 * Shapes count elements, everything called bytes counts bytes; tensors are dense and row-major. */
#ifndef TENON_C_TENON_H_
#define TENON_C_TENON_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

const char* tenon_version(void); /* "0.1.0" */

/* Element types are the numbers of onnx.TensorProto.DataType: 1 float32, 2 uint8, 3 int8, 6 int32, 7 int64, 9 bool,
 * 10 float16, 11 float64, 16 bfloat16, … */
const char* tenon_data_type_name(int32_t type); /* "f32" */
/* Bytes of that many elements; types under 8 bits are packed, low bits first. */
int64_t tenon_data_type_bytes(int32_t type, int64_t elements);

/* ---- what went wrong ---- */

typedef enum tenon_code {
  TENON_OK = 0,
  TENON_INTERNAL,
  TENON_INVALID_ARGUMENT,
  TENON_INVALID_MODEL,
  TENON_UNSUPPORTED,
  TENON_NO_KERNEL,
  TENON_ACCURACY,
  TENON_UNAVAILABLE,
  TENON_NOT_FOUND,
  TENON_IO,
  TENON_OUT_OF_MEMORY,
  TENON_DATA_LOSS,
  TENON_INCOMPATIBLE,
  TENON_CANCELLED
} tenon_code;

typedef struct tenon_status tenon_status;
/* All three take null, which is success. */
tenon_code tenon_status_code(const tenon_status* status);
const char* tenon_status_message(const tenon_status* status); /* names the culprit */
const char* tenon_status_remedy(const tenon_status* status);  /* what to try next; may be "" */
void tenon_status_destroy(tenon_status* status);

/* ---- building ---- */

typedef struct tenon_engine_file tenon_engine_file; /* a built engine: bytes, in memory or in a file */

typedef struct tenon_build_options {
  size_t struct_size;
  const char* device;    /* "cpu" when null; "cuda", "cuda:1" */
  const char* target;    /* "cpu:avx2"; null: this machine */
  const char* precision; /* "fp32" when null; on GPUs "tf32", "fp16" and "bf16" too */
  /* "x:1..8..64x3x224x224" (min..opt..max); the second of an input belongs to the second profile, and so on */
  const char* const* shapes;
  size_t num_shapes;
  int32_t no_golden; /* not zero: keep no expected outputs in the engine */
  /* Called as the build goes on, on its thread; `total` is 0 where steps are not counted. Zero stops the build. */
  int32_t (*progress)(const char* stage, int64_t done, int64_t total, void* user_data);
  void* user_data;
  const char* const* io_types; /* "logits=fp16": types of inputs and outputs instead of the model's; names may hold "*" and "?" */
  size_t num_io_types;
  const char* const* pins; /* "Softmax=fp32": nodes that stay fp32, or move to the precision whatever its rules say */
  size_t num_pins;
  const int32_t* effort; /* 0..5, how much is measured to choose kernels; null: 2 where the device is at hand, else 0 */
  double budget;         /* the most seconds that this takes; 60 when 0 */
  const char* tuning_db; /* file of measurements; null: tuning.txt in the user's cache folder */
} tenon_build_options;

/* `options` may be null. Errors: not_found, io, invalid_model, unsupported (every such node is listed),
 * invalid_argument, no_kernel, unavailable, cancelled, out_of_memory. */
tenon_status* tenon_build_file(const char* path, const tenon_build_options* options, tenon_engine_file** out);
/* `folder` holds external data; null: there is none. */
tenon_status* tenon_build_bytes(const void* data, size_t bytes, const char* folder, const tenon_build_options* options,
                                tenon_engine_file** out);

tenon_status* tenon_engine_file_open(const char* path, tenon_engine_file** out);
/* The file appears whole or not at all. */
tenon_status* tenon_engine_file_save(const tenon_engine_file* file, const char* path);
const void* tenon_engine_file_data(const tenon_engine_file* file, size_t* bytes);
void tenon_engine_file_destroy(tenon_engine_file* file);

/* ---- running ---- */

typedef struct tenon_engine tenon_engine;   /* an engine on a device; immutable */
typedef struct tenon_context tenon_context; /* one user's run state; keeps its engine alive */

typedef struct tenon_load_options {
  size_t struct_size;
  int32_t ordinal; /* which device of the kind that the engine was built for */
} tenon_load_options;

/* `options` may be null. The file stays mapped. Errors: not_found, io, data_loss, incompatible, unavailable. */
tenon_status* tenon_engine_load(const char* path, const tenon_load_options* options, tenon_engine** out);
tenon_status* tenon_engine_load_file(const tenon_engine_file* file, const tenon_load_options* options, tenon_engine** out);
void tenon_engine_destroy(tenon_engine* engine);

typedef struct tenon_memory {
  size_t struct_size;   /* the caller's sizeof; the rest is filled in */
  int64_t device_bytes; /* 0 where the device's memory is the host's */
  int64_t host_bytes;
} tenon_memory;

/* Weights and machine code on the device; on the host the engine file, which is mapped. Contexts are not counted. */
tenon_status* tenon_engine_memory(const tenon_engine* engine, tenon_memory* out);

typedef struct tenon_tensor_info {
  size_t struct_size; /* the caller's sizeof; the rest is filled in */
  const char* name;
  int32_t type;
  int32_t rank;            /* -1: not known before a run */
  const char* const* dims; /* digits, or a formula where free: "batch" */
} tenon_tensor_info;

size_t tenon_engine_num_inputs(const tenon_engine* engine);
size_t tenon_engine_num_outputs(const tenon_engine* engine);
tenon_status* tenon_engine_input(const tenon_engine* engine, size_t index, tenon_tensor_info* out);
tenon_status* tenon_engine_output(const tenon_engine* engine, size_t index, tenon_tensor_info* out);

typedef struct tenon_context_options {
  size_t struct_size;
  int32_t threads;         /* host threads of a run; 0: one for each core */
  int64_t workspace_bytes; /* the most intermediate memory of a run; 0: no limit */
} tenon_context_options;

/* `options` may be null. */
tenon_status* tenon_context_create(const tenon_engine* engine, const tenon_context_options* options, tenon_context** out);
void tenon_context_destroy(tenon_context* context);

/* Needed once for each input whose shape is not fixed. */
tenon_status* tenon_context_set_input_shape(tenon_context* context, const char* name, const int64_t* shape, size_t rank);
/* Where an input is read or an output written, on the host or on the engine's device, which is found out here; it must live
 * until the runs that follow are done. `bytes` is the room there; -1: enough, the caller promises. An output without an
 * address is kept by the context, on the host. */
tenon_status* tenon_context_set_address(tenon_context* context, const char* name, void* data, int64_t bytes);
/* Puts a run on a stream of the engine's device (a CUstream or cudaStream_t; CUDA's default one is cudaStreamLegacy); null is
 * the context's own. Does not wait where all outputs have addresses on the device. On a CPU it runs at once. */
tenon_status* tenon_context_enqueue(tenon_context* context, void* stream);
tenon_status* tenon_context_synchronize(tenon_context* context);

/* What runs of the shapes and addresses that are set take beside the engine; known before the first run. */
tenon_status* tenon_context_memory(const tenon_context* context, tenon_memory* out);

typedef struct tenon_output {
  size_t struct_size; /* the caller's sizeof; the rest is filled in */
  int32_t type;
  int32_t rank;
  const int64_t* shape; /* these live until the next run */
  const void* data; /* on the device only if the output's address is there */
  int64_t bytes;
} tenon_output;

/* An output, after the run; what is on the device, after tenon_context_synchronize. */
tenon_status* tenon_context_output(tenon_context* context, const char* name, tenon_output* out);

#ifdef __cplusplus
}
#endif

#endif /* TENON_C_TENON_H_ */
