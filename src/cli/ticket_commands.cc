#include "cli/ticket_commands.h"

#include <chrono>
#include <fstream>
#include <memory>
#include <string_view>
#include <utility>

#include <boost/json.hpp>

#include "countersign/application_secret.h"
#include "countersign/identity.h"
#include "countersign/key_ring.h"
#include "countersign/policy.h"
#include "countersign/user_ticket.h"

#include "ticket/timestamp.h"

namespace countersign::cli {
namespace {

namespace json = boost::json;

constexpr int kGood = 0;
constexpr int kNotValid = 1;
constexpr int kUsage = 2;
constexpr int kFile = 3;

constexpr std::size_t kMaxSecretFileBytes = 4096;

// Where a command stops early: the exit status, and the line that says why.
struct Stop {
  int status;
  std::string line;
};

int report(std::ostream& err, std::string_view command, const Stop& stop) {
  err << "countersign " << command << ": " << stop.line << '\n';
  return stop.status;
}

void strip_line_end(std::string& text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
}

// Reads at most `limit` bytes and one more, which tells the caller that there are too many.
std::string read_bounded(std::istream& in, std::size_t limit) {
  std::string text(limit + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

// A ticket with its line end; one byte more than the limit is enough to be too large.
std::string read_ticket(std::istream& in) {
  std::string ticket = read_bounded(in, kMaxTicketBytes + 2);
  strip_line_end(ticket);
  return ticket;
}

Result<KeyRing> load_ring(const std::string& application_key, const std::string& secret_file) {
  std::ifstream file(secret_file, std::ios::binary);
  std::string text = file ? read_bounded(file, kMaxSecretFileBytes) : std::string();
  if (!file.is_open() || file.bad()) {
    return fail(ErrorCode::kUnreadableFile, "cannot read " + secret_file);
  }
  strip_line_end(text);
  Result<ApplicationSecret> secret = ApplicationSecret::from_base64(text);
  if (!secret) return fail(ErrorCode::kBadSecret, secret_file + ": " + secret.error().detail);
  KeyRing ring;
  if (Result<void> added = ring.add(application_key, *std::move(secret)); !added) {
    return std::move(added).failure();
  }
  return ring;
}

Stop stop_for(const Error& error) {
  const bool usage = error.code == ErrorCode::kBadSetting;
  return Stop{usage ? kUsage : kFile, usage ? "--app-key: " + error.detail : error.detail};
}

std::chrono::sys_seconds to_time(const std::optional<std::int64_t>& now) {
  if (now) return std::chrono::sys_seconds{std::chrono::seconds{*now}};
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

// True if nanoseconds of this instant, and of a day around it, fit into 64 bits.
bool is_instant(std::chrono::sys_seconds at) {
  constexpr std::int64_t kLimit = 9'000'000'000;  // the year 2255
  const std::int64_t seconds = at.time_since_epoch().count();
  return seconds > -kLimit && seconds < kLimit;
}

void print(std::ostream& out, const json::object& object) {
  out << json::serialize(object) << '\n';
}

std::string instant_text(Instant instant) { return timestamp_text(Timestamp::from(instant)); }

std::string usage_reason(ErrorCode code) {
  switch (code) {
    case ErrorCode::kBadIdentity:
      return "--identity: the endpoint does not follow the rules of its type";
    case ErrorCode::kBadLifetime:
    case ErrorCode::kLifetimeTooLong:
      return "--ttl: a lifetime is 1 to 86400 seconds";
    case ErrorCode::kBadCreated:
      return "--now: the year is not between 0000 and 9999";
    default:
      return std::string(error_text(code));
  }
}

void warn_of_name(std::ostream& err, const NameNotes& notes) {
  if (notes.outside_classic_set) {
    err << "countersign ticket issue: note: the classic JavaScript SDK takes only names of 1-40 "
           "printable ASCII characters without blank\n";
  }
  if (notes.outside_url_safe_set) {
    err << "countersign ticket issue: note: current mobile SDKs take only names of "
           "A-Z a-z 0-9 - _ =\n";
  }
}

}  // namespace

int run_ticket_issue(const TicketIssueOptions& options, std::ostream& out, std::ostream& err) {
  constexpr std::string_view kCommand = "ticket issue";
  Result<Identity> identity = parse_identity(options.identity);
  if (!identity) {
    return report(err, kCommand, {kUsage, "--identity: " + identity.error().detail});
  }
  RawUserTicket raw{*std::move(identity), options.application_key, to_time(options.now),
                    std::chrono::seconds{options.ttl_seconds}};
  // What is wrong with the command line is said before any file is read.
  if (!validate_identity(raw.identity, UserNameRule::kUtf8)) {
    return report(err, kCommand, {kUsage, usage_reason(ErrorCode::kBadIdentity)});
  }
  if (options.ttl_seconds < 1 || raw.expires_in > Policy::default_policy().max_ticket_lifetime) {
    return report(err, kCommand, {kUsage, usage_reason(ErrorCode::kBadLifetime)});
  }
  if (!is_writable(raw.created)) {
    return report(err, kCommand, {kUsage, usage_reason(ErrorCode::kBadCreated)});
  }
  const Result<KeyRing> ring = load_ring(options.application_key, options.secret_file);
  if (!ring) return report(err, kCommand, stop_for(ring.error()));
  const Result<CompactUserTicket> ticket = mint_user_ticket(*ring, raw);
  if (!ticket) return report(err, kCommand, {kUsage, usage_reason(ticket.code())});
  warn_of_name(err, ticket->notes());
  out << ticket->text() << '\n';
  return kGood;
}

int run_ticket_verify(const TicketVerifyOptions& options, std::istream& in, std::ostream& out,
                      std::ostream& err) {
  constexpr std::string_view kCommand = "ticket verify";
  const std::optional<PolicyName> policy = parse_policy_name(options.policy);
  if (!policy) return report(err, kCommand, {kUsage, "--policy: default or strict"});
  const std::chrono::sys_seconds now = to_time(options.now);
  if (!is_instant(now)) {
    return report(err, kCommand, {kUsage, "--now: the year is not between 1685 and 2255"});
  }
  VerifyOptions verify_options;
  if (options.expected_identity) {
    Result<Identity> expected = parse_identity(*options.expected_identity);
    if (!expected) return report(err, kCommand, {kUsage, "--expect: " + expected.error().detail});
    verify_options.expected_identity = *std::move(expected);
  }
  Result<KeyRing> ring = load_ring(options.application_key, options.secret_file);
  if (!ring) return report(err, kCommand, stop_for(ring.error()));

  const UserTicketVerifier verifier(std::make_shared<const KeyRing>(*std::move(ring)),
                                    Policy::named(*policy));
  const Result<VerifiedUserTicket> ticket =
      verifier.verify(read_ticket(in), Instant{now}, verify_options);
  if (!ticket) {
    print(out, {{"valid", false}, {"reason", error_name(ticket.code())}});
    return kNotValid;
  }
  json::object answer{
      {"valid", true},
      {"identity",
       {{"type", identity_type_name(ticket->identity().type)},
        {"endpoint", ticket->identity().endpoint}}},
      {"applicationKey", ticket->application_key()},
      {"created", instant_text(ticket->created())},
      {"expiresIn", ticket->expires_in().count()},
      {"expiresAt", instant_text(ticket->expires_at())},
  };
  if (ticket->session()) answer["session"] = *ticket->session();
  print(out, answer);
  return kGood;
}

int run_ticket_inspect(std::istream& in, std::ostream& out, std::ostream& err) {
  const Result<UnverifiedUserTicket> ticket = inspect_user_ticket(read_ticket(in));
  if (!ticket) {
    print(out, {{"verified", false}, {"reason", error_name(ticket.code())}});
    return kNotValid;
  }
  err << "countersign ticket inspect: note: nobody has checked the signature\n";
  json::object answer{{"verified", false}};
  json::object identity;
  if (ticket->identity_type) identity["type"] = *ticket->identity_type;
  if (ticket->endpoint) identity["endpoint"] = *ticket->endpoint;
  if (!identity.empty()) answer["identity"] = std::move(identity);
  if (ticket->application_key) answer["applicationKey"] = *ticket->application_key;
  if (ticket->created) answer["created"] = *ticket->created;
  // As it is written: a number stays a number and a text a text, because that is what goes wrong.
  json::error_code ignored;
  const json::value payload = json::parse(ticket->payload, ignored);
  if (payload.is_object() && payload.as_object().contains("expiresIn")) {
    answer["expiresIn"] = payload.as_object().at("expiresIn");
  }
  if (ticket->session) answer["session"] = *ticket->session;
  answer["payload"] = ticket->payload;
  print(out, answer);
  return kGood;
}

}  // namespace countersign::cli
