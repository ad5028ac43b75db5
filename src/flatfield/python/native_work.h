#pragma once

#include <pybind11/pybind11.h>

#include <optional>

#include "flatfield/core/interruption.h"

namespace flatfield::python {

/// Without Python's lock as long as it lives. In Python's main thread Ctrl-C then asks what runs to stop, as
/// Error(kInterrupted) between two items; in other threads signals stay Python's, which only its main thread may be
/// interrupted by.
class NativeWork {
 public:
  NativeWork() {
    if (is_main_) caught_.emplace();
  }
  NativeWork(const NativeWork&) = delete;
  NativeWork& operator=(const NativeWork&) = delete;

 private:
  static bool is_in_main_thread() {
    const auto threading = pybind11::module_::import("threading");
    return threading.attr("current_thread")().is(threading.attr("main_thread")());
  }

  bool is_main_ = is_in_main_thread();
  pybind11::gil_scoped_release unlocked_;
  std::optional<CaughtInterruptions> caught_;
};

}  // namespace flatfield::python
