// The transport desk: sets of people with a common key. A transport is a conversation seen with the
// classic SDK's eyes: a direct one has its conversation's id; a group has its id and the version of
// its membership, so that whoever comes or goes makes another transport.
// Thread-safety: every call may be made from any thread. Calls block unless the answer is
// remembered: make them from a worker.
// Source: docs/reference/classic-door.md, "Transports".
#ifndef COUNTERSIGN_GATEWAY_CLASSIC_TRANSPORT_DESK_H_
#define COUNTERSIGN_GATEWAY_CLASSIC_TRANSPORT_DESK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "countersign/result.h"

#include "base/clock.h"
#include "gateway/classic/classic_keys.h"
#include "gateway/recipient_directory.h"
#include "storage/classic_store.h"
#include "storage/message_store.h"

namespace countersign::gateway::classic {

struct Transport {
  std::string id;
  std::string conversation;
  bool group = false;
  std::vector<Identity> members;      ///< ordered by identity
  std::vector<std::string> channels;  ///< of the members, in the same order
  std::string key;                    ///< 32 raw bytes

  bool holds(const Identity& user) const;
  /// The place of the channel's owner; members.size() if it is nobody's here.
  std::size_t owner(std::string_view channel) const;
};
using SharedTransport = std::shared_ptr<const Transport>;

class TransportDesk {
 public:
  struct Options {
    std::size_t max_recipients = 10;
    bool keep_unknown = false;
    std::size_t max_remembered = 10'000;
  };

  /// All outlive the desk; `directory` may be null.
  TransportDesk(Options options, const ClassicKeys& keys, storage::ClassicStore& classic,
                storage::MessageStore& messages, RecipientDirectory* directory,
                const base::Clock& clock);

  struct Opened {
    SharedTransport transport;         ///< null if nobody is known
    std::vector<Identity> recipients;  ///< those who are known, each once
  };
  /// kBadRequest for nobody, kLimitExceeded beyond max_recipients.
  Result<Opened> open(const storage::UserKey& user, const std::vector<Identity>& recipients);
  /// kAbsent if there is none, or the user is not in it.
  Result<SharedTransport> find(const storage::UserKey& user, std::string_view id);
  /// The id of the transport that a conversation's messages go under, for one of its members.
  Result<std::string> id_of(const storage::UserKey& user, const std::string& conversation);

 private:
  Result<SharedTransport> load(const storage::UserKey& user, std::string_view id);
  Result<std::vector<Identity>> known(const storage::UserKey& user,
                                      const std::vector<Identity>& recipients);
  SharedTransport make(std::string_view application, std::string_view id, std::string conversation,
                       std::vector<Identity> members) const;
  void remember(std::string_view application, const SharedTransport& transport);

  const Options options_;
  const ClassicKeys& keys_;
  storage::ClassicStore& classic_;
  storage::MessageStore& messages_;
  RecipientDirectory* directory_;
  const base::Clock& clock_;
  std::mutex mutex_;
  std::unordered_map<std::string, SharedTransport> remembered_;  // by application and id
};

}  // namespace countersign::gateway::classic

#endif  // COUNTERSIGN_GATEWAY_CLASSIC_TRANSPORT_DESK_H_
