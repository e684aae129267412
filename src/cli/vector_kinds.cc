#include "cli/vector_kinds.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <vector>

#include <boost/json.hpp>

#include "countersign/application_secret.h"
#include "countersign/registration_signature.h"
#include "countersign/registration_token.h"
#include "countersign/replay_cache.h"
#include "countersign/signed_request.h"
#include "countersign/turn_credential.h"
#include "countersign/user_ticket.h"

#include "ticket/base64.h"
#include "ticket/digest.h"
#include "ticket/mac_key.h"
#include "ticket/timestamp.h"

namespace countersign::cli {
namespace {

namespace json = boost::json;

using Failure = std::optional<std::string>;

constexpr auto kBase64 = base64::Variant::kStandard;
// The largest input that a `rule` may describe.
constexpr std::size_t kMaxRuleBytes = std::size_t{64} << 20;

std::string_view text_of(const json::object& object, std::string_view name) {
  return object.at(name).as_string();
}

std::int64_t integer_of(const json::object& object, std::string_view name) {
  return object.at(name).as_int64();
}

// The member, or null if it is absent or null.
const json::value* present(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Instant instant_of(const json::object& vector) {
  return Timestamp{integer_of(vector, "now"), 0}.to_instant();
}

template <std::size_t Size>
std::string hex(const std::array<std::byte, Size>& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15U];
  }
  return text;
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Every name under which a vector may list a reason: ours, and for requests the documented code.
std::vector<std::string> names_of(ErrorCode code, std::string_view kind) {
  std::vector<std::string> names{std::string(error_name(code))};
  if (kind == "signed_request") names.push_back(std::to_string(documented_error_code(code)));
  return names;
}

// What a verifier answered.
struct Answer {
  std::optional<ErrorCode> refused;
};

template <class T>
Answer answer_of(const Result<T>& result) {
  return Answer{result ? std::nullopt : std::optional{result.code()}};
}

std::string describe(const Answer& answer) {
  return answer.refused ? "reject (" + std::string(error_name(*answer.refused)) + ")" : "accept";
}

// Compares an answer with the vector's verdict and reasons.
Failure compare(const json::object& vector, std::string_view policy, const Answer& answer) {
  const json::object& expect = vector.at("expect").at(policy).as_object();
  const json::array& reasons = expect.at("reasons").as_array();
  const bool accept = text_of(expect, "verdict") == "accept";
  bool matches = accept == !answer.refused.has_value();
  if (matches && !accept && !reasons.empty()) {
    const std::vector<std::string> names = names_of(*answer.refused, text_of(vector, "kind"));
    matches = std::any_of(reasons.begin(), reasons.end(), [&](const json::value& reason) {
      return std::find(names.begin(), names.end(), std::string_view(reason.as_string())) !=
             names.end();
    });
  }
  if (matches) return std::nullopt;
  std::string wanted = accept ? "accept" : "reject";
  if (!accept) wanted += " " + json::serialize(reasons);
  return "expected " + wanted + ", got " + describe(answer);
}

Failure compare_text(std::string_view what, std::string_view wanted, std::string_view got) {
  if (wanted == got) return std::nullopt;
  return std::string(what) + ": expected \"" + std::string(wanted) + "\", got \"" +
         std::string(got) + "\"";
}

Failure compare_identity(const json::object& vector, const Identity& got) {
  const json::value* const wanted = present(vector, "identity");
  if (wanted == nullptr) return "accepted, and the vector names no identity";
  if (Failure why = compare_text("identity type", text_of(wanted->as_object(), "type"),
                                 identity_type_name(got.type))) {
    return why;
  }
  return compare_text("identity", text_of(wanted->as_object(), "endpoint"), got.endpoint);
}

// The text to verify: given, or made by the vector's rule. `Failure` if the rule cannot be
// followed.
Failure text_to_verify(const json::object& vector, std::string_view member, std::string& text) {
  if (const json::value* const given = present(vector, member)) {
    text = given->as_string();
    return std::nullopt;
  }
  const json::object& rule = vector.at("rule").as_object();
  const std::string_view unit = text_of(rule, "unit");
  const std::int64_t count = integer_of(rule, "count");
  if (count < 0 ||
      (!unit.empty() && static_cast<std::uint64_t>(count) > kMaxRuleBytes / unit.size())) {
    return "the rule makes more than 64 MiB";
  }
  std::string payload(text_of(rule, "prefix"));
  payload.reserve(payload.size() + unit.size() * static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count && !unit.empty(); ++i) payload += unit;
  payload += text_of(rule, "suffix");
  const std::string_view how = text_of(rule, "how");
  if (how == "raw") {
    text = std::move(payload);
  } else if (how == "sign") {
    const json::value* const secret_text = present(vector, "secret");
    if (secret_text == nullptr || !secret_text->is_string()) return "the rule needs a secret";
    const Result<ApplicationSecret> secret =
        ApplicationSecret::from_base64(secret_text->as_string());
    if (!secret) return "the vector's secret is unusable";
    const Mac mac = reference_hmac(secret->reveal(), as_bytes_of(payload));
    text = base64::encode(kBase64, payload) + ":" + base64::encode(kBase64, as_text(mac));
  } else {
    return "unknown rule " + std::string(how);
  }
  const json::value* const length = present(vector, "ticket_length");
  if (length != nullptr && length->is_int64() &&
      length->as_int64() != static_cast<std::int64_t>(text.size())) {
    return "the rule makes " + std::to_string(text.size()) + " bytes";
  }
  const json::value* const sha256 = present(vector, "ticket_sha256");
  if (sha256 != nullptr && sha256->is_string()) {
    return compare_text("SHA-256 of the text the rule makes", std::string_view(sha256->as_string()),
                        hex(digest<32>("SHA256", text)));
  }
  return std::nullopt;
}

// Fills in the identity the caller binds to. An identity type that does not exist cannot be
// expected of any ticket.
Failure read_expected_identity(const json::object& vector, VerifyOptions& options) {
  const json::value* const expected = present(vector, "expected_identity");
  if (expected == nullptr) return std::nullopt;
  const std::string_view type = text_of(expected->as_object(), "type");
  const std::optional<IdentityType> parsed = parse_identity_type(type);
  if (!parsed) return "expected_identity has the unknown type " + std::string(type);
  options.expected_identity =
      Identity{*parsed, std::string(text_of(expected->as_object(), "endpoint"))};
  return std::nullopt;
}

// Presents the same text again and again. `verify` is called without a replay cache and then with a
// fresh one; its second argument is the cache.
template <class Verify>
Failure run_presentations(const json::object& vector, std::string_view policy, Verify verify) {
  const json::value* const times = present(vector, "presentations");
  const std::int64_t count = times != nullptr && times->is_int64() ? times->as_int64() : 1;
  for (std::int64_t i = 1; i < count; ++i) {
    if (Failure why = compare(vector, policy, answer_of(verify(nullptr)))) {
      return "presentation " + std::to_string(i + 1) + " without a replay cache: " + *why;
    }
  }
  const json::value* const expect = present(vector, "replay_expect");
  // A text that the policy refuses anyway never reaches the cache.
  if (expect == nullptr ||
      text_of(vector.at("expect").at(policy).as_object(), "verdict") != "accept") {
    return std::nullopt;
  }
  BoundedReplayCache cache;
  std::size_t presentation = 0;
  for (const json::value& wanted : expect->as_array()) {
    ++presentation;
    const Answer answer = answer_of(verify(&cache));
    const std::string_view text = wanted.as_string();
    const bool matches = text == "accept"   ? !answer.refused.has_value()
                         : text == "reject" ? answer.refused.has_value()
                                            : answer.refused && error_name(*answer.refused) == text;
    if (!matches) {
      return "presentation " + std::to_string(presentation) + " with a replay cache: expected " +
             std::string(text) + ", got " + describe(answer);
    }
  }
  return std::nullopt;
}

Failure run_user_ticket(const VectorContext& context, const json::object& vector,
                        std::string_view policy_name) {
  const Policy& policy = context.policies.find(policy_name)->second;
  std::string ticket;
  VerifyOptions options;
  if (Failure why = text_to_verify(vector, "ticket", ticket)) return why;
  if (Failure why = read_expected_identity(vector, options)) return why;
  const auto verify = [&](ReplayCache* cache) {
    return UserTicketVerifier(context.ring, policy, cache)
        .verify(ticket, instant_of(vector), options);
  };
  const Result<VerifiedUserTicket> result = verify(nullptr);
  if (Failure why = compare(vector, policy_name, answer_of(result))) return why;
  if (result) {
    if (Failure why = compare_identity(vector, result->identity())) return why;
    if (const json::value* const key = present(vector, "key")) {
      if (Failure why = compare_text("application key", std::string_view(key->as_string()),
                                     result->application_key())) {
        return why;
      }
    }
  }
  return run_presentations(vector, policy_name, verify);
}

// The date that a token's `kid` names, if its header is as the format has it.
std::optional<std::chrono::year_month_day> kid_date(std::string_view token) {
  const std::optional<std::string> header =
      base64::decode(base64::Variant::kUrlSafe, token.substr(0, token.find('.')));
  if (!header) return std::nullopt;
  json::error_code fault;
  const json::value parsed = json::parse(*header, fault);
  if (fault || !parsed.is_object() || present(parsed.as_object(), "kid") == nullptr ||
      !parsed.at("kid").is_string()) {
    return std::nullopt;
  }
  const std::string_view kid = parsed.at("kid").as_string();
  unsigned number = 0;
  if (kid.size() < 8) return std::nullopt;
  const std::string_view date = kid.substr(kid.size() - 8);
  if (std::from_chars(date.data(), date.data() + 8, number).ptr != date.data() + 8) {
    return std::nullopt;
  }
  return std::chrono::year{static_cast<int>(number / 10000)} /
         std::chrono::month{number / 100 % 100} / std::chrono::day{number % 100};
}

Failure compare_signing_key(const json::object& vector, std::string_view token) {
  const json::value* const wanted = present(vector, "signing_key");
  const json::value* const secret_text = present(vector, "secret");
  if (wanted == nullptr || secret_text == nullptr) return std::nullopt;
  const Result<ApplicationSecret> secret = ApplicationSecret::from_base64(secret_text->as_string());
  const std::optional<std::chrono::year_month_day> date = kid_date(token);
  if (!secret || !date) return "there is no secret or date to derive signing_key from";
  return compare_text("signing key", std::string_view(wanted->as_string()),
                      base64::encode(kBase64, as_text(registration_signing_key(*secret, *date))));
}

Failure run_jwt(const VectorContext& context, const json::object& vector,
                std::string_view policy_name) {
  const Policy& policy = context.policies.find(policy_name)->second;
  std::string token;
  VerifyOptions options;
  if (Failure why = text_to_verify(vector, "token", token)) return why;
  if (Failure why = read_expected_identity(vector, options)) return why;
  const auto verify = [&](ReplayCache* cache) {
    return RegistrationTokenVerifier(context.ring, policy, cache)
        .verify(token, instant_of(vector), options);
  };
  const Result<VerifiedRegistrationToken> result = verify(nullptr);
  if (Failure why = compare(vector, policy_name, answer_of(result))) return why;
  if (result) {
    if (Failure why = compare_identity(vector, result->identity())) return why;
    if (Failure why = compare_signing_key(vector, token)) return why;
    const json::value* const nonce = present(vector, "nonce");
    if (nonce != nullptr && nonce->is_string()) {
      if (Failure why =
              compare_text("nonce", std::string_view(nonce->as_string()), result->nonce())) {
        return why;
      }
    }
  }
  return run_presentations(vector, policy_name, verify);
}

Result<CompactUserTicket> mint(const json::object& vector, const Policy& policy) {
  const json::object& input = vector.at("input").as_object();
  const std::optional<IdentityType> type = parse_identity_type(text_of(input, "type"));
  if (!type) return fail(ErrorCode::kBadIdentityType);
  Result<ApplicationSecret> secret = ApplicationSecret::from_base64(text_of(vector, "secret"));
  if (!secret) return std::move(secret).failure();
  KeyRing ring;
  if (Result<void> added = ring.add(std::string(text_of(vector, "key")), *std::move(secret));
      !added) {
    return std::move(added).failure();
  }
  RawUserTicket raw{Identity{*type, std::string(text_of(input, "endpoint"))},
                    std::string(text_of(vector, "key")),
                    std::chrono::sys_seconds{std::chrono::seconds{integer_of(input, "epoch")}}};
  if (const json::value* const lifetime = present(input, "expires_in")) {
    if (!lifetime->is_int64()) return fail(ErrorCode::kBadLifetime);
    raw.expires_in = std::chrono::seconds{lifetime->as_int64()};
  }
  if (const json::value* const session = present(input, "session")) {
    if (!session->is_string()) return fail(ErrorCode::kBadSession);
    raw.session = std::string(session->as_string());
  }
  return mint_user_ticket(ring, raw, policy);
}

Failure run_user_ticket_mint(const VectorContext& context, const json::object& vector,
                             std::string_view policy_name) {
  const Result<CompactUserTicket> ticket = mint(vector, context.policies.find(policy_name)->second);
  if (Failure why = compare(vector, policy_name, answer_of(ticket))) return why;
  if (!ticket) return std::nullopt;
  const json::value* const wanted = present(vector, "ticket");
  if (wanted == nullptr || !wanted->is_string()) return "minted, and the vector has no ticket";
  if (Failure why = compare_text("ticket", std::string_view(wanted->as_string()), ticket->text())) {
    return why;
  }
  const json::value* const payload = present(vector, "payload_b64");
  if (payload == nullptr || !payload->is_string()) return std::nullopt;
  return compare_text("payload", std::string_view(payload->as_string()),
                      std::string_view(ticket->text()).substr(0, ticket->text().find(':')));
}

Failure run_signed_request(const VectorContext& context, const json::object& vector,
                           std::string_view policy_name) {
  const Result<std::shared_ptr<const KeyRing>> ring = read_keyring(vector.at("keyring").as_array());
  if (!ring) return "keyring: " + ring.error().detail;
  const std::optional<std::string> body = base64::decode(kBase64, text_of(vector, "body_b64"));
  if (!body) return "body_b64 is not canonical base64";
  std::vector<RequestHeader> headers;
  std::string_view content_type;
  std::string_view timestamp;
  for (const json::value& header : vector.at("headers").as_array()) {
    const std::string_view name = header.as_array()[0].as_string();
    const std::string_view value = header.as_array()[1].as_string();
    headers.push_back(RequestHeader{name, value});
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (lower == "content-type") content_type = value;
    if (lower == "x-timestamp") timestamp = value;
  }
  const ReceivedRequest request{text_of(vector, "method"), text_of(vector, "path"), headers, *body};

  Policy policy = context.policies.find(policy_name)->second;
  policy.request_tolerance = std::chrono::seconds{integer_of(vector, "tolerance")};
  const auto verify = [&](ReplayCache* cache) {
    return RequestVerifier(RequestRings{*ring, *ring, *ring}, policy, cache)
        .verify(request, instant_of(vector));
  };
  const Result<VerifiedRequest> result = verify(nullptr);
  if (Failure why = compare(vector, policy_name, answer_of(result))) return why;
  const std::string md5 = content_md5(*body);
  if (Failure why = compare_text("content MD5", text_of(vector, "content_md5"), md5)) return why;
  // In a refused request it may be what a mistaken sender signed, and so not what we would sign.
  if (const json::value* const wanted = present(vector, "string_to_sign");
      wanted != nullptr && result) {
    if (Failure why = compare_text(
            "string to sign", std::string_view(wanted->as_string()),
            string_to_sign(request.method, md5, content_type, timestamp, request.resource))) {
      return why;
    }
  }
  return run_presentations(vector, policy_name, verify);
}

Failure run_registration_signature(const VectorContext&, const json::object& vector,
                                   std::string_view policy_name) {
  const std::string_view sequence_text = text_of(vector, "sequence");
  std::uint64_t sequence = 0;
  const char* const end = sequence_text.data() + sequence_text.size();
  const std::from_chars_result read = std::from_chars(sequence_text.data(), end, sequence);
  const bool recognised =
      read.ec == std::errc{} && read.ptr == end &&
      recognise_registration_signature(text_of(vector.at("input").as_object(), "endpoint"),
                                       text_of(vector, "key"), sequence, text_of(vector, "secret"),
                                       text_of(vector, "signature"));
  return compare(vector, policy_name,
                 Answer{recognised ? std::nullopt : std::optional{ErrorCode::kBadSignature}});
}

Failure run_turn(const VectorContext&, const json::object& vector, std::string_view policy_name) {
  Result<TurnSecret> secret = TurnSecret::from_text(text_of(vector, "turn_secret"));
  if (!secret) return "the vector's secret is unusable";
  const TurnCredential credential{std::string(text_of(vector, "username")),
                                  std::string(text_of(vector, "password"))};
  const Result<VerifiedTurnUser> result = verify_turn_credential(
      std::span{&*secret, 1}, credential, instant_of(vector), text_of(vector, "separator"));
  if (Failure why = compare(vector, policy_name, answer_of(result))) return why;
  const json::value* const user = present(vector, "user");
  if (result && user != nullptr) {
    if (Failure why = compare_text("user", std::string_view(user->as_string()), result->user)) {
      return why;
    }
    // What verifies here is also what we mint.
    const Result<TurnCredential> minted = mint_turn_credential(
        *secret, result->user, result->expires_at, text_of(vector, "separator"));
    if (!minted) return "cannot be minted: " + std::string(error_name(minted.code()));
    if (minted->username == credential.username) {
      if (Failure why = compare_text("minted password", credential.password, minted->password)) {
        return why;
      }
    }
  }
  const json::value* const key = present(vector, "long_term_key_hex");
  if (key == nullptr) return std::nullopt;
  return compare_text("long-term key", std::string_view(key->as_string()),
                      hex(turn_long_term_key(credential, text_of(vector, "realm"))));
}

}  // namespace

std::optional<std::string> run_vector(const VectorContext& context, const json::object& vector,
                                      std::string_view policy) {
  const std::string_view kind = text_of(vector, "kind");
  if (kind == "user_ticket") return run_user_ticket(context, vector, policy);
  if (kind == "user_ticket_mint") return run_user_ticket_mint(context, vector, policy);
  if (kind == "jwt") return run_jwt(context, vector, policy);
  if (kind == "signed_request") return run_signed_request(context, vector, policy);
  if (kind == "registration_signature") {
    return run_registration_signature(context, vector, policy);
  }
  if (kind == "turn") return run_turn(context, vector, policy);
  return "unknown kind " + std::string(kind);
}

}  // namespace countersign::cli
