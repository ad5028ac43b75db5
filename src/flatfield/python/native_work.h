#pragma once

#include <pybind11/pybind11.h>

#include "flatfield/core/interruption.h"

namespace flatfield::python {

/// Does work of the library without Python's lock. In Python's main thread, where alone it handles signals, Ctrl-C and
/// SIGTERM ask all that the library does, in all threads, to stop between two pieces of work, as Error(kInterrupted); the
/// second of them is Python's again.
template <class Work>
void native_work(Work work) {
  const auto threading = pybind11::module_::import("threading");
  const bool is_main = threading.attr("current_thread")().is(threading.attr("main_thread")());
  const pybind11::gil_scoped_release unlocked;
  if (!is_main) {
    work();
    return;
  }
  const CaughtInterruptions caught;
  work();
  stop_if_interrupted();  // what came too late to stop anything must not be lost
}

}  // namespace flatfield::python
