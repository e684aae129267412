#include "config/toml_file.h"

#include <fstream>
#include <iterator>
#include <optional>

#include <toml++/toml.h>

namespace countersign::config {
namespace {

std::optional<SettingValue> read_value(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* truth = node.as_boolean()) return truth->get();
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* array = node.as_array()) {
    std::vector<std::string> list;
    for (const auto& item : *array) {
      const auto* text = item.as_string();
      if (text == nullptr) return std::nullopt;
      list.push_back(text->get());
    }
    return list;
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<TomlEntry>> read_toml(std::string_view text, std::string_view name) {
  toml::table table;
  try {  // the packaged library reports bad syntax by exception only
    table = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::kBadSetting, std::string(name) + " line " +
                                            std::to_string(error.source().begin.line) + ": " +
                                            std::string(error.description()));
  }
  std::vector<TomlEntry> entries;
  std::optional<Error> error;
  const auto add = [&](const std::string& key, const toml::node& node) {
    if (auto value = read_value(node)) {
      entries.push_back({key, std::move(*value), node.source().begin.line});
    } else if (!error) {
      error = Error{ErrorCode::kBadSetting,
                    std::string(name) + " line " + std::to_string(node.source().begin.line) + ": " +
                        key + " is neither text, number, true, false nor a list of texts"};
    }
  };
  for (const auto& [key, node] : table) {
    const std::string first(key.str());
    if (const auto* section = node.as_table()) {
      for (const auto& [inner, value] : *section)
        add(first + "." + std::string(inner.str()), value);
    } else {
      add(first, node);
    }
  }
  if (error) return tl::make_unexpected(*error);
  return entries;
}

Result<std::vector<TomlEntry>> read_toml_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kUnreadableFile, "settings file " + path);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file.bad()) return fail(ErrorCode::kUnreadableFile, "settings file " + path);
  return read_toml(text, path);
}

}  // namespace countersign::config
