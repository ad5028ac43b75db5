#include "flatfield/pipeline/tiff_library.h"

#include <cstdarg>
#include <cstdio>

namespace flatfield::pipeline {
namespace {

/// libtiff reports errors through a handler of the whole process: the last message of this thread
/// becomes part of the Error, and nothing is printed.
thread_local std::string t_message;

void keep_message(const char* /*module*/, const char* format, va_list arguments) {
  char text[512];
  std::vsnprintf(text, sizeof text, format, arguments);
  t_message = text;
}

}  // namespace

TiffHandle open_tiff(const std::filesystem::path& path, const char* mode) {
  static const bool handlers_set = [] {
    TIFFSetErrorHandler(keep_message);
    TIFFSetWarningHandler(nullptr);
    return true;
  }();
  static_cast<void>(handlers_set);
  t_message.clear();
  return TiffHandle(TIFFOpen(path.c_str(), mode));
}

const std::string& tiff_message() { return t_message; }
void forget_tiff_message() { t_message.clear(); }

}  // namespace flatfield::pipeline
