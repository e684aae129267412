#include "net/shard_impl.h"

#include <ctime>
#include <exception>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <pthread.h>

#include "base/burst.h"
#include "base/log.h"
#include "net/http_session.h"
#include "net/stream.h"

namespace countersign::net {
namespace {

constexpr std::size_t kReadBufferBytes = 64 * 1024;

/// For the end of a connection's coroutine: it reports by itself what can go wrong.
void log_escape(std::exception_ptr error) {
  if (!error) return;
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& escaped) {
    base::log_error("connection_failed", {{"what", escaped.what()}});
  } catch (...) {
    base::log_error("connection_failed");
  }
}

}  // namespace

ShardImpl::ShardImpl(std::size_t index, ServerContext& server)
    : index_(index),
      server_(server),
      timers_(server.clock.steady()),
      workspaces_(server.options.limits.max_header_bytes),
      read_buffer_(kReadBufferBytes),
      work_(context_.get_executor()) {
  server_.random.fill(std::span(reinterpret_cast<std::uint8_t*>(id_state_.data()),
                                sizeof(std::uint64_t) * id_state_.size()));
  refresh_date();
}

ShardImpl::~ShardImpl() {
  stop();
  drop_posted();
  ticker_.cancel();
}

void ShardImpl::post(std::function<void()> task) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(task));
    if (woken_) return;
  }
  if (!base::Burst::defer_wake(*this)) wake();
}

void ShardImpl::wake() {
  {
    const std::lock_guard lock(posted_mutex_);
    if (woken_ || posted_.empty()) return;
    woken_ = true;
  }
  boost::asio::post(context_.get_executor(), [this] { run_posted(); });
}

// What never ran may hold coroutines, whose frames need the context when they go.
void ShardImpl::drop_posted() {
  std::vector<std::function<void()>> tasks;
  do {
    tasks.clear();
    const std::lock_guard lock(posted_mutex_);
    tasks.swap(posted_);
  } while (!tasks.empty());
}

void ShardImpl::run_posted() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(posted_mutex_);
    tasks.swap(posted_);
    woken_ = false;
  }
  const base::Burst burst;
  gathers_output_ = true;
  for (const std::function<void()>& task : tasks) {
    if (stopped_) break;
    try {
      task();
    } catch (const std::exception& escaped) {
      // One task may not take the others with it.
      base::log_error("shard_task_failed", {{"what", escaped.what()}});
    }
  }
  gathers_output_ = false;
  for (const std::shared_ptr<Connection>& connection : to_flush_) connection->on_gathered();
  to_flush_.clear();
}

void ShardImpl::start() {
  thread_ = std::thread([this] { run(); });
}

void ShardImpl::run() {
  pthread_setname_np(pthread_self(), ("shard-" + std::to_string(index_)).c_str());
  for (;;) {
    try {
      context_.run();
      return;
    } catch (const std::exception& escaped) {
      // Nothing may end a shard: every connection of it would hang.
      base::log_error("shard_task_failed", {{"what", escaped.what()}});
    }
  }
}

void ShardImpl::stop() {
  if (!thread_.joinable()) return;
  post([this] {
    stopped_ = true;
    while (!connections_.empty()) connections_.front().on_stop();
    context_.stop();
  });
  thread_.join();
}

void ShardImpl::drain(bool late) {
  post([this, late] {
    for (auto at = connections_.begin(); at != connections_.end();) {
      Connection& connection = *at++;  // it may unlink itself
      late ? connection.on_drain_late() : connection.on_drain();
    }
  });
}

void ShardImpl::adopt(UniqueFd socket, bool is_v4, const IpAddress& peer, Admission admission) {
  load_.fetch_add(1, std::memory_order_relaxed);
  server_.metrics.connections.add(1);
  boost::asio::post(context_.get_executor(), [this, is_v4, peer, socket = std::move(socket),
                                              admission = std::move(admission)]() mutable {
    if (!ticking_) {
      ticking_ = true;
      timers_.advance(server_.clock.steady());
      refresh_date();
      tick();
    }
    TcpSocket tcp(context_.get_executor());
    boost::system::error_code error;
    tcp.assign(is_v4 ? boost::asio::ip::tcp::v4() : boost::asio::ip::tcp::v6(), socket.get(),
               error);
    if (error) {
      base::log_error("socket_refused_by_loop", {{"error", error.message()}});
      note_closed();
      return;
    }
    const int file = socket.release();  // tcp owns it from here
    SslPtr ssl;
    if (const auto tls = server_.tls()) {
      ssl = tls->new_session(file);
      if (!ssl) {
        note_closed();
        return;  // out of memory
      }
    }
    boost::asio::co_spawn(
        context_.get_executor(),
        serve_http(*this, Stream(std::move(tcp), std::move(ssl)), peer, std::move(admission)),
        log_escape);
  });
}

void ShardImpl::note_closed() {
  load_.fetch_sub(1, std::memory_order_relaxed);
  server_.metrics.connections.add(-1);
}

void ShardImpl::tick() {
  ticker_.expires_after(TimerWheel::kTick);
  ticker_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopped_) return;
    timers_.advance(server_.clock.steady());
    refresh_date();
    if (load() > 0) {
      tick();
    } else {
      ticking_ = false;  // an idle shard sleeps; adopt() wakes it
    }
  });
}

void ShardImpl::refresh_date() {
  const auto now = std::chrono::floor<std::chrono::seconds>(server_.clock.now());
  const std::time_t second = now.time_since_epoch().count();
  if (second == date_second_) return;
  date_second_ = second;
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  gmtime_r(&second, &utc);
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[utc.tm_wday],
                utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                utc.tm_sec);
  date_ = text;
}

void ShardImpl::make_request_id(std::string& id) {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  id.resize(16);
  std::size_t at = 0;
  for (int half = 0; half < 2; ++half) {  // xoroshiro128+ (Blackman and Vigna, 2018)
    std::uint64_t bits = id_state_[0] + id_state_[1];
    const std::uint64_t mixed = id_state_[0] ^ id_state_[1];
    id_state_[0] = (id_state_[0] << 24 | id_state_[0] >> 40) ^ mixed ^ (mixed << 16);
    id_state_[1] = mixed << 37 | mixed >> 27;
    for (int i = 0; i < 8; ++i) {
      bits >>= 6;  // the lowest bits are the weakest
      id[at++] = kAlphabet[bits & 63];
    }
  }
}

}  // namespace countersign::net
