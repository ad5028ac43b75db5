#pragma once

#include <functional>
#include <string>
#include <vector>

#include "flatfield/pipeline/view_layers.h"
#include "flatfield/storage/loopback_server.h"

namespace flatfield::pipeline {

struct ViewOptions {
  std::string output;  ///< a corrected image, or a folder of such
  std::string input;   ///< "" = what the provenance says
  int port = 8900;     ///< 0 = any that is free
  std::string neuroglancer = "https://neuroglancer-demo.appspot.com/";  ///< what the link opens, and may read
};

/// Answers requests for the images of `layers` and nothing else: GET and HEAD with ranges, and the questions that a browser
/// asks before. Pages of `origin` ("https://HOST") may read the answers, others not. Requests that name another host
/// than this one are refused, as are keys that leave an image, also over symbolic links.
[[nodiscard]] storage::LoopbackServer::Handler view_handler(const std::vector<ViewLayer>& layers,
                                                            const std::string& origin, storage::StoreOpener& stores);

/// The state that `view` shows, as JSON. `port` must not be 0.
[[nodiscard]] std::string view_state(const ViewOptions& options, storage::StoreOpener& stores,
                                     std::vector<std::string>& notes);

/// Serves the images on the loopback interface until the process is asked to stop. `tell` is told the lines for people.
void view(const ViewOptions& options, storage::StoreOpener& stores, const std::function<void(const std::string&)>& tell);

}  // namespace flatfield::pipeline
