#pragma once

#include <initializer_list>
#include <string>

#include "flatfield/core/error.h"

namespace flatfield::fuzz {

/// Ends the process with a message, as a sanitizer does.
[[noreturn]] void fail(const std::string& what);

inline void require(bool holds, const char* what) {
  if (!holds) fail(what);
}

/// An error that hostile input may cause has one of `codes` and says in one line what is wrong.
void require_refusal(const Error& error, std::initializer_list<ErrorCode> codes);

/// Whether `read` comes to its end. It may throw an Error with one of `codes` instead.
template <class Read>
bool accepts(std::initializer_list<ErrorCode> codes, Read read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    require_refusal(error, codes);
    return false;
  }
}

}  // namespace flatfield::fuzz
