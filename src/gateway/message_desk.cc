#include "gateway/message_desk.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/encoding.h"
#include "base/json_text.h"
#include "gateway/inbox_text.h"
#include "protocol/inbox_messages.h"
#include "protocol/server_messages.h"
#include "storage/message_ids.h"

namespace countersign::gateway {
namespace {

constexpr std::size_t kMessageIdBytes = 16;
constexpr std::size_t kGroupIdBytes = 16;

// Parts with their lengths in front: two lists of parts never give one text.
void append_part(std::string& out, std::string_view part) {
  out.append(std::to_string(part.size())).append(":").append(part);
}

void append_users(std::string& out, std::span<const Identity> users) {
  for (const Identity& user : users) {
    append_part(out, identity_type_name(user.type));
    append_part(out, user.endpoint);
  }
}

// Whose budget it is: application, type and endpoint, as everywhere.
std::string budget_name(const storage::UserKey& user) {
  std::string out;
  append_part(out, user.application);
  append_users(out, {&user.identity, 1});
  return out;
}

// `,"to":[…]`: all members, as readers of a message to more than one see it.
std::string to_member(std::span<const Identity> members) {
  std::string out = ",\"to\":[";
  for (const Identity& member : members) {
    if (out.back() != '[') out.push_back(',');
    out.append("{\"type\":\"").append(identity_type_name(member.type)).append("\",\"endpoint\":");
    base::append_json_string(out, member.endpoint);
    out.push_back('}');
  }
  return out + "]";
}

storage::GroupChange::Action stored(protocol::ChangeGroup::Action action) {
  using From = protocol::ChangeGroup::Action;
  using To = storage::GroupChange::Action;
  switch (action) {
    case From::kCreate:
      return To::kCreate;
    case From::kAdd:
      return To::kAdd;
    case From::kRemove:
      return To::kRemove;
    case From::kLeave:
      return To::kLeave;
    case From::kRename:
      return To::kRename;
  }
  return To::kRename;
}

bool holds(std::span<const Identity> users, const Identity& user) {
  return std::find(users.begin(), users.end(), user) != users.end();
}

}  // namespace

ErrorCode told(const Client& client, ErrorCode code, std::string_view conversation) {
  if (code != ErrorCode::kAbsent) return code;
  const bool guessed = !conversation.empty() && !is_group(conversation) && !client.instance.empty();
  return guessed ? ErrorCode::kPermissionDenied : ErrorCode::kUnknownTarget;
}

// A message on its way into the store.
struct MessageDesk::Job {
  std::uint32_t id = 0;
  storage::Send send;
  std::string epoch;  // of the store, known before
  bool group_command = false;
  bool asked_directory = false;
  Reply reply;
};

MessageDesk::MessageDesk(MessageDeskOptions options, storage::MessageStore& store,
                         MessagePublisher& publisher, AudienceCache& audiences, TaskQueue& tasks,
                         const base::Clock& clock, base::Random& random, base::Metrics& metrics,
                         RecipientDirectory* directory, std::span<const std::uint8_t> master_key)
    : options_(options),
      store_(store),
      publisher_(publisher),
      audiences_(audiences),
      tasks_(tasks),
      clock_(clock),
      random_(random),
      metrics_(metrics),
      directory_(directory),
      budget_(options.budget),
      accepted_(metrics.counter("countersign_messages_accepted_total",
                                "Messages that were accepted and committed.")),
      repeated_(metrics.counter("countersign_messages_repeated_total",
                                "Messages that came again and were answered as the first time.")) {
  auto key = base::hmac_sha256(master_key, "countersign message digests/1");
  digest_key_ = base::SecretBytes(std::span<const std::uint8_t>{key});
  key.fill(0);
}

MessageDesk::~MessageDesk() = default;

std::string MessageDesk::digest(const Client& client, std::string_view kind,
                                std::string_view msg_id, std::string_view content) const {
  std::string text;
  append_part(text, kind);
  append_part(text, client.user.application);
  append_users(text, {&client.user.identity, 1});
  append_part(text, msg_id);
  append_part(text, content);
  return base::to_string(base::hmac_sha256(digest_key_.bytes(), text));
}

bool MessageDesk::within_budget(const Client& client, std::uint32_t id, double cost,
                                const Reply& reply) {
  if (client.instance.empty()) return true;  // the server API has a throttle of its own
  const auto wait = budget_.take(budget_name(client.user), cost, clock_.steady());
  if (wait) reply(protocol::encode_error(id, ErrorCode::kTooManyRequests, *wait));
  return !wait;
}

std::shared_ptr<MessageDesk::Job> MessageDesk::make_job(const Client& client, std::uint32_t id,
                                                        std::string msg_id, Reply reply) {
  auto job = std::make_shared<Job>();
  job->id = id;
  job->reply = std::move(reply);
  storage::Send& send = job->send;
  send.sender = client.user;
  send.device = client.device;
  send.instance = client.instance;
  send.msg_id = std::move(msg_id);
  std::array<std::uint8_t, kMessageIdBytes> own_id{};
  random_.fill(own_id);
  send.message_id.assign(own_id.begin(), own_id.end());
  send.now = clock_.now();
  send.limits = options_.limits;
  return job;
}

void MessageDesk::send(const Client& client, std::uint32_t id, protocol::Send command,
                       Reply reply) {
  const std::size_t recipients = std::max<std::size_t>(1, command.to.users.size());
  if (!within_budget(client, id, static_cast<double>(recipients), reply)) return;
  auto job = make_job(client, id, std::move(command.msg_id), std::move(reply));
  std::string content;
  append_part(content, command.to.id);
  append_users(content, command.to.users);
  append_part(content, command.expires_in ? std::to_string(command.expires_in->count()) : "");
  append_part(content, command.body);
  job->send.digest = digest(client, "send/1", job->send.msg_id, content);
  job->send.body = std::move(command.body);
  if (command.expires_in) job->send.expires = job->send.now + *command.expires_in;

  if (command.to.id.empty()) {
    std::vector<Identity> members = std::move(command.to.users);
    if (!holds(members, client.user.identity)) members.push_back(client.user.identity);
    return send_to(std::move(job), std::move(members));
  }
  if (is_group(command.to.id)) {
    job->send.group = std::move(command.to.id);
    return accept(std::move(job));
  }
  const std::string& conversation = command.to.id;
  const auto now = clock_.steady();
  if (const auto known = audiences_.find(client.user.application, conversation, now);
      known && holds(*known, client.user.identity)) {
    return send_to_all(std::move(job), conversation, *known);
  }
  const bool submitted = tasks_.try_submit([this, job, client, conversation, now] {
    const auto found = find_audience(store_, audiences_, job->send.sender, conversation, now);
    if (found) return send_to_all(job, conversation, **found);
    refuse(*job, {told(client, found.code(), conversation), {}});
  });
  if (!submitted) job->reply(fail(ErrorCode::kOverloaded, "workers are busy"));
}

void MessageDesk::send_to_all(std::shared_ptr<Job> job, std::string_view conversation,
                              const std::vector<Identity>& members) {
  const std::string& application = job->send.sender.application;
  if (storage::direct_conversation_id(application, members) != conversation) {
    return refuse(*job, {ErrorCode::kUnknownTarget, {}});
  }
  send_to(std::move(job), members);
}

void MessageDesk::send_to(std::shared_ptr<Job> job, std::vector<Identity> members) {
  storage::Send& send = job->send;
  std::sort(members.begin(), members.end(), protocol::ordered_before);
  if (members.size() > 2) send.body += to_member(members);
  send.to = std::move(members);
  if (send.to.size() > 1) std::erase(send.to, send.sender.identity);
  accept(std::move(job));
}

void MessageDesk::change_group(const Client& client, std::uint32_t id,
                               protocol::ChangeGroup command, Reply reply) {
  const std::size_t cost = std::max<std::size_t>(1, command.users.size());
  if (!within_budget(client, id, static_cast<double>(cost), reply)) return;
  const bool create = command.action == protocol::ChangeGroup::Action::kCreate;
  if (!create && !is_group(command.conversation)) {
    return reply(protocol::encode_error(id, ErrorCode::kPermissionDenied));
  }
  auto job = make_job(client, id, std::move(command.msg_id), std::move(reply));
  job->group_command = true;
  storage::Send& send = job->send;
  if (create) std::erase(command.users, client.user.identity);
  std::string content;
  append_part(content, command.conversation);
  append_part(content, std::to_string(static_cast<int>(command.action)));
  append_users(content, command.users);
  append_part(content, command.name);
  send.digest = digest(client, "group/1", send.msg_id, content);
  send.body = protocol::encode_change_body(command.action, command.users, command.name);
  send.group = create ? "g-" + random_.token(kGroupIdBytes) : std::move(command.conversation);
  send.change = storage::GroupChange{stored(command.action), std::move(command.users),
                                     std::move(command.name)};
  accept(std::move(job));
}

void MessageDesk::note_epoch(const std::string& epoch) {
  const std::lock_guard lock(epoch_mutex_);
  epoch_ = epoch;
}

void MessageDesk::accept(std::shared_ptr<Job> job) {
  {
    const std::lock_guard lock(epoch_mutex_);
    job->epoch = epoch_;
  }
  storage::Send send = job->send;  // once more, should a recipient have to be looked for
  store_.accept(std::move(send), [this, job = std::move(job)](Result<storage::Sent> sent) {
    on_accepted(job, std::move(sent));
  });
}

void MessageDesk::on_accepted(const std::shared_ptr<Job>& job, Result<storage::Sent> sent) {
  if (!sent) {
    metrics_
        .counter("countersign_messages_refused_total", "Messages that were not accepted.",
                 {{"code", std::string(error_name(sent.code()))}})
        .add();
    return job->reply(sent.failure());
  }
  if (sent->refused) {
    const bool unknown = sent->refused->code == ErrorCode::kUnknownTarget;
    if (!unknown || sent->refused->users.empty() || job->asked_directory) {
      return refuse(*job, *sent->refused);
    }
    job->asked_directory = true;
    const bool submitted = tasks_.try_submit(
        [this, job, sent = *std::move(sent)]() mutable { open_unknown(job, std::move(sent)); });
    if (!submitted) job->reply(fail(ErrorCode::kOverloaded, "workers are busy"));
    return;
  }
  (sent->duplicate ? repeated_ : accepted_).add();
  publish(*job, *sent);
  if (!sent->duplicate) charge_group(job, *sent);
  protocol::SendReply reply;
  reply.msg_id = job->send.msg_id;
  reply.conversation = sent->conversation;
  reply.seq = sent->seq;
  reply.offset = sent->offset;
  reply.time = sent->time;
  reply.duplicate = sent->duplicate;
  reply.left_out = sent->left_out;
  job->reply(job->group_command ? protocol::encode_group_reply(job->id, reply)
                                : protocol::encode_send_reply(job->id, reply));
}

// Somebody has no inbox: whoever has an account here gets one, and the message is tried again.
void MessageDesk::open_unknown(const std::shared_ptr<Job>& job, storage::Sent sent) {
  const std::string& application = job->send.sender.application;
  std::vector<Identity> known = sent.refused->users;
  if (!options_.keep_unknown) {
    if (directory_ == nullptr) return refuse(*job, *sent.refused);
    auto found = directory_->known(application, sent.refused->users);
    if (!found) return job->reply(found.failure());
    known = *std::move(found);
    if (known.size() < sent.refused->users.size()) {
      std::erase_if(sent.refused->users, [&](const Identity& user) { return holds(known, user); });
      return refuse(*job, *sent.refused);
    }
  }
  std::vector<storage::UserKey> users;
  users.reserve(known.size());
  for (Identity& user : known) users.push_back({application, std::move(user)});
  if (const auto opened = store_.open_inboxes(users, clock_.now()); !opened) {
    return job->reply(opened.failure());
  }
  accept(job);
}

void MessageDesk::refuse(const Job& job, const storage::SendRefusal& refusal) {
  metrics_
      .counter("countersign_messages_refused_total", "Messages that were not accepted.",
               {{"code", std::string(error_name(refusal.code))}})
      .add();
  job.reply(protocol::encode_error(job.id, refusal.code, std::nullopt, refusal.users));
}

void MessageDesk::publish(const Job& job, const storage::Sent& sent) {
  const storage::Send& send = job.send;
  const std::string& application = send.sender.application;
  if (sent.duplicate) {
    // The first time may have been cut short between its commit and its publication.
    publisher_.hint(application, send.to);
    return publisher_.hint(application, {&send.sender.identity, 1});
  }
  storage::Message message;
  message.conversation = sent.conversation;
  message.seq = sent.seq;
  message.kind = send.change ? storage::MessageKind::kGroup : storage::MessageKind::kText;
  message.id = send.msg_id;
  message.sender = send.sender.identity;
  message.device = send.device;
  message.time = sent.time;
  message.expires = send.expires;
  message.body = send.body;
  publisher_.entries(application, message, send.message_id, job.epoch, sent.deliveries);
  if (sent.fan_out_pending && wake_fan_out_) wake_fan_out_();
}

void MessageDesk::charge_group(const std::shared_ptr<Job>& job, const storage::Sent& sent) {
  if (job->send.instance.empty() || job->send.group.empty()) return;
  const auto charge = [this, job](std::size_t members) {
    if (members <= 2) return;  // one recipient was charged when the message came
    budget_.charge(budget_name(job->send.sender), static_cast<double>(members - 2),
                   clock_.steady());
  };
  if (!sent.fan_out_pending) return charge(sent.deliveries.size());
  (void)tasks_.try_submit([this, job, charge] {
    const auto found = store_.find_conversation(job->send.sender, job->send.group);
    if (found) charge(found->member_count);
  });
}

Result<Audience> find_audience(storage::MessageStore& store, AudienceCache& cache,
                               const storage::UserKey& user, std::string_view conversation,
                               base::SteadyTime now) {
  Audience known = cache.find(user.application, conversation, now);
  if (!known) {
    if (is_group(conversation)) {  // who has left still sees who was a member then
      const auto own = store.find_conversation(user, conversation);
      if (!own) return own.failure();
      if (!own->member) return fail(ErrorCode::kPermissionDenied, "not a member any more");
    }
    const auto found = store.members(user, conversation, std::nullopt, kMaxAudience + 1);
    if (!found) return found.failure();
    auto members = std::make_shared<std::vector<Identity>>();
    if (found->size() <= kMaxAudience) {
      for (const storage::Horizon& horizon : *found) members->push_back(horizon.member);
    }
    known = std::move(members);
    cache.put(user.application, conversation, known, now);
  }
  if (!known->empty() && !holds(*known, user.identity)) {
    return fail(ErrorCode::kPermissionDenied, "not a member");
  }
  return known;
}

}  // namespace countersign::gateway
