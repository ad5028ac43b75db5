#include "expectation.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace flatfield::fuzz {

void fail(const std::string& what) {
  std::fprintf(stderr, "FINDING: %s\n", what.c_str());
  std::abort();
}

void require_refusal(const Error& error, std::initializer_list<ErrorCode> codes) {
  const std::string_view line = error.what();
  if (std::find(codes.begin(), codes.end(), error.code()) == codes.end())
    fail(std::string("an error of the kind ")
             .append(error_code_name(error.code()))
             .append(": ")
             .append(line));
  require(!error.message().empty(), "an error without a message");
  require(line.find('\n') == std::string_view::npos, "an error of several lines");
}

}  // namespace flatfield::fuzz
