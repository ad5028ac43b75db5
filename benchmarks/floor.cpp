// The floor under the running time of a correction: reads and decodes the chunks of a tile's level 0, and encodes
// and writes the chunks of an already corrected tile, pyramid and mask included. No arithmetic, no metadata, no
// safety: nothing but libblosc and POSIX.
//
//   floor INPUT CORRECTED MASK OUTPUT THREADS
//
// INPUT, CORRECTED and MASK are OME-Zarr groups of format 2 or 3, sharded or not, compressed with Blosc, as
// exaspim-flatfield writes them; OUTPUT must not exist yet. The work goes in batches of a few chunks per thread, as
// many of the input as of the output: before each batch, the voxels that are to be encoded are decoded from CORRECTED
// and MASK into memory that is used again, and that is not counted. So the floor streams as a correction
// does, and pays for no page that a streaming program would not touch. Chunks of only zeros or ones are encoded once.
// Prints one line of JSON: CPU and wall seconds of the batches, the bytes of the input's voxels, of what was read
// and of what was written.

#include <blosc.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <regex>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace fs = std::filesystem;

/// Chunks of a batch, per thread: enough that threads seldom wait for each other at its end.
constexpr std::size_t kBatchPerThread = 32;

[[noreturn]] void fail(const std::string& what, const fs::path& path) {
  std::fprintf(stderr, "floor: %s: %s\n", what.c_str(), path.c_str());
  std::exit(1);
}

/// Where the encoded bytes of a chunk are: a whole file, or a part of one that is kept open.
struct Place {
  fs::path path;
  int file = -1;
  off_t offset = 0;
  std::size_t size = 0;  ///< of a part
};

/// A shard that is written: chunks are appended as they come, its index last.
struct OutputShard {
  fs::path path;
  int file = -1;
  std::atomic<off_t> end{0};
  std::size_t index_bytes = 0;
};

/// One chunk of the output.
struct OutputChunk {
  Place source;
  fs::path target;               ///< of a chunk that is a file
  OutputShard* shard = nullptr;  ///< of one that is not
};

/// Voxels that are about to be encoded.
struct Loaded {
  std::vector<char> encoded;  ///< as they were in the source
  std::vector<char> voxels;
  std::size_t size = 0;
  std::size_t encoded_size = 0;
  std::size_t type_size = 1;
  bool is_constant = false;
};

struct Scratch {
  std::vector<char> encoded;
  std::vector<char> decoded;
};

void grow(std::vector<char>& buffer, std::size_t size) {
  if (buffer.size() < size) buffer.resize(size);
}

void read_exactly(int file, char* into, std::size_t size, off_t offset, const fs::path& path) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t n = ::pread(file, into + done, size - done, offset + static_cast<off_t>(done));
    if (n <= 0) fail("cannot read", path);
    done += static_cast<std::size_t>(n);
  }
}

/// Reads a chunk into the front of `encoded`; returns its size.
std::size_t read_chunk(const Place& place, std::vector<char>& encoded) {
  if (place.file >= 0) {
    grow(encoded, place.size);
    read_exactly(place.file, encoded.data(), place.size, place.offset, place.path);
    return place.size;
  }
  const int file = ::open(place.path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (file < 0 || ::fstat(file, &status) != 0) fail("cannot open", place.path);
  const auto size = static_cast<std::size_t>(status.st_size);
  grow(encoded, size);
  read_exactly(file, encoded.data(), size, 0, place.path);
  ::close(file);
  return size;
}

void write_exactly(int file, const char* bytes, std::size_t size, off_t offset, const fs::path& path) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t n = ::pwrite(file, bytes + done, size - done, offset + static_cast<off_t>(done));
    if (n <= 0) fail("cannot write", path);
    done += static_cast<std::size_t>(n);
  }
}

int create(const fs::path& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) fail("cannot create", path);
  return file;
}

void write_chunk(const OutputChunk& chunk, const char* bytes, std::size_t size) {
  if (chunk.shard != nullptr) {
    const off_t offset = chunk.shard->end.fetch_add(static_cast<off_t>(size));
    return write_exactly(chunk.shard->file, bytes, size, offset, chunk.shard->path);
  }
  const int file = create(chunk.target);
  write_exactly(file, bytes, size, 0, chunk.target);
  if (::close(file) != 0) fail("cannot write", chunk.target);
}

/// Decodes the front of `encoded` into the front of `decoded`; returns the decoded size.
std::size_t decode(const fs::path& path, const std::vector<char>& encoded, std::size_t size,
                   std::vector<char>& decoded) {
  std::size_t decoded_size = 0;
  if (blosc_cbuffer_validate(encoded.data(), size, &decoded_size) != 0) fail("not a Blosc chunk", path);
  grow(decoded, decoded_size);
  const int n = blosc_decompress_ctx(encoded.data(), decoded.data(), decoded_size, 1);
  if (n < 0 || static_cast<std::size_t>(n) != decoded_size) fail("cannot decode", path);
  return decoded_size;
}

void load(const OutputChunk& chunk, Loaded& loaded) {
  loaded.encoded_size = read_chunk(chunk.source, loaded.encoded);
  loaded.size = decode(chunk.source.path, loaded.encoded, loaded.encoded_size, loaded.voxels);
  int flags = 0;
  blosc_cbuffer_metainfo(loaded.encoded.data(), &loaded.type_size, &flags);
  const char* voxels = loaded.voxels.data();
  loaded.is_constant =
      std::memcmp(voxels, voxels + loaded.type_size, loaded.size - loaded.type_size) == 0;
}

/// Zstandard level 1 with byte shuffle, as the corrected volume is specified; returns the encoded size.
std::size_t encode(const Loaded& loaded, std::vector<char>& encoded, const fs::path& path) {
  grow(encoded, loaded.size + BLOSC_MAX_OVERHEAD);
  const int n = blosc_compress_ctx(1, BLOSC_SHUFFLE, loaded.type_size, loaded.size, loaded.voxels.data(),
                                   encoded.data(), loaded.size + BLOSC_MAX_OVERHEAD, "zstd", 0, 1);
  if (n <= 0) fail("cannot encode", path);
  return static_cast<std::size_t>(n);
}

/// Every file below a folder, in sorted order.
std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

bool is_metadata(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.front() == '.' || name == "zarr.json";
}

/// Product of the numbers in "[1, 1, 512, 512, 512]".
std::size_t product(const std::string& list) {
  const std::regex number("[0-9]+");
  std::size_t value = 1;
  for (std::sregex_iterator it(list.begin(), list.end(), number), end; it != end; ++it)
    value *= std::stoull(it->str());
  return value;
}

/// Chunks in a shard of the array at `folder`; 0 where chunks are files. Of the two shapes in the metadata of a
/// sharded array, the larger is that of the shard.
std::size_t chunks_per_shard(const fs::path& folder) {
  std::ifstream file(folder / "zarr.json");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.find("sharding_indexed") == std::string::npos) return 0;
  const std::regex shape("\"chunk_shape\"\\s*:\\s*(\\[[^\\]]*\\])");
  std::size_t least = SIZE_MAX, most = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), shape), end; it != end; ++it) {
    least = std::min(least, product((*it)[1]));
    most = std::max(most, product((*it)[1]));
  }
  return most / least;
}

/// The chunks of a shard, in the order of its index at its end (16 bytes per chunk, and a checksum of 4).
std::vector<Place> chunks_of_shard(const fs::path& path, std::size_t count) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (file < 0 || ::fstat(file, &status) != 0) fail("cannot open", path);
  std::vector<std::uint64_t> index(2 * count);
  const off_t start = status.st_size - static_cast<off_t>(16 * count + 4);
  if (start < 0) fail("the shard is too short", path);
  read_exactly(file, reinterpret_cast<char*>(index.data()), 16 * count, start, path);
  std::vector<Place> places;
  for (std::size_t i = 0; i < count; ++i)
    if (index[2 * i] != UINT64_MAX)
      places.push_back({path, file, static_cast<off_t>(index[2 * i]), index[2 * i + 1]});
  return places;
}

/// Calls work(i, scratch) for every i below `count`, on the threads of `scratch`.
template <class Work>
void for_each(std::size_t count, std::vector<Scratch>& scratch, const Work& work) {
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> pool;
  for (Scratch& mine : scratch)
    pool.emplace_back([&] {
      for (std::size_t i = next++; i < count; i = next++) work(i, mine);
    });
}

class Output {
 public:
  /// Lists the chunks of a group as output below `target`, with folders and metadata made ready.
  void add(const fs::path& group, const fs::path& target) {
    for (const fs::path& path : files_below(group)) {
      const fs::path copy = target / path.lexically_relative(group);
      fs::create_directories(copy.parent_path());
      if (is_metadata(path)) {
        fs::copy_file(path, copy);
        continue;
      }
      const std::size_t count = chunks_per_shard(group / *path.lexically_relative(group).begin());
      if (count == 0) {
        chunks.push_back({{path}, copy, nullptr});
        continue;
      }
      auto shard = std::make_unique<OutputShard>();
      shard->path = copy;
      shard->file = create(copy);
      shard->index_bytes = 16 * count + 4;
      for (Place& place : chunks_of_shard(path, count)) chunks.push_back({std::move(place), {}, shard.get()});
      shards.push_back(std::move(shard));
    }
  }

  /// Writes room for the index of each shard, and closes it; returns the bytes.
  std::size_t finish() {
    std::size_t bytes = 0;
    for (const auto& shard : shards) {
      const std::vector<char> index(shard->index_bytes);
      write_exactly(shard->file, index.data(), index.size(), shard->end, shard->path);
      if (::close(shard->file) != 0) fail("cannot write", shard->path);
      bytes += index.size();
    }
    return bytes;
  }

  std::vector<OutputChunk> chunks;
  std::vector<std::unique_ptr<OutputShard>> shards;
};

std::vector<Place> input_chunks(const fs::path& level) {
  const std::size_t count = chunks_per_shard(level);
  std::vector<Place> chunks;
  for (const fs::path& path : files_below(level)) {
    if (is_metadata(path)) continue;
    if (count == 0)
      chunks.push_back({path});
    else
      for (Place& place : chunks_of_shard(path, count)) chunks.push_back(std::move(place));
  }
  return chunks;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

int main(int argc, char** argv) try {
  const int threads = argc == 6 ? std::atoi(argv[5]) : 0;
  if (threads < 1) fail("usage: floor INPUT CORRECTED MASK OUTPUT THREADS", "");
  const fs::path target = argv[4];
  if (fs::exists(target)) fail("exists already", target);

  const std::vector<Place> inputs = input_chunks(fs::path(argv[1]) / "0");
  Output output;
  output.add(argv[2], target / "corrected");
  output.add(argv[3], target / "mask");

  std::vector<Scratch> scratch(static_cast<std::size_t>(threads));
  std::vector<Loaded> loaded(scratch.size() * kBatchPerThread);
  const std::size_t batches = (output.chunks.size() + loaded.size() - 1) / loaded.size();
  std::atomic<std::size_t> voxel_bytes{0}, bytes_read{0}, bytes_written{0};
  double cpu = 0.0, wall = 0.0;
  const auto timed = [&](const auto& work) {
    const double cpu_before = cpu_seconds();
    const auto start = std::chrono::steady_clock::now();
    work();
    wall += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    cpu += cpu_seconds() - cpu_before;
  };
  for (std::size_t batch = 0; batch < batches; ++batch) {
    const std::size_t first = batch * loaded.size();
    const std::size_t count = std::min(loaded.size(), output.chunks.size() - first);
    for_each(count, scratch, [&](std::size_t i, Scratch&) { load(output.chunks[first + i], loaded[i]); });
    const std::size_t first_input = inputs.size() * batch / batches;
    const std::size_t input_count = inputs.size() * (batch + 1) / batches - first_input;
    timed([&] {
      for_each(std::max(count, input_count), scratch, [&](std::size_t i, Scratch& mine) {
        if (i < input_count) {
          const Place& place = inputs[first_input + i];
          const std::size_t size = read_chunk(place, mine.encoded);
          voxel_bytes += decode(place.path, mine.encoded, size, mine.decoded);
          bytes_read += size;
        }
        if (i >= count) return;
        const OutputChunk& chunk = output.chunks[first + i];
        const Loaded& voxels = loaded[i];
        const std::size_t size =
            voxels.is_constant ? voxels.encoded_size : encode(voxels, mine.encoded, chunk.source.path);
        write_chunk(chunk, voxels.is_constant ? voxels.encoded.data() : mine.encoded.data(), size);
        bytes_written += size;
      });
    });
  }
  timed([&] { bytes_written += output.finish(); });
  std::printf("{\"cpu_seconds\": %.6f, \"wall_seconds\": %.6f, \"bytes\": %zu, \"bytes_read\": %zu, "
              "\"bytes_written\": %zu}\n",
              cpu, wall, voxel_bytes.load(), bytes_read.load(), bytes_written.load());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "floor: %s\n", error.what());
  return 1;
}
