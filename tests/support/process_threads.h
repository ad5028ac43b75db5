#pragma once

#include <algorithm>
#include <barrier>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "flatfield/execution/process_group.h"

namespace flatfield::testing_support {

/// Processes of a run that are threads of a test: each sees the group as one of several processes would.
class ProcessThreads {
 public:
  /// Runs `body` in `count` of them, and throws what the first that failed in it has thrown.
  static void run(int count, const std::function<void(execution::ProcessGroup&)>& body) {
    Meeting meeting(count);
    std::vector<std::exception_ptr> errors(static_cast<std::size_t>(count));
    {
      std::vector<std::jthread> threads;
      for (int rank = 0; rank < count; ++rank)
        threads.emplace_back([&, rank] {
          Process process(meeting, rank);
          try {
            body(process);
          } catch (...) {
            errors[static_cast<std::size_t>(rank)] = std::current_exception();
          }
        });
    }
    for (const std::exception_ptr& error : errors)
      if (error) std::rethrow_exception(error);
  }

 private:
  struct Meeting {
    explicit Meeting(int count) : places(static_cast<std::size_t>(count)), errors(places.size()), barrier(count) {}
    std::vector<const void*> places;  ///< the values of each
    std::vector<std::exception_ptr> errors;
    std::barrier<> barrier;
  };

  class Process : public execution::ProcessGroup {
   public:
    Process(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}
    [[nodiscard]] int rank() const override { return rank_; }
    [[nodiscard]] int size() const override { return static_cast<int>(meeting_.places.size()); }
    void together(const std::function<void()>& work) override {
      std::exception_ptr& mine = meeting_.errors[static_cast<std::size_t>(rank_)];
      mine = nullptr;
      try {
        work();
      } catch (...) {
        mine = std::current_exception();
      }
      meeting_.barrier.arrive_and_wait();
      std::exception_ptr first;
      for (const std::exception_ptr& error : meeting_.errors)
        if (error && !first) first = error;
      meeting_.barrier.arrive_and_wait();
      if (first) std::rethrow_exception(first);
    }
    using ProcessGroup::broadcast;
    void broadcast(std::span<std::byte> bytes) override {
      combine(bytes, [](std::byte other, int rank, std::byte so_far) {
        return rank == 0 ? other : so_far;
      });
    }
    void sum(std::span<std::uint64_t> values) const override { add_up(values); }
    void sum(std::span<std::uint32_t> values) const override { add_up(values); }
    void least(std::span<float> values) const override {
      combine(values, [](float other, int rank, float so_far) { return rank == 0 ? other : std::min(other, so_far); });
    }
    void most(std::span<float> values) const override {
      combine(values, [](float other, int rank, float so_far) { return rank == 0 ? other : std::max(other, so_far); });
    }
    void least(std::span<std::int64_t> values) const override {
      combine(values, [](std::int64_t other, int rank, std::int64_t so_far) {
        return rank == 0 ? other : std::min(other, so_far);
      });
    }
    void unite(std::span<std::byte> bits) const override {
      combine(bits, [](std::byte other, int rank, std::byte so_far) { return rank == 0 ? other : other | so_far; });
    }
    void common(std::span<std::uint64_t> bits) const override {
      combine(bits, [](std::uint64_t other, int rank, std::uint64_t so_far) {
        return rank == 0 ? other : other & so_far;
      });
    }
    [[nodiscard]] std::vector<std::uint64_t> before(std::span<const std::uint64_t> values) const override {
      std::vector<std::uint64_t> sums(values.begin(), values.end());
      combine(std::span(sums), [this](std::uint64_t other, int rank, std::uint64_t so_far) {
        return (rank == 0 ? 0 : so_far) + (rank < rank_ ? other : 0);
      });
      return sums;
    }

   private:
    template <class T>
    void add_up(std::span<T> values) const {
      combine(values, [](T other, int rank, T so_far) { return rank == 0 ? other : static_cast<T>(other + so_far); });
    }
    /// Replaces each value by what all of them, one rank after the other, make of it.
    template <class T, class Step>
    void combine(std::span<T> values, Step step) const {
      meeting_.places[static_cast<std::size_t>(rank_)] = values.data();
      meeting_.barrier.arrive_and_wait();
      std::vector<T> made(values.begin(), values.end());
      for (std::size_t i = 0; i < made.size(); ++i) {
        T so_far{};
        for (int rank = 0; rank < size(); ++rank)
          so_far = step(static_cast<const T*>(meeting_.places[static_cast<std::size_t>(rank)])[i], rank, so_far);
        made[i] = so_far;
      }
      meeting_.barrier.arrive_and_wait();
      std::copy(made.begin(), made.end(), values.begin());
      meeting_.barrier.arrive_and_wait();
    }

    Meeting& meeting_;
    int rank_;
  };
};

}  // namespace flatfield::testing_support
