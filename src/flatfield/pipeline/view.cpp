#include "flatfield/pipeline/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "flatfield/core/error.h"
#include "flatfield/core/interruption.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/storage/uri_text.h"

namespace flatfield::pipeline {
namespace {

using storage::ServedAnswer;
using storage::ServedRequest;

struct Root {
  std::string location;
  std::shared_ptr<const storage::Store> store;
};

ServedAnswer refusal(int status) {
  ServedAnswer answer;
  answer.status = status;
  return answer;
}

/// A key that cannot leave its store by its text.
bool is_plain_key(std::string_view key) {
  try {
    storage::check_key(key);
  } catch (const Error&) {
    return false;
  }
  return key.find('\\') == std::string_view::npos;
}

/// Names of this machine's own interface, with any port: a page that has another name point here is refused.
bool names_this_machine(const std::string& host) {
  const std::string name = host.substr(0, host.rfind(':'));
  return name == "127.0.0.1" || name == "localhost";
}

ServedAnswer object_answer(const Root& root, const std::string& key, const std::string& range_header) {
  const bool is_local = !storage::is_remote(root.location);
  if (is_local && !lies_within(join_location(root.location, key), root.location)) return refusal(403);
  const auto size = root.store->size(key);
  if (!size) return refusal(404);
  ServedAnswer answer;
  answer.headers = {{"Content-Type", key.ends_with(".json") || key.rfind(".z") != std::string::npos ? "application/json"
                                                                                                      : "application/octet-stream"},
                    {"Accept-Ranges", "bytes"},
                    {"Cache-Control", "no-cache"}};
  storage::ByteRange range{0, *size};
  if (!range_header.empty()) {
    const auto wanted = storage::parse_byte_range(range_header, *size);
    if (!wanted) {
      answer.status = 416;
      answer.headers.emplace_back("Content-Range", fmt::format("bytes */{}", *size));
      return answer;
    }
    range = *wanted;
    answer.status = 206;
    answer.headers.emplace_back("Content-Range",
                                fmt::format("bytes {}-{}/{}", range.offset, range.offset + range.length - 1, *size));
  }
  answer.length = range.length;
  answer.body = [store = root.store, key, offset = range.offset](std::uint64_t at, std::uint64_t length, Buffer& into) {
    if (!store->get_range(key, {offset + at, length}, into))
      throw Error(ErrorCode::kReadFailed, "the object vanished while it was read", store->describe(key));
  };
  return answer;
}

/// scheme://host of a URL as browsers name it in a request: in lower case, without the port that goes without saying.
std::string origin_of(const std::string& url) {
  const storage::HttpUrl parsed = storage::parse_http_url(url, "--neuroglancer");
  std::string host = parsed.host;
  std::transform(host.begin(), host.end(), host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const std::string_view usual_port = parsed.secure() ? ":443" : ":80";
  if (host.ends_with(usual_port)) host.resize(host.size() - usual_port.size());
  return parsed.scheme + "://" + host;
}

std::string link_to(const ViewOptions& options, const Json& state) {
  std::string base = options.neuroglancer;
  const bool is_page = base.ends_with(".html") || base.ends_with(".htm");  // else a folder
  if (!is_page && !base.ends_with('/')) base += '/';
  return base + "#!" + storage::percent_encode(state.dump());
}

}  // namespace

storage::LoopbackServer::Handler view_handler(const std::vector<ViewLayer>& layers, const std::string& origin,
                                              storage::StoreOpener& stores) {
  auto roots = std::make_shared<std::map<std::string, Root>>();
  for (const ViewLayer& layer : layers) (*roots)["/" + layer.route + "/"] = {layer.location, stores.open(layer.location)};
  return [roots, origin](const ServedRequest& request) {
    ServedAnswer answer = [&] {
      if (!names_this_machine(request.header("host"))) return refusal(403);
      if (request.method == "OPTIONS") return refusal(204);
      if (request.method != "GET" && request.method != "HEAD") return refusal(405);
      for (const auto& [route, root] : *roots)
        if (request.path.starts_with(route)) {
          const std::string key = request.path.substr(route.size());
          if (key.empty() || key.ends_with('/')) return refusal(404);
          return is_plain_key(key) ? object_answer(root, key, request.header("range")) : refusal(403);
        }
      return refusal(request.path.find("..") == std::string::npos ? 404 : 403);
    }();
    if (answer.status == 405) answer.headers.emplace_back("Allow", "GET, HEAD, OPTIONS");
    answer.headers.emplace_back("Vary", "Origin");
    if (request.header("origin") != origin) return answer;
    answer.headers.emplace_back("Access-Control-Allow-Origin", origin);
    answer.headers.emplace_back("Access-Control-Expose-Headers", "Accept-Ranges, Content-Length, Content-Range");
    if (request.method != "OPTIONS") return answer;
    answer.headers.emplace_back("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS");
    answer.headers.emplace_back("Access-Control-Allow-Headers", "Range");
    answer.headers.emplace_back("Access-Control-Max-Age", "86400");
    // Browsers ask this before a public page may read from the machine that they run on.
    if (request.header("access-control-request-private-network") == "true")
      answer.headers.emplace_back("Access-Control-Allow-Private-Network", "true");
    return answer;
  };
}

std::string view_state(const ViewOptions& options, storage::StoreOpener& stores, std::vector<std::string>& notes) {
  if (options.port == 0) throw Error(ErrorCode::kUsage, "--state needs a --port that view can have later, not 0");
  const std::vector<ViewLayer> layers = find_layers(options.output, options.input, stores, notes);
  return neuroglancer_state(layers, fmt::format("http://127.0.0.1:{}", options.port), stores).dump(2) + "\n";
}

void view(const ViewOptions& options, storage::StoreOpener& stores, const std::function<void(const std::string&)>& tell) {
  std::vector<std::string> notes;
  const std::vector<ViewLayer> layers = find_layers(options.output, options.input, stores, notes);
  const std::string origin = origin_of(options.neuroglancer);
  const storage::LoopbackServer server(options.port);
  const std::string url = fmt::format("http://127.0.0.1:{}", server.port());
  const Json state = neuroglancer_state(layers, url, stores);
  for (const std::string& note : notes) tell("note: " + note);
  for (const ViewLayer& layer : layers) tell(fmt::format("{:<12} {}/{}/", layer.name, url, storage::encode_path(layer.route)));
  tell("");
  tell(link_to(options, state));
  tell("");
  tell(fmt::format("Serving to {} until Ctrl-C.", origin));
  server.serve(view_handler(layers, origin, stores), interruption_requested);
}

}  // namespace flatfield::pipeline
