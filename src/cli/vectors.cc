#include "cli/vectors.h"

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <map>
#include <utility>

#include <boost/json.hpp>

#include "cli/vector_kinds.h"

namespace countersign::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;

tl::unexpected<Error> malformed(std::string detail) {
  return fail(ErrorCode::kUnreadableFile, "malformed vectors: " + std::move(detail));
}

// What a member has to be.
enum class Form { kText, kTextOrNull, kInteger, kArray, kObject };

struct Required {
  std::string_view name;
  Form form;
};

bool has_form(const json::value& value, Form form) {
  switch (form) {
    case Form::kText:
      return value.is_string();
    case Form::kTextOrNull:
      return value.is_string() || value.is_null();
    case Form::kInteger:
      return value.is_int64();
    case Form::kArray:
      return value.is_array();
    case Form::kObject:
      return value.is_object();
  }
  return false;
}

// The first member that is missing or of another form; empty if all are there.
std::string_view first_fault(const json::object& object, std::span<const Required> members) {
  for (const Required& member : members) {
    const json::value* const value = object.if_contains(member.name);
    if (value == nullptr || !has_form(*value, member.form)) return member.name;
  }
  return {};
}

constexpr Required kFileMembers[] = {{"schema", Form::kInteger},
                                     {"policies", Form::kObject},
                                     {"keyring", Form::kArray},
                                     {"vectors", Form::kArray}};
constexpr Required kVectorMembers[] = {
    {"id", Form::kText}, {"kind", Form::kText}, {"expect", Form::kObject}};
constexpr Required kExpectMembers[] = {{"verdict", Form::kText}, {"reasons", Form::kArray}};
constexpr Required kTicketMembers[] = {{"now", Form::kInteger}};
constexpr Required kRuleMembers[] = {{"how", Form::kText},
                                     {"prefix", Form::kText},
                                     {"unit", Form::kText},
                                     {"count", Form::kInteger},
                                     {"suffix", Form::kText}};
constexpr Required kMintMembers[] = {
    {"key", Form::kText}, {"secret", Form::kText}, {"input", Form::kObject}};
constexpr Required kMintInputMembers[] = {
    {"type", Form::kText}, {"endpoint", Form::kText}, {"epoch", Form::kInteger}};
constexpr Required kIdentityMembers[] = {{"type", Form::kText}, {"endpoint", Form::kText}};
constexpr Required kRequestMembers[] = {{"keyring", Form::kArray},
                                        {"method", Form::kText},
                                        {"path", Form::kText},
                                        {"headers", Form::kArray},
                                        {"body_b64", Form::kText},
                                        {"content_md5", Form::kText},
                                        {"string_to_sign", Form::kTextOrNull},
                                        {"now", Form::kInteger},
                                        {"tolerance", Form::kInteger}};
constexpr Required kTurnMembers[] = {
    {"turn_secret", Form::kText}, {"separator", Form::kText},
    {"realm", Form::kText},       {"username", Form::kText},
    {"password", Form::kText},    {"user", Form::kTextOrNull},
    {"now", Form::kInteger},      {"long_term_key_hex", Form::kTextOrNull}};
constexpr Required kSignatureMembers[] = {{"key", Form::kText},
                                          {"secret", Form::kText},
                                          {"input", Form::kObject},
                                          {"sequence", Form::kText},
                                          {"signature", Form::kText}};

std::string_view ticket_fault(const json::object& vector, std::string_view text_member) {
  if (const std::string_view fault = first_fault(vector, kTicketMembers); !fault.empty()) {
    return fault;
  }
  const json::value* const text = vector.if_contains(text_member);
  const json::value* const rule = vector.if_contains("rule");
  if (text != nullptr && !text->is_null()) {
    if (!text->is_string()) return text_member;
  } else if (rule == nullptr || !rule->is_object() ||
             !first_fault(rule->as_object(), kRuleMembers).empty()) {
    return text_member;
  }
  for (const std::string_view name : {"identity", "expected_identity"}) {
    const json::value* const identity = vector.if_contains(name);
    if (identity == nullptr || identity->is_null()) continue;
    if (!identity->is_object() || !first_fault(identity->as_object(), kIdentityMembers).empty()) {
      return name;
    }
  }
  if (const json::value* const expect = vector.if_contains("replay_expect")) {
    const bool texts = expect->is_array() &&
                       std::all_of(expect->as_array().begin(), expect->as_array().end(),
                                   [](const json::value& entry) { return entry.is_string(); });
    if (!texts) return "replay_expect";
  }
  return {};
}

std::string_view request_fault(const json::object& vector) {
  if (const std::string_view fault = first_fault(vector, kRequestMembers); !fault.empty()) {
    return fault;
  }
  for (const json::value& header : vector.at("headers").as_array()) {
    if (!header.is_array() || header.as_array().size() != 2 || !header.as_array()[0].is_string() ||
        !header.as_array()[1].is_string()) {
      return "headers";
    }
  }
  return {};
}

// The member of a vector that keeps it from being run; empty if there is none. A kind this build
// does not know is no fault of the file: it fails when it is run.
std::string_view vector_fault(const json::object& vector) {
  const std::string_view kind = vector.at("kind").as_string();
  if (kind == "user_ticket") return ticket_fault(vector, "ticket");
  if (kind == "jwt") return ticket_fault(vector, "token");
  if (kind == "signed_request") return request_fault(vector);
  if (kind == "turn") return first_fault(vector, kTurnMembers);
  if (kind == "user_ticket_mint") {
    if (const std::string_view fault = first_fault(vector, kMintMembers); !fault.empty()) {
      return fault;
    }
    return first_fault(vector.at("input").as_object(), kMintInputMembers);
  }
  if (kind == "registration_signature") {
    if (const std::string_view fault = first_fault(vector, kSignatureMembers); !fault.empty()) {
      return fault;
    }
    const json::value* const endpoint = vector.at("input").as_object().if_contains("endpoint");
    return endpoint != nullptr && endpoint->is_string() ? std::string_view{} : "input";
  }
  return {};
}

std::optional<std::string> expect_fault(const json::object& expect) {
  if (expect.empty()) return "expect is empty";
  for (const auto& [policy, wanted] : expect) {
    if (!wanted.is_object() || !first_fault(wanted.as_object(), kExpectMembers).empty()) {
      return "expect of policy " + std::string(policy);
    }
    const std::string_view verdict = wanted.at("verdict").as_string();
    if (verdict != "accept" && verdict != "reject") return "verdict " + std::string(verdict);
    for (const json::value& reason : wanted.at("reasons").as_array()) {
      if (!reason.is_string()) return "reasons of policy " + std::string(policy);
    }
  }
  return std::nullopt;
}

}  // namespace

struct VectorFile::State {
  json::value file;
  VectorContext context;
  std::vector<Case> cases;

  const json::object& vector(std::size_t index) const {
    return file.at("vectors").as_array()[index].as_object();
  }
};

VectorFile::VectorFile(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
VectorFile::VectorFile(VectorFile&&) noexcept = default;
VectorFile& VectorFile::operator=(VectorFile&&) noexcept = default;
VectorFile::~VectorFile() = default;

Result<VectorFile> VectorFile::load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kUnreadableFile, "cannot read " + path);
  std::string text;
  std::string chunk(65536, '\0');
  while (file.read(chunk.data(), static_cast<std::streamsize>(chunk.size())), file.gcount() > 0) {
    text.append(chunk, 0, static_cast<std::size_t>(file.gcount()));
    if (text.size() > kMaxFileBytes) return malformed("the file is larger than 256 MiB");
  }
  // A directory opens and then refuses to be read.
  if (file.bad()) return fail(ErrorCode::kUnreadableFile, "cannot read " + path);
  return parse(text);
}

Result<VectorFile> VectorFile::parse(std::string_view text) {
  json::error_code fault;
  auto state = std::make_unique<State>();
  state->file = json::parse(text, fault);
  if (fault) return malformed("not JSON: " + fault.message());
  if (!state->file.is_object()) return malformed("not an object");
  const json::object& file = state->file.as_object();
  if (const std::string_view member = first_fault(file, kFileMembers); !member.empty()) {
    return malformed("member " + std::string(member) + " is missing or of another type");
  }
  if (file.at("schema").as_int64() != 1) return malformed("the schema is not 1");

  Result<std::shared_ptr<const KeyRing>> ring = read_keyring(file.at("keyring").as_array());
  if (!ring) return malformed("keyring: " + ring.error().detail);
  state->context.ring = *std::move(ring);
  for (const auto& [name, numbers] : file.at("policies").as_object()) {
    if (!numbers.is_object()) return malformed("policy " + std::string(name));
    const Result<Policy> policy = read_policy(name, numbers.as_object());
    if (!policy) return malformed("policy " + std::string(name) + ": " + policy.error().detail);
    state->context.policies.emplace(name, *policy);
  }

  std::map<std::string, std::int64_t, std::less<>> counted;
  const json::array& vectors = file.at("vectors").as_array();
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    const std::string place = "vector " + std::to_string(i);
    if (!vectors[i].is_object()) return malformed(place + " is not an object");
    const json::object& vector = vectors[i].as_object();
    if (const std::string_view member = first_fault(vector, kVectorMembers); !member.empty()) {
      return malformed(place + ": member " + std::string(member));
    }
    const std::string id(vector.at("id").as_string());
    if (const std::string_view member = vector_fault(vector); !member.empty()) {
      return malformed(id + ": member " + std::string(member));
    }
    const json::object& expect = vector.at("expect").as_object();
    if (const std::optional<std::string> why = expect_fault(expect)) {
      return malformed(id + ": " + *why);
    }
    ++counted[std::string(vector.at("kind").as_string())];
    for (const auto& [policy, wanted] : expect) {
      if (!state->context.policies.contains(policy)) {
        return malformed(id + ": the file has no policy " + std::string(policy));
      }
      state->cases.push_back(Case{i, id, std::string(policy)});
    }
  }
  if (const json::value* const counts = file.if_contains("counts")) {
    if (!counts->is_object()) return malformed("counts is not an object");
    for (const auto& [kind, count] : counts->as_object()) {
      const auto found = counted.find(std::string_view(kind));
      const std::int64_t number = found == counted.end() ? 0 : found->second;
      if (!count.is_int64() || count.as_int64() != number) {
        return malformed("counts differ from the vectors of kind " + std::string(kind));
      }
    }
  }
  return VectorFile(std::move(state));
}

const std::vector<VectorFile::Case>& VectorFile::cases() const noexcept { return state_->cases; }

std::optional<std::string> VectorFile::run(const Case& which) const {
  return run_vector(state_->context, state_->vector(which.vector), which.policy);
}

}  // namespace countersign::cli
