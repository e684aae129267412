#include "cli/failure.h"

#include <algorithm>
#include <string>

namespace countersign::cli {

int report(std::ostream& err, const Error& error) {
  std::string detail = error.detail;
  std::ranges::replace(detail, '\n', ' ');
  err << "countersign: " << error_text(error.code);
  if (!detail.empty()) err << ' ' << detail;
  err << '\n';
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
