#include "base/log.h"

#include <string>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/clock.h"
#include "base/json_text.h"

namespace countersign::base {
namespace {

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made = std::make_shared<spdlog::logger>("countersign",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *instance;
}

}  // namespace

bool log_enabled(LogLevel level) { return logger().should_log(spdlog_level(level)); }

void set_log_level(LogLevel level) { logger().set_level(spdlog_level(level)); }

std::string format_log_line(std::string_view time, LogLevel level, std::string_view event,
                            std::initializer_list<LogField> fields) {
  std::string line = "{\"time\":\"";
  line.append(time).append("\",\"level\":\"").append(level_name(level)).append("\",\"event\":");
  append_json_string(line, event);
  for (const LogField& field : fields) {
    line += ',';
    append_json_string(line, field.name);
    line += ':';
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      append_json_string(line, *text);
    } else if (const auto* integer = std::get_if<std::int64_t>(&field.value)) {
      line += std::to_string(*integer);
    } else if (const auto* number = std::get_if<double>(&field.value)) {
      line += fmt::format("{}", *number);
    } else {
      line += std::get<bool>(field.value) ? "true" : "false";
    }
  }
  line += '}';
  return line;
}

void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  auto& out = logger();
  if (!out.should_log(spdlog_level(level))) return;
  out.log(spdlog_level(level), "{}",
          format_log_line(format_rfc3339(SystemClock().now()), level, event, fields));
}

}  // namespace countersign::base
