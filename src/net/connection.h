// Connection: what a shard knows of each of its connections, HTTP or WebSocket.
// Thread-safety: none; a connection lives on one shard.
#ifndef COUNTERSIGN_NET_CONNECTION_H_
#define COUNTERSIGN_NET_CONNECTION_H_

#include <boost/intrusive/list.hpp>

namespace countersign::net {

using ConnectionHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// Takes itself out of its shard's list when destroyed.
class Connection : public ConnectionHook {
 public:
  /// The server drains: end now if idle, else after the request at hand.
  virtual void on_drain() = 0;
  /// Draining has lasted long enough: say goodbye and end.
  virtual void on_drain_late() = 0;
  /// The server stops: end at once, and unlink.
  virtual void on_stop() = 0;
  /// The tasks have run during which it asked for ShardImpl::flush_later().
  virtual void on_gathered() {}

 protected:
  Connection() = default;
  ~Connection() = default;
};

using ConnectionList =
    boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>>;

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_CONNECTION_H_
