// Whatever a server answers, the readers of its XML return a value or throw an Error.
#include <string>
#include <string_view>

#include "flatfield/core/error.h"
#include "flatfield/storage/s3_answers.h"
#include "flatfield/storage/xml.h"
#include "targets.h"

namespace {

template <class F>
void expect_value_or_error(F read) {
  try {
    read();
  } catch (const flatfield::Error&) {  // NOLINT(bugprone-empty-catch)
  }
}

}  // namespace

void flatfield::fuzz::xml_answers(Input input) {
  using namespace flatfield::storage;
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  static_cast<void>(parse_error_document(text));
  static_cast<void>(parse_complete_result(text));
  expect_value_or_error([&] { static_cast<void>(parse_listing(text, "fuzz")); });
  expect_value_or_error([&] { static_cast<void>(parse_delete_result(text, "fuzz")); });
  expect_value_or_error([&] { static_cast<void>(parse_upload_id(text, "fuzz")); });
  expect_value_or_error([&] { static_cast<void>(parse_sts_credentials(text, "fuzz")); });
  // What is written as content is read back as it was, if it is text that XML can hold.
  std::string printable(text);
  for (char& c : printable)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '<';
  const XmlElement element = parse_xml("<a>" + escape_xml(printable) + "</a>", "fuzz");
  if (element.text != printable) __builtin_trap();
}
