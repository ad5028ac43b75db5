#pragma once

#include <pthread.h>

#include <cstddef>

namespace flatfield::test {

/// While it lives, no thread can be started: there is no room for a stack as large as is asked for.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    ::pthread_getattr_default_np(&usual_);
    pthread_attr_t endless;
    ::pthread_getattr_default_np(&endless);
    ::pthread_attr_setstacksize(&endless, std::size_t{1} << 48U);
    ::pthread_setattr_default_np(&endless);
    ::pthread_attr_destroy(&endless);
  }
  ~NoMoreThreads() {
    ::pthread_setattr_default_np(&usual_);
    ::pthread_attr_destroy(&usual_);
  }
  NoMoreThreads(const NoMoreThreads&) = delete;
  NoMoreThreads& operator=(const NoMoreThreads&) = delete;

 private:
  pthread_attr_t usual_{};
};

}  // namespace flatfield::test
