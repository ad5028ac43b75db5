#include "flatfield/storage/xml.h"

#include <expat.h>
#include <fmt/format.h>

#include <limits>
#include <memory>
#include <new>
#include <type_traits>

#include "flatfield/core/error.h"

namespace flatfield::storage {
namespace {

constexpr std::size_t kDeepest = 32;

/// What expat calls back into. Exceptions must not cross its C code: a failure is kept, and stops
/// it.
struct Builder {
  XML_Parser parser = nullptr;
  std::vector<XmlElement> open;  ///< from the root (inside a nameless document) to the present one
  std::string failure;
  bool out_of_memory = false;

  void stop(const char* why) {
    failure = why;
    XML_StopParser(parser, XML_FALSE);
  }
};

template <class F>
void guarded(void* user, F body) noexcept {
  auto& builder = *static_cast<Builder*>(user);
  try {
    body(builder);
  } catch (const std::bad_alloc&) {
    builder.out_of_memory = true;
    XML_StopParser(builder.parser, XML_FALSE);
  }
}

void XMLCALL on_start(void* user, const XML_Char* name, const XML_Char** /*attributes*/) {
  guarded(user, [&](Builder& builder) {
    if (builder.open.size() > kDeepest) return builder.stop("it is nested too deeply");
    const std::string_view full = name;
    XmlElement element;
    element.name = full.substr(full.rfind(':') + 1);  // npos + 1 is 0
    builder.open.push_back(std::move(element));
  });
}

void XMLCALL on_end(void* user, const XML_Char* /*name*/) {
  guarded(user, [](Builder& builder) {
    XmlElement element = std::move(builder.open.back());
    builder.open.pop_back();
    builder.open.back().children.push_back(std::move(element));
  });
}

void XMLCALL on_text(void* user, const XML_Char* text, int length) {
  guarded(user, [&](Builder& builder) {
    builder.open.back().text.append(text, static_cast<std::size_t>(length));
  });
}

void XMLCALL on_document_type(void* user, const XML_Char* /*name*/, const XML_Char* /*system*/,
                              const XML_Char* /*public_id*/, int /*has_internal_subset*/) {
  guarded(user, [](Builder& builder) { builder.stop("it has a document type"); });
}

}  // namespace

const XmlElement* XmlElement::child(std::string_view child_name) const {
  for (const XmlElement& element : children)
    if (element.name == child_name) return &element;
  return nullptr;
}

std::string XmlElement::child_text(std::string_view child_name) const {
  const XmlElement* element = child(child_name);
  return element == nullptr ? std::string() : element->text;
}

XmlElement parse_xml(std::string_view text, std::string_view where) {
  const auto fail = [&](const std::string& why) {
    throw Error(ErrorCode::kReadFailed, "the answer is not the XML document it should be: " + why,
                where);
  };
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    fail("it is too large");
  const std::unique_ptr<std::remove_pointer_t<XML_Parser>, void (*)(XML_Parser)> parser(
      XML_ParserCreate(nullptr), XML_ParserFree);
  if (!parser) throw std::bad_alloc();
  Builder builder;
  builder.parser = parser.get();
  builder.open.emplace_back();
  XML_SetUserData(parser.get(), &builder);
  XML_SetElementHandler(parser.get(), on_start, on_end);
  XML_SetCharacterDataHandler(parser.get(), on_text);
  XML_SetStartDoctypeDeclHandler(parser.get(), on_document_type);
  const XML_Status status =
      XML_Parse(parser.get(), text.data(), static_cast<int>(text.size()), XML_TRUE);
  if (builder.out_of_memory) throw std::bad_alloc();
  if (!builder.failure.empty()) fail(builder.failure);
  if (status != XML_STATUS_OK)
    fail(fmt::format("{} at byte {}", XML_ErrorString(XML_GetErrorCode(parser.get())),
                     XML_GetCurrentByteIndex(parser.get())));
  return std::move(builder.open.front().children.front());
}

std::string escape_xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20)
          out += fmt::format("&#{};", static_cast<int>(c));  // a parser would change line ends
        else
          out += c;
    }
  }
  return out;
}

}  // namespace flatfield::storage
