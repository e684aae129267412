// ShardImpl: one thread with its io_context, and what its connections share: the timer wheel, the
// read buffer, the pool of workspaces, the Date header.
// Thread-safety: post(), adopt(), load() and the drain and stop calls from any thread; all else on
// the shard's own.
#ifndef COUNTERSIGN_NET_SHARD_IMPL_H_
#define COUNTERSIGN_NET_SHARD_IMPL_H_

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "net/connection.h"
#include "net/server_context.h"
#include "net/timer_wheel.h"
#include "net/unique_fd.h"
#include "net/workspace.h"

namespace countersign::net {

class ShardImpl final : public Shard {
 public:
  ShardImpl(std::size_t index, ServerContext& server);
  ~ShardImpl() override;

  // base::Executor and Shard
  void post(std::function<void()> task) override;
  void wake() override;
  std::size_t index() const override { return index_; }
  boost::asio::io_context& context() override { return context_; }

  void start();
  /// Ends every connection, then the thread; tasks posted later never run.
  void stop();
  void drain(bool late);
  /// Connections of this shard: the acceptor's measure.
  std::size_t load() const { return load_.load(std::memory_order_relaxed); }
  /// Takes over an accepted socket. Counted in load() at once.
  void adopt(UniqueFd socket, bool is_v4, const IpAddress& peer, Admission admission);

  ServerContext& server() { return server_; }
  const ServerLimits& limits() const { return server_.options.limits; }
  TimerWheel& timers() { return timers_; }
  WorkspacePool& workspaces() { return workspaces_; }
  ConnectionList& connections() { return connections_; }
  /// Scratch memory for reads; what it holds is gone when the caller returns to the loop.
  std::span<char> read_buffer() { return read_buffer_; }
  /// A spare allocation for outgoing WebSocket bytes, swapped in and out.
  std::string& spare_output() { return spare_output_; }
  /// True while a batch of posted tasks runs: what they write waits, and leaves in one go.
  bool gathers_output() const { return gathers_output_; }
  /// Calls on_gathered() at the end of the batch.
  void flush_later(std::shared_ptr<Connection> connection) {
    to_flush_.push_back(std::move(connection));
  }
  /// `Sun, 06 Nov 1994 08:49:37 GMT`, at most one tick old.
  std::string_view date() const { return date_; }
  /// Sixteen characters of base64url; unpredictable enough to tell requests apart, no secret.
  void make_request_id(std::string& id);
  /// A connection of this shard has ended.
  void note_closed();

 private:
  void run();
  void run_posted();
  void drop_posted();
  void tick();
  void refresh_date();

  const std::size_t index_;
  ServerContext& server_;
  std::atomic<std::size_t> load_{0};
  TimerWheel timers_;
  WorkspacePool workspaces_;
  std::vector<char> read_buffer_;
  std::string spare_output_;
  std::string date_;
  std::int64_t date_second_ = -1;
  std::array<std::uint64_t, 2> id_state_{};
  ConnectionList connections_;
  std::vector<std::shared_ptr<Connection>> to_flush_;
  bool gathers_output_ = false;
  bool ticking_ = false;
  bool stopped_ = false;

  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
  bool woken_ = false;  ///< run_posted() is on its way

  // Destroyed before what is above: frames of coroutines that never ended go with the context.
  boost::asio::io_context context_{1};
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>,
                                    boost::asio::io_context::executor_type>
      ticker_{context_};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_SHARD_IMPL_H_
