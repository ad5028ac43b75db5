#include "array_exercise.h"
#include "miniature_arrays.h"
#include "targets.h"

void flatfield::fuzz::zarr_chunks(Input input) {
  if (!input.empty())
    exercise_array(miniature_array(kChunkCodecs, input), "", 2);
}
