#pragma once

#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"

namespace flatfield::numerics {

/// The largest singular value of a contiguous (1, rows, columns) matrix of finite values, to a
/// relative 1e-6 or better; 0 for a matrix of zeros. By power iteration in double (at most 1000
/// products, usually about 10), which reads the matrix once per product. The same bits for any
/// number of threads.
[[nodiscard]] double largest_singular_value(BlockView<const float> matrix,
                                            const ParallelFor& parallel_for);

}  // namespace flatfield::numerics
