// A TIFF file, read as a mask and as a plane.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "expectation.h"
#include "flatfield/pipeline/tiff_file.h"
#include "targets.h"

namespace flatfield::fuzz {
namespace {

/// A file in memory: libtiff takes names only.
class MemoryFile {
 public:
  explicit MemoryFile(Input bytes) : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
    while (!bytes.empty()) {
      const ssize_t n = write(descriptor_, bytes.data(), bytes.size());
      if (n <= 0) fail("no file in memory");
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(descriptor_); }
  [[nodiscard]] std::string name() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

 private:
  int descriptor_;
};

template <class Read>
bool reads(Read read) {
  return accepts({ErrorCode::kBadInput, ErrorCode::kUnsupported, ErrorCode::kReadFailed}, read);
}

}  // namespace

void tiff_image(Input input) {
  const MemoryFile file(input);
  reads([&] {
    const auto mask = pipeline::read_mask_tiff(file.name());
    for (std::int64_t i = 0; i < mask.view().size(); ++i)
      require(mask.view().data[i] <= 1, "a mask with values other than 0 and 1");
  });
  reads([&] { static_cast<void>(pipeline::read_plane_tiff(file.name())); });
}

}  // namespace flatfield::fuzz
