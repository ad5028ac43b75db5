#include "flatfield/ome/ngff_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <set>
#include <string_view>

namespace flatfield::ome {
namespace {

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
}

/// A value and its place in the attributes; what is wrong with it is noted in a report.
class Value {
 public:
  using Visit = std::function<void(const Value&)>;

  Value(const Json& json, std::string path, NgffReport& report)
      : json_(&json), path_(std::move(path)), report_(&report) {}

  [[nodiscard]] const Json& json() const { return *json_; }
  void problem(const std::string& what) const { report_->problems.push_back(path_ + ": " + what); }
  void advise(std::string_view key) const {
    if (json_->find(key) == nullptr)
      report_->advice.push_back(fmt::format("{}.{}: should be there", path_, key));
  }
  bool require(bool holds, const std::string& what) const {
    if (!holds) problem(what);
    return holds;
  }
  bool require_object() const { return require(json_->is_object(), "expected an object"); }

  /// Visits the member `key` if it is there.
  void optional(std::string_view key, const Visit& visit) const {
    if (const Json* member = json_->find(key)) visit(at(*member, fmt::format("{}.{}", path_, key)));
  }
  /// Visits the member `key`, which must be there.
  void required(std::string_view key, const Visit& visit) const {
    if (require(json_->find(key) != nullptr, fmt::format("\"{}\" is missing", key)))
      optional(key, visit);
  }
  /// Visits the elements of a list that has at least one, and none twice.
  void elements(const Visit& visit) const {
    if (!require(json_->is_array() && !json_->as_array().empty(),
                 "expected a list that is not empty"))
      return;
    const Json::Array& list = json_->as_array();
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (std::find(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(i), list[i]) !=
          list.begin() + static_cast<std::ptrdiff_t>(i))
        problem(fmt::format("element {} occurs twice", i));
      visit(at(list[i], fmt::format("{}[{}]", path_, i)));
    }
  }

 private:
  [[nodiscard]] Value at(const Json& json, std::string path) const {
    return {json, std::move(path), *report_};
  }

  const Json* json_;
  std::string path_;
  NgffReport* report_;
};

void check_text(const Value& value) { value.require(value.json().is_string(), "expected a text"); }
void check_number(const Value& value) {
  value.require(value.json().is_number(), "expected a number");
}
void check_name(const Value& value) {
  value.require(value.json().is_string() && is_name(value.json().as_string()),
                "expected a name of letters and digits");
}

Value::Visit check_integer(std::int64_t least) {
  return [least](const Value& value) {
    value.require(
        value.json().is_integer() && value.json().as_double() >= static_cast<double>(least),
        fmt::format("expected an integer >= {}", least));
  };
}

/// NGFF 0.4 has a version in every object.
void check_version(const Value& value) {
  value.require(value.json().is_string() && value.json().as_string() == "0.4",
                "expected the version \"0.4\"");
}

// ---- images

void check_axis(const Value& axis) {
  if (!axis.require_object()) return;
  axis.required("name", check_text);
  axis.optional("type", check_text);
}

void check_axes(const Value& axes) {
  axes.elements(check_axis);
  if (!axes.json().is_array()) return;
  const Json::Array& list = axes.json().as_array();
  axes.require(list.size() >= 2 && list.size() <= 5, "expected 2 to 5 axes");
  std::set<std::string> names;
  std::size_t spatial = 0;
  for (const Json& axis : list) {
    const Json* name = axis.find("name");
    if (name != nullptr && name->is_string())
      axes.require(names.insert(name->as_string()).second, "two axes have the same name");
    // An axis that does not say what it is may be one of space.
    const Json* type = axis.find("type");
    if (type == nullptr || (type->is_string() && type->as_string() == "space")) ++spatial;
  }
  axes.require(spatial >= 2 && spatial <= 3, "expected 2 or 3 axes of space");
}

void check_transformations(const Value& transformations) {
  std::size_t scales = 0;
  transformations.elements([&](const Value& transformation) {
    if (!transformation.require_object()) return;
    transformation.required("type", [&](const Value& type) {
      const std::string name = type.json().is_string() ? type.json().as_string() : "";
      if (!type.require(name == "scale" || name == "translation",
                        "expected \"scale\" or \"translation\""))
        return;
      if (name == "scale") ++scales;
      transformation.required(name, [](const Value& values) {
        values.require(
            values.json().is_array() && values.json().as_array().size() >= 2 &&
                std::all_of(values.json().as_array().begin(), values.json().as_array().end(),
                            [](const Json& number) { return number.is_number(); }),
            "expected two or more numbers");
      });
    });
  });
  transformations.require(scales == 1, "expected one scale");
}

void check_image(const Value& image, bool is_v04) {
  if (!image.require_object()) return;
  if (is_v04) image.optional("version", check_version);
  image.optional("name", check_text);
  image.required("axes", check_axes);
  image.optional("coordinateTransformations", check_transformations);
  image.required("datasets", [](const Value& datasets) {
    datasets.elements([](const Value& dataset) {
      if (!dataset.require_object()) return;
      dataset.required("path", check_text);
      dataset.required("coordinateTransformations", check_transformations);
    });
  });
  for (const std::string_view key : {"name", "type", "metadata"}) image.advise(key);
  if (is_v04) image.advise("version");
}

void check_omero(const Value& omero) {
  if (!omero.require_object()) return;
  omero.required("channels", [](const Value& channels) {
    if (!channels.require(channels.json().is_array(), "expected a list")) return;
    if (channels.json().as_array().empty()) return;
    channels.elements([](const Value& channel) {
      if (!channel.require_object()) return;
      channel.required("color", check_text);
      channel.optional("label", check_text);
      channel.required("window", [](const Value& window) {
        if (!window.require_object()) return;
        for (const std::string_view key : {"min", "max", "start", "end"})
          window.required(key, check_number);
      });
    });
  });
}

// ---- labels

void check_label(const Value& label, bool is_v04) {
  if (!label.require_object()) return;
  if (is_v04) label.optional("version", check_version);
  label.optional("colors", [](const Value& colors) {
    std::set<double> values;
    colors.elements([&](const Value& color) {
      if (!color.require_object()) return;
      color.required("label-value", check_number);
      const Json* value = color.json().find("label-value");
      if (value != nullptr && value->is_number())
        color.require(values.insert(value->as_double()).second, "a label has two colors");
      color.optional("rgba", [](const Value& rgba) {
        rgba.require(rgba.json().is_array() && rgba.json().as_array().size() == 4 &&
                         std::all_of(rgba.json().as_array().begin(), rgba.json().as_array().end(),
                                     [](const Json& part) {
                                       return part.is_integer() && part.as_double() >= 0 &&
                                              part.as_double() <= 255;
                                     }),
                     "expected four integers from 0 to 255");
      });
    });
  });
  label.optional("properties", [](const Value& properties) {
    properties.elements([](const Value& property) {
      if (property.require_object())
        property.required("label-value", [](const Value& value) {
          value.require(value.json().is_integer(), "expected an integer");
        });
    });
  });
  label.advise("colors");
  if (is_v04) label.advise("version");
}

// ---- plates and wells

void check_named_list(const Value& list) {
  list.elements([](const Value& entry) {
    if (entry.require_object()) entry.required("name", check_name);
  });
}

/// The name of the row or column that a well says it is in; empty if there is none.
std::string name_at(const Json& plate, std::string_view list, const Json& well,
                    std::string_view key) {
  const Json* names = plate.find(list);
  const Json* index = well.find(key);
  if (names == nullptr || !names->is_array() || index == nullptr || !index->is_integer() ||
      index->as_double() < 0 || index->as_double() >= static_cast<double>(names->as_array().size()))
    return "";
  const Json* name = names->as_array()[static_cast<std::size_t>(index->as_int64())].find("name");
  return name != nullptr && name->is_string() ? name->as_string() : "";
}

/// The suite of 0.4 calls wells valid whose path has the column first; that of 0.5 does not.
void check_well_of_plate(const Value& well, const Json& plate, bool is_v04) {
  if (!well.require_object()) return;
  well.required("rowIndex", check_integer(0));
  well.required("columnIndex", check_integer(0));
  well.required("path", [&](const Value& path) {
    const std::string text = path.json().is_string() ? path.json().as_string() : "";
    const std::size_t slash = text.find('/');
    if (!path.require(slash != std::string::npos && is_name(text.substr(0, slash)) &&
                          is_name(text.substr(slash + 1)),
                      "expected the name of a row, a slash and the name of a column"))
      return;
    const std::string row = name_at(plate, "rows", well.json(), "rowIndex");
    const std::string column = name_at(plate, "columns", well.json(), "columnIndex");
    if (!is_v04 && !row.empty() && !column.empty())
      path.require(text == row + "/" + column, fmt::format("expected \"{}/{}\"", row, column));
  });
}

void check_acquisition(const Value& acquisition) {
  if (!acquisition.require_object()) return;
  acquisition.required("id", check_integer(0));
  acquisition.optional("maximumfieldcount", check_integer(1));
  acquisition.optional("name", check_text);
  acquisition.optional("starttime", check_integer(0));
  acquisition.optional("endtime", check_integer(0));
  acquisition.advise("name");
  acquisition.advise("maximumfieldcount");
}

void check_plate(const Value& plate, bool is_v04) {
  if (!plate.require_object()) return;
  if (is_v04) plate.optional("version", check_version);
  plate.required("columns", check_named_list);
  plate.required("rows", check_named_list);
  plate.required("wells", [&](const Value& wells) {
    wells.elements([&](const Value& well) { check_well_of_plate(well, plate.json(), is_v04); });
  });
  plate.optional("field_count", check_integer(1));
  plate.optional("name", check_text);
  plate.optional("acquisitions", [](const Value& acquisitions) {
    if (acquisitions.require(acquisitions.json().is_array(), "expected a list") &&
        !acquisitions.json().as_array().empty())
      acquisitions.elements(check_acquisition);
  });
  plate.advise("name");
  if (is_v04) plate.advise("version");
}

void check_well(const Value& well, bool is_v04) {
  if (!well.require_object()) return;
  if (is_v04) well.optional("version", check_version);
  well.required("images", [](const Value& images) {
    images.elements([](const Value& image) {
      if (!image.require_object()) return;
      image.required("path", check_name);
      image.optional("acquisition", [](const Value& acquisition) {
        acquisition.require(acquisition.json().is_integer(), "expected an integer");
      });
    });
  });
  if (is_v04) well.advise("version");
}

}  // namespace

NgffReport check_ngff(const Json& group_attributes) {
  NgffReport report;
  const Json* ome = group_attributes.find("ome");
  const bool is_v04 = ome == nullptr;
  const Value root(is_v04 ? group_attributes : *ome, is_v04 ? "attributes" : "ome", report);
  if (!is_v04) {
    report.version = "0.5";
    if (!root.require_object()) return report;
    root.required("version", [](const Value& version) {
      version.require(version.json().is_string() && version.json().as_string() == "0.5",
                      "expected \"0.5\"");
    });
  }
  const auto check = [&](std::string_view key, const Value::Visit& visit) {
    if (root.json().find(key) != nullptr) report.version = is_v04 ? "0.4" : "0.5";
    root.optional(key, visit);
  };
  check("multiscales", [&](const Value& images) {
    images.elements([&](const Value& image) { check_image(image, is_v04); });
  });
  if (root.json().find("multiscales") != nullptr) root.optional("omero", check_omero);
  check("image-label", [&](const Value& label) { check_label(label, is_v04); });
  check("plate", [&](const Value& plate) { check_plate(plate, is_v04); });
  check("well", [&](const Value& well) { check_well(well, is_v04); });
  return report;
}

}  // namespace flatfield::ome
