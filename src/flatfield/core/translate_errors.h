#pragma once

#include <exception>
#include <filesystem>
#include <new>
#include <system_error>

#include "flatfield/core/error.h"

namespace flatfield {

/// Runs `work`, turning every failure into an Error. std::bad_alloc is memory, and so are threads that the system does not
/// give; the rest is a defect.
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
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::resource_unavailable_try_again)
      throw Error(ErrorCode::kMemory, "the system gives no more threads", "", "use fewer --num-workers");
    throw Error(ErrorCode::kInternal, error.what(), "", "please report this");
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kInternal, error.what(), "", "please report this");
  }
}

}  // namespace flatfield
