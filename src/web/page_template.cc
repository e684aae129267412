#include "web/page_template.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace countersign::web {
namespace {

[[noreturn]] void broken(const char* what, std::string_view where) {
  std::fprintf(stderr, "page template: %s: %.*s\n", what, static_cast<int>(where.size()),
               where.data());
  std::abort();
}

}  // namespace

void append_html_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
}

PageTemplate::PageTemplate(std::string_view source) {
  std::vector<std::size_t> open;  // sections not yet closed
  while (!source.empty()) {
    const std::size_t start = source.find("{{");
    if (start != 0) {
      parts_.push_back(Part{Kind::kText, source.substr(0, start)});
      if (start == std::string_view::npos) break;
      source.remove_prefix(start);
    }
    const bool raw = source.starts_with("{{{");
    const std::string_view closing = raw ? "}}}" : "}}";
    const std::size_t end = source.find(closing);
    if (end == std::string_view::npos) broken("a placeholder does not end", source.substr(0, 40));
    std::string_view name = source.substr(closing.size(), end - closing.size());
    source.remove_prefix(end + closing.size());
    const char mark = raw || name.empty() ? '\0' : name.front();
    if (mark == '#' || mark == '^') {
      name.remove_prefix(1);
      open.push_back(parts_.size());
      parts_.push_back(Part{mark == '#' ? Kind::kIfFull : Kind::kIfEmpty, name});
    } else if (mark == '/') {
      name.remove_prefix(1);
      if (open.empty() || parts_[open.back()].text != name) broken("a section ends amiss", name);
      parts_[open.back()].end = parts_.size();
      open.pop_back();
    } else {
      parts_.push_back(Part{raw ? Kind::kRaw : Kind::kEscaped, name});
    }
  }
  if (!open.empty()) broken("a section does not end", parts_[open.back()].text);
}

std::string PageTemplate::render(const Values& values) const {
  const auto value_of = [&values](std::string_view name) {
    const auto at = std::find_if(values.begin(), values.end(),
                                 [name](const Value& value) { return value.first == name; });
    if (at == values.end()) broken("no value for", name);
    return at->second;
  };
  std::string out;
  std::size_t i = 0;
  while (i < parts_.size()) {
    const Part& part = parts_[i];
    ++i;
    switch (part.kind) {
      case Kind::kText:
        out += part.text;
        break;
      case Kind::kEscaped:
        append_html_escaped(out, value_of(part.text));
        break;
      case Kind::kRaw:
        out += value_of(part.text);
        break;
      case Kind::kIfFull:
        if (value_of(part.text).empty()) i = part.end;
        break;
      case Kind::kIfEmpty:
        if (!value_of(part.text).empty()) i = part.end;
        break;
    }
  }
  return out;
}

}  // namespace countersign::web
