#include "flatfield/pipeline/json_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "flatfield/core/error.h"

namespace flatfield::pipeline {

Json read_json(const std::string& location, const std::string& remedy, storage::StoreOpener& stores) {
  const auto [store, key] = stores.open_object(location);
  const auto text = storage::get_text(*store, key);
  if (!text) throw Error(ErrorCode::kNotFound, "there is no such configuration file", location, remedy);
  return Json::parse(*text, location);
}

void write_result_file(const std::string& path, std::span<const std::byte> content) {
  const std::string temporary = path + ".tmp";
  std::FILE* file = std::fopen(temporary.c_str(), "wbe");  // e: not for programs that are started meanwhile
  bool written = file != nullptr && std::fwrite(content.data(), 1, content.size(), file) == content.size();
  int error = written ? 0 : errno;
  if (file != nullptr && std::fclose(file) != 0 && written) {
    written = false;
    error = errno;
  }
  if (written && std::rename(temporary.c_str(), path.c_str()) != 0) {
    written = false;
    error = errno;
  }
  if (written) return;
  std::remove(temporary.c_str());
  throw Error(ErrorCode::kWriteFailed, std::string("cannot write: ") + std::strerror(error), path,
              "choose a results directory that can be written");
}

void remove_result_file(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_type kind = std::filesystem::symlink_status(path, error).type();
  if (kind != std::filesystem::file_type::regular && kind != std::filesystem::file_type::symlink) return;
  error.clear();
  std::filesystem::remove(path, error);
  if (error)
    throw Error(ErrorCode::kWriteFailed, "cannot remove what an earlier run has left: " + error.message(), path,
                "choose a results directory that can be written");
}

void write_json(const std::string& path, const Json& value) {
  const std::string text = value.dump(2) + "\n";
  write_result_file(path, std::as_bytes(std::span(text)));
}

}  // namespace flatfield::pipeline
