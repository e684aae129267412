// For the tests of this room: a server with a small handler and door, and a client that speaks raw
// bytes, so that tests can say what no decent client would.
// Thread-safety: one test, one thread; the handler and the door are called from shards.
#ifndef COUNTERSIGN_NET_NET_TEST_SUPPORT_H_
#define COUNTERSIGN_NET_NET_TEST_SUPPORT_H_

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/held_answer.h"
#include "net/server.h"
#include "net/unique_fd.h"
#include "net/websocket_codec.h"

namespace countersign::net {

/// Something that happens once in another thread.
class Event {
 public:
  void set();
  /// False if it has not happened within 20 s.
  bool wait();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

/// `/echo` answers method, path, query, body, client and secure as lines; `/large` 300 kB; `/shard`
/// the shard's index; `/throw` throws; `/hold?MS` holds its answer for that long or until
/// release_held(); `/split` answers a field with a line end; `/wait` waits for
/// release(); else 404.
class TestHandler final : public HttpHandler {
 public:
  static constexpr std::size_t kBodyLimit = 1000;

  std::size_t body_limit(std::string_view, std::string_view) const override { return kBodyLimit; }
  Awaitable<Response> handle(Request& request, Shard& shard) override;
  Response refuse(ErrorCode code) const override;
  /// Names the path.
  Response refuse_request(ErrorCode code, const Request& head) const override;

  void release();
  Event waiting;  ///< a request to `/wait` has come
  /// Answers every `/hold` with `body`; any thread.
  void release_held(const std::string& body);
  Event holding;             ///< a `/hold` has begun to wait
  Event dropped;             ///< a `/hold` has ended without an answer
  std::atomic<int> held{0};  ///< `/hold`s that wait

 private:
  std::mutex mutex_;
  bool released_ = false;
  std::vector<std::function<void()>> held_;

  class Hold;
  std::vector<std::pair<Shard*, std::weak_ptr<Hold>>> holds_;
};

/// What a channel saw.
struct ChannelLog {
  Event opened;
  Event timer;
  Event closed;
  std::mutex mutex;
  std::vector<std::string> frames;
  gateway::Channel* channel = nullptr;
};

/// Serves `/ws`: echoes frames; `close:CODE`, `normal`, `timer:MS` and `flood:BYTES:COUNT` are
/// commands. `/ws?refuse` is answered 403, `/ws?after` closed with 4507 after the handshake.
class TestDoor final : public WebSocketDoor {
 public:
  bool serves(std::string_view path) const override { return path == "/ws"; }
  Decision decide(const Request& request, Shard& shard) override;

  std::size_t max_frame_bytes = 64 * 1024;
  std::size_t max_queued_bytes = 256 * 1024;
  std::shared_ptr<ChannelLog> log = std::make_shared<ChannelLog>();
};

struct RawResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
};

/// A blocking client; reads give up after 20 s.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port, const std::string& address = "127.0.0.1");
  RawClient(RawClient&&) = default;
  RawClient& operator=(RawClient&&) = default;
  virtual ~RawClient() = default;

  bool connected() const { return static_cast<bool>(fd_); }
  int fd() const { return fd_.get(); }
  /// False if the connection is gone.
  virtual bool send(std::string_view bytes);
  /// The next bytes, empty at the end.
  virtual std::string receive();
  /// Reads one answer; status 0 if the connection ended first. 1xx answers count.
  RawResponse read_response(bool head = false);
  RawResponse get(const std::string& path);
  /// Everything up to the end of the connection.
  std::string read_to_end();
  /// True if the server ends the connection without another byte.
  bool ended() { return read_to_end().empty(); }
  void finish_sending();
  void close() { fd_.reset(); }
  /// Frees the memory of what was read.
  void forget_buffer() { std::string().swap(buffer_); }

  /// Upgrades; status 101 if it worked.
  RawResponse upgrade(const std::string& target, const std::string& protocols = {},
                      const std::string& more = {});
  void send_frame(Opcode opcode, std::string_view payload, bool fin = true);
  struct Frame {
    Opcode opcode = Opcode::kContinuation;
    std::string payload;
    std::uint16_t code() const;
  };
  /// The next frame; nullopt at the end.
  std::optional<Frame> read_frame();

 protected:
  bool fill();

  UniqueFd fd_;
  std::string buffer_;
};

/// `payload` as a client sends it.
std::string masked_frame(Opcode opcode, std::string_view payload, bool fin = true);

struct TestServer {
  explicit TestServer(ServerOptions options = {});
  ~TestServer();

  base::SystemClock clock;
  base::SystemRandom random;
  base::Metrics metrics;
  TestHandler handler;
  TestDoor door;
  std::unique_ptr<Server> server;
  std::uint16_t port() const { return server->port(); }
  RawClient connect() const { return RawClient(port()); }
  /// Waits until `count` connections are open. False after 20 s.
  bool wait_for_connections(std::size_t count) const;
};

/// Options with the deadlines of tests.
ServerOptions quick_options();

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_NET_TEST_SUPPORT_H_
