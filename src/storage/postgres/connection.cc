#include "storage/postgres/connection.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <poll.h>

namespace countersign::storage::postgres {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

constexpr int kOldestServer = 140000;

constexpr const char* kBegin = "BEGIN";
constexpr const char* kBeginSnapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
constexpr const char* kCommit = "COMMIT";

/// One line, without the line end that libpq puts behind its texts.
std::string one_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::string line(text);
  for (char& c : line) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  return line;
}

std::string_view field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? std::string_view() : std::string_view(text);
}

ErrorCode code_of(std::string_view state) {
  if (state == "23505") return ErrorCode::kAlreadyExists;         // unique_violation
  if (state == "23503") return ErrorCode::kAbsent;                // foreign_key_violation
  if (state == "53100") return ErrorCode::kStoreFull;             // disk_full
  if (state == "55P03") return ErrorCode::kOverloaded;            // lock_not_available
  if (state == "54000") return ErrorCode::kLimitExceeded;         // key too long to index
  if (state.substr(0, 2) == "22") return ErrorCode::kBadRequest;  // data_exception: no such text
  if (state.substr(0, 2) == "23") return ErrorCode::kBadRequest;  // another constraint
  return ErrorCode::kStoreFailed;
}

/// What the server said: message and state. Its other fields hold values of rows.
Error server_error(const PGresult* result) {
  const std::string_view state = field(result, PG_DIAG_SQLSTATE);
  std::string detail = one_line(field(result, PG_DIAG_MESSAGE_PRIMARY));
  if (detail.empty()) detail = one_line(PQresultErrorMessage(result));
  if (!state.empty()) detail += " (PostgreSQL " + std::string(state) + ")";
  return Error{code_of(state), std::move(detail)};
}

class ConnectionInfo {
 public:
  explicit ConnectionInfo(const std::string& url) {
    char* message = nullptr;
    options_ = PQconninfoParse(url.c_str(), &message);
    PQfreemem(message);  // it may repeat the password
  }
  ~ConnectionInfo() { PQconninfoFree(options_); }
  ConnectionInfo(const ConnectionInfo&) = delete;
  ConnectionInfo& operator=(const ConnectionInfo&) = delete;

  bool ok() const { return options_ != nullptr; }
  std::string get(std::string_view name) const {
    for (auto* option = options_; option != nullptr && option->keyword != nullptr; ++option) {
      if (option->keyword == name && option->val != nullptr) return option->val;
    }
    return {};
  }

 private:
  PQconninfoOption* options_;
};

/// Waits until the socket can be read (or written, if `write`). False at the deadline.
bool wait_for_socket(int socket, bool read, bool write, Steady::time_point deadline) {
  for (;;) {
    int wait = -1;
    if (deadline != Steady::time_point::max()) {
      const auto left = std::chrono::ceil<milliseconds>(deadline - Steady::now()).count();
      if (left <= 0) return false;
      wait = static_cast<int>(left);
    }
    pollfd entry{socket, static_cast<short>((read ? POLLIN : 0) | (write ? POLLOUT : 0)), 0};
    const int ready = ::poll(&entry, 1, wait);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

Steady::time_point deadline_after(milliseconds timeout) {
  return timeout.count() == 0 ? Steady::time_point::max() : Steady::now() + timeout;
}

}  // namespace

std::string describe_url(const std::string& url) {
  const ConnectionInfo info(url);
  if (!info.ok()) return "a URL that cannot be understood";
  const auto or_else = [](std::string text, const char* otherwise) {
    return text.empty() ? std::string(otherwise) : text;
  };
  const std::string host = info.get("host").empty() ? info.get("hostaddr") : info.get("host");
  return or_else(host, "localhost") + ":" + or_else(info.get("port"), "5432") + "/" +
         info.get("dbname");
}

Connection::Connection(PGconn* handle, milliseconds answer_timeout, bool ignore_commit_tag)
    : handle_(handle), answer_timeout_(answer_timeout), ignore_commit_tag_(ignore_commit_tag) {}

Connection::~Connection() { PQfinish(handle_); }

Result<std::unique_ptr<Connection>> Connection::open(const ConnectionSettings& settings) {
  if (!ConnectionInfo(settings.url).ok()) {
    return fail(ErrorCode::kBadSetting,
                "storage.url: not a URL that libpq understands; its characters besides letters and "
                "digits may have to be written as %XX");
  }
  // Those before dbname may be overruled by the URL, those after it may not.
  constexpr std::array kNames = {"fallback_application_name",
                                 "target_session_attrs",
                                 "keepalives_idle",
                                 "keepalives_interval",
                                 "keepalives_count",
                                 "tcp_user_timeout",
                                 "dbname",
                                 "client_encoding",
                                 static_cast<const char*>(nullptr)};
  const std::array<const char*, kNames.size()> values = {
      "countersign", "read-write", "5", "2", "3", "5000", settings.url.c_str(), "UTF8", nullptr};
  PGconn* handle = PQconnectStartParams(kNames.data(), values.data(), 1);
  if (handle == nullptr) return fail(ErrorCode::kStoreFailed, "no memory for a connection");
  const milliseconds answer_timeout = settings.statement_timeout.count() == 0
                                          ? milliseconds(0)
                                          : settings.statement_timeout + settings.answer_margin;
  std::unique_ptr<Connection> connection(
      new Connection(handle, answer_timeout, settings.ignore_commit_tag_for_test));

  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::kStoreFailed, describe_url(settings.url) + ": " + one_line(why));
  };
  const auto deadline = deadline_after(settings.connect_timeout);
  for (auto state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK;
       state = PQconnectPoll(handle)) {
    if (PQstatus(handle) == CONNECTION_BAD || state == PGRES_POLLING_FAILED) {
      return refuse(PQerrorMessage(handle));
    }
    const bool reading = state == PGRES_POLLING_READING;
    if (!wait_for_socket(PQsocket(handle), reading, !reading, deadline)) {
      return refuse("the server did not answer in time");
    }
  }
  if (PQsetnonblocking(handle, 1) != 0) return refuse(PQerrorMessage(handle));
  PQsetNoticeReceiver(handle, &Connection::receive_notice, connection.get());
  if (Result<void> done = connection->set_up(settings); !done) {
    return fail(done.code(), describe_url(settings.url) + ": " + done.error().detail);
  }
  return connection;
}

Result<void> Connection::set_up(const ConnectionSettings& settings) {
  const auto text = [](milliseconds timeout) { return std::to_string(timeout.count()); };
  const std::array<Query, 1> queries = {
      Query("SELECT current_setting('server_encoding'), current_setting('fsync'), "
            "current_setting('full_page_writes'), current_setting('server_version_num')::bigint, "
            "pg_is_in_recovery(), "
            "set_config('synchronous_commit', 'on', false), "
            "set_config('default_transaction_isolation', 'read committed', false), "
            "set_config('statement_timeout', $1, false), "
            "set_config('lock_timeout', $2, false), "
            "set_config('idle_in_transaction_session_timeout', $3, false), "
            "set_config('tcp_keepalives_idle', '5', false), "
            "set_config('tcp_keepalives_interval', '2', false), "
            "set_config('tcp_keepalives_count', '3', false), "
            "set_config('tcp_user_timeout', '5000', false), "
            "set_config('jit', 'off', false)",
            text(settings.statement_timeout), text(settings.lock_timeout),
            text(settings.idle_in_transaction_timeout))};
  Result<std::vector<Rows>> answers = run(queries, Mode::kRead);
  if (!answers) return answers.failure();
  const Row row = answers->front().front();
  const auto refuse = [](const std::string& why) { return fail(ErrorCode::kBadSetting, why); };
  if (row.integer(3) < kOldestServer) {
    return refuse("the server is older than PostgreSQL 14, which is the oldest that will do");
  }
  if (row.bytes(0) != "UTF8") {
    return refuse("the database's encoding is " + row.bytes(0) +
                  "; make it with: createdb --encoding=UTF8 --template=template0");
  }
  if (row.flag(4)) return refuse("the server is a standby; writes go to the primary");
  if (settings.allow_unsafe_server_for_test) return {};
  for (const auto& [column, name] : {std::pair(1, "fsync"), std::pair(2, "full_page_writes")}) {
    if (row.bytes(column) != "on") {
      return refuse("the server runs with " + std::string(name) +
                    "=off and may lose what it confirmed; turn it on in postgresql.conf");
    }
  }
  return {};
}

void Connection::receive_notice(void* self, const PGresult* notice) {
  Connection& connection = *static_cast<Connection*>(self);
  const std::string_view severity = field(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  // What ends an idle session comes as a notice: nothing was asked.
  if (severity == "FATAL" || severity == "PANIC") connection.broken_ = true;
  if (severity == "WARNING") {
    connection.warning_ = one_line(field(notice, PG_DIAG_MESSAGE_PRIMARY));
  }
}

void Connection::start_deadline() {
  conflicted_ = false;
  warning_.reset();
  failure_.reset();
  deadline_ = deadline_after(answer_timeout_);
}

bool Connection::lose(std::string_view action) {
  broken_ = true;
  if (!failure_ || failure_->code != ErrorCode::kStoreFailed) {
    std::string detail(action);
    if (const std::string why = one_line(PQerrorMessage(handle_)); !why.empty()) {
      detail += ": " + why;
    }
    failure_ = Error{ErrorCode::kStoreFailed, std::move(detail)};
  }
  return false;
}

void Connection::note_failure(const PGresult* result) {
  if (failure_) return;
  failure_ = server_error(result);
  const std::string_view state = field(result, PG_DIAG_SQLSTATE);
  conflicted_ = state == "40001" || state == "40P01";
  // A server that became a standby, and a pooler that forgot our statements: another session will
  // do better.
  if (state == "25006" || state == "26000") broken_ = true;
}

bool Connection::wait_until_readable_or_ready() {
  while (true) {
    const int unsent = PQflush(handle_);
    if (unsent < 0) return lose("send");
    if (PQisBusy(handle_) == 0) return true;
    if (!wait_for_socket(PQsocket(handle_), true, unsent > 0, deadline_)) {
      return lose("the server did not answer in time");
    }
    if (PQconsumeInput(handle_) == 0) return lose("the connection was lost");
  }
}

bool Connection::next_result(PGresult*& result) {
  if (!wait_until_readable_or_ready()) return false;
  result = PQgetResult(handle_);
  if (PQstatus(handle_) == CONNECTION_BAD) {
    if (result != nullptr) note_failure(result);
    PQclear(result);
    return lose("the connection was lost");
  }
  return true;
}

bool Connection::send(const Query& query, Sent::Kind kind, std::vector<Sent>& sent) {
  const std::vector<unsigned> types = query.parameters.types();
  auto known = statements_.find(query.sql);
  if (known == statements_.end()) {
    known = statements_.emplace(query.sql, "s" + std::to_string(next_name_++)).first;
    if (PQsendPrepare(handle_, known->second.c_str(), query.sql, query.parameters.size(),
                      types.data()) != 1) {
      return lose("prepare");
    }
    sent.push_back({Sent::Kind::kPrepare, query.sql});
  }
  const std::vector<const char*> values = query.parameters.values();
  const std::vector<int> lengths = query.parameters.lengths();
  const std::vector<int> formats(values.size(), 1);  // binary
  if (PQsendQueryPrepared(handle_, known->second.c_str(), query.parameters.size(), values.data(),
                          lengths.data(), formats.data(), 1) != 1) {
    return lose("send");
  }
  sent.push_back({kind, query.sql});
  return true;
}

/// Takes the answer to one thing sent. False if the session is lost.
bool Connection::collect(const Sent& sent, std::vector<Rows>& rows) {
  PGresult* taken = nullptr;
  if (!next_result(taken)) return false;
  Rows result(taken);
  const ExecStatusType status = PQresultStatus(taken);
  const bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
  if (status == PGRES_FATAL_ERROR || taken == nullptr) note_failure(taken);
  switch (sent.kind) {
    case Sent::Kind::kPrepare:
      if (!good) statements_.erase(sent.sql);
      break;
    case Sent::Kind::kCommit:
      if (good && std::string_view(PQcmdStatus(taken)) != kCommit && !failure_ &&
          !ignore_commit_tag_) {
        failure_ = Error{ErrorCode::kStoreFailed,
                         "COMMIT was answered with " + std::string(PQcmdStatus(taken))};
      }
      break;
    case Sent::Kind::kQuery:
      if (good) rows.push_back(std::move(result));
      break;
    case Sent::Kind::kFrame:
      break;
  }
  PGresult* end = nullptr;
  if (!next_result(end)) return false;
  if (end != nullptr) {
    PQclear(end);
    return lose("the server answered more than was asked");
  }
  return true;
}

bool Connection::take_sync() {
  PGresult* sync = nullptr;
  if (!next_result(sync)) return false;
  const bool synced = PQresultStatus(sync) == PGRES_PIPELINE_SYNC;
  PQclear(sync);
  return synced || lose("the pipeline is out of step");
}

/// Ends the transaction that a failed statement left open. False if the session is lost.
bool Connection::roll_back() {
  std::vector<Sent> sent;
  std::vector<Rows> nothing;
  if (!send(Query("ROLLBACK"), Sent::Kind::kFrame, sent) || PQpipelineSync(handle_) != 1) {
    return lose("roll back");
  }
  for (const Sent& one : sent) {
    if (!collect(one, nothing)) return false;
  }
  return take_sync();
}

Result<std::vector<Rows>> Connection::run(std::span<const Query> queries, Mode mode) {
  static const Query begin_query(kBegin);
  static const Query begin_snapshot_query(kBeginSnapshot);
  static const Query commit_query(kCommit);
  start_deadline();
  const bool framed = mode != Mode::kRead;
  std::vector<Rows> rows;
  std::vector<Sent> sent;
  const auto exchange = [&]() -> bool {
    if (broken_ || PQenterPipelineMode(handle_) != 1) return lose("the session is lost");
    const Query& begin = mode == Mode::kWrite ? begin_query : begin_snapshot_query;
    if (framed && !send(begin, Sent::Kind::kFrame, sent)) return false;
    for (const Query& query : queries) {
      if (!send(query, Sent::Kind::kQuery, sent)) return false;
    }
    if (framed && !send(commit_query, Sent::Kind::kCommit, sent)) return false;
    if (PQpipelineSync(handle_) != 1) return lose("send");
    for (const Sent& one : sent) {
      if (!collect(one, rows)) return false;
    }
    if (!take_sync()) return false;
    const bool left_open = framed && PQtransactionStatus(handle_) != PQTRANS_IDLE;
    if (left_open && !roll_back()) return false;
    return PQexitPipelineMode(handle_) == 1 || lose("the pipeline is out of step");
  };
  static_cast<void>(exchange());
  if (!failure_ && mode == Mode::kWrite && warning_) {
    failure_ = Error{ErrorCode::kStoreFailed, "the commit came with a warning: " + *warning_};
  }
  if (failure_) return tl::make_unexpected(*failure_);
  return rows;
}

Result<std::string> Connection::execute(const std::string& sql) {
  start_deadline();
  std::string tag;
  const auto exchange = [&]() -> bool {
    if (broken_ || PQsendQuery(handle_, sql.c_str()) != 1) return lose("the session is lost");
    for (;;) {
      PGresult* taken = nullptr;
      if (!next_result(taken)) return false;
      if (taken == nullptr) return true;
      const Rows result(taken);
      if (PQresultStatus(taken) == PGRES_FATAL_ERROR) note_failure(taken);
      tag = PQcmdStatus(taken);
    }
  };
  static_cast<void>(exchange());
  if (failure_) return tl::make_unexpected(*failure_);
  return tag;
}

bool Connection::still_there() {
  if (broken_) return false;
  pollfd entry{PQsocket(handle_), POLLIN, 0};
  if (::poll(&entry, 1, 0) == 0) return true;
  // Something to read while nothing was asked: a notice, or the end.
  if (PQconsumeInput(handle_) == 0) return lose("the connection was lost");
  while (PQisBusy(handle_) == 0) {
    PGresult* result = PQgetResult(handle_);
    if (result == nullptr) break;
    PQclear(result);
  }
  if (PQstatus(handle_) != CONNECTION_OK) broken_ = true;
  return !broken_;
}

}  // namespace countersign::storage::postgres
