#include "flatfield/pipeline/npz_file.h"

#include <fmt/format.h>

#include "flatfield/core/error.h"

namespace flatfield::pipeline {
namespace {

template <class T>
constexpr std::string_view kDescr = "";
template <>
constexpr std::string_view kDescr<std::uint8_t> = "|u1";
template <>
constexpr std::string_view kDescr<std::uint32_t> = "<u4";
template <>
constexpr std::string_view kDescr<std::uint64_t> = "<u8";
template <>
constexpr std::string_view kDescr<std::int64_t> = "<i8";
template <>
constexpr std::string_view kDescr<float> = "<f4";

}  // namespace

std::string npy_head(std::string_view descr, const std::vector<std::int64_t>& shape) {
  std::string lengths;
  for (std::size_t i = 0; i < shape.size(); ++i)
    lengths += fmt::format("{}{}", i == 0 ? "" : ", ", shape[i]);
  if (shape.size() == 1) lengths += ",";
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, lengths);
  constexpr std::size_t kPreamble = 10;
  header.append(63 - (kPreamble + header.size()) % 64, ' ').push_back('\n');
  std::string head("\x93NUMPY\x01\x00", 8);
  head.push_back(static_cast<char>(header.size() % 256));
  head.push_back(static_cast<char>(header.size() / 256));
  return head + header;
}

template <class T>
void NpzWriter::begin(const std::string& name, const std::vector<std::int64_t>& shape) {
  zip_.begin(name + ".npy", true);
  zip_.append(as_bytes(npy_head(kDescr<T>, shape)));
}

template <class T>
void NpzWriter::add(const std::string& name, const std::vector<std::int64_t>& shape, std::span<const T> values) {
  begin<T>(name, shape);
  append(values);
}

void NpzWriter::add_text(const std::string& name, std::string_view text) {
  zip_.begin(name, true);
  zip_.append(as_bytes(text));
}

NpzReader::NpzReader(std::shared_ptr<const storage::Store> store, std::string key)
    : zip_(std::move(store), std::move(key)) {
  zip_.check_whole();
}

const storage::ZipReader::Entry& NpzReader::require(const std::string& name) const {
  const storage::ZipReader::Entry* entry = zip_.find(name);
  if (entry == nullptr)
    throw Error(ErrorCode::kBadInput, "it holds no " + name, zip_.describe(), "this is another kind of file");
  return *entry;
}

void NpzReader::refuse(const storage::ZipReader::Entry& entry, const std::string& head) const {
  throw Error(ErrorCode::kBadInput,
              fmt::format("{} is not the array that is expected: {}", entry.name, head.substr(10, head.find('}') - 9)),
              zip_.describe(), "this is another kind of file");
}

template <class T>
void NpzReader::expect(const std::string& name, const std::vector<std::int64_t>& shape) const {
  const storage::ZipReader::Entry& entry = require(name + ".npy");
  const std::string head = npy_head(kDescr<T>, shape);
  std::uint64_t bytes = sizeof(T);
  bool fits = true;
  for (const std::int64_t length : shape) fits = fits && !__builtin_mul_overflow(bytes, length, &bytes);
  fits = fits && !__builtin_add_overflow(bytes, head.size(), &bytes);
  if (!fits || bytes != entry.raw_bytes) refuse(entry, head);
}

template <class T>
std::vector<T> NpzReader::read(const std::string& name, const std::vector<std::int64_t>& shape) const {
  expect<T>(name, shape);  // before memory is taken for it
  const storage::ZipReader::Entry& entry = require(name + ".npy");
  const std::string head = npy_head(kDescr<T>, shape);
  std::size_t count = 1;
  for (const std::int64_t length : shape) count *= static_cast<std::size_t>(length);
  std::vector<T> values(count);
  read_into(entry, head, std::as_writable_bytes(std::span(values)));
  return values;
}

void NpzReader::read_into(const storage::ZipReader::Entry& entry, const std::string& head,
                          std::span<std::byte> body) const {
  std::string found(head.size(), '\0');
  const bool fits = entry.raw_bytes == head.size() + body.size();
  if (fits) zip_.read(entry, std::as_writable_bytes(std::span(found)), body);
  if (!fits || found != head) refuse(entry, head);
}

void NpzReader::read_bytes(const std::string& name, const std::vector<std::int64_t>& shape,
                           std::span<std::byte> into) const {
  read_into(require(name + ".npy"), npy_head(kDescr<std::uint8_t>, shape), into);
}

std::vector<float> NpzReader::read_vector(const std::string& name) const {
  const std::size_t head_bytes = npy_head(kDescr<float>, {0}).size();  // the same for every length
  const std::uint64_t bytes = require(name + ".npy").raw_bytes;
  const std::uint64_t count = bytes > head_bytes ? (bytes - head_bytes) / sizeof(float) : 0;
  return read<float>(name, {static_cast<std::int64_t>(count)});
}

Block<float> NpzReader::read_plane(const std::string& name, const Extent3& shape) const {
  expect<float>(name, {shape.y, shape.x});
  Block<float> plane({1, shape.y, shape.x});
  read_into(require(name + ".npy"), npy_head(kDescr<float>, {shape.y, shape.x}), std::as_writable_bytes(plane.span()));
  return plane;
}

std::string NpzReader::read_text(const std::string& name) const {
  const storage::ZipReader::Entry& entry = require(name);
  std::string text(entry.raw_bytes, '\0');
  zip_.read(entry, std::as_writable_bytes(std::span(text)));
  return text;
}

template void NpzWriter::begin<std::uint8_t>(const std::string&, const std::vector<std::int64_t>&);
template void NpzWriter::add(const std::string&, const std::vector<std::int64_t>&, std::span<const std::uint8_t>);
template void NpzWriter::add(const std::string&, const std::vector<std::int64_t>&, std::span<const std::uint32_t>);
template void NpzWriter::add(const std::string&, const std::vector<std::int64_t>&, std::span<const std::uint64_t>);
template void NpzWriter::add(const std::string&, const std::vector<std::int64_t>&, std::span<const std::int64_t>);
template void NpzWriter::add(const std::string&, const std::vector<std::int64_t>&, std::span<const float>);
template void NpzReader::expect<std::uint8_t>(const std::string&, const std::vector<std::int64_t>&) const;
template std::vector<std::uint8_t> NpzReader::read(const std::string&, const std::vector<std::int64_t>&) const;
template std::vector<std::uint32_t> NpzReader::read(const std::string&, const std::vector<std::int64_t>&) const;
template std::vector<std::uint64_t> NpzReader::read(const std::string&, const std::vector<std::int64_t>&) const;
template std::vector<std::int64_t> NpzReader::read(const std::string&, const std::vector<std::int64_t>&) const;
template std::vector<float> NpzReader::read(const std::string&, const std::vector<std::int64_t>&) const;

}  // namespace flatfield::pipeline
