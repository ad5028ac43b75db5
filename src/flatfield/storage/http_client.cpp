#include "flatfield/storage/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <vector>

#include "flatfield/core/error.h"

namespace flatfield::storage {
namespace {

constexpr std::size_t kLongestText = std::size_t{64} << 20U;
/// Of objects whose length nobody says.
constexpr std::size_t kLongestUnannounced = std::size_t{1} << 30U;
constexpr std::size_t kLongestErrorText = std::size_t{64} << 10U;
constexpr std::size_t kLongestHeaders = std::size_t{1} << 20U;

// What a request, and one that it is redirected to, may be sent by: libcurl 7.85 has names where there were bits.
#if LIBCURL_VERSION_NUM < 0x075500
constexpr CURLoption kProtocols = CURLOPT_PROTOCOLS;
constexpr CURLoption kRedirectProtocols = CURLOPT_REDIR_PROTOCOLS;
constexpr long kHttpOrHttps = CURLPROTO_HTTP | CURLPROTO_HTTPS;
constexpr long kHttpsOnly = CURLPROTO_HTTPS;
#else
constexpr CURLoption kProtocols = CURLOPT_PROTOCOLS_STR;
constexpr CURLoption kRedirectProtocols = CURLOPT_REDIR_PROTOCOLS_STR;
constexpr const char* kHttpOrHttps = "http,https";
constexpr const char* kHttpsOnly = "https";
#endif

/// Forks between the first process and this one. Numbers of processes are used again, this is not.
std::atomic<unsigned> g_forks{0};

void note_fork() { ++g_forks; }

/// libcurl's own state, once per process; it is never taken down, as other threads may use it
/// still.
void initialize_curl() {
  static const CURLcode result = [] {
    if (::pthread_atfork(nullptr, nullptr, &note_fork) != 0) throw std::bad_alloc();
    return curl_global_init(CURL_GLOBAL_DEFAULT);
  }();
  if (result != CURLE_OK)
    throw Error(ErrorCode::kInternal,
                std::string("libcurl cannot be started: ") + curl_easy_strerror(result));
}

struct FreeEasy {
  void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;

struct FreeList {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

HeaderList header_list(const Fields& headers) {
  HeaderList list;
  const auto append = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(list.release());
    list.reset(longer);
  };
  // "Name;" is libcurl's way to write a header without a value.
  for (const auto& [name, value] : headers)
    append(value.empty() ? name + ";" : name + ": " + value);
  // Nothing that was not signed or asked for; and no waiting for "100 Continue".
  for (const char* unwanted : {"Expect:", "Accept:"}) append(unwanted);
  const auto named = [&](std::string_view wanted) {
    return std::any_of(headers.begin(), headers.end(),
                       [&](const auto& field) { return field.first == wanted; });
  };
  if (!named("Content-Type")) append("Content-Type:");
  return list;
}

/// The exchange as libcurl's callbacks see it. Exceptions must not cross its C code.
struct Exchange {
  const HttpRequest* request = nullptr;
  HttpAnswer* answer = nullptr;
  std::size_t header_bytes = 0;
  std::optional<std::uint64_t> length;  ///< of the body, as announced
  std::optional<std::span<std::byte>> room;
  std::exception_ptr refusal;

  [[nodiscard]] bool for_room() const {
    return request->room && answer->status >= 200 && answer->status < 300;
  }
  void make_room(std::uint64_t size) {
    room = request->room(*answer, size);
    if (room->size() < size)
      throw Error(ErrorCode::kInternal, "there is too little room for the body of an answer");
  }
};

void take_header(Exchange& exchange, std::string_view line) {
  HttpAnswer& answer = *exchange.answer;
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {  // a new answer: after "100 Continue", a proxy's, a redirection
    answer.headers.clear();
    answer.text.clear();
    exchange.length.reset();
    const std::size_t space = std::min(line.find(' '), line.size() - 1) + 1;
    answer.status = 0;
    std::from_chars(line.data() + space, line.data() + line.size(), answer.status);
    return;
  }
  if (line.empty()) {  // the end of the headers
    // The length of a body that comes in chunks is not what is announced, if anything is (RFC 9112, section 6.3).
    if (!answer.header("transfer-encoding").empty()) exchange.length.reset();
    return;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  std::string name(line.substr(0, colon));
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  std::string_view value = line.substr(colon + 1);
  while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
  if (name == "content-length") {
    std::uint64_t length = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
    if (error == std::errc() && end == value.data() + value.size()) exchange.length = length;
  }
  answer.headers.emplace_back(std::move(name), value);
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) noexcept {
  auto& exchange = *static_cast<Exchange*>(user);
  exchange.header_bytes += size * count;
  if (exchange.header_bytes > kLongestHeaders) return 0;
  try {
    take_header(exchange, {data, size * count});
  } catch (...) {
    exchange.refusal = std::current_exception();
    return 0;
  }
  return size * count;
}

void take_body(Exchange& exchange, std::string_view bytes) {
  HttpAnswer& answer = *exchange.answer;
  if (exchange.for_room() && exchange.length) {
    if (!exchange.room) exchange.make_room(*exchange.length);
    if (bytes.size() > exchange.room->size() - answer.body_bytes)
      throw Error(ErrorCode::kReadFailed, "an answer is longer than it says");
    std::memcpy(exchange.room->data() + answer.body_bytes, bytes.data(), bytes.size());
  } else {
    const std::size_t longest = answer.status >= 300     ? kLongestErrorText
                                : exchange.for_room() ? kLongestUnannounced
                                                      : kLongestText;
    const std::size_t left = longest - std::min(longest, answer.text.size());
    if (bytes.size() > left && answer.status < 300)
      throw Error(ErrorCode::kReadFailed, "an answer is longer than any that is expected");
    answer.text.append(bytes.substr(0, left));
  }
  answer.body_bytes += bytes.size();
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) noexcept {
  auto& exchange = *static_cast<Exchange*>(user);
  try {
    take_body(exchange, {data, size * count});
  } catch (...) {
    exchange.refusal = std::current_exception();
    return size * count == 0 ? 1 : 0;
  }
  return size * count;
}

TransportFailure failure_of(CURLcode code) {
  switch (code) {
    case CURLE_OK: return TransportFailure::kNone;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT: return TransportFailure::kUnreachable;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR: return TransportFailure::kUntrusted;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_FAILED_INIT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_TOO_MANY_REDIRECTS: return TransportFailure::kImpossible;
    default: return TransportFailure::kBroken;
  }
}

template <class Value>
void set(CURL* handle, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(handle, option, value);
  if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
  if (code != CURLE_OK)
    throw Error(ErrorCode::kInternal,
                fmt::format("libcurl refuses option {}: {}", static_cast<int>(option),
                            curl_easy_strerror(code)));
}

long seconds_up(double seconds) { return std::max(1L, static_cast<long>(std::ceil(seconds))); }
long milliseconds(double seconds) { return std::max(1L, std::lround(1e3 * seconds)); }

}  // namespace

std::string_view HttpAnswer::header(std::string_view name) const {
  for (auto field = headers.rbegin(); field != headers.rend(); ++field)
    if (field->first == name) return field->second;
  return {};
}

/// Handles that are not in use, the last used first: its connection is the warmest. What they share
/// (names that were looked up, TLS sessions) is locked by libcurl through us. A forked process leaves those of its parent
/// alone: of two that read from one connection each gets answers of the other, to close it could tell the server that
/// the parent is done, and another thread may have held the locks.
class HttpClient::Handles {
 public:
  Handles() : forks_(g_forks), share_(curl_share_init()) {
    if (share_ == nullptr) throw std::bad_alloc();
    curl_share_setopt(share_, CURLSHOPT_LOCKFUNC, &lock);
    curl_share_setopt(share_, CURLSHOPT_UNLOCKFUNC, &unlock);
    curl_share_setopt(share_, CURLSHOPT_USERDATA, this);
    curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  }
  ~Handles() {
    idle_.clear();  // before what they share
    curl_share_cleanup(share_);
  }
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;

  Easy take() {
    {
      const std::scoped_lock hold(mutex_);
      if (!idle_.empty()) {
        Easy handle = std::move(idle_.back());
        idle_.pop_back();
        return handle;
      }
    }
    Easy handle(curl_easy_init());
    if (!handle) throw std::bad_alloc();
    return handle;
  }
  void give_back(Easy handle) {
    const std::scoped_lock hold(mutex_);
    idle_.push_back(std::move(handle));
  }
  [[nodiscard]] CURLSH* share() const { return share_; }
  /// Made in a process that this one was forked from.
  [[nodiscard]] bool is_inherited() const { return forks_ != g_forks; }

 private:
  static void lock(CURL* /*handle*/, curl_lock_data data, curl_lock_access /*access*/, void* user) {
    static_cast<Handles*>(user)->shared_.at(static_cast<std::size_t>(data)).lock();
  }
  static void unlock(CURL* /*handle*/, curl_lock_data data, void* user) {
    static_cast<Handles*>(user)->shared_.at(static_cast<std::size_t>(data)).unlock();
  }

  const unsigned forks_;
  CURLSH* share_;
  std::array<std::mutex, CURL_LOCK_DATA_LAST> shared_;
  std::mutex mutex_;
  std::vector<Easy> idle_;
};

HttpClient::HttpClient(HttpOptions options) : options_(std::move(options)), handles_(nullptr) {
  initialize_curl();
  handles_ = std::make_unique<Handles>().release();
}

HttpClient::~HttpClient() {
  std::unique_ptr<Handles> last(handles_.load());
  if (last->is_inherited()) static_cast<void>(last.release());
}

HttpClient::Handles& HttpClient::own_handles() const {
  Handles* known = handles_;
  if (!known->is_inherited()) return *known;
  auto fresh = std::make_unique<Handles>();
  // Without a lock, which another thread of the parent might have held. Who comes second takes those of the first.
  return handles_.compare_exchange_strong(known, fresh.get()) ? *fresh.release() : *known;
}

HttpAnswer HttpClient::exchange(const HttpRequest& request) const {
  HttpAnswer answer;
  Exchange exchange;
  exchange.request = &request;
  exchange.answer = &answer;
  const HeaderList headers = header_list(request.headers);
  std::array<char, CURL_ERROR_SIZE> message{};
  Handles& handles = own_handles();
  Easy handle = handles.take();
  CURL* curl = handle.get();
  curl_easy_reset(curl);  // keeps the connections
  set(curl, CURLOPT_SHARE, handles.share());
  set(curl, CURLOPT_URL, request.url.c_str());
  set(curl, kProtocols, kHttpOrHttps);
  // An object's key is its bytes: "a/../b" is not "b".
  set(curl, CURLOPT_PATH_AS_IS, 1L);
  set(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(curl, CURLOPT_USERAGENT, "exaspim-flatfield/" FLATFIELD_VERSION);
  set(curl, CURLOPT_NOSIGNAL, 1L);
  set(curl, CURLOPT_TCP_NODELAY, 1L);
  set(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  set(curl, CURLOPT_BUFFERSIZE, 512L << 10U);
  set(curl, CURLOPT_DNS_CACHE_TIMEOUT, 60L);
  set(curl, CURLOPT_DNS_SHUFFLE_ADDRESSES, 1L);  // spreads the load over the front ends of S3
  set(curl, CURLOPT_MAXAGE_CONN, 55L);
  set(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(options_.connect_seconds));
  set(curl, CURLOPT_LOW_SPEED_LIMIT, 1024L);
  set(curl, CURLOPT_LOW_SPEED_TIME,
      seconds_up(request.stall_seconds.value_or(options_.stall_seconds)));
  if (request.follow_redirects) {
    set(curl, CURLOPT_FOLLOWLOCATION, 1L);
    set(curl, CURLOPT_MAXREDIRS, 5L);
    set(curl, kRedirectProtocols, request.url.starts_with("https:") ? kHttpsOnly : kHttpOrHttps);
  }
  if (request.total_seconds) set(curl, CURLOPT_TIMEOUT_MS, milliseconds(*request.total_seconds));
  if (!options_.certificate_bundle.empty())
    set(curl, CURLOPT_CAINFO, options_.certificate_bundle.c_str());
  if (!options_.use_proxy) set(curl, CURLOPT_NOPROXY, "*");
  set(curl, CURLOPT_HTTPHEADER, headers.get());
  set(curl, CURLOPT_ERRORBUFFER, message.data());
  set(curl, CURLOPT_HEADERFUNCTION, &on_header);
  set(curl, CURLOPT_HEADERDATA, &exchange);
  set(curl, CURLOPT_WRITEFUNCTION, &on_body);
  set(curl, CURLOPT_WRITEDATA, &exchange);
  if (request.method == "HEAD") {
    set(curl, CURLOPT_NOBODY, 1L);
  } else if (request.method != "GET") {
    if (!request.body.empty() || request.method != "DELETE") {
      // The body stays where it is, so that libcurl can send it again on a fresh connection.
      set(curl, CURLOPT_UPLOAD_BUFFERSIZE, 2L << 20U);
      set(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
      set(curl, CURLOPT_POSTFIELDS,
          request.body.empty() ? "" : reinterpret_cast<const char*>(request.body.data()));
    }
    set(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }

  const CURLcode code = curl_easy_perform(curl);
  if (exchange.refusal) std::rethrow_exception(exchange.refusal);
  if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
  // A handle whose exchange failed may still be tied to what is left of it.
  if (code == CURLE_OK) handles.give_back(std::move(handle));
  answer.failure = failure_of(code);
  if (code != CURLE_OK)
    answer.failure_text = message[0] != 0 ? message.data() : curl_easy_strerror(code);
  if (answer.success() && exchange.for_room() && request.method != "HEAD" && !exchange.room) {
    // Nothing came, or nobody said how much would come.
    exchange.make_room(answer.text.size());
    std::copy_n(reinterpret_cast<const std::byte*>(answer.text.data()), answer.text.size(),
                exchange.room->begin());
    answer.text.clear();
  }
  return answer;
}

}  // namespace flatfield::storage
