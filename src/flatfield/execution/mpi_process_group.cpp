#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "flatfield/core/environment.h"
#include "flatfield/core/error.h"
#include "flatfield/core/stage_clock.h"
#include "flatfield/core/translate_errors.h"
#include "flatfield/execution/process_group.h"
#ifdef FLATFIELD_WITH_MPI
// Its interface of C, and not that of C++, which is no more.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#endif

namespace flatfield::execution {
namespace {

/// Whether a starter of parallel programs has started this process, and others with it.
bool was_started_with_others() {
  if (process_environment("FLATFIELD_ALONE")) return false;
  const auto exceeds_one = [](const char* name) {
    const auto value = process_environment(name);
    return value && std::atoi(value->c_str()) > 1;
  };
  // Open MPI; MPICH and those like it; Slurm, whose jobs need not be of MPI.
  return exceeds_one("OMPI_COMM_WORLD_SIZE") || exceeds_one("PMI_SIZE") ||
         (process_environment("PMIX_RANK") && exceeds_one("SLURM_STEP_NUM_TASKS"));
}

#ifdef FLATFIELD_WITH_MPI

/// What one process threw in all of them.
class SharedError : public Error {
 public:
  using Error::Error;
};

/// Values of one call of MPI.
constexpr std::size_t kValuesAtOnce = std::size_t{1} << 20;

class MpiProcessGroup : public ProcessGroup {
 public:
  MpiProcessGroup() {
    int provided = 0;
    // Of the errors of MPI itself, that of a network that is gone, the end of all processes is the default.
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    allows_threads_ = provided >= MPI_THREAD_SERIALIZED;
  }
  ~MpiProcessGroup() override { MPI_Finalize(); }

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }

  void together(const std::function<void()>& work) override {
    // Not while this is made: then nobody would speak for all, and nobody end MPI.
    if (!allows_threads_)
      throw Error(ErrorCode::kUsage, "this MPI does not allow for threads", "", "use an MPI with MPI_THREAD_SERIALIZED");
    // Each would take itself for the only one, and do the whole run at the places of the others.
    if (size_ == 1)
      throw Error(ErrorCode::kUsage, "the processes that were started together do not find each other", "",
                  "start them with mpirun or srun of the MPI that this program was built with, or set FLATFIELD_ALONE=1 "
                  "if they have different work");
    try {
      with_errors(work);
    } catch (const SharedError&) {
      throw;  // the others throw it too
    } catch (const Error& error) {
      fail(error);
    }
    agree(Call::kTogether, 0);
  }

  using ProcessGroup::broadcast;
  void broadcast(std::span<std::byte> bytes) override {
    agree(Call::kBroadcast, bytes.size());
    send_from(0, bytes);
  }

  [[nodiscard]] bool another_failed() override {
    int found = 0;
    MPI_Iprobe(MPI_ANY_SOURCE, kFailedTag, MPI_COMM_WORLD, &found, MPI_STATUS_IGNORE);
    return found != 0;
  }

  void sum(std::span<std::uint64_t> values) const override { reduce(values, MPI_UINT64_T, MPI_SUM, Call::kSum); }
  void sum(std::span<std::uint32_t> values) const override { reduce(values, MPI_UINT32_T, MPI_SUM, Call::kSum); }
  void least(std::span<float> values) const override { reduce(values, MPI_FLOAT, MPI_MIN, Call::kLeast); }
  void most(std::span<float> values) const override { reduce(values, MPI_FLOAT, MPI_MAX, Call::kMost); }
  void least(std::span<std::int64_t> values) const override { reduce(values, MPI_INT64_T, MPI_MIN, Call::kLeast); }
  void unite(std::span<std::byte> bits) const override { reduce(bits, MPI_BYTE, MPI_BOR, Call::kUnite); }
  void common(std::span<std::uint64_t> bits) const override { reduce(bits, MPI_UINT64_T, MPI_BAND, Call::kCommon); }
  [[nodiscard]] std::vector<std::uint64_t> before(std::span<const std::uint64_t> values) const override {
    agree(Call::kBefore, values.size());
    std::vector<std::uint64_t> sums(values.size());
    for (std::size_t first = 0; first < values.size(); first += kValuesAtOnce)
      wait([&](MPI_Request* request) {
        MPI_Iexscan(values.data() + first, sums.data() + first, count_from(first, values.size()), MPI_UINT64_T, MPI_SUM,
                    MPI_COMM_WORLD, request);
      });
    if (rank_ == 0) sums.assign(values.size(), 0);  // what the scan leaves there is anything
    return sums;
  }

 private:
  enum class Call : std::uint8_t { kTogether, kBroadcast, kSum, kLeast, kMost, kUnite, kCommon, kBefore };
  static constexpr int kFailedTag = 1;

  template <class T>
  void reduce(std::span<T> values, MPI_Datatype type, MPI_Op operation, Call call) const {
    agree(call, values.size());
    for (std::size_t first = 0; first < values.size(); first += kValuesAtOnce)
      wait([&](MPI_Request* request) {
        MPI_Iallreduce(MPI_IN_PLACE, values.data() + first, count_from(first, values.size()), type, operation,
                       MPI_COMM_WORLD, request);
      });
  }

  [[nodiscard]] static int count_from(std::size_t first, std::size_t size) {
    return static_cast<int>(std::min(kValuesAtOnce, size - first));
  }

  static void send_from(int source, std::span<std::byte> bytes) {
    for (std::size_t first = 0; first < bytes.size(); first += kValuesAtOnce)
      wait([&](MPI_Request* request) {
        MPI_Ibcast(bytes.data() + first, count_from(first, bytes.size()), MPI_BYTE, source, MPI_COMM_WORLD, request);
      });
  }

  /// Waits until all processes make the same call.
  void agree(Call call, std::size_t size) const {
    const auto what = static_cast<std::int64_t>((size << 8U) | static_cast<std::size_t>(call));
    const std::int64_t failed = least_failed(kNobody, what);
    if (failed != kNobody) throw_error_of(failed, nullptr);
  }

  [[noreturn]] void fail(const Error& error) {
    // An error that follows from that of another process is not the one to tell.
    const bool follows = another_failed();
    std::vector<MPI_Request> requests;
    for (int other = 0; other < size_; ++other)
      if (other != rank_)
        MPI_Isend(nullptr, 0, MPI_BYTE, other, kFailedTag, MPI_COMM_WORLD, &requests.emplace_back());
    const std::int64_t failed = least_failed(follows ? rank_ + size_ : rank_, 0);
    try {
      throw_error_of(failed, &error);
    } catch (...) {
      MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
      throw;
    }
  }

  static constexpr std::int64_t kNobody = std::numeric_limits<std::int64_t>::max();

  /// The least of what all processes say, kNobody if none has failed. Throws if they make different calls.
  [[nodiscard]] std::int64_t least_failed(std::int64_t mine, std::int64_t call) const {
    std::array<std::int64_t, 3> state{mine, call, -call};
    wait([&](MPI_Request* request) {
      MPI_Iallreduce(MPI_IN_PLACE, state.data(), 3, MPI_INT64_T, MPI_MIN, MPI_COMM_WORLD, request);
    });
    if (state[0] == kNobody && state[1] != -state[2])
      throw SharedError(ErrorCode::kInternal, "the processes of a run do different things", "", "please report this");
    return state[0];
  }

  /// Throws the error of the process that `failed` names in all of them; `mine` is that of this one, or null.
  [[noreturn]] void throw_error_of(std::int64_t failed, const Error* mine) const {
    // Those that have failed have said so to all the others.
    std::vector<int> said(static_cast<std::size_t>(size_));
    const int have = mine != nullptr ? 1 : 0;
    MPI_Allgather(&have, 1, MPI_INT, said.data(), 1, MPI_INT, MPI_COMM_WORLD);
    for (int other = 0; other < size_; ++other)
      if (other != rank_ && said[static_cast<std::size_t>(other)] != 0)
        MPI_Recv(nullptr, 0, MPI_BYTE, other, kFailedTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);

    const int source = static_cast<int>(failed % size_);
    std::array<std::string, 3> texts;
    auto code = ErrorCode::kInternal;
    if (source == rank_ && mine != nullptr) {
      texts = {mine->message(), mine->where(), mine->remedy()};
      code = mine->code();
    }
    std::array<std::uint64_t, 4> header{static_cast<std::uint64_t>(code), texts[0].size(), texts[1].size(),
                                        texts[2].size()};
    MPI_Bcast(header.data(), 4, MPI_UINT64_T, source, MPI_COMM_WORLD);
    for (std::size_t i = 0; i < 3; ++i) {
      texts[i].resize(header[i + 1]);
      send_from(source, std::as_writable_bytes(std::span(texts[i])));
    }
    throw SharedError(static_cast<ErrorCode>(header[0]), texts[0], texts[1], texts[2]);
  }

  /// Waits for what `begin` has begun. MPI's own waiting keeps a CPU busy, and others may be at work for long.
  template <class Begin>
  static void wait(Begin begin) {
    using std::chrono::microseconds;
    constexpr microseconds kLongest{2000};
    const StageScope waiting(Stage::kWait);
    MPI_Request request = MPI_REQUEST_NULL;
    begin(&request);
    for (microseconds nap{20};; nap = std::min(nap * 2, kLongest)) {
      int done = 0;
      MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      if (done != 0) return;
      std::this_thread::sleep_for(nap);
    }
  }

  int rank_ = 0;
  int size_ = 1;
  bool allows_threads_ = false;
};

#endif

}  // namespace

bool can_join_processes() {
#ifdef FLATFIELD_WITH_MPI
  return true;
#else
  return false;
#endif
}

std::unique_ptr<ProcessGroup> join_processes() {
  if (!was_started_with_others()) return std::make_unique<ProcessGroup>();
#ifdef FLATFIELD_WITH_MPI
  return std::make_unique<MpiProcessGroup>();
#else
  throw Error(ErrorCode::kUsage, "this program was built without MPI, and its processes would all do the same", "",
              "build it with -DFLATFIELD_MPI=ON, or set FLATFIELD_ALONE=1 if they have different work");
#endif
}

}  // namespace flatfield::execution
