// Listener: the one acceptor. It owns the listening sockets and a thread that hands every accepted
// socket to the least loaded shard.
//
// No SO_REUSEPORT: with it a second server binds the same port without an error and takes half of
// the connections, and hashing leaves shards with twice their share.
// Thread-safety: open(), start(), close() from one thread.
#ifndef COUNTERSIGN_NET_LISTENER_H_
#define COUNTERSIGN_NET_LISTENER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "countersign/result.h"

#include "base/metrics.h"
#include "net/address.h"
#include "net/unique_fd.h"

namespace countersign::net {

class Listener {
 public:
  /// Takes an accepted socket: close-on-exec and non-blocking. Called on the listener's thread.
  using Accept = std::function<void(UniqueFd socket, bool is_v4, const IpAddress& peer)>;

  Listener(Accept accept, base::Counter& failures)
      : accept_(std::move(accept)), failures_(failures) {}
  ~Listener() { close(); }

  /// Binds and listens. `localhost` is 127.0.0.1 and, where there is one, ::1. Port 0: a free one.
  /// kAddressInUse; kBadSetting for a name that does not resolve or an address that is not ours.
  Result<void> open(const std::string& host, std::uint16_t port);
  /// Listens at another port too, after open(). Not 0. Errors as above.
  Result<void> open_another(const std::string& host, std::uint16_t port);
  std::uint16_t port() const { return port_; }
  /// Begins to accept.
  void start();
  /// Accepts what waits in the queues, closes the sockets and joins. Idempotent.
  void close();

 private:
  struct Socket {
    UniqueFd fd;
    bool is_v4 = true;
  };
  enum class Outcome { kEmpty, kShortOfFiles };

  void run();
  Outcome accept_all(const Socket& socket);

  Accept accept_;
  base::Counter& failures_;
  std::vector<Socket> sockets_;
  std::uint16_t port_ = 0;
  UniqueFd wake_;  ///< an eventfd: close() wants the thread to end
  bool short_of_files_ = false;
  std::thread thread_;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_LISTENER_H_
