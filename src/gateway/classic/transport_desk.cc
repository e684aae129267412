#include "gateway/classic/transport_desk.h"

#include <algorithm>
#include <charconv>
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

// What a group is at for those who have left it: the keys of its versions are for its members.
constexpr std::int64_t kOfThoseGone = 0;

std::int64_t version_for(const storage::Conversation& group) {
  return group.member ? group.version : kOfThoseGone;
}

std::string group_transport_id(std::string_view conversation, std::int64_t version) {
  std::string id(conversation);
  return id.append(".").append(std::to_string(version));
}

struct GroupTransportId {
  std::string conversation;
  std::int64_t version = 0;
};

/// Nothing if it is not written as group_transport_id() writes it.
std::optional<GroupTransportId> read_group_transport_id(std::string_view id) {
  const std::size_t dot = std::min(id.rfind('.'), id.size());
  GroupTransportId read{std::string(id.substr(0, dot)), 0};
  const std::string_view digits = id.substr(std::min(dot + 1, id.size()));
  std::from_chars(digits.data(), digits.data() + digits.size(), read.version);
  if (read.version < 0 || group_transport_id(read.conversation, read.version) != id) {
    return std::nullopt;
  }
  return read;
}

/// Who may not see a conversation learns nothing of it.
tl::unexpected<Error> hidden(const Error& error) {
  if (error.code == ErrorCode::kPermissionDenied) return fail(ErrorCode::kAbsent, "not a member");
  return tl::make_unexpected(error);
}

}  // namespace

bool Transport::holds(const Identity& user) const {
  return std::binary_search(members.begin(), members.end(), user, storage::identity_before);
}

std::size_t Transport::owner(std::string_view channel) const {
  return static_cast<std::size_t>(std::find(channels.begin(), channels.end(), channel) -
                                  channels.begin());
}

const std::string& Transport::channel_of(const Identity& member) const {
  const auto place =
      std::lower_bound(members.begin(), members.end(), member, storage::identity_before);
  return channels[static_cast<std::size_t>(place - members.begin())];
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
  remembered_members_ += transport->members.size();
  if (remembered_.size() >= options_.max_remembered ||
      remembered_members_ > options_.max_remembered_members) {
    remembered_.clear();
    remembered_members_ = transport->members.size();
  }
  SharedTransport& place = remembered_[row_name(application, transport->id)];
  if (place) remembered_members_ -= place->members.size();
  place = transport;
}

SharedTransport TransportDesk::recall(std::string_view application, std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto found = remembered_.find(row_name(application, id));
  return found == remembered_.end() ? nullptr : found->second;
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
  auto found = is_group(id) ? find_group(user, id) : find_direct(user, id);
  if (found && !(*found)->holds(user.identity)) {
    return fail(ErrorCode::kAbsent, "not in the transport");
  }
  return found;
}

Result<SharedTransport> TransportDesk::find_direct(const storage::UserKey& user,
                                                   std::string_view id) {
  if (SharedTransport known = recall(user.application, id)) return known;
  auto stored = classic_.find_transport(user.application, id);
  if (!stored) return stored.failure();
  SharedTransport transport;
  if (*stored) {
    transport = make(user.application, id, (*stored)->conversation, std::move((*stored)->members));
  } else {
    // Nobody has asked for it with the classic SDK: a conversation of others.
    auto members = members_of(user, std::string(id));
    if (!members) return members.failure();
    transport = make(user.application, id, std::string(id), *std::move(members));
  }
  remember(user.application, transport);
  return transport;
}

// Which version a group is at is the store's to say, each time; who was in it then never changes.
Result<SharedTransport> TransportDesk::find_group(const storage::UserKey& user,
                                                  std::string_view id) {
  const auto named = read_group_transport_id(id);
  if (!named) return fail(ErrorCode::kAbsent, "no id of ours");
  const auto present = messages_.find_conversation(user, named->conversation);
  if (!present) return hidden(present.error());
  const std::int64_t version = version_for(*present);
  const bool theirs = named->version <= version && (named->version > 0 || !present->member);
  if (!theirs) return fail(ErrorCode::kAbsent, "not a version of theirs");
  const std::string newest = group_transport_id(named->conversation, version);
  // Somebody who has left sees the members of then, and not those whom the others see.
  SharedTransport transport = present->member ? recall(user.application, newest) : nullptr;
  if (!transport) {
    auto members = members_of(user, named->conversation);
    if (!members) return members.failure();
    transport = make(user.application, newest, named->conversation, *std::move(members));
    // Whoever came or went meanwhile belongs to another version.
    const auto still = messages_.find_conversation(user, named->conversation);
    if (still && still->member && still->version == present->version) {
      remember(user.application, transport);
    }
  }
  if (transport->id == id) return transport;
  // Frames of an earlier version may be on their way, and pages keep its key: it goes on being good
  // for those who are members now.
  auto earlier = std::make_shared<Transport>(*transport);
  earlier->id = id;
  earlier->key = keys_.transport_key(user.application, id);
  return SharedTransport(std::move(earlier));
}

Result<std::vector<Identity>> TransportDesk::members_of(const storage::UserKey& user,
                                                        const std::string& conversation) {
  std::vector<Identity> members;
  std::optional<Identity> after;
  for (;;) {
    auto page = messages_.members(user, conversation, after, kMemberPage);
    if (!page) return hidden(page.error());
    for (storage::Horizon& horizon : *page) members.push_back(std::move(horizon.member));
    if (page->size() < kMemberPage) return members;
    after = members.back();
  }
}

Result<std::string> TransportDesk::id_of(const storage::UserKey& user,
                                         const std::string& conversation) {
  if (!is_group(conversation)) return conversation;
  auto found = messages_.find_conversation(user, conversation);
  if (!found) return found.failure();
  return group_transport_id(conversation, version_for(*found));
}

}  // namespace countersign::gateway::classic
