#include "flatfield/execution/memory_ceiling.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace flatfield::execution {
namespace {

/// The limit in a control group file, or `otherwise` where there is none ("max", or no such file).
std::int64_t limit_in(const std::string& path, std::int64_t otherwise) {
  std::ifstream file(path);
  std::int64_t bytes = 0;
  if (file >> bytes && bytes > 0) return std::min(bytes, otherwise);
  return otherwise;
}

}  // namespace

std::int64_t default_memory_ceiling() {
  std::int64_t bytes = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  bytes = limit_in("/sys/fs/cgroup/memory.max", bytes);
  bytes = limit_in("/sys/fs/cgroup/memory/memory.limit_in_bytes", bytes);
  // The process's own group, and every group above it, may be tighter than the root's.
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    // "0::/PATH" of version 2, "4:memory:/PATH" of version 1.
    const bool is_v2 = line.rfind("0::", 0) == 0;
    const std::size_t controller = line.find(":memory:");
    if (!is_v2 && controller == std::string::npos) continue;
    std::string path = is_v2 ? line.substr(3) : line.substr(controller + 8);
    while (path.size() > 1) {
      bytes = is_v2 ? limit_in("/sys/fs/cgroup" + path + "/memory.max", bytes)
                    : limit_in("/sys/fs/cgroup/memory" + path + "/memory.limit_in_bytes", bytes);
      path.erase(path.find_last_of('/'));
    }
  }
  return bytes / 10 * 8;
}

std::int64_t peak_resident_bytes() {
  // getrusage's maximum survives exec, and may therefore be that of the program that started this one.
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key;) {
    std::int64_t kibibytes = 0;
    if (key == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

double process_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace flatfield::execution
