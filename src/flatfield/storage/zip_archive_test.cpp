#include "flatfield/storage/zip_archive.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "flatfield/core/error.h"
#include "flatfield/storage/memory_store.h"

namespace flatfield::storage {
namespace {

using Bytes = std::vector<std::byte>;

class ZipArchiveTest : public testing::Test {
 protected:
  std::shared_ptr<MemoryStore> store_ = std::make_shared<MemoryStore>();
  std::mt19937 random_{11};  // the seed of every run

  Bytes random_bytes(std::size_t count, unsigned values) {
    Bytes bytes(count);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random_() % values);
    return bytes;
  }
  void write(const std::map<std::string, Bytes>& content) {
    ZipWriter zip(store_->create("a.npz"));
    for (const auto& [name, bytes] : content) {
      zip.begin(name, name.starts_with("d"));
      const std::span<const std::byte> all(bytes);
      zip.append(all.first(all.size() / 3));
      zip.append(all.subspan(all.size() / 3));
    }
    zip.finish();
  }
  [[nodiscard]] Bytes object() const {
    Buffer bytes;
    EXPECT_TRUE(store_->get("a.npz", bytes));
    return {bytes.span().begin(), bytes.span().end()};
  }
};

TEST_F(ZipArchiveTest, gives_back_what_was_written_and_writes_the_same_bytes_again) {
  const std::map<std::string, Bytes> content{{"stored", random_bytes(100'000, 256)},
                                             {"deflated", random_bytes(3'000'001, 4)},
                                             {"dense", random_bytes(2'500'000, 256)},
                                             {"d/empty", {}},
                                             {"empty", {}}};
  write(content);
  const Bytes first = object();
  write(content);
  EXPECT_EQ(object(), first);
  EXPECT_LT(first.size(), 3'800'000U);  // the deflated one shrinks to a quarter and a bit
  const ZipReader zip(store_, "a.npz");
  ASSERT_EQ(zip.entries().size(), content.size());
  for (const auto& [name, bytes] : content) {
    const ZipReader::Entry* entry = zip.find(name);
    ASSERT_NE(entry, nullptr) << name;
    ASSERT_EQ(entry->raw_bytes, bytes.size());
    Bytes read(bytes.size());
    zip.read(*entry, read);
    EXPECT_EQ(read, bytes) << name;
  }
  zip.check_whole();
  EXPECT_EQ(zip.find("other"), nullptr);
}

TEST_F(ZipArchiveTest, pieces_without_bytes_change_nothing) {
  const Bytes head = random_bytes(128, 256);
  for (const bool deflated : {false, true}) {
    const auto bytes_of = [&](const auto& append) {
      ZipWriter zip(store_->create("a.npz"));
      zip.begin("a", deflated);
      append(zip);
      zip.finish();
      return object();
    };
    const Bytes whole = bytes_of([&](ZipWriter& zip) { zip.append(head); });
    EXPECT_EQ(bytes_of([&](ZipWriter& zip) {
                zip.append({});
                zip.append(head);
                zip.append({});
              }),
              whole);
    const ZipReader zip(store_, "a.npz");
    Bytes read(head.size());
    zip.read(*zip.find("a"), read, {});
    EXPECT_EQ(read, head);
  }
}

TEST_F(ZipArchiveTest, every_flipped_bit_and_every_missing_end_is_noticed) {
  write({{"d", random_bytes(50, 4)}, {"stored", random_bytes(20, 256)}});
  const Bytes whole = object();
  const auto is_refused = [&](const Bytes& bytes) {
    store_->put("a.npz", bytes);
    try {
      ZipReader(store_, "a.npz").check_whole();
    } catch (const Error& error) {
      return error.code() == ErrorCode::kBadInput && error.where().find("a.npz") != std::string::npos;
    }
    return false;
  };
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    Bytes flipped = whole;
    flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    ASSERT_TRUE(is_refused(flipped)) << "bit " << bit << " of " << 8 * whole.size();
  }
  for (std::size_t length = 0; length < whole.size(); ++length)
    ASSERT_TRUE(is_refused({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)})) << length;
}

TEST_F(ZipArchiveTest, a_damaged_entry_is_named) {
  write({{"d", random_bytes(5000, 4)}});
  Bytes bytes = object();
  bytes[300] ^= std::byte{1};
  store_->put("a.npz", bytes);
  const ZipReader zip(store_, "a.npz");
  Bytes into(5000);
  try {
    zip.read(zip.entries().front(), into);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_NE(error.message().find("the entry d"), std::string::npos);
  }
}

TEST_F(ZipArchiveTest, an_absent_archive_is_not_found) {
  try {
    ZipReader(store_, "a.npz");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
}

}  // namespace
}  // namespace flatfield::storage
