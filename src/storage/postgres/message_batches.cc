#include "storage/postgres/message_batches.h"

#include <algorithm>
#include <string>
#include <utility>

#include "storage/message_ids.h"
#include "storage/postgres/message_rows.h"

namespace countersign::storage::postgres {
namespace {

constexpr const char* kAccept =
    "SELECT * FROM accept_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, "
    "$15, $16, $17, $18, $19, $20, $21, $22, $23, $24)";
constexpr const char* kAcknowledge =
    "SELECT * FROM acknowledge_entries($1, $2, $3, $4, $5, $6, $7)";

// What the numbers of `p_action` mean beside those of GroupChange::Action.
constexpr std::int64_t kToPeople = -2;
constexpr std::int64_t kToConversation = -1;

static_assert(static_cast<int>(GroupChange::Action::kCreate) == 0 &&
                  static_cast<int>(GroupChange::Action::kAdd) == 1 &&
                  static_cast<int>(GroupChange::Action::kRemove) == 2 &&
                  static_cast<int>(GroupChange::Action::kLeave) == 3 &&
                  static_cast<int>(GroupChange::Action::kRename) == 4,
              "the schema knows these numbers");

/// What a row of accept_messages() tells.
enum class Told { kAccepted, kRepeat, kRefused, kPerson, kEntry, kFailed };

/// Who the schema has to know of for this message.
std::vector<Identity> people_of(const Send& send) {
  if (send.change) {
    std::vector<Identity> users = sorted_identities(send.change->users);
    if (send.change->action == GroupChange::Action::kCreate) {
      std::erase(users, send.sender.identity);
    }
    if (send.change->action == GroupChange::Action::kLeave ||
        send.change->action == GroupChange::Action::kRename) {
      users.clear();
    }
    return users;
  }
  if (!send.group.empty()) return {};
  std::vector<Identity> others = sorted_identities(send.to);
  std::erase(others, send.sender.identity);
  return others;
}

/// The parameters of accept_messages(), message by message.
class AcceptParameters {
 public:
  void add(const Send& send) {
    senders_.add(send.sender);
    devices_.push_back(send.device);
    instances_.push_back(send.instance.text());
    msg_ids_.push_back(send.msg_id);
    digests_.push_back(send.digest);
    message_ids_.push_back(send.message_id);
    bodies_.push_back(send.body);
    times_.push_back(send.now.time_since_epoch().count());
    expires_.push_back(send.expires ? send.expires->time_since_epoch().count() : kNoEnd);
    names_.push_back(send.change ? send.change->name : std::string());
    const std::vector<Identity> people = people_of(send);
    for (const Identity& person : people) {
      people_types_.push_back(type_number(person));
      people_endpoints_.push_back(person.endpoint);
    }
    people_counts_.push_back(static_cast<std::int64_t>(people.size()));
    if (send.change) {
      actions_.push_back(static_cast<std::int64_t>(send.change->action));
    } else {
      actions_.push_back(send.group.empty() ? kToPeople : kToConversation);
    }
    if (send.group.empty()) {
      std::vector<Identity> members = people;
      members.push_back(send.sender.identity);
      conversations_.push_back(direct_conversation_id(send.sender.application, members));
    } else {
      conversations_.push_back(send.group);
    }
    const MessageLimits& limits = send.limits;
    const std::size_t all[] = {limits.inbox_entries,      limits.inbox_bytes,
                               limits.sender_entries,     limits.new_inbox_entries,
                               limits.new_sender_entries, limits.direct_fan_out,
                               limits.group_members};
    for (std::size_t i = 0; i < std::size(all); ++i) limits_[i].push_back(sql_limit(all[i]));
  }

  Query query() const {
    return Query(kAccept, senders_.applications, senders_.types, senders_.endpoints, devices_,
                 instances_, msg_ids_, BytesArray{digests_}, BytesArray{message_ids_}, bodies_,
                 times_, expires_, conversations_, actions_, names_, limits_[0], limits_[1],
                 limits_[2], limits_[3], limits_[4], limits_[5], limits_[6], people_counts_,
                 people_types_, people_endpoints_);
  }

 private:
  UserArrays senders_;
  std::vector<std::string> devices_;
  std::vector<std::string> instances_;
  std::vector<std::string> msg_ids_;
  std::vector<std::string> digests_;
  std::vector<std::string> message_ids_;
  std::vector<std::string> bodies_;
  std::vector<std::int64_t> times_;
  std::vector<std::int64_t> expires_;
  std::vector<std::string> conversations_;
  std::vector<std::int64_t> actions_;
  std::vector<std::string> names_;
  std::vector<std::int64_t> limits_[7];
  std::vector<std::int64_t> people_counts_;
  std::vector<std::int64_t> people_types_;
  std::vector<std::string> people_endpoints_;
};

void add_row(const Row& row, Result<Sent>& answer) {
  const auto told = static_cast<Told>(row.integer(1));
  if (told == Told::kFailed) {
    answer =
        fail(code_of_word(row.bytes(2)), "too many messages of the conversation wait for fan-out");
    return;
  }
  Sent& sent = *answer;
  switch (told) {
    case Told::kAccepted:
    case Told::kRepeat:
      sent.duplicate = told == Told::kRepeat;
      sent.conversation = row.bytes(2);
      sent.seq = row.integer(4);
      sent.offset = row.integer(5);
      sent.time = row.time(6);
      sent.fan_out_pending = told == Told::kAccepted && row.flag(9);
      break;
    case Told::kRefused:
      sent.refused = SendRefusal{code_of_word(row.bytes(2)), {}};
      break;
    case Told::kPerson: {
      Identity person{static_cast<IdentityType>(row.integer(3)), row.bytes(2)};
      (sent.refused ? sent.refused->users : sent.left_out).push_back(std::move(person));
      break;
    }
    case Told::kEntry: {
      Identity user{static_cast<IdentityType>(row.integer(3)), row.bytes(2)};
      sent.deliveries.push_back(Delivery{std::move(user), row.integer(5), row.bytes(8),
                                         static_cast<EntryKind>(row.integer(7))});
      break;
    }
    case Told::kFailed:
      break;
  }
}

void add_row(const Row& row, const Ack& ack, Result<Acked>& answer) {
  const std::int64_t what = row.integer(1);
  if (what == 1) {
    const std::string word = row.bytes(2);
    answer = fail(code_of_word(word), "the position is refused: " + word);
  } else if (what == 0) {
    answer->cursor = row.integer(4);
  } else {
    add_receipt_row(row, 1, ack.user.identity, answer->receipts);
  }
}

/// True if the error names what one record may have done, and nothing was written.
bool blames_a_record(ErrorCode code) {
  return code == ErrorCode::kBadRequest || code == ErrorCode::kLimitExceeded ||
         code == ErrorCode::kAlreadyExists || code == ErrorCode::kAbsent;
}

/// Runs `run(span of requests)`, which answers for each or fails as a whole; see the head comment.
template <class Answer, class Request, class Run>
std::vector<Result<Answer>> run_or_halve(std::span<const Request* const> requests, Run&& run) {
  Result<std::vector<Result<Answer>>> answers = run(requests);
  if (answers) return *std::move(answers);
  if (requests.size() == 1 || !blames_a_record(answers.code())) {
    return std::vector<Result<Answer>>(requests.size(), answers.failure());
  }
  const std::size_t half = requests.size() / 2;
  std::vector<Result<Answer>> all = run_or_halve<Answer>(requests.first(half), run);
  std::vector<Result<Answer>> rest = run_or_halve<Answer>(requests.subspan(half), run);
  std::move(rest.begin(), rest.end(), std::back_inserter(all));
  return all;
}

/// The place in the batch that a row belongs to; nothing if there is none such.
std::optional<std::size_t> item_of(const Row& row, std::size_t count) {
  const std::int64_t item = row.integer(0);
  if (item < 1 || static_cast<std::size_t>(item) > count) return std::nullopt;
  return static_cast<std::size_t>(item - 1);
}

}  // namespace

void add_receipt_row(const Row& row, int first, const Identity& member,
                     std::vector<Receipt>& receipts) {
  if (row.integer(first) == 2) {
    Receipt receipt;
    receipt.horizon.conversation = row.bytes(first + 1);
    receipt.horizon.member = member;
    receipt.horizon.delivered = row.integer(first + 3);
    receipt.horizon.read = row.integer(first + 4);
    receipt.group = row.flag(first + 5);
    receipts.push_back(std::move(receipt));
  } else if (!receipts.empty()) {
    receipts.back().audience.push_back(
        Identity{static_cast<IdentityType>(row.integer(first + 2)), row.bytes(first + 1)});
  }
}

std::vector<Result<Sent>> accept_batch(Database& database, std::span<const Send* const> sends) {
  const auto run = [&](std::span<const Send* const> part) -> Result<std::vector<Result<Sent>>> {
    AcceptParameters parameters;
    for (const Send* send : part) parameters.add(*send);
    Result<std::vector<Rows>> rows = database.write_all({parameters.query()});
    if (!rows) return rows.failure();
    std::vector<Result<Sent>> answers(part.size(), Sent());
    for (std::size_t i = 0; i < rows->front().size(); ++i) {
      const Row row = rows->front()[i];
      const std::optional<std::size_t> item = item_of(row, part.size());
      if (!item) return fail(ErrorCode::kStoreFailed, "the schema answered for no message");
      if (answers[*item]) add_row(row, answers[*item]);
    }
    return answers;
  };
  return run_or_halve<Sent>(sends, run);
}

std::vector<Result<Acked>> acknowledge_batch(Database& database, std::span<const Ack* const> acks) {
  const auto run = [&](std::span<const Ack* const> part) -> Result<std::vector<Result<Acked>>> {
    UserArrays users;
    std::vector<std::string> devices;
    std::vector<std::string> epochs;
    std::vector<std::int64_t> offsets;
    std::vector<std::int64_t> times;
    for (const Ack* ack : part) {
      users.add(ack->user);
      devices.push_back(ack->device);
      epochs.push_back(ack->epoch);
      offsets.push_back(ack->offset);
      times.push_back(ack->now.time_since_epoch().count());
    }
    Result<std::vector<Rows>> rows =
        database.write_all({Query(kAcknowledge, users.applications, users.types, users.endpoints,
                                  devices, epochs, offsets, times)});
    if (!rows) return rows.failure();
    std::vector<Result<Acked>> answers(part.size(), Acked());
    for (std::size_t i = 0; i < rows->front().size(); ++i) {
      const Row row = rows->front()[i];
      const std::optional<std::size_t> item = item_of(row, part.size());
      if (!item) return fail(ErrorCode::kStoreFailed, "the schema answered for no position");
      if (answers[*item]) add_row(row, *part[*item], answers[*item]);
    }
    return answers;
  };
  return run_or_halve<Acked>(acks, run);
}

}  // namespace countersign::storage::postgres
