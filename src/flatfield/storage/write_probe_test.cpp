#include "flatfield/storage/write_probe.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "flatfield/core/error.h"
#include "flatfield/storage/memory_store.h"

namespace flatfield::storage {
namespace {

TEST(WriteProbe, leaves_nothing) {
  MemoryStore store;
  EXPECT_NO_THROW(prove_writable(store));
  EXPECT_TRUE(store.list("").empty());
}

TEST(WriteProbe, refuses_the_place_of_the_input_under_whatever_name_and_leaves_nothing) {
  MemoryStore store;
  MemoryStore other;
  EXPECT_NO_THROW(prove_writable(store, &other));
  try {
    prove_writable(store, &store);
    ADD_FAILURE() << "no error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
  }
  EXPECT_TRUE(store.list("").empty());
}

TEST(WriteProbe, leaves_nothing_where_it_may_be_written_but_not_read) {
  class UnreadableStore : public MemoryStore {
   public:
    bool get(std::string_view, Buffer&) const override { throw Error(ErrorCode::kReadFailed, "access denied"); }
  };
  UnreadableStore store;
  try {
    prove_writable(store);
    ADD_FAILURE() << "no error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "access denied");
  }
  EXPECT_TRUE(store.list("").empty());
}

TEST(WriteProbe, says_what_went_wrong_first_where_it_may_not_be_removed_either) {
  class FrozenStore : public MemoryStore {
   public:
    bool get(std::string_view, Buffer&) const override { throw Error(ErrorCode::kReadFailed, "access denied"); }
    void erase(std::string_view) override { throw Error(ErrorCode::kWriteFailed, "not removed"); }
  };
  FrozenStore store;
  try {
    prove_writable(store);
    ADD_FAILURE() << "no error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "access denied");
  }
  ASSERT_EQ(store.list("").size(), 1U);
  EXPECT_TRUE(is_probe(store.list("").front()));
}

}  // namespace
}  // namespace flatfield::storage
