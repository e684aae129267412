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
  /// Precondition: holds(member).
  const std::string& channel_of(const Identity& member) const;
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
    std::size_t max_remembered_members = 200'000;  ///< of all that are remembered, together
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
  /// kAbsent if there is none, or the user is not in it. Of a group every version that it has had
  /// is one, with the members of now; those who have left have one of their own, of then.
  Result<SharedTransport> find(const storage::UserKey& user, std::string_view id);
  /// The id of the transport that a conversation's messages go under, for one of its members.
  Result<std::string> id_of(const storage::UserKey& user, const std::string& conversation);

 private:
  Result<SharedTransport> find_direct(const storage::UserKey& user, std::string_view id);
  Result<SharedTransport> find_group(const storage::UserKey& user, std::string_view id);
  Result<std::vector<Identity>> members_of(const storage::UserKey& user,
                                           const std::string& conversation);
  Result<std::vector<Identity>> known(const storage::UserKey& user,
                                      const std::vector<Identity>& recipients);
  SharedTransport make(std::string_view application, std::string_view id, std::string conversation,
                       std::vector<Identity> members) const;
  void remember(std::string_view application, const SharedTransport& transport);
  /// Null if it is not remembered.
  SharedTransport recall(std::string_view application, std::string_view id);

  const Options options_;
  const ClassicKeys& keys_;
  storage::ClassicStore& classic_;
  storage::MessageStore& messages_;
  RecipientDirectory* directory_;
  const base::Clock& clock_;
  std::mutex mutex_;
  std::unordered_map<std::string, SharedTransport> remembered_;  // by application and id
  std::size_t remembered_members_ = 0;                           // of all of these
};

}  // namespace countersign::gateway::classic

#endif  // COUNTERSIGN_GATEWAY_CLASSIC_TRANSPORT_DESK_H_
