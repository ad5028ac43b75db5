#include "flatfield/storage/local_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <system_error>
#include <thread>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/storage/file_error.h"
#include "flatfield/storage/passing_files.h"

namespace flatfield::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporaryMark = ".tmp-";
/// How often a file is tried to be made where its folder is gone each time.
constexpr int kFolderAttempts = 40;

/// Owns an open file; -1 = none.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~FileDescriptor() { close(); }

  [[nodiscard]] int number() const { return number_; }
  /// The errno of closing, 0 if it went well. A network file system may only now find out that
  /// what was written does not fit.
  int close() {
    if (number_ < 0) return 0;
    return ::close(std::exchange(number_, -1)) == 0 ? 0 : errno;
  }

 private:
  int number_ = -1;
};

/// A regular file that is open for reading.
struct OpenFile {
  FileDescriptor descriptor;
  std::uint64_t size = 0;
};

bool means_absent(int error_number) { return error_number == ENOENT || error_number == ENOTDIR; }

/// None if there is no file of this name; a folder is none.
std::optional<OpenFile> open_existing(const std::string& path) {
  int number = -1;
  // O_NONBLOCK: opening a pipe that nobody writes to must not wait for ever.
  do {
    number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } while (number < 0 && errno == EINTR);
  if (number < 0) {
    if (means_absent(errno)) return std::nullopt;
    throw_file_error(ErrorCode::kReadFailed, "open", path, errno);
  }
  OpenFile file{FileDescriptor(number), 0};
  struct stat status {};
  if (::fstat(number, &status) != 0) throw_file_error(ErrorCode::kReadFailed, "read", path, errno);
  if (S_ISDIR(status.st_mode)) return std::nullopt;
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorCode::kReadFailed, "not a regular file", path, "replace or remove it");
  file.size = static_cast<std::uint64_t>(status.st_size);
  return file;
}

/// Fills `into` from the bytes of a file from `offset` on.
void read_exactly(const OpenFile& file, std::uint64_t offset, std::span<std::byte> into,
                  const std::string& path) {
  while (!into.empty()) {
    const ssize_t n =
        ::pread(file.descriptor.number(), into.data(), into.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_file_error(ErrorCode::kReadFailed, "read", path, errno);
    if (n == 0)
      throw Error(ErrorCode::kReadFailed, "the file became shorter while it was read", path,
                  "let nothing else write to it and start again");
    offset += static_cast<std::uint64_t>(n);
    into = into.subspan(static_cast<std::size_t>(n));
  }
}

/// Returns 0 or the errno of the failure.
int write_all(const FileDescriptor& file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file.number(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return EIO;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return 0;
}

/// True for names that `put` gives to its temporary files: "NAME.tmp-<pid>-<n>".
bool is_temporary_name(std::string_view name) {
  const std::size_t mark = name.rfind(kTemporaryMark);
  if (mark == std::string_view::npos) return false;
  const std::string_view numbers = name.substr(mark + kTemporaryMark.size());
  return !numbers.empty() && numbers.find_first_not_of("0123456789-") == std::string_view::npos;
}

/// 0 or the errno of the failure.
int make_folder(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  return failure.value();
}

/// The deepest folder that is there on the way to a path.
fs::path deepest_folder(fs::path folder) {
  std::error_code ignored;
  while (folder.has_relative_path() && !fs::exists(folder, ignored)) folder = folder.parent_path();
  return folder.empty() ? fs::path(".") : folder;
}

/// A file under a temporary name beside its final one, which it gets when it is complete.
class TemporaryFile final : public ObjectWriter {
 public:
  TemporaryFile(std::string path, Sync sync, std::shared_ptr<PassingFiles> passing)
      : path_(std::move(path)), sync_(sync), passing_(std::move(passing)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() override { discard(); }

  void append(std::span<const std::byte> bytes) override {
    if (name_.empty()) open();
    if (const int failure = write_all(file_, bytes); failure != 0) fail(failure);
  }

  void commit() override {
    if (name_.empty()) open();
    if (sync_ != Sync::kNone && ::fsync(file_.number()) != 0) fail(errno);
    if (passing_) PassingFiles::send_off(file_.number());
    if (const int failure = file_.close(); failure != 0) fail(failure);
    if (std::rename(name_.c_str(), path_.c_str()) != 0) fail(errno);
    name_.clear();
    if (passing_) passing_->was_written(path_);
    if (sync_ == Sync::kFull) sync_folders();
  }

 private:
  /// The folder is made only when the first attempt shows that it is missing: no memory of made
  /// folders is needed, and one that was removed meanwhile comes back.
  void open() {
    if (failed_ != 0) throw_file_error(ErrorCode::kWriteFailed, "write", path_, failed_);
    static std::atomic<std::uint64_t> next{0};
    for (int attempt = 1;;) {
      std::string name = fmt::format("{}{}{}-{}", path_, kTemporaryMark, ::getpid(), next++);
      const int number =
          ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_t{0666});
      if (number >= 0) {
        file_ = FileDescriptor(number);
        name_ = std::move(name);
        return;
      }
      // EEXIST: left by a process that was killed, or by one of the same id on another host.
      if (errno == EINTR || errno == EEXIST) continue;
      // Another process may remove the folders that it made itself, while they are empty.
      if (errno != ENOENT || attempt == kFolderAttempts)
        throw_file_error(ErrorCode::kWriteFailed, "create", path_, errno);
      if (attempt++ > 1) std::this_thread::sleep_for(std::chrono::milliseconds(attempt));
      const fs::path folder = fs::path(path_).parent_path();
      if (sync_ == Sync::kFull && made_below_.empty()) made_below_ = deepest_folder(folder);
      const int failure = make_folder(folder);
      if (failure != 0 && failure != ENOENT && failure != EEXIST)
        throw_file_error(ErrorCode::kWriteFailed, "create the folder", folder.string(), failure);
    }
  }

  [[noreturn]] void fail(int error_number) {
    discard();
    failed_ = error_number;
    throw_file_error(ErrorCode::kWriteFailed, "write", path_, error_number);
  }

  /// A name is on the disk when the folder that holds it is; so are the names of the folders that were made for it.
  void sync_folders() {
    fs::path folder = fs::path(path_).parent_path();
    for (;; folder = folder.parent_path()) {
      if (folder.empty()) folder = ".";
      const FileDescriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (opened.number() < 0 || ::fsync(opened.number()) != 0) fail(errno);
      if (made_below_.empty() || folder == made_below_ || !folder.has_relative_path() || folder == ".") return;
    }
  }

  void discard() noexcept {
    if (name_.empty()) return;
    file_.close();
    ::unlink(name_.c_str());
    name_.clear();
  }

  std::string path_;
  Sync sync_;
  std::shared_ptr<PassingFiles> passing_;
  FileDescriptor file_;
  fs::path made_below_;  ///< the folder that the folders were made in; empty if none was
  std::string name_;     ///< of the temporary file; empty while there is none
  int failed_ = 0;    ///< errno of the first failure: half a file is never committed
};

class LocalStore final : public Store {
 public:
  LocalStore(std::string absolute_root, Sync sync, Caching caching)
      : root_(std::move(absolute_root)),
        sync_(sync),
        passing_(caching == Caching::kPassing ? std::make_shared<PassingFiles>() : nullptr) {}

  bool get(std::string_view key, Buffer& into) const override {
    check_key(key);
    into.truncate(0);
    const std::string path = path_of(key);
    const std::optional<OpenFile> file = open_existing(path);
    if (!file) return false;
    read_part(*file, {0, file->size}, into, path);
    return true;
  }

  bool get_range(std::string_view key, ByteRange range, Buffer& into) const override {
    check_key(key);
    into.truncate(0);
    const std::string path = path_of(key);
    const std::optional<OpenFile> file = open_existing(path);
    if (!file) return false;
    if (range.offset > file->size || range.length > file->size - range.offset)
      throw Error(ErrorCode::kBadInput,
                  fmt::format("expected {} bytes from byte {} on, but the file has only {}",
                              range.length, range.offset, file->size),
                  path, "the file is truncated: copy it again from its source");
    read_part(*file, range, into, path);
    return true;
  }

  std::optional<std::uint64_t> get_tail(std::string_view key, std::uint64_t length,
                                        Buffer& into) const override {
    check_key(key);
    into.truncate(0);
    const std::string path = path_of(key);
    const std::optional<OpenFile> file = open_existing(path);
    if (!file) return std::nullopt;
    if (length > file->size)
      throw Error(
          ErrorCode::kBadInput,
          fmt::format("expected at least {} bytes, but the file has only {}", length, file->size),
          path, "the file is truncated: copy it again from its source");
    read_exactly(*file, file->size - length, into.resize(length), path);
    return file->size;
  }

  void put(std::string_view key, std::span<const std::byte> bytes) override {
    check_key(key);
    TemporaryFile file(path_of(key), sync_, passing_);
    file.append(bytes);
    file.commit();
  }

  std::unique_ptr<ObjectWriter> create(std::string_view key) override {
    check_key(key);
    return std::make_unique<TemporaryFile>(path_of(key), sync_, passing_);
  }

  std::optional<std::uint64_t> size(std::string_view key) const override {
    const std::optional<struct stat> status = status_of(key);
    if (!status) return std::nullopt;
    return static_cast<std::uint64_t>(status->st_size);
  }

  std::optional<ObjectStamp> stamp(std::string_view key) const override {
    const std::optional<struct stat> status = status_of(key);
    if (!status) return std::nullopt;
    return ObjectStamp{static_cast<std::uint64_t>(status->st_size),
                       fmt::format("{}.{:09}", status->st_mtim.tv_sec, status->st_mtim.tv_nsec)};
  }

  std::vector<std::string> list(std::string_view prefix) const override {
    if (!prefix.empty()) check_key(prefix);
    const std::string path = path_of(prefix);
    std::vector<std::string> names;
    std::error_code failure;
    for (fs::directory_iterator it(path, failure), end; !failure && it != end;
         it.increment(failure)) {
      std::string name = it->path().filename().string();
      std::error_code ignored;  // an entry that vanishes meanwhile is neither kind
      const fs::file_type type = it->status(ignored).type();
      if (type == fs::file_type::directory)
        names.push_back(std::move(name) + '/');
      else if (type == fs::file_type::regular && !is_temporary_name(name))
        names.push_back(std::move(name));
    }
    if (failure && !means_absent(failure.value()))
      throw_file_error(ErrorCode::kReadFailed, "list", path, failure.value());
    std::sort(names.begin(), names.end());
    return names;
  }

  void erase(std::string_view key) override {
    check_key(key);
    const std::string path = path_of(key);
    // EISDIR: a folder of that name is no object.
    if (::unlink(path.c_str()) != 0 && !means_absent(errno) && errno != EISDIR)
      throw_file_error(ErrorCode::kWriteFailed, "remove", path, errno);
  }

  void erase_prefix(std::string_view prefix) override {
    if (!prefix.empty()) check_key(prefix);
    if (!prefix.empty() && !is_own(prefix)) return;
    const fs::path folder = path_of(prefix);
    std::error_code failure;
    if (prefix.empty()) {
      // The root itself stays.
      for (fs::directory_iterator it(folder, failure), end; !failure && it != end;
           it.increment(failure)) {
        fs::remove_all(it->path(), failure);
        if (failure) break;
      }
    } else {
      fs::remove_all(folder, failure);  // of a link the link itself
    }
    if (failure && !means_absent(failure.value()))
      throw_file_error(ErrorCode::kWriteFailed, "remove", folder.string(), failure.value());
  }

  void erase_leftovers(std::string_view prefix) override {
    if (!prefix.empty()) check_key(prefix);
    const std::string path = path_of(prefix);
    std::error_code failure;
    std::vector<fs::path> found;
    for (fs::recursive_directory_iterator it(path, failure), end; !failure && it != end; it.increment(failure))
      if (is_temporary_name(it->path().filename().string()) && it->is_regular_file(failure)) found.push_back(it->path());
    for (const fs::path& leftover : found)
      if (!failure) fs::remove(leftover, failure);
    if (failure && !means_absent(failure.value()))
      throw_file_error(ErrorCode::kWriteFailed, "remove the temporary files below", path, failure.value());
  }

  std::string describe(std::string_view key) const override { return path_of(key); }

 private:
  void read_part(const OpenFile& file, const ByteRange& range, Buffer& into, const std::string& path) const {
    read_exactly(file, range.offset, into.resize(range.length), path);
    if (passing_) PassingFiles::was_read(file.descriptor.number(), range.offset, range.length);
  }

  [[nodiscard]] std::string path_of(std::string_view key) const { return join_key(root_, key); }

  /// What the file system knows of an object; none if there is none.
  [[nodiscard]] std::optional<struct stat> status_of(std::string_view key) const {
    check_key(key);
    const std::string path = path_of(key);
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
      if (means_absent(errno)) return std::nullopt;
      throw_file_error(ErrorCode::kReadFailed, "look at", path, errno);
    }
    if (S_ISDIR(status.st_mode)) return std::nullopt;
    return status;
  }

  /// True if `prefix` is a folder or a symbolic link; throws if it is reached over such a link,
  /// behind which nothing belongs to this store.
  [[nodiscard]] bool is_own(std::string_view prefix) const {
    fs::path path = root_;
    const fs::path parts(prefix);
    for (auto part = parts.begin(); part != parts.end(); ++part) {
      path /= *part;
      std::error_code failure;
      const fs::file_type type = fs::symlink_status(path, failure).type();
      if (type == fs::file_type::none)  // what is absent has a type of its own
        throw_file_error(ErrorCode::kWriteFailed, "look at", path.string(), failure.value());
      if (type == fs::file_type::symlink && std::next(part) == parts.end()) return true;
      if (type == fs::file_type::symlink)
        throw Error(
            ErrorCode::kWriteFailed,
            fmt::format("cannot remove what is below \"{}\": a symbolic link leads there", prefix),
            path.string(), "remove it by hand");
      if (type != fs::file_type::directory) return false;
    }
    return true;
  }

  std::string root_;  ///< absolute, so that messages name files in full
  Sync sync_;
  std::shared_ptr<PassingFiles> passing_;  ///< also of those who write; null: files stay in the cache
};

}  // namespace

std::shared_ptr<Store> open_local_store(const fs::path& root, Sync sync, Caching caching) {
  std::error_code failure;
  std::string absolute = fs::absolute(root, failure).string();
  if (failure)
    throw_file_error(ErrorCode::kReadFailed, "find the folder", root.string(), failure.value());
  while (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  return std::make_shared<LocalStore>(std::move(absolute), sync, caching);
}

}  // namespace flatfield::storage
