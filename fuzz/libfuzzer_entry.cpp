// What libFuzzer calls; FLATFIELD_FUZZ_TARGET is one of the functions of targets.h.
#include <cstdint>

#include "targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  flatfield::fuzz::FLATFIELD_FUZZ_TARGET(std::as_bytes(std::span(data, size)));
  return 0;
}
