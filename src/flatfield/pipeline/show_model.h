#pragma once

#include <string>

#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

/// Describes a model file for people: what it was learnt from, and what it does to each volume. With `plots` (a folder)
/// its curves and planes are drawn there too, as VOLUME_NAME.png. Throws as read_model, Error(kWriteFailed).
[[nodiscard]] std::string show_model(const std::string& location, const std::string& plots,
                                     storage::StoreOpener& stores);
/// The same for programs: the document `model.json` of the file.
[[nodiscard]] std::string show_model_json(const std::string& location, storage::StoreOpener& stores);

}  // namespace flatfield::pipeline
