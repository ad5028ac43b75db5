#include "flatfield/storage/request_window.h"

#include <algorithm>

namespace flatfield::storage {

RequestWindow::RequestWindow(int most) : most_(std::max(1, most)), size_(most_) {}

void RequestWindow::note_success() {
  const std::scoped_lock lock(mutex_);
  size_ = std::min(most_, size_ + 1.0 / size_);
  changed_.notify_one();
}

void RequestWindow::note_overload(Clock::time_point began) {
  const std::scoped_lock lock(mutex_);
  if (began < halved_) return;
  size_ = std::max(1.0, size_ / 2.0);
  halved_ = Clock::now();
}

int RequestWindow::size() const {
  const std::scoped_lock lock(mutex_);
  return static_cast<int>(size_);
}

void RequestWindow::enter() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return taken_ < static_cast<int>(size_); });
  ++taken_;
}

void RequestWindow::leave() {
  const std::scoped_lock lock(mutex_);
  --taken_;
  changed_.notify_one();
}

}  // namespace flatfield::storage
