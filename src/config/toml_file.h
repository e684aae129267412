// Reading the settings file. Hides toml++, which is dear to include.
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_CONFIG_TOML_FILE_H_
#define COUNTERSIGN_CONFIG_TOML_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "countersign/result.h"

namespace countersign::config {

using SettingValue = std::variant<std::string, bool, std::int64_t, std::vector<std::string>>;

struct TomlEntry {
  std::string key;  ///< `section.name`, or `name` at the top
  SettingValue value;
  std::uint32_t line = 0;
};

/// The entries of a TOML 1.0 file in the order of their keys. kUnreadableFile; kBadSetting with
/// the line for bad syntax and for values that no setting has (dates, floats, nested tables).
Result<std::vector<TomlEntry>> read_toml_file(const std::string& path);
/// The same from text; `name` stands for the file in errors.
Result<std::vector<TomlEntry>> read_toml(std::string_view text, std::string_view name);

}  // namespace countersign::config

#endif  // COUNTERSIGN_CONFIG_TOML_FILE_H_
