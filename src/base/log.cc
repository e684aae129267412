#include "base/log.h"

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

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

/// stderr through a buffer of our own: stdio's has none, and a system call a line costs more than
/// the ticket that the line tells of.
class BufferedStderrSink final : public spdlog::sinks::base_sink<std::mutex> {
 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    buffer_.append(message.payload.data(), message.payload.size());
    buffer_ += '\n';
    if (buffer_.size() >= kFlushBytes) flush_();
  }
  void flush_() override {
    std::string_view rest = buffer_;
    while (!rest.empty()) {
      const auto written = ::write(STDERR_FILENO, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) break;  // nowhere to complain; the lines are lost, the server goes on
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    buffer_.clear();
  }

  static constexpr std::size_t kFlushBytes = 32 * 1024;
  std::string buffer_;
};

/// The logger and the thread that flushes it. Lines wait a tenth of a second at most; warnings and
/// errors do not wait, and take those before them along.
class Output {
 public:
  Output() : logger_("countersign", std::make_shared<BufferedStderrSink>()) {
    logger_.flush_on(spdlog::level::warn);
    flusher_ = std::thread([this] { flush_now_and_then(); });
  }
  ~Output() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    flusher_.join();
    logger_.flush();
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  spdlog::logger& logger() { return logger_; }

 private:
  void flush_now_and_then() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kFlushEvery, [this] { return stopping_; })) logger_.flush();
  }

  static constexpr std::chrono::milliseconds kFlushEvery{100};
  spdlog::logger logger_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread flusher_;
};

spdlog::logger& logger() {
  static Output output;
  return output.logger();
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
  const auto line = format_log_line(format_rfc3339(SystemClock().now()), level, event, fields);
  out.log(spdlog_level(level), spdlog::string_view_t(line));
}

}  // namespace countersign::base
