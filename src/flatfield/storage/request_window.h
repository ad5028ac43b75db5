#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace flatfield::storage {

/// How many requests may be under way at once: additive increase while they succeed, halved when
/// the server says that it is too many. May be used from several threads at once.
class RequestWindow {
 public:
  /// Starts with all of `most` (>= 1) open.
  explicit RequestWindow(int most);

  /// A place in the window, given back at the end of its life.
  class Place {
   public:
    explicit Place(RequestWindow& window) : window_(window) { window_.enter(); }
    ~Place() { window_.leave(); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    RequestWindow& window_;
  };

  using Clock = std::chrono::steady_clock;

  /// A request was answered well: the window grows by one place per windowful of these.
  void note_success();
  /// A request that began at `began` was too many. Those that were under way when the window was
  /// halved say nothing new: they do not halve it again.
  void note_overload(Clock::time_point began);

  /// Places there are now.
  [[nodiscard]] int size() const;

 private:
  void enter();
  void leave();

  const double most_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  double size_;
  int taken_ = 0;
  Clock::time_point halved_ = Clock::time_point::min();
};

}  // namespace flatfield::storage
