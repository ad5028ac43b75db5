#include "array_exercise.h"
#include "miniature_arrays.h"
#include "targets.h"

void flatfield::fuzz::zarr_shards(Input input) {
  if (!input.empty())
    exercise_array(miniature_array(kShardCodecs, input), "", 3);
}
