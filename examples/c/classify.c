/* Reads two handwritten digits with the C API: builds an engine and runs it.
 *
 *   classify_c examples/digits/digits.onnx */
#include <stdio.h>

#include "../digits/two_digits.h"
#include "tenon/c/tenon.h"

/* Prints and frees a status; 1 when it is a failure. */
static int failed(tenon_status* status) {
  if (!status) return 0;
  fprintf(stderr, "error %d: %s", (int)tenon_status_code(status), tenon_status_message(status));
  fprintf(stderr, *tenon_status_remedy(status) ? "; try: %s\n" : "%s\n", tenon_status_remedy(status));
  tenon_status_destroy(status);
  return 1;
}

static int32_t show_stage(const char* stage, int64_t done, int64_t total, void* user_data) {
  (void)done;
  (void)total;
  if (*(const char**)user_data != stage) printf("%s\n", stage);
  *(const char**)user_data = stage;
  return 1; /* go on */
}

static int run(tenon_context* context) {
  const int64_t shape[4] = {2, 1, 8, 8};
  tenon_output output = {.struct_size = sizeof output};
  if (failed(tenon_context_set_input_shape(context, "image", shape, 4)) ||
      failed(tenon_context_set_address(context, "image", (void*)kTwoDigits, sizeof kTwoDigits)) ||
      failed(tenon_context_enqueue(context, NULL)) || failed(tenon_context_synchronize(context)) ||
      failed(tenon_context_output(context, "probability", &output)))
    return 1;
  const float* probability = output.data;
  const int expected[2] = {0, 7};
  int wrong = 0;
  for (int i = 0; i < 2; ++i) {
    int digit = 0;
    for (int k = 1; k < 10; ++k)
      if (probability[i * 10 + k] > probability[i * 10 + digit]) digit = k;
    printf("image %d is a %d\n", i, digit);
    wrong += digit != expected[i];
  }
  return wrong;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s digits.onnx\n", argv[0]);
    return 2;
  }
  const char* shapes[] = {"image:1..8..64x1x8x8"};
  const char* stage = NULL;
  tenon_build_options options = {.struct_size = sizeof options};
  options.shapes = shapes;
  options.num_shapes = 1;
  options.progress = show_stage;
  options.user_data = &stage;

  tenon_engine_file* file = NULL;
  tenon_engine* engine = NULL;
  tenon_context* context = NULL;
  tenon_tensor_info input = {.struct_size = sizeof input};
  int result = 1;
  if (!failed(tenon_build_file(argv[1], &options, &file)) && !failed(tenon_engine_load_file(file, NULL, &engine)) &&
      !failed(tenon_engine_input(engine, 0, &input)) && !failed(tenon_context_create(engine, NULL, &context))) {
    printf("input '%s': %s, %d dimensions, the first is %s\n", input.name, tenon_data_type_name(input.type), (int)input.rank,
           input.dims[0]);
    result = run(context);
  }
  tenon_context_destroy(context);
  tenon_engine_destroy(engine);
  tenon_engine_file_destroy(file);
  return result;
}
