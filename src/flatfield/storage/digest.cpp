#include "flatfield/storage/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "flatfield/core/error.h"

namespace flatfield::storage {
namespace {

const unsigned char* data_of(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

template <class Digest>
Digest digest_of(std::span<const std::byte> bytes, const EVP_MD* kind) {
  Digest digest;
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
                 kind, nullptr) != 1 ||
      size != digest.size())
    throw Error(ErrorCode::kInternal, "OpenSSL cannot compute a digest");
  return digest;
}

}  // namespace

Sha256 sha256(std::span<const std::byte> bytes) { return digest_of<Sha256>(bytes, EVP_sha256()); }

Md5 md5(std::span<const std::byte> bytes) { return digest_of<Md5>(bytes, EVP_md5()); }

Sha256 hmac_sha256(std::span<const std::byte> key, std::string_view text) {
  Sha256 code;
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(),
           reinterpret_cast<unsigned char*>(code.data()), &size) == nullptr ||
      size != code.size())
    throw Error(ErrorCode::kInternal, "OpenSSL cannot compute a message code");
  return code;
}

std::string to_hex(std::span<const std::byte> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    const auto value = std::to_integer<unsigned>(byte);
    text += {kDigits[value >> 4U], kDigits[value & 15U]};
  }
  return text;
}

std::string to_base64(std::span<const std::byte> bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends it with a NUL
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), data_of(bytes),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

}  // namespace flatfield::storage
