#include "autotune/database.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/mapped_file.h"

namespace tenon {
namespace {

TuningKey key(const std::string& variant, const std::string& device = "a GPU") { return {device, "cuda:sm_90a", "tenon 1", "(f16[8]) %1 = Relu(%0)", variant}; }

std::string in_folder(const char* name) {
  const std::string folder = ::testing::TempDir() + "tenon_tuning_" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
  std::filesystem::remove_all(folder);
  return folder + "/" + name;
}

TEST(TuningDatabase, ReadsWhatItWrites) {
  TuningDatabase db;
  db.add(key("b"), {1.25e-6, 3e-8, ""});
  db.add(key("a"), {0, 0, "it\tfaults\nat once"});
  db.add({"two  words \t", "t", "v", "s", "x"}, {2, 0, ""});
  const std::string text = db.to_text();
  EXPECT_EQ(text,
            "# tenon tuning database 1\n"
            "a GPU\tcuda:sm_90a\ttenon 1\t(f16[8]) %1 = Relu(%0)\ta\tfailed\tit faults at once\n"
            "a GPU\tcuda:sm_90a\ttenon 1\t(f16[8]) %1 = Relu(%0)\tb\t1.25e-06\t3e-08\n"
            "two words\tt\tv\ts\tx\t2\t0\n");
  auto again = TuningDatabase::parse(text, "t");
  ASSERT_TRUE(again.ok()) << again.status().to_string();
  EXPECT_EQ(again->to_text(), text);
  EXPECT_TRUE(again->complaints().empty());
  ASSERT_NE(again->find(key("b")), nullptr);
  EXPECT_EQ(again->find(key("b"))->seconds, 1.25e-6);
  EXPECT_EQ(again->find(key("a"))->failure, "it faults at once");
  EXPECT_NE(again->find({"two words", "t", "v", "s", "x"}), nullptr);
  EXPECT_EQ(again->find(key("c")), nullptr);
}

TEST(TuningDatabase, FilesBehindEachOtherAreOneFile) {
  TuningDatabase a, b;
  a.add(key("x"), {5, 1, ""});
  a.add(key("y"), {5, 1, ""});
  a.add(key("z"), {0, 0, "no"});
  b.add(key("x"), {4, 2, ""});
  b.add(key("y"), {0, 0, "no"});
  b.add(key("z"), {7, 0, ""});
  for (const std::string& text : {a.to_text() + b.to_text(), b.to_text() + a.to_text()}) {
    auto both = TuningDatabase::parse(text, "t");
    ASSERT_TRUE(both.ok()) << both.status().to_string();
    EXPECT_EQ(both->size(), 3u);
    EXPECT_EQ(both->find(key("x"))->seconds, 4);
    EXPECT_EQ(both->find(key("y"))->seconds, 5);
    EXPECT_EQ(both->find(key("z"))->seconds, 7);
  }
}

TEST(TuningDatabase, ForeignLinesAreNamedAndKept) {
  const std::string good = "d\tt\tv\ts\tx\t1e-05\t0.0\n";
  auto db = TuningDatabase::parse("# tenon tuning database 1\n" + good + "\nwhat is this\nd\tt\tv\ts\ty\t-1\t0\nd\tt\tv\ts\ty\tnan\t0\nd\tt\tv\ts\t\t1\t0\n", "my.txt");
  ASSERT_TRUE(db.ok());
  EXPECT_EQ(db->size(), 1u);
  ASSERT_EQ(db->complaints().size(), 4u);
  EXPECT_EQ(db->complaints()[0], "'my.txt', line 4 is no measurement and is passed over: what is this");
  EXPECT_NE(db->to_text().find("\nwhat is this\n"), std::string::npos);
}

TEST(TuningDatabase, OtherFilesAreLeftAlone) {
  EXPECT_EQ(TuningDatabase::parse("to do: buy milk\n", "t").status().code(), Code::data_loss);
  const Status newer = TuningDatabase::parse("# tenon tuning database 2\n", "t").status();
  EXPECT_EQ(newer.code(), Code::incompatible);
  EXPECT_NE(newer.message().find("line 1"), std::string::npos);
  EXPECT_TRUE(TuningDatabase::parse("", "t").ok());
  EXPECT_TRUE(TuningDatabase::load("/nowhere/at/all.txt").ok());
  const std::string path = in_folder("notes.txt");
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  ASSERT_TRUE(write_file_atomically(path, "to do: buy milk\n").ok());
  TuningDatabase db;
  db.add(key("x"), {1, 0, ""});
  EXPECT_FALSE(db.save_into(path).ok());
  EXPECT_EQ(std::filesystem::file_size(path), 16u);
}

TEST(TuningDatabase, OfAnyDeviceTheFirstThatKnows) {
  TuningDatabase db;
  db.add(key("x", "B"), {2, 0, ""});
  db.add(key("x", "C"), {3, 0, ""});
  db.add(key("y", "A"), {1, 0, ""});
  ASSERT_NE(db.find_on_any_device(key("x", "")), nullptr);
  EXPECT_EQ(db.find_on_any_device(key("x", ""))->seconds, 2);
  EXPECT_EQ(db.find_on_any_device(key("y", ""))->seconds, 1);
  EXPECT_EQ(db.find_on_any_device(key("z", "")), nullptr);
}

TEST(TuningDatabase, BuildsAtOnceLoseNothing) {
  const std::string path = in_folder("folder/tuning.txt");
  std::vector<std::thread> builds;
  for (int b = 0; b < 4; ++b)
    builds.emplace_back([&, b] {
      for (int i = 0; i < 5; ++i) {
        TuningDatabase db;
        db.add(key(cat("own ", b, " ", i)), {1, 0, ""});
        db.add(key("shared"), {double(b + 1), 0, ""});
        auto kept = db.save_into(path);
        EXPECT_TRUE(kept.ok()) << kept.status().to_string();
      }
    });
  for (std::thread& t : builds) t.join();
  auto all = TuningDatabase::load(path);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->size(), 21u);
  // What is there stays, so that all who read it agree.
  TuningDatabase faster;
  faster.add(key("shared"), {0.5, 0, ""});
  EXPECT_EQ(faster.save_into(path)->find(key("shared"))->seconds, all->find(key("shared"))->seconds);
}

}  // namespace
}  // namespace tenon
