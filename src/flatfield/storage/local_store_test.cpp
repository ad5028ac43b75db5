#include "flatfield/storage/local_store.h"

#include <gtest/gtest.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "flatfield/storage/file_error.h"
#include "flatfield/storage/passing_files.h"
#include "flatfield/storage/store_exam.h"

namespace flatfield::storage {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

/// An empty folder that exists until the end of the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "flatfield_store_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot create " + name);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

StoreMaker maker(const char* name, Caching caching) {
  return {name, [caching] {
            auto folder = std::make_shared<TemporaryFolder>();
            const auto store = open_local_store(folder->path() / "not" / "yet", Sync::kNone, caching);
            // The folder lives as long as the store.
            return std::shared_ptr<Store>(store.get(), [folder, store](Store*) {});
          }};
}

INSTANTIATE_TEST_SUITE_P(Local, StoreExam,
                         testing::Values(maker("local", Caching::kKept), maker("passing", Caching::kPassing)),
                         [](const auto& param_info) { return param_info.param.name; });

class LocalStore : public testing::Test {
 protected:
  [[nodiscard]] fs::path path(const std::string& key) const { return folder_.path() / key; }
  [[nodiscard]] Names files() const {
    Names names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path()))
      if (!entry.is_directory())
        names.push_back(fs::relative(entry.path(), folder_.path()).string());
    return names;
  }

  TemporaryFolder folder_;
  std::shared_ptr<Store> store_ = open_local_store(folder_.path());
};

TEST_F(LocalStore, objects_are_plain_files) {
  put_text(*store_, "a/b", "text");
  std::ifstream file(path("a/b"));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "text");
  EXPECT_EQ(files(), Names{"a/b"});
}

TEST_F(LocalStore, names_files_by_their_absolute_path) {
  EXPECT_EQ(store_->describe("a/b"), path("a/b").string());
  EXPECT_EQ(open_local_store("some/where/")->describe("a"),
            (fs::current_path() / "some/where/a").string());
  EXPECT_EQ(error_code_of([] { (void)open_local_store(""); }), ErrorCode::kReadFailed);
}

TEST_F(LocalStore, makes_a_folder_again_that_was_removed_meanwhile) {
  put_text(*store_, "a/b/1", "1");
  fs::remove_all(path("a"));
  put_text(*store_, "a/b/2", "2");
  EXPECT_EQ(get_text(*store_, "a/b/2"), "2");
}

TEST_F(LocalStore, puts_where_another_removes_the_empty_folders_all_the_time) {
  std::atomic<bool> done{false};
  std::thread remover([&] {
    std::error_code ignored;
    while (!done) {
      fs::remove(path("a/b/c"), ignored);
      fs::remove(path("a/b"), ignored);
      fs::remove(path("a"), ignored);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
  for (int i = 0; i < 300; ++i) {
    EXPECT_NO_THROW(put_text(*store_, "a/b/c/" + std::to_string(i), "x"));
    EXPECT_NO_THROW(store_->erase("a/b/c/" + std::to_string(i)));
  }
  done = true;
  remover.join();
}

TEST_F(LocalStore, a_put_that_fails_keeps_the_old_object_and_leaves_nothing_else) {
  put_text(*store_, "a", "old");
  // The only failure in the middle of a write that needs no special disk: a limit on file sizes.
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small_limit{1000, old_limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small_limit), 0);
  const std::string large(5000, 'x');
  const ErrorCode code = error_code_of([&] { put_text(*store_, "a", large); });
  const ErrorCode code_of_new = error_code_of([&] { put_text(*store_, "b/c", large); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(code, ErrorCode::kWriteFailed);
  EXPECT_EQ(code_of_new, ErrorCode::kWriteFailed);
  EXPECT_EQ(get_text(*store_, "a"), "old");
  EXPECT_EQ(files(), Names{"a"});
}

TEST_F(LocalStore, a_put_onto_a_folder_fails_and_leaves_nothing) {
  put_text(*store_, "a/b", "x");
  EXPECT_EQ(error_code_of([&] { put_text(*store_, "a", "y"); }), ErrorCode::kWriteFailed);
  EXPECT_EQ(files(), Names{"a/b"});
}

TEST_F(LocalStore, a_put_below_a_file_fails_and_says_so) {
  put_text(*store_, "a", "x");
  try {
    put_text(*store_, "a/b", "y");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kWriteFailed);
    EXPECT_EQ(error.where(), path("a/b").string());
    EXPECT_EQ(error.remedy(), "a file is where a folder is needed: move it away");
  }
}

TEST_F(LocalStore, does_not_list_temporary_files_of_a_process_that_was_killed) {
  for (const char* name : {"0.tmp-123-4", "1", "2.tmp-x", "3.tmp-"}) std::ofstream(path(name)) << 1;
  fs::create_directory(path("run.tmp-1-1"));
  EXPECT_EQ(store_->list(""), (Names{"1", "2.tmp-x", "3.tmp-", "run.tmp-1-1/"}));
}

TEST_F(LocalStore, temporary_files_of_a_process_that_was_killed_are_leftovers) {
  fs::create_directories(path("a/b"));
  for (const char* name : {"0.tmp-123-4", "a/b/1.tmp-5-6", "a/b/1", "2.tmp-x"}) std::ofstream(path(name)) << 1;
  store_->erase_leftovers("");
  EXPECT_FALSE(fs::exists(path("0.tmp-123-4")));
  EXPECT_FALSE(fs::exists(path("a/b/1.tmp-5-6")));
  EXPECT_EQ(store_->list(""), (Names{"2.tmp-x", "a/"}));
  EXPECT_EQ(store_->list("a/b"), Names{"1"});
}

TEST_F(LocalStore, writes_the_same_however_much_is_synchronised) {
  for (const Sync sync : {Sync::kNone, Sync::kClose, Sync::kFull}) {
    const auto store = open_local_store(path("s" + std::to_string(static_cast<int>(sync))), sync);
    put_text(*store, "a/b", "content");
    EXPECT_EQ(get_text(*store, "a/b"), "content");
    EXPECT_EQ(store->list("a"), Names{"b"});
  }
}

TEST_F(LocalStore, a_stale_temporary_file_does_not_stop_a_put) {
  // The name of one temporary file tells which ones come next.
  const int watch = ::inotify_init1(IN_NONBLOCK);
  ASSERT_GE(watch, 0);
  ASSERT_GE(::inotify_add_watch(watch, folder_.path().c_str(), IN_CREATE), 0);
  put_text(*store_, "a", "old");
  alignas(inotify_event) char buffer[4096];
  ASSERT_GT(::read(watch, buffer, sizeof buffer), 0);
  ::close(watch);
  const std::string name = reinterpret_cast<const inotify_event*>(buffer)->name;
  const std::size_t dash = name.rfind('-');
  ASSERT_EQ(name.substr(0, dash), "a.tmp-" + std::to_string(::getpid()));
  const int number = std::stoi(name.substr(dash + 1));
  for (int n = number + 1; n < number + 4; ++n)
    std::ofstream(path("a.tmp-" + std::to_string(::getpid()) + "-" + std::to_string(n))) << "stale";

  put_text(*store_, "a", "new");
  EXPECT_EQ(get_text(*store_, "a"), "new");
  EXPECT_EQ(files().size(), 4U);
}

TEST_F(LocalStore, reads_over_symbolic_links_but_never_erases_behind_them) {
  const TemporaryFolder elsewhere;
  std::ofstream(elsewhere.path() / "precious") << "gold";
  fs::create_directory_symlink(elsewhere.path(), path("link"));
  put_text(*store_, "t/x", "x");
  fs::create_directory_symlink(elsewhere.path(), path("t/link"));
  EXPECT_EQ(get_text(*store_, "link/precious"), "gold");
  EXPECT_EQ(store_->list(""), (Names{"link/", "t/"}));

  EXPECT_EQ(error_code_of([&] { store_->erase_prefix("link/deeper"); }), ErrorCode::kWriteFailed);
  store_->erase_prefix("link");
  EXPECT_FALSE(fs::is_symlink(path("link"))) << "the link itself is removed";
  EXPECT_EQ(error_code_of([&] { store_->erase_prefix("t/link/deeper"); }), ErrorCode::kWriteFailed);
  store_->erase_prefix("t");  // removes the link itself
  EXPECT_FALSE(fs::exists(path("t")));
  store_->erase_prefix("");
  EXPECT_TRUE(fs::exists(elsewhere.path() / "precious"));
  EXPECT_EQ(store_->list(""), Names{});
}

TEST_F(LocalStore, what_cannot_be_looked_at_does_not_pass_for_removed) {
  const std::string too_long(300, 'x');
  EXPECT_EQ(error_code_of([&] { store_->erase_prefix(too_long + "/t"); }), ErrorCode::kWriteFailed);
  EXPECT_EQ(error_code_of([&] { store_->erase_prefix(too_long); }), ErrorCode::kWriteFailed);
  put_text(*store_, "file", "x");
  store_->erase_prefix("file/t");  // there is nothing
  store_->erase_prefix("none/t");
}

TEST_F(LocalStore, a_link_that_leads_nowhere_is_absent) {
  fs::create_symlink("nowhere", path("dangling"));
  Buffer into;
  EXPECT_FALSE(store_->get("dangling", into));
  EXPECT_EQ(store_->list(""), Names{});
}

TEST_F(LocalStore, refuses_a_pipe_instead_of_waiting_for_it) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  Buffer into;
  EXPECT_EQ(error_code_of([&] { (void)store_->get("pipe", into); }), ErrorCode::kReadFailed);
}

TEST_F(LocalStore, a_file_that_may_not_be_read_is_an_error_and_not_absent) {
  if (::geteuid() == 0) GTEST_SKIP() << "the superuser may read everything";
  put_text(*store_, "secret", "x");
  fs::permissions(path("secret"), fs::perms::none);
  Buffer into;
  EXPECT_EQ(error_code_of([&] { (void)store_->get("secret", into); }), ErrorCode::kReadFailed);
}

TEST_F(LocalStore, a_loop_of_links_is_an_error_and_not_absent) {
  fs::create_symlink("loop", path("loop"));
  Buffer into;
  EXPECT_EQ(error_code_of([&] { (void)store_->get("loop", into); }), ErrorCode::kReadFailed);
  EXPECT_EQ(error_code_of([&] { (void)store_->size("loop"); }), ErrorCode::kReadFailed);
}

/// Pages of a file that are in the page cache.
std::size_t cached_pages(const std::string& path) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t size = fs::file_size(path);
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
  std::vector<unsigned char> resident((size + page - 1) / page);
  const int failed = ::mincore(memory, size, resident.data());
  ::munmap(memory, size);
  ::close(file);
  if (failed != 0) throw std::runtime_error("mincore");
  return static_cast<std::size_t>(std::ranges::count_if(resident, [](unsigned char r) { return (r & 1U) != 0; }));
}

TEST_F(LocalStore, of_passing_files_leaves_nothing_in_the_page_cache) {
  const std::string content(1 << 16, 'x');
  const auto kept = open_local_store(folder_.path(), Sync::kClose);
  const auto passing = open_local_store(folder_.path(), Sync::kClose, Caching::kPassing);
  put_text(*kept, "kept", content);
  const int file = ::open(path("kept").c_str(), O_RDONLY | O_CLOEXEC);
  ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  ::close(file);
  if (cached_pages(path("kept")) != 0) GTEST_SKIP() << "this file system takes no advice";

  EXPECT_EQ(get_text(*kept, "kept"), content);
  EXPECT_GT(cached_pages(path("kept")), 0U);
  EXPECT_EQ(get_text(*passing, "kept"), content);
  EXPECT_EQ(cached_pages(path("kept")), 0U);

  // What is written leaves the cache after some more files, at the latest with the store.
  auto writing = open_local_store(folder_.path(), Sync::kClose, Caching::kPassing);
  for (std::size_t i = 0; i <= PassingFiles::kUnderWay; ++i) put_text(*writing, "w" + std::to_string(i), content);
  EXPECT_EQ(cached_pages(path("w0")), 0U);
  const std::string last = path("w" + std::to_string(PassingFiles::kUnderWay));
  EXPECT_GT(cached_pages(last), 0U);
  writing.reset();
  EXPECT_EQ(cached_pages(last), 0U);
}

/// Files that this process has open and that have no name any more: network file systems keep them in their folder, which
/// cannot be removed then.
std::size_t removed_files_that_are_open() {
  std::size_t count = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    count += fs::read_symlink(entry.path(), gone).string().ends_with(" (deleted)") ? 1 : 0;
  }
  return count;
}

TEST_F(LocalStore, of_passing_files_keeps_none_open) {
  const std::size_t before = removed_files_that_are_open();
  const auto store = open_local_store(folder_.path(), Sync::kNone, Caching::kPassing);
  put_text(*store, "a/probe", "x");
  store->erase("a/probe");
  put_text(*store, "a/b", "x");
  store->erase_prefix("a");
  EXPECT_EQ(removed_files_that_are_open(), before);
}

TEST(FileError, says_what_failed_where_why_and_what_to_do) {
  try {
    throw_file_error(ErrorCode::kWriteFailed, "write", "/data/out/0/1", ENOSPC);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kWriteFailed);
    EXPECT_STREQ(
        error.what(),
        "cannot write: No space left on device: /data/out/0/1: the disk is full: free some "
        "space or choose another place");
  }
}

}  // namespace
}  // namespace flatfield::storage
