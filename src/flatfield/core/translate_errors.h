#pragma once

#include <exception>
#include <filesystem>
#include <new>

#include "flatfield/core/error.h"

namespace flatfield {

/// Runs `work`, turning every failure into an Error. std::bad_alloc is memory, the rest a defect.
template <class F>
void with_errors(F work) {
  try {
    work();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kMemory, "there is not enough memory", "",
                "give the job more memory, or use fewer workers (--num-workers)");
  } catch (const std::filesystem::filesystem_error& error) {
    throw Error(ErrorCode::kReadFailed, error.what());
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kInternal, error.what(), "", "please report this");
  }
}

}  // namespace flatfield
