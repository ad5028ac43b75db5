#include "array_exercise.h"
#include "store_input.h"
#include "targets.h"

void flatfield::fuzz::zarr_v3(Input input) { exercise_array(read_store(input), "", 3); }
