// NatsCore: keeps a connection for as long as the bus lives, and does the bus's work on it.
//
// Callers only queue: libnats may wait for a socket, so one thread of ours, the *sender*, hands it
// publications and subscriptions in order, and connects anew when libnats has given up. Another,
// the *watcher*, waits for answers to flushes, tells of gaps once the subscriptions are in force
// again, and sends and judges pulses. Thread-safety: every call may be made from any thread;
// start() and stop() from one.
#ifndef COUNTERSIGN_BUS_NATS_NATS_CORE_H_
#define COUNTERSIGN_BUS_NATS_NATS_CORE_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/metrics.h"
#include "base/random.h"
#include "bus/bus_metrics.h"
#include "bus/gap_listener.h"
#include "bus/nats/connection.h"
#include "bus/nats/pulse.h"

namespace countersign::bus {

class NatsCore final : public std::enable_shared_from_this<NatsCore> {
 public:
  NatsCore(NatsOptions options, base::Random& random, base::Metrics& metrics);
  ~NatsCore();

  /// As open_nats_bus().
  Result<void> start();
  /// Sends what waits, if the bus is there, and ends everything. Nothing is called afterwards.
  void stop();

  /// As Bus::publish, of what is within the contract.
  Result<void> publish(std::string_view subject, std::string payload);
  struct Ear {
    std::uint64_t id = 0;
    void* inlet = nullptr;
  };
  Ear listen_to(std::string_view subject, std::shared_ptr<HandlerSlot> slot);
  /// The slot gets no more; closing it is the caller's. Also after stop().
  void unlisten(const Ear& ear);
  void flush(std::function<void(Result<void>)> done);
  void on_gap(std::function<void()> listener) { gap_.set(std::move(listener)); }
  bool connected() const { return connected_; }

  /// nullptr while there is none. May be one that is away.
  Connection connection() const;
  /// `countersign_TOKEN_BUCKET`.
  std::string bucket_name(std::string_view bucket) const;
  BusMetrics& metrics() { return metrics_; }

 private:
  using Time = std::chrono::steady_clock::time_point;
  class Link;

  struct Publication {
    std::string subject;
    std::string payload;
  };
  struct Listen {
    Ear ear;
    std::string subject;
  };
  struct Unlisten {
    std::uint64_t id;
  };
  struct Flush {
    std::function<void(Result<void>)> done;
    Time deadline;
  };
  using Command = std::variant<Publication, Listen, Unlisten, Flush>;

  /// Of the sender: what is to be listened to, and what libnats made of it.
  struct Listening {
    std::string subject;
    void* inlet;
    NatsSubscription subscription;
  };

  // Events of a connection; those of an older one are ignored.
  void connected(std::uint64_t generation, natsConnection* connection);
  void disconnected(std::uint64_t generation);
  void closed(std::uint64_t generation);
  void failed(std::uint64_t generation, natsStatus status);

  void send();
  void perform(Command& command);
  void send_publication(const Publication& publication);
  void check_writes();
  void give_up_connection();
  Result<void> connect();

  void watch();
  void answer(std::vector<Flush> flushes, bool returned);
  void pulse();
  void hear_pulse(const Payload& payload);

  std::string wire_subject(std::string_view subject) const {
    return prefix_ + std::string(subject);
  }
  void set_connected(bool truth);

  const NatsOptions options_;
  base::Random& random_;
  BusMetrics metrics_;
  const std::string token_;   ///< of the installation
  const std::string prefix_;  ///< of all subjects
  GapListener gap_;

  mutable std::mutex mutex_;
  std::condition_variable sender_wake_;
  std::condition_variable watcher_wake_;
  std::condition_variable answered_;
  bool stopping_ = false;
  bool starting_ = true;
  Connection connection_;
  std::uint64_t generation_ = 0;
  bool want_connection_ = false;
  Time connect_at_;
  std::deque<Command> queue_;
  std::vector<Flush> flushes_;
  bool returned_ = false;
  bool missed_ = false;
  std::uint64_t last_ear_ = 0;

  std::atomic<bool> connected_{false};
  std::atomic<bool> failed_publications_{false};  ///< since the last pulse that told of it
  std::atomic<std::size_t> pending_bytes_{0};
  std::atomic<std::int64_t> server_max_payload_{0};

  std::unordered_map<std::uint64_t, Listening> listening_;  // the sender's
  std::string last_connect_error_;                          // the sender's
  std::string why_away_;                                    // the sender's

  PulseVoice voice_;  // the watcher's
  PulseEar ear_;      // of the pulses' handler
  Ear own_ear_;
  std::shared_ptr<HandlerSlot> pulse_slot_;

  std::thread sender_;
  std::thread watcher_;
};

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_NATS_NATS_CORE_H_
