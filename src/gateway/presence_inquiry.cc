#include "gateway/presence_inquiry.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <variant>
#include <vector>

#include "base/encoding.h"
#include "gateway/presence_words.h"

namespace countersign::gateway {
namespace {

constexpr std::string_view kQuestions = "presence.ask";
constexpr std::string_view kQuestionMark = "ask1 ";
constexpr std::string_view kAnswerMark = "answer1 ";
constexpr std::size_t kMaxNodeBytes = 100;

/// In an event, "nobody knows when they were seen".
constexpr base::SystemTime kNever{};

std::string answer_subject(const std::string& node) {
  return "presence.answer." + base::hex_encode(base::as_bytes(node));
}

/// What a payload says: the words of its first line behind the mark, and the event.
struct Note {
  std::string_view words;
  protocol::UserEvent event;
};

std::optional<Note> read_note(std::string_view payload, std::string_view mark) {
  if (!payload.starts_with(mark)) return std::nullopt;
  const std::size_t end = payload.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  auto event = protocol::decode_user_event(payload.substr(end + 1));
  if (!event) return std::nullopt;
  return Note{payload.substr(mark.size(), end - mark.size()), *std::move(event)};
}

std::optional<std::uint64_t> read_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

void add(NodePresence& sum, const protocol::PresenceEvent& answer) {
  sum.devices += answer.devices;
  sum.away += std::min(answer.away, answer.devices);
  if (answer.last_seen == kNever) return;
  sum.last_seen = std::max(sum.last_seen.value_or(answer.last_seen), answer.last_seen);
}

}  // namespace

PresenceInquiry::PresenceInquiry(PresenceInquiryOptions options, std::string node, bus::Bus& bus,
                                 const base::Clock& clock, Own own, Nodes nodes)
    : options_(options),
      node_(std::move(node)),
      bus_(bus),
      clock_(clock),
      own_(std::move(own)),
      nodes_(std::move(nodes)) {}

PresenceInquiry::~PresenceInquiry() { stop(); }

void PresenceInquiry::start() {
  auto answers = bus_.subscribe(answer_subject(node_),
                                [this](const bus::Payload& payload) { on_answer(*payload); });
  if (answers) hears_answers_ = *std::move(answers);
  auto questions =
      bus_.subscribe(kQuestions, [this](const bus::Payload& payload) { on_question(*payload); });
  if (questions) hears_questions_ = *std::move(questions);
}

void PresenceInquiry::stop() {
  hears_questions_.reset();
  hears_answers_.reset();
  std::map<std::uint64_t, Question> left;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    left.swap(questions_);
  }
  for (const auto& [number, question] : left) finish(question, false);
}

void PresenceInquiry::tick() {
  std::vector<Question> due;
  {
    const std::lock_guard lock(mutex_);
    while (!questions_.empty() && questions_.begin()->second.until <= clock_.steady()) {
      due.push_back(std::move(questions_.begin()->second));
      questions_.erase(questions_.begin());
    }
  }
  for (const Question& question : due) finish(question, false);
}

void PresenceInquiry::ask(const storage::UserKey& user, Done done) {
  std::optional<std::set<std::string>> others = nodes_();
  const bool known = others.has_value() && bus_.connected();
  Question question{user, own_(user), {}, {}, {}, std::move(done)};
  if (!known || others->empty()) return finish(question, known);
  question.waiting = *std::move(others);
  question.until = clock_.steady() + options_.patience;
  // Now: once the question stands, it may be answered and its user gone.
  const std::string event =
      protocol::encode_user_event({user.application, user.identity, protocol::PresenceQuery{}});
  std::uint64_t number = 0;
  {
    std::unique_lock lock(mutex_);
    if (stopped_ || questions_.size() >= options_.max_questions) {
      lock.unlock();
      return question.done(fail(ErrorCode::kOverloaded, "too many questions about presence"));
    }
    number = ++last_number_;
    questions_.emplace(number, std::move(question));
  }
  const std::string line = std::string(kQuestionMark) + node_ + ' ' + std::to_string(number) + '\n';
  if (!bus_.publish(kQuestions, line + event)) give_up(number);
}

void PresenceInquiry::on_question(const std::string& payload) {
  const std::optional<Note> note = read_note(payload, kQuestionMark);
  if (!note || !std::holds_alternative<protocol::PresenceQuery>(note->event.what)) return;
  const std::size_t blank = note->words.find(' ');
  if (blank == 0 || blank == std::string_view::npos || blank > kMaxNodeBytes) return;
  const std::string asker(note->words.substr(0, blank));
  const std::optional<std::uint64_t> number = read_number(note->words.substr(blank + 1));
  if (!number || asker == node_) return;
  const NodePresence own = own_({note->event.application, note->event.user});
  const protocol::PresenceEvent word{node_, 0, own.devices, own.away,
                                     own.last_seen.value_or(kNever)};
  (void)bus_.publish(
      answer_subject(asker),
      std::string(kAnswerMark) + std::to_string(*number) + '\n' +
          protocol::encode_user_event({note->event.application, note->event.user, word}));
}

void PresenceInquiry::on_answer(const std::string& payload) {
  const std::optional<Note> note = read_note(payload, kAnswerMark);
  if (!note) return;
  const auto* word = std::get_if<protocol::PresenceEvent>(&note->event.what);
  const std::optional<std::uint64_t> number = read_number(note->words);
  if (word == nullptr || !number) return;
  std::unique_lock lock(mutex_);
  const auto found = questions_.find(*number);
  if (found == questions_.end()) return;
  Question& question = found->second;
  if (note->event.application != question.user.application ||
      note->event.user != question.user.identity) {
    return;
  }
  if (!question.heard.insert(word->node).second) return;
  question.waiting.erase(word->node);
  add(question.sum, *word);
  if (!question.waiting.empty()) return;
  const Question answered = std::move(question);
  questions_.erase(found);
  lock.unlock();
  finish(answered, true);
}

void PresenceInquiry::give_up(std::uint64_t number) {
  std::unique_lock lock(mutex_);
  const auto found = questions_.find(number);
  if (found == questions_.end()) return;
  const Question question = std::move(found->second);
  questions_.erase(found);
  lock.unlock();
  finish(question, false);
}

void PresenceInquiry::finish(const Question& question, bool complete) const {
  PresenceReport report;
  report.state.state = state_of_devices(question.sum.devices, question.sum.away);
  report.state.devices = question.sum.devices;
  report.state.last_seen = question.sum.last_seen;
  if (report.state.last_seen) {
    report.state.last_seen = std::min(*report.state.last_seen, clock_.now());  // clocks differ
  }
  report.complete = complete;
  question.done(report);
}

}  // namespace countersign::gateway
