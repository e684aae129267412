#include "gateway/classic/transport_desk.h"

#include <algorithm>
#include <utility>

#include "gateway/inbox_text.h"
#include "storage/message_ids.h"

namespace countersign::gateway::classic {
namespace {

// Of a group's members at once; larger groups are read page by page.
constexpr std::size_t kMemberPage = 500;

std::string row_name(std::string_view application, std::string_view id) {
  std::string name(id);
  name.append("\n").append(application);
  return name;
}

// The group's own id, without the version behind it.
std::string_view group_of(std::string_view id) { return id.substr(0, id.rfind('.')); }

}  // namespace

bool Transport::holds(const Identity& user) const {
  return std::binary_search(members.begin(), members.end(), user, storage::identity_before);
}

std::size_t Transport::owner(std::string_view channel) const {
  return static_cast<std::size_t>(std::find(channels.begin(), channels.end(), channel) -
                                  channels.begin());
}

TransportDesk::TransportDesk(Options options, const ClassicKeys& keys,
                             storage::ClassicStore& classic, storage::MessageStore& messages,
                             RecipientDirectory* directory, const base::Clock& clock)
    : options_(options),
      keys_(keys),
      classic_(classic),
      messages_(messages),
      directory_(directory),
      clock_(clock) {}

SharedTransport TransportDesk::make(std::string_view application, std::string_view id,
                                    std::string conversation, std::vector<Identity> members) const {
  auto transport = std::make_shared<Transport>();
  transport->id = id;
  transport->group = is_group(conversation);
  transport->conversation = std::move(conversation);
  transport->members = storage::sorted_identities(std::move(members));
  for (const Identity& member : transport->members) {
    transport->channels.push_back(keys_.transport_channel({std::string(application), member}));
  }
  transport->key = keys_.transport_key(application, id);
  return transport;
}

void TransportDesk::remember(std::string_view application, const SharedTransport& transport) {
  const std::lock_guard lock(mutex_);
  if (remembered_.size() >= options_.max_remembered) remembered_.clear();
  remembered_[row_name(application, transport->id)] = transport;
}

// Whoever has an inbox, or an account here, in the order of the question.
Result<std::vector<Identity>> TransportDesk::known(const storage::UserKey& user,
                                                   const std::vector<Identity>& recipients) {
  std::vector<storage::UserKey> asked;
  for (const Identity& recipient : recipients) {
    // A name that cannot be is nobody's.
    if (validate_identity(recipient, UserNameRule::kUtf8)) {
      asked.push_back({user.application, recipient});
    }
  }
  auto have = classic_.have_inboxes(asked);
  if (!have) return have.failure();
  std::vector<Identity> others;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (!(*have)[i] && asked[i] != user) others.push_back(asked[i].identity);
  }
  if (!others.empty() && !options_.keep_unknown) {
    if (directory_ == nullptr) {
      others.clear();
    } else {
      auto found = directory_->known(user.application, others);
      if (!found) return found.failure();
      others = *std::move(found);
    }
  }
  std::vector<Identity> known;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const Identity& identity = asked[i].identity;
    const bool here = (*have)[i] || asked[i] == user ||
                      std::find(others.begin(), others.end(), identity) != others.end();
    const bool again = std::find(known.begin(), known.end(), identity) != known.end();
    if (here && !again) known.push_back(identity);
  }
  return known;
}

Result<TransportDesk::Opened> TransportDesk::open(const storage::UserKey& user,
                                                  const std::vector<Identity>& recipients) {
  if (recipients.empty()) return fail(ErrorCode::kBadRequest, "a transport of nobody");
  if (recipients.size() > options_.max_recipients) {
    return fail(ErrorCode::kLimitExceeded, "too many recipients");
  }
  auto found = known(user, recipients);
  if (!found) return found.failure();
  Opened opened;
  opened.recipients = *std::move(found);
  // Of a transport with others the asker is a member anyway.
  if (opened.recipients.size() > 1) std::erase(opened.recipients, user.identity);
  if (opened.recipients.empty()) return opened;
  std::vector<Identity> members = opened.recipients;
  members.push_back(user.identity);
  const std::string id = storage::direct_conversation_id(user.application, members);
  opened.transport = make(user.application, id, id, std::move(members));
  auto kept =
      classic_.put_transport({user.application, id, id, opened.transport->members, clock_.now()});
  if (!kept) return kept.failure();
  remember(user.application, opened.transport);
  return opened;
}

Result<SharedTransport> TransportDesk::find(const storage::UserKey& user, std::string_view id) {
  SharedTransport transport;
  {
    const std::lock_guard lock(mutex_);
    const auto found = remembered_.find(row_name(user.application, id));
    if (found != remembered_.end()) transport = found->second;
  }
  if (!transport) {
    auto loaded = load(user, id);
    if (!loaded) return loaded;
    transport = *std::move(loaded);
    // A group's membership is the store's to say, each time.
    if (!transport->group) remember(user.application, transport);
  }
  if (!transport->holds(user.identity)) return fail(ErrorCode::kAbsent, "not in the transport");
  return transport;
}

Result<SharedTransport> TransportDesk::load(const storage::UserKey& user, std::string_view id) {
  auto stored = classic_.find_transport(user.application, id);
  if (!stored) return stored.failure();
  if (*stored) {
    return make(user.application, id, (*stored)->conversation, std::move((*stored)->members));
  }
  // Nobody has asked for it with the classic SDK: a conversation of others, or a group.
  const std::string conversation(is_group(id) ? group_of(id) : id);
  std::vector<Identity> members;
  std::optional<Identity> after;
  for (;;) {
    auto page = messages_.members(user, conversation, after, kMemberPage);
    if (!page) {
      const bool hidden = page.code() == ErrorCode::kPermissionDenied;
      return hidden ? fail(ErrorCode::kAbsent, "not a member") : page.failure();
    }
    for (storage::Horizon& horizon : *page) members.push_back(std::move(horizon.member));
    if (page->size() < kMemberPage) break;
    after = members.back();
  }
  return make(user.application, id, conversation, std::move(members));
}

Result<std::string> TransportDesk::id_of(const storage::UserKey& user,
                                         const std::string& conversation) {
  if (!is_group(conversation)) return conversation;
  auto found = messages_.find_conversation(user, conversation);
  if (!found) return found.failure();
  return conversation + "." + std::to_string(found->version);
}

}  // namespace countersign::gateway::classic
