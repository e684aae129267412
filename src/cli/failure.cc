#include "cli/failure.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace countersign::cli {

int report(std::ostream& err, const Error& error) {
  std::string_view text = error_text(error.code);
  std::string detail = error.detail;
  std::ranges::replace(detail, '\n', ' ');
  if (!detail.empty() && text.ends_with('.')) text.remove_suffix(1);
  // In one piece: the log's thread may be writing to the same place.
  std::string line = "countersign: ";
  line.append(text);
  if (!detail.empty()) line.append(": ").append(detail);
  err << line.append("\n");
  switch (error.code) {
    case ErrorCode::kUsage:
    case ErrorCode::kUnknownSetting:
    case ErrorCode::kBadSetting:
      return kExitUsage;
    case ErrorCode::kUnreadableFile:
    case ErrorCode::kBadSecret:
      return kExitUnreadable;
    default:
      return kExitFailed;
  }
}

}  // namespace countersign::cli
