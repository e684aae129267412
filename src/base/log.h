// The log facade: one JSON object a line on stderr. Hides spdlog, which is dear to include.
// Never pass a secret, password, ticket or cookie; names of fields are snake_case.
// Thread-safety: every function may be called from any thread.
#ifndef COUNTERSIGN_BASE_LOG_H_
#define COUNTERSIGN_BASE_LOG_H_

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <variant>

namespace countersign::base {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// One named value of a log line.
struct LogField {
  LogField(std::string_view name_, std::string_view text) : name(name_), value(text) {}
  LogField(std::string_view name_, const char* text) : name(name_), value(std::string_view(text)) {}
  LogField(std::string_view name_, bool truth) : name(name_), value(truth) {}
  LogField(std::string_view name_, double number) : name(name_), value(number) {}
  template <std::integral Integer>
  requires(!std::same_as<Integer, bool>) LogField(std::string_view name_, Integer number)
      : name(name_), value(static_cast<std::int64_t>(number)) {}

  std::string_view name;
  std::variant<std::string_view, std::int64_t, double, bool> value;
};

/// Writes `{"time":…,"level":…,"event":…,fields…}` if `level` is at or above the configured one.
/// `event` is a fixed snake_case name. Invalid UTF-8 and control characters are escaped.
void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

inline void log_debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kDebug, event, fields);
}
inline void log_info(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kInfo, event, fields);
}
inline void log_warning(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kWarning, event, fields);
}
inline void log_error(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kError, event, fields);
}

/// True if lines of this level are written: lets hot paths leave the making of fields alone.
bool log_enabled(LogLevel level);
/// Sets the lowest level that is written. Default: info.
void set_log_level(LogLevel level);

/// The text of one line without its line end; what log() writes. For tests.
std::string format_log_line(std::string_view time, LogLevel level, std::string_view event,
                            std::initializer_list<LogField> fields);

}  // namespace countersign::base

#endif  // COUNTERSIGN_BASE_LOG_H_
