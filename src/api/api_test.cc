// The C++ and C API: errors instead of exceptions and crashes, shapes, addresses, several threads.
#include <gtest/gtest.h>

#include <thread>

#include "tenon/c/tenon.h"
#include "tenon/tenon.h"

namespace tenon {
namespace {

const std::string kModel = TENON_SOURCE_DIR "/examples/digits/digits.onnx";

Result<EngineFile> digits() { return Builder("cpu").parse(kModel).build(); }

TEST(Api, BuilderSaysWhatIsWrong) {
  EXPECT_EQ(Builder().build().status().code(), Code::invalid_argument);
  EXPECT_EQ(Builder().parse("/nowhere.onnx").build().status().code(), Code::not_found);
  EXPECT_EQ(Builder("toaster").parse(kModel).build().status().code(), Code::unavailable);
  const uint8_t noise[] = {1, 2, 3};
  EXPECT_EQ(Builder().parse_bytes(noise).build().status().code(), Code::invalid_model);
  EXPECT_EQ(Builder().parse(kModel).optimization_profile({{"image", {{4, 2, 1}, 1, 8, 8}}}).build().status().code(), Code::invalid_argument);
  auto stopped = Builder().parse(kModel).on_progress([](std::string_view, int64_t, int64_t) { return false; }).build();
  EXPECT_EQ(stopped.status().code(), Code::cancelled);
}

TEST(Api, EngineTellsOfItself) {
  auto file = digits();
  ASSERT_TRUE(file.ok()) << file.status().to_string();
  EXPECT_NE(file->manifest().value().find("tenon.engine/1"), std::string::npos);
  EXPECT_NE(file->report().value().find("\"nodes\""), std::string::npos);
  auto engine = Runtime().load(*file);
  ASSERT_TRUE(engine.ok()) << engine.status().to_string();
  ASSERT_EQ(engine->inputs().size(), 1u);
  EXPECT_EQ(engine->inputs()[0].name, "image");
  EXPECT_EQ(engine->inputs()[0].type, DataType::float32);
  EXPECT_EQ(engine->inputs()[0].dims, (std::vector<std::string>{"batch", "1", "8", "8"}));
  EXPECT_FALSE(engine->inputs()[0].is_fixed());
}

TEST(Api, InputsAndOutputsOfOtherTypes) {
  auto file = Builder().parse(kModel).io_type("*", "fp16").io_type("image", "bf16").build();
  ASSERT_TRUE(file.ok()) << file.status().to_string();
  auto engine = Runtime().load(*file);
  ASSERT_TRUE(engine.ok()) << engine.status().to_string();
  EXPECT_EQ(engine->inputs()[0].type, DataType::bfloat16);
  for (const TensorInfo& output : engine->outputs()) EXPECT_EQ(output.type, DataType::float16);
  EXPECT_EQ(Builder().parse(kModel).io_type("picture", "fp16").build().status().code(), Code::invalid_argument);
  EXPECT_EQ(Builder().parse(kModel).io_type("image", "half").build().status().code(), Code::invalid_argument);
}

TEST(Api, PinsNameNodes) {
  EXPECT_TRUE(Builder().parse(kModel).pin("*", "fp32").build().ok());
  for (const auto& [pattern, type] : {std::pair("nosuch", "fp32"), {"*", "fp16"}, {"", "fp32"}})
    EXPECT_EQ(Builder().parse(kModel).pin(pattern, type).build().status().code(), Code::invalid_argument) << pattern << "=" << type;
}

TEST(Api, ContextChecksWhatItIsGiven) {
  auto engine = Runtime().load(*digits());
  auto context = engine->create_context(1);
  ASSERT_TRUE(context.ok());
  std::vector<float> x(3 * 64), y(30);
  EXPECT_EQ(context->enqueue().code(), Code::invalid_argument);  // no shape
  EXPECT_EQ(context->set_input_shape("imag", {3, 1, 8, 8}).code(), Code::invalid_argument);
  EXPECT_EQ(context->set_input_shape("image", {3, 1, 8, 9}).code(), Code::invalid_argument);
  EXPECT_EQ(context->set_input_shape("image", {-3, 1, 8, 8}).code(), Code::invalid_argument);
  ASSERT_TRUE(context->set_input_shape("image", {3, 1, 8, 8}).ok());
  EXPECT_EQ(context->enqueue().code(), Code::invalid_argument);  // no address
  EXPECT_EQ(context->set_address("nothing", x.data()).code(), Code::invalid_argument);
  ASSERT_TRUE(context->set_address("image", x.data(), 8).ok());
  EXPECT_EQ(context->enqueue().code(), Code::invalid_argument);  // too little room
  ASSERT_TRUE(context->set_address("image", x.data(), int64_t(x.size() * 4)).ok());
  EXPECT_EQ(context->output_shape("probability").status().code(), Code::invalid_argument);  // no run yet
  EXPECT_EQ(context->enqueue(&x).code(), Code::invalid_argument);                           // no streams here
  ASSERT_TRUE(context->enqueue().ok());
  EXPECT_EQ(context->output_shape("probability").value(), (std::vector<int64_t>{3, 10}));
  const auto* kept = static_cast<const float*>(context->output_data("probability").value());
  const std::vector<float> first(kept, kept + 30);
  ASSERT_TRUE(context->set_address("probability", y.data(), 4).ok());
  EXPECT_EQ(context->enqueue().code(), Code::invalid_argument);
  ASSERT_TRUE(context->set_address("probability", y.data()).ok());
  ASSERT_TRUE(context->enqueue().ok());
  EXPECT_TRUE(context->synchronize().ok());
  EXPECT_EQ(y, first);
  EXPECT_GT(context->workspace_bytes(), 0);
}

TEST(Api, ContextsOnSeveralThreads) {
  auto engine = Runtime().load(*digits());
  ASSERT_TRUE(engine.ok());
  auto work = [&](std::vector<float>* y) {
    std::vector<float> x(64);
    for (size_t i = 0; i < x.size(); ++i) x[i] = float(i % 17);
    auto context = engine->create_context(1);
    if (!context.ok()) return;
    for (int k = 0; k < 50; ++k) {
      bool ok = context->set_input_shape("image", {1, 1, 8, 8}).ok() && context->set_address("image", x.data()).ok() &&
                context->set_address("probability", y->data()).ok() && context->enqueue().ok();
      if (!ok) return;
    }
  };
  std::vector<std::vector<float>> results(4, std::vector<float>(10, -1));
  std::vector<std::thread> threads;
  for (auto& y : results) threads.emplace_back(work, &y);
  for (auto& t : threads) t.join();
  for (const auto& y : results) EXPECT_EQ(y, results[0]);
  EXPECT_GE(results[0][0], 0);
}

TEST(CApi, NullAndWrongSizesAreErrors) {
  tenon_engine_file* file = nullptr;
  tenon_status* status = tenon_build_file(nullptr, nullptr, &file);
  EXPECT_EQ(tenon_status_code(status), TENON_INVALID_ARGUMENT);
  tenon_status_destroy(status);
  status = tenon_engine_load("/nowhere.engine", nullptr, nullptr);
  EXPECT_EQ(tenon_status_code(status), TENON_INVALID_ARGUMENT);
  tenon_status_destroy(status);
  EXPECT_EQ(tenon_status_code(nullptr), TENON_OK);
  tenon_status_destroy(nullptr);
  tenon_context_destroy(nullptr);

  tenon_engine* engine = nullptr;
  ASSERT_EQ(tenon_build_file(kModel.c_str(), nullptr, &file), nullptr);
  ASSERT_EQ(tenon_engine_load_file(file, nullptr, &engine), nullptr);
  EXPECT_EQ(tenon_engine_num_outputs(engine), 1u);
  tenon_tensor_info info = {};
  status = tenon_engine_input(engine, 0, &info);  // struct_size is not set
  EXPECT_EQ(tenon_status_code(status), TENON_INVALID_ARGUMENT);
  tenon_status_destroy(status);
  // A program built against a header that ended after `type`.
  info.struct_size = offsetof(tenon_tensor_info, rank);
  info.rank = 77;
  EXPECT_EQ(tenon_engine_input(engine, 0, &info), nullptr);
  EXPECT_STREQ(info.name, "image");
  EXPECT_EQ(info.rank, 77);
  status = tenon_engine_output(engine, 5, &info);
  EXPECT_EQ(tenon_status_code(status), TENON_INVALID_ARGUMENT);
  tenon_status_destroy(status);
  tenon_engine_destroy(engine);
  tenon_engine_file_destroy(file);
}

TEST(CApi, EveryBuildOptionIsHeard) {
  const char *types[] = {"*=fp16", "image=bf16"}, *pins[] = {"*=fp32"}, *wrong[] = {"image"};
  const int32_t effort = 0;
  tenon_build_options options = {};
  options.struct_size = sizeof options;
  options.io_types = types;
  options.num_io_types = 2;
  options.pins = pins;
  options.num_pins = 1;
  options.effort = &effort;
  options.budget = 1;
  options.tuning_db = "/nowhere/tuning.txt";  // not read at effort 0
  tenon_engine_file* file = nullptr;
  tenon_engine* engine = nullptr;
  ASSERT_EQ(tenon_build_file(kModel.c_str(), &options, &file), nullptr);
  ASSERT_EQ(tenon_engine_load_file(file, nullptr, &engine), nullptr);
  tenon_tensor_info info = {};
  info.struct_size = sizeof info;
  EXPECT_EQ(tenon_engine_input(engine, 0, &info), nullptr);
  EXPECT_EQ(info.type, int32_t(DataType::bfloat16));
  EXPECT_EQ(tenon_engine_output(engine, 0, &info), nullptr);
  EXPECT_EQ(info.type, int32_t(DataType::float16));
  tenon_engine_destroy(engine);
  tenon_engine_file_destroy(file);
  options.num_io_types = options.num_pins = 1;
  for (const char* const** list : {&options.io_types, &options.pins}) {
    *list = wrong;
    tenon_status* status = tenon_build_file(kModel.c_str(), &options, &file);
    EXPECT_EQ(tenon_status_code(status), TENON_INVALID_ARGUMENT);
    EXPECT_NE(std::string(tenon_status_message(status)).find("'image' is not NAME=TYPE"), std::string::npos);
    tenon_status_destroy(status);
    *list = list == &options.io_types ? types : pins;
  }
}

}  // namespace
}  // namespace tenon
