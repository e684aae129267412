// PageTemplate: HTML with placeholders, escaped unless the template says otherwise.
//
//     {{name}}                 the value, HTML-escaped: safe in text and in quoted attributes
//     {{{name}}}               the value as it is: only for HTML that another template made
//     {{#name}} … {{/name}}    the part in between, if the value is not empty
//     {{^name}} … {{/name}}    the part in between, if the value is empty
//
// Templates are ours and part of the program: a malformed one or an unknown name is a bug and
// aborts. Thread-safety: immutable after construction.
#ifndef COUNTERSIGN_WEB_PAGE_TEMPLATE_H_
#define COUNTERSIGN_WEB_PAGE_TEMPLATE_H_

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace countersign::web {

/// `&`, `<`, `>`, `"` and `'` as character references.
void append_html_escaped(std::string& out, std::string_view text);

class PageTemplate {
 public:
  /// A name and its value. Both must live until render() returns.
  using Value = std::pair<std::string_view, std::string_view>;
  using Values = std::vector<Value>;

  /// @param source  must outlive the template.
  explicit PageTemplate(std::string_view source);

  /// Every name in the template must be among `values`.
  std::string render(const Values& values) const;

 private:
  enum class Kind { kText, kEscaped, kRaw, kIfFull, kIfEmpty };
  struct Part {
    Kind kind;
    std::string_view text;  ///< the text, or the name
    std::size_t end = 0;    ///< of kIfFull and kIfEmpty: the part after the section
  };

  std::vector<Part> parts_;
};

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_PAGE_TEMPLATE_H_
