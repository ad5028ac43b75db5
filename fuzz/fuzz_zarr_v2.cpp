#include "array_exercise.h"
#include "store_input.h"
#include "targets.h"

void flatfield::fuzz::zarr_v2(Input input) { exercise_array(read_store(input), "", 2); }
