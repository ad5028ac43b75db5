#include "flatfield/numerics/window_reduce.h"

#include <algorithm>
#include <array>
#include <string>
#include <type_traits>

#include "flatfield/core/error.h"
#include "flatfield/numerics/second_largest.h"

namespace flatfield::numerics {
namespace {

// Every kernel below handles one row of windows with one loop along x that has no branches, so that
// it vectorises: the eight voxels of a window are eight scalars of the loop body. For that the
// compiler must inline all of it; left to itself it finds the sorting network too long.

template <class T>
using Window = std::array<T, 8>;

/// The eight voxels of a window in C order; `rows` are its four input rows.
template <class T>
Window<T> window_at(const std::array<const T*, 4>& rows, std::int64_t x) {
  return {rows[0][2 * x], rows[0][2 * x + 1], rows[1][2 * x], rows[1][2 * x + 1],
          rows[2][2 * x], rows[2][2 * x + 1], rows[3][2 * x], rows[3][2 * x + 1]};
}

template <class T>
[[gnu::always_inline]] inline void order(T& a, T& b) {
  const T x = a;
  const T y = b;
  a = x < y ? x : y;
  b = y < x ? x : y;
}

/// Sorts ascending with the optimal network of 19 comparators (Knuth, TAOCP 3, 5.3.4). Where only
/// one element is used afterwards the compiler drops the comparators that do not lead to it.
template <class T>
[[gnu::always_inline]] inline void sort_window(Window<T>& v) {
  order(v[0], v[2]), order(v[1], v[3]), order(v[4], v[6]), order(v[5], v[7]);
  order(v[0], v[4]), order(v[1], v[5]), order(v[2], v[6]), order(v[3], v[7]);
  order(v[0], v[1]), order(v[2], v[3]), order(v[4], v[5]), order(v[6], v[7]);
  order(v[2], v[4]), order(v[3], v[5]);
  order(v[1], v[4]), order(v[3], v[6]);
  order(v[1], v[2]), order(v[3], v[4]), order(v[5], v[6]);
}

template <std::size_t kRank>
struct Rank {
  template <class T>
  [[gnu::always_inline]] T operator()(Window<T> v) const {
    sort_window(v);
    return v[kRank];
  }
};

/// Integers: exact, rounded half to even. float: the double sums in the order of numpy.sum.
struct Mean {
  template <class T>
  [[gnu::always_inline]] T operator()(const Window<T>& v) const {
    if constexpr (std::is_floating_point_v<T>) {
      const auto d = [&](std::size_t i) { return static_cast<double>(v[i]); };
      const double sum = ((d(0) + d(1)) + (d(2) + d(3))) + ((d(4) + d(5)) + (d(6) + d(7)));
      return static_cast<T>(sum / 8);
    } else {
      std::uint32_t sum = 0;
      for (const T value : v) sum += value;
      return static_cast<T>((sum + 3 + (sum / 8) % 2) / 8);
    }
  }
};

struct Mode {
  template <class T>
  [[gnu::always_inline]] T operator()(Window<T> v) const {
    sort_window(v);
    // Counts are of the voxel type: lanes of one width let the loop vectorise.
    T best = v[0];
    T best_run = 1;
    T run = 1;
    for (std::size_t i = 1; i < 8; ++i) {
      run = v[i] == v[i - 1] ? static_cast<T>(run + 1) : T{1};
      best = run > best_run ? v[i] : best;
      best_run = std::max(run, best_run);
    }
    return best;
  }
};

template <class T>
std::array<const T*, 4> input_rows(BlockView<const T> in, std::int64_t z, std::int64_t y) {
  return {in.row(2 * z, 2 * y), in.row(2 * z, 2 * y + 1), in.row(2 * z + 1, 2 * y), in.row(2 * z + 1, 2 * y + 1)};
}

template <class T, class Reduce>
void reduce_rows(BlockView<const T> in, BlockView<T> out, Reduce reduce) {
  for (std::int64_t z = 0; z < out.shape.z; ++z)
    for (std::int64_t y = 0; y < out.shape.y; ++y) {
      const std::array<const T*, 4> rows = input_rows(in, z, y);
      T* __restrict const to = out.row(z, y);
      for (std::int64_t x = 0; x < out.shape.x; ++x) to[x] = reduce(window_at(rows, x));
    }
}

/// What pyramids of counts are made of, unless another reducer is asked for.
template <class T>
void reduce_by_second_largest(BlockView<const T> in, BlockView<T> out) {
  for (std::int64_t z = 0; z < out.shape.z; ++z)
    for (std::int64_t y = 0; y < out.shape.y; ++y)
      second_largest_row(input_rows(in, z, y).data(), out.row(z, y), out.shape.x);
}

template <class T>
void reduce_by_rank(BlockView<const T> in, BlockView<T> out, int rank) {
  if constexpr (std::is_integral_v<T>)
    if (rank == -2 || rank == 6) return reduce_by_second_largest(in, out);
  switch (rank < 0 ? rank + 8 : rank) {
    case 0: return reduce_rows(in, out, Rank<0>{});
    case 1: return reduce_rows(in, out, Rank<1>{});
    case 2: return reduce_rows(in, out, Rank<2>{});
    case 3: return reduce_rows(in, out, Rank<3>{});
    case 4: return reduce_rows(in, out, Rank<4>{});
    case 5: return reduce_rows(in, out, Rank<5>{});
    case 6: return reduce_rows(in, out, Rank<6>{});
    case 7: return reduce_rows(in, out, Rank<7>{});
    default:
      throw Error(ErrorCode::kInternal, "window rank out of range -8..7: " + std::to_string(rank));
  }
}

}  // namespace

template <class T>
void reduce_windows(BlockView<const T> in, BlockView<T> out, const WindowReducer& reducer) {
  if (out.shape != floor_div(in.shape, 2))
    throw Error(ErrorCode::kInternal, "reduce_windows: the output is not half of the input");
  switch (reducer.kind) {
    case WindowReducer::Kind::kRank: return reduce_by_rank(in, out, reducer.rank);
    case WindowReducer::Kind::kMean: return reduce_rows(in, out, Mean{});
    case WindowReducer::Kind::kMode: return reduce_rows(in, out, Mode{});
  }
}

template void reduce_windows(BlockView<const std::uint8_t>, BlockView<std::uint8_t>,
                             const WindowReducer&);
template void reduce_windows(BlockView<const std::uint16_t>, BlockView<std::uint16_t>,
                             const WindowReducer&);
template void reduce_windows(BlockView<const float>, BlockView<float>, const WindowReducer&);

}  // namespace flatfield::numerics
