#include "storage/conformance/message_conformance.h"

#include <chrono>
#include <future>
#include <map>
#include <utility>

#include "base/encoding.h"
#include "storage/message_ids.h"

namespace countersign::storage {

Identity person(const std::string& name) { return Identity{IdentityType::kUsername, name}; }

UserKey user(const std::string& name) { return UserKey{"application", person(name)}; }

std::vector<Identity> people(const std::vector<std::string>& names) {
  std::vector<Identity> identities;
  for (const std::string& name : names) identities.push_back(person(name));
  return identities;
}

std::string message_id_of(const Identity& sender, const std::string& msg_id) {
  return base::to_string(base::sha256(sender.endpoint + "\n" + msg_id)).substr(0, 16);
}

Send text(const std::string& sender, const std::vector<std::string>& to,
          const std::string& msg_id) {
  Send send;
  send.sender = user(sender);
  send.msg_id = msg_id;
  send.digest = base::to_string(base::sha256(msg_id));
  send.to = people(to);
  send.message_id = message_id_of(send.sender.identity, msg_id);
  send.body = "\"text\":\"" + msg_id + "\"";
  send.now = at(100);
  return send;
}

Send text_to(const std::string& sender, const std::string& conversation,
             const std::string& msg_id) {
  Send send = text(sender, {}, msg_id);
  send.group = conversation;
  return send;
}

Send change(const std::string& sender, const std::string& conversation, const std::string& msg_id,
            GroupChange::Action action, const std::vector<std::string>& users,
            const std::string& name) {
  Send send = text_to(sender, conversation, msg_id);
  send.change = GroupChange{action, people(users), name};
  send.body = "\"change\":{\"" + msg_id + "\":1}";
  return send;
}

Result<Sent> accept(Store& store, Send send) {
  std::promise<Result<Sent>> answered;
  store.messages().accept(std::move(send),
                          [&](Result<Sent> sent) { answered.set_value(std::move(sent)); });
  return answered.get_future().get();
}

Result<Acked> acknowledge(Store& store, const Ack& ack) {
  std::promise<Result<Acked>> answered;
  store.messages().acknowledge(ack,
                               [&](Result<Acked> acked) { answered.set_value(std::move(acked)); });
  return answered.get_future().get();
}

void sign_in(Store& store, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    Attach attach;
    attach.user = user(name);
    attach.device = "phone";
    attach.now = at(0);
    ASSERT_TRUE(succeeded(store.messages().attach(attach)));
  }
}

std::vector<Entry> whole_inbox(Store& store, const std::string& name) {
  std::vector<Entry> entries;
  std::int64_t after = store.messages().read_inbox(user(name), 0, 1, kManyBytes)->floor;
  for (;;) {
    Result<InboxPage> page = store.messages().read_inbox(user(name), after, 100, kManyBytes);
    EXPECT_TRUE(succeeded(page));
    if (!page || page->entries.empty()) return entries;
    for (Entry& entry : page->entries) entries.push_back(std::move(entry));
    after = entries.back().offset;
  }
}

std::string faults_of_inbox(Store& store, const std::string& name) {
  std::string faults;
  const Result<InboxPage> head = store.messages().read_inbox(user(name), 0, 1, kManyBytes);
  if (!head) return "the inbox cannot be read";
  const std::vector<Entry> entries = whole_inbox(store, name);
  std::int64_t last = head->floor;
  std::optional<std::string> chain;
  if (head->floor == 0) chain = first_chain();
  std::map<std::string, std::int64_t> seqs;
  for (const Entry& entry : entries) {
    const std::string here = name + " " + std::to_string(entry.offset) + ": ";
    if (entry.offset != last + 1) faults += here + "does not follow " + std::to_string(last) + "\n";
    last = entry.offset;
    const std::string id = message_id_of(entry.message.sender, entry.message.id);
    if (chain && next_chain(*chain, id, entry.offset) != entry.chain) {
      faults += here + "the chain is broken\n";
    }
    chain = entry.chain;
    if (entry.kind == EntryKind::kFailed) continue;
    std::int64_t& seq = seqs[entry.message.conversation];
    if (entry.message.seq <= seq) faults += here + "seq is not above the one before\n";
    seq = entry.message.seq;
  }
  if (last != head->top) faults += name + ": the top is " + std::to_string(head->top) + "\n";
  return faults;
}

std::size_t remove_old(Store& store, SystemTime before, std::size_t limit) {
  const Result<Removal> removal =
      store.messages().remove_old(before, before + std::chrono::days(30), limit);
  EXPECT_TRUE(succeeded(removal));
  return removal ? removal->removed : 0;
}

std::size_t finish_jobs(Store& store, std::size_t limit) {
  std::size_t steps = 0;
  for (;; ++steps) {
    const Result<std::optional<FanOut>> step = store.messages().fan_out(limit);
    EXPECT_TRUE(succeeded(step));
    if (!step || !*step) return steps;
  }
}

Sent MessageConformance::send(Send send) {
  const Result<Sent> sent = accept(store(), std::move(send));
  EXPECT_TRUE(succeeded(sent));
  if (!sent) return Sent();
  EXPECT_FALSE(sent->refused) << static_cast<int>(sent->refused->code);
  EXPECT_FALSE(sent->duplicate);
  return *sent;
}

std::optional<ErrorCode> MessageConformance::refusal(Send send) {
  const Result<Sent> sent = accept(store(), std::move(send));
  EXPECT_TRUE(succeeded(sent));
  if (!sent || !sent->refused) return std::nullopt;
  return sent->refused->code;
}

Result<Acked> MessageConformance::ack(const std::string& name, std::int64_t offset,
                                      const std::string& device) {
  return acknowledge(store(), Ack{user(name), device, epoch(), offset, at(200)});
}

Attached MessageConformance::attach(const std::string& name, const std::string& device,
                                    std::optional<Position> resume, SystemTime now) {
  Attach attach;
  attach.user = user(name);
  attach.device = device;
  attach.resume = std::move(resume);
  attach.now = now;
  return messages().attach(attach).value();
}

Position MessageConformance::position(const std::string& name, std::int64_t offset) {
  Position position{epoch(), offset, first_chain()};
  for (const Entry& entry : whole_inbox(store(), name)) {
    if (entry.offset == offset) position.chain = entry.chain;
  }
  return position;
}

std::string MessageConformance::make_group(const std::string& name, const std::string& creator,
                                           const std::vector<std::string>& others) {
  const std::string id = "g-" + name;
  send(change(creator, id, "create " + name, GroupChange::Action::kCreate, others, name));
  return id;
}

std::vector<Message> MessageConformance::history(const std::string& name,
                                                 const std::string& conversation) {
  return messages().history(user(name), conversation, kNewest, 1000).value();
}

}  // namespace countersign::storage
