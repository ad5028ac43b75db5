#pragma once

#include <pybind11/pybind11.h>

#include <exception>

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
  CaughtInterruptions caught;
  std::exception_ptr failure;
  try {
    work();
  } catch (...) {
    failure = std::current_exception();
  }
  // What came too late to stop anything, or beside a failure, must not be lost.
  if (caught.release()) throw_interrupted();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace flatfield::python
