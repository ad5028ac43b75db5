// An S3 server in memory, for benchmarks: as fast as HTTP/1.1 on loopback allows, so that what is
// measured is the client. It believes every signature, knows only what the client asks for, and is
// no server for anything else.
//
//   memory_s3 [--delay MILLISECONDS] [BUCKET=FOLDER]...
//
// Every answer comes MILLISECONDS late (0): so far away is S3. Loads the files of each folder as
// objects, prints "listening on PORT" and serves 127.0.0.1 until its standard input ends. A thread
// per connection; bodies go between socket and object without another copy.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestHead = 64 << 10;
constexpr std::size_t kKeysPerPage = 1000;

/// Bytes that are never changed once they are an object.
struct Object {
  explicit Object(std::size_t count) : bytes(new char[count]), size(count) {}
  std::unique_ptr<char[]> bytes;  // not cleared: it is filled at once
  std::size_t size;
  std::uint64_t tag = 0;
};
using ObjectPtr = std::shared_ptr<Object>;

struct Upload {
  std::map<int, ObjectPtr> parts;
};

class Objects {
 public:
  ObjectPtr find(const std::string& key) const {
    const std::scoped_lock lock(mutex_);
    const auto it = objects_.find(key);
    return it == objects_.end() ? nullptr : it->second;
  }
  std::uint64_t put(const std::string& key, ObjectPtr object) {
    object->tag = ++next_tag_;
    const std::uint64_t tag = object->tag;
    const std::scoped_lock lock(mutex_);
    objects_[key] = std::move(object);
    return tag;
  }
  void erase(const std::string& key) {
    const std::scoped_lock lock(mutex_);
    objects_.erase(key);
  }
  std::string begin_upload() {
    const std::string id = std::to_string(++next_tag_);
    const std::scoped_lock lock(mutex_);
    uploads_[id];
    return id;
  }
  std::uint64_t put_part(const std::string& id, int number, ObjectPtr object) {
    const std::scoped_lock lock(mutex_);
    uploads_[id].parts[number] = std::move(object);
    return ++next_tag_;
  }
  void complete_upload(const std::string& id, const std::string& key) {
    Upload upload;
    {
      const std::scoped_lock lock(mutex_);
      upload = std::move(uploads_[id]);
      uploads_.erase(id);
    }
    std::size_t size = 0;
    for (const auto& [number, part] : upload.parts) size += part->size;
    auto whole = std::make_shared<Object>(size);
    char* to = whole->bytes.get();
    for (const auto& [number, part] : upload.parts)
      to = std::copy_n(part->bytes.get(), part->size, to);
    put(key, std::move(whole));
  }

  /// The keys and common prefixes of a page, as the inside of a ListBucketResult. Keys begin with
  /// "BUCKET/".
  std::string list(const std::string& bucket, const std::string& prefix,
                   const std::string& delimiter, const std::string& after, std::size_t most) const {
    const std::string start = bucket + "/";
    std::string text;
    std::size_t count = 0;
    std::string last;
    const std::scoped_lock lock(mutex_);
    auto it =
        after.empty() ? objects_.lower_bound(start + prefix) : objects_.upper_bound(start + after);
    while (it != objects_.end() && it->first.starts_with(start + prefix)) {
      if (count++ == most)
        return text + "<IsTruncated>true</IsTruncated><NextContinuationToken>" + last +
               "</NextContinuationToken>";
      const std::string key = it->first.substr(start.size());
      const std::size_t slash =
          delimiter.empty() ? std::string::npos : key.find(delimiter, prefix.size());
      if (slash == std::string::npos) {
        text += "<Contents><Key>" + key + "</Key><Size>" + std::to_string(it->second->size) +
                "</Size></Contents>";
        last = key;
        ++it;
        continue;
      }
      last = key.substr(0, slash) + "0";  // the character after '/': behind all keys of the prefix
      text += "<CommonPrefixes><Prefix>" + key.substr(0, slash + 1) + "</Prefix></CommonPrefixes>";
      it = objects_.lower_bound(start + last);
    }
    return text + "<IsTruncated>false</IsTruncated>";
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, ObjectPtr> objects_;  ///< by "BUCKET/KEY"
  std::map<std::string, Upload> uploads_;
  std::atomic<std::uint64_t> next_tag_{0};
};

std::string decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    int value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr ==
            text.data() + i + 3) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

struct Request {
  std::string method;
  std::string key;  ///< "BUCKET/KEY"
  std::map<std::string, std::string> query;
  std::string range;  ///< of a Range header, behind "bytes="
  std::size_t length = 0;
  ObjectPtr body;
};

class Connection {
 public:
  Connection(int socket, Objects& objects, std::chrono::milliseconds delay)
      : socket_(socket), objects_(objects), delay_(delay) {}
  ~Connection() { ::close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void serve() {
    Request request;
    while (read(request)) {
      if (delay_.count() > 0) std::this_thread::sleep_for(delay_);
      if (!answer(request)) return;
      request = Request();
    }
  }

 private:
  bool read(Request& request) {
    std::size_t end = 0;
    while ((end = std::string_view(head_.data(), filled_).find("\r\n\r\n")) ==
           std::string_view::npos) {
      if (filled_ == head_.size()) return false;
      const ssize_t n = ::recv(socket_, head_.data() + filled_, head_.size() - filled_, 0);
      if (n <= 0) return false;
      filled_ += static_cast<std::size_t>(n);
    }
    parse({head_.data(), end}, request);
    end += 4;
    request.body = std::make_shared<Object>(request.length);
    const std::size_t early = std::min(request.length, filled_ - end);
    std::memcpy(request.body->bytes.get(), head_.data() + end, early);
    std::memmove(head_.data(), head_.data() + end + early, filled_ - end - early);
    filled_ -= end + early;
    for (std::size_t done = early; done < request.length;) {
      const ssize_t n =
          ::recv(socket_, request.body->bytes.get() + done, request.length - done, MSG_WAITALL);
      if (n <= 0) return false;
      done += static_cast<std::size_t>(n);
    }
    return true;
  }

  static void parse(std::string_view head, Request& request) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const std::size_t space = line.find(' ');
    request.method = line.substr(0, space);
    std::string_view target =
        line.substr(space + 2, line.rfind(' ') - space - 2);  // without the first '/'
    if (const std::size_t mark = target.find('?'); mark != std::string_view::npos) {
      std::string_view query = target.substr(mark + 1);
      target = target.substr(0, mark);
      while (!query.empty()) {
        const std::string_view field = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), field.size() + 1));
        const std::size_t equals = std::min(field.find('='), field.size());
        request.query[decode(field.substr(0, equals))] =
            decode(field.substr(std::min(field.size(), equals + 1)));
      }
    }
    request.key = decode(target);
    for (std::size_t at = line.size() + 2; at < head.size();) {
      const std::string_view field = head.substr(at, head.find("\r\n", at) - at);
      at += field.size() + 2;
      const std::string_view value = field.substr(std::min(field.size(), field.find(": ") + 2));
      if (field.starts_with("Content-Length:"))
        std::from_chars(value.data(), value.data() + value.size(), request.length);
      if (field.starts_with("Range: bytes=")) request.range = value.substr(6);
    }
  }

  bool answer(Request& request) {
    if (request.query.contains("list-type")) return send_listing(request);
    const auto id = request.query.find("uploadId");
    if (request.method == "GET" || request.method == "HEAD") return send_object(request);
    if (request.method == "PUT" && id != request.query.end())
      return send(200,
                  tag(objects_.put_part(id->second, std::atoi(request.query["partNumber"].c_str()),
                                        request.body)));
    if (request.method == "PUT") return send(200, tag(objects_.put(request.key, request.body)));
    if (request.method == "DELETE") {
      objects_.erase(request.key);
      return send(204, "");
    }
    if (request.query.contains("delete")) return erase_many(request);
    if (request.query.contains("uploads"))
      return send(200, "",
                  "<InitiateMultipartUploadResult><UploadId>" + objects_.begin_upload() +
                      "</UploadId></InitiateMultipartUploadResult>");
    if (id == request.query.end()) return send(400, "");
    objects_.complete_upload(id->second, request.key);
    return send(200, "", "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>");
  }

  static std::string tag(std::uint64_t number) {
    return "ETag: \"" + std::to_string(number) + "\"\r\n";
  }

  bool send_object(const Request& request) {
    const ObjectPtr object = objects_.find(request.key);
    if (!object)
      return send(404, "", request.method == "HEAD" ? "" : "<Error><Code>NoSuchKey</Code></Error>");
    std::size_t first = 0;
    std::size_t end = object->size;
    std::string headers = tag(object->tag);
    if (!request.range.empty()) {
      const std::size_t dash = request.range.find('-');
      const std::size_t number =
          std::strtoull(request.range.c_str() + (dash == 0 ? 1 : 0), nullptr, 10);
      if (dash == 0) {
        first = end - std::min(end, number);
      } else {
        first = number;
        if (dash + 1 < request.range.size())
          end = std::min<std::size_t>(
              end, std::strtoull(request.range.c_str() + dash + 1, nullptr, 10) + 1);
      }
      if (first >= end) return send(416, "");
      headers += "Content-Range: bytes " + std::to_string(first) + "-" + std::to_string(end - 1) +
                 "/" + std::to_string(object->size) + "\r\n";
    }
    return send(request.range.empty() ? 200 : 206, headers,
                {object->bytes.get() + first, end - first}, request.method != "HEAD");
  }

  bool send_listing(Request& request) {
    const std::string bucket = request.key.substr(0, request.key.find('/'));
    const std::string most = request.query["max-keys"];
    return send(
        200, "",
        "<ListBucketResult>" +
            objects_.list(bucket, request.query["prefix"], request.query["delimiter"],
                          request.query["continuation-token"],
                          most.empty() ? kKeysPerPage : std::strtoull(most.c_str(), nullptr, 10)) +
            "</ListBucketResult>");
  }

  bool erase_many(const Request& request) {
    const std::string_view text(request.body->bytes.get(), request.body->size);
    for (std::size_t at = text.find("<Key>"); at != std::string_view::npos;
         at = text.find("<Key>", at)) {
      at += 5;
      objects_.erase(request.key.substr(0, request.key.find('/')) + "/" +
                     std::string(text.substr(at, text.find("</Key>", at) - at)));
    }
    return send(200, "", "<DeleteResult></DeleteResult>");
  }

  bool send(int status, const std::string& headers, std::string_view body = {},
            bool with_body = true) {
    std::string head = "HTTP/1.1 " + std::to_string(status) + " -\r\n" + headers;
    if (status != 204) head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    head += "\r\n";
    iovec parts[2] = {{head.data(), head.size()},
                      {const_cast<char*>(body.data()), with_body ? body.size() : 0}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    while (parts[0].iov_len + parts[1].iov_len > 0) {
      const ssize_t n = ::sendmsg(socket_, &message, MSG_NOSIGNAL);
      if (n <= 0) return false;
      auto sent = static_cast<std::size_t>(n);
      for (iovec& part : parts) {
        const std::size_t of_this = std::min(sent, part.iov_len);
        part.iov_base = static_cast<char*>(part.iov_base) + of_this;
        part.iov_len -= of_this;
        sent -= of_this;
      }
    }
    return true;
  }

  int socket_;
  Objects& objects_;
  std::chrono::milliseconds delay_;
  std::vector<char> head_ = std::vector<char>(kLongestHead);
  std::size_t filled_ = 0;
};

void load(Objects& objects, const std::string& bucket, const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    auto object = std::make_shared<Object>(entry.file_size());
    std::ifstream(entry.path(), std::ios::binary)
        .read(object->bytes.get(), static_cast<std::streamsize>(object->size));
    objects.put(bucket + "/" + entry.path().lexically_relative(folder).generic_string(),
                std::move(object));
  }
}

}  // namespace

int main(int argc, char** argv) {
  static Objects objects;  // outlives the connections, which nobody waits for
  std::chrono::milliseconds delay{0};
  int first = 1;
  if (argc > 2 && std::string_view(argv[1]) == "--delay") {
    delay = std::chrono::milliseconds(std::atoi(argv[2]));
    first = 3;
  }
  for (int i = first; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos || !fs::is_directory(argument.substr(equals + 1))) {
      std::fprintf(stderr, "usage: memory_s3 [--delay MILLISECONDS] [BUCKET=FOLDER]...\n");
      return 2;
    }
    load(objects, argument.substr(0, equals), argument.substr(equals + 1));
  }
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (listener < 0 || ::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener, 256) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("memory_s3");
    return 1;
  }
  std::printf("listening on %d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  std::thread([listener, delay] {
    for (;;) {
      const int socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) continue;
      const int on = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      std::thread([socket, delay] { Connection(socket, objects, delay).serve(); }).detach();
    }
  }).detach();
  while (std::getchar() != EOF) {
  }
  std::_Exit(0);
}
