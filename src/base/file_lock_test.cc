#include "base/file_lock.h"

#include <gtest/gtest.h>

namespace tenon {
namespace {

TEST(FileLock, OneHolderAtATime) {
  const std::string path = testing::TempDir() + "/tenon_file_lock/held.lock";
  FileLock second(path);
  {
    FileLock first(path);
    ASSERT_TRUE(first.wait());
    EXPECT_FALSE(second.try_now());
  }
  EXPECT_TRUE(second.try_now());
  EXPECT_TRUE(second.wait()) << "whoever holds it may ask again";
}

TEST(FileLock, WhereNoFileCanBe) {
  FileLock lock("/proc/no such folder/lock");
  EXPECT_FALSE(lock.usable());
  EXPECT_FALSE(lock.wait());
  EXPECT_FALSE(lock.try_now());
}

}  // namespace
}  // namespace tenon
