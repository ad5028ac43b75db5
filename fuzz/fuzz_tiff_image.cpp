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
    const BitVolume mask = pipeline::read_mask_tiff(file.name());
    const Extent3 shape = mask.shape();
    require(shape.z > 0 && shape.y > 0 && shape.x > 0, "a mask without voxels");
  });
  reads([&] { static_cast<void>(pipeline::read_plane_tiff(file.name())); });
  reads([&] { static_cast<void>(pipeline::plane_tiff_shape(file.name())); });
}

}  // namespace flatfield::fuzz
