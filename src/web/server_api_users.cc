// The part of the server API that works on the store: instances, sign-out, export, erasure.
#include <chrono>
#include <limits>
#include <utility>
#include <vector>

#include "base/json_text.h"
#include "base/log.h"
#include "gateway/inbox_text.h"
#include "web/answers.h"
#include "web/server_api.h"

namespace countersign::web {
namespace {

constexpr std::string_view kReason = "server_api";
constexpr std::size_t kInstancePage = 100;
constexpr std::size_t kConversationsCounted = 100;
constexpr std::size_t kExportPage = 1'000;
constexpr std::size_t kExportBytes = std::size_t{4} << 20;
constexpr std::size_t kEraseAtOnce = 500;
/// Below what backends and proxies wait for an answer.
constexpr std::chrono::seconds kEraseTime{10};

std::string instance_json(const storage::Instance& instance) {
  std::string out = "{\"id\":";
  base::append_json_string(out, instance.id.text());
  out += ",\"device\":";
  base::append_json_string(out, instance.device);
  out += ",\"created\":\"" + base::format_rfc3339(instance.created) + "\",\"expires\":\"" +
         base::format_rfc3339(instance.expires) + "\"}";
  return out;
}

storage::Revocation revocation_of(const storage::Instance& instance, base::SystemTime now) {
  storage::Revocation revocation;
  revocation.scope = storage::RevocationScope::kInstance;
  revocation.instance = instance.id;
  revocation.reason = kReason;
  revocation.time = now;
  return revocation;
}

/// Where a page of an export ended, as the caller shows it again.
std::string export_mark(const storage::Message& message) {
  return message.conversation + "." + std::to_string(message.seq);
}

}  // namespace

Result<net::Response> ServerApi::inbox(const storage::UserKey& user) {
  storage::MessageStore& messages = parts_.store.messages();
  const Result<storage::InboxPage> page =
      messages.read_inbox(user, std::numeric_limits<std::int64_t>::max(), 1, 1);
  if (!page) return page.failure();
  const auto listed =
      messages.list_conversations(user, base::SystemTime::max(), {}, kConversationsCounted + 1);
  if (!listed) return listed.failure();
  const std::size_t counted = std::min(listed->size(), kConversationsCounted);
  std::size_t unread = 0;
  for (std::size_t i = 0; i < counted; ++i) unread += (*listed)[i].unread;
  const bool more = listed->size() > counted;
  std::string body = "{\"epoch\":";
  base::append_json_string(body, page->epoch);
  body += ",\"floor\":" + std::to_string(page->floor) + ",\"top\":" + std::to_string(page->top) +
          ",\"entries\":" + std::to_string(page->top - page->floor) +
          ",\"conversations\":" + std::to_string(counted) +
          ",\"unread\":" + std::to_string(unread) + ",\"more\":" + (more ? "true" : "false") + "}";
  return json(200, std::move(body));
}

Result<net::Response> ServerApi::list_instances(const storage::UserKey& user,
                                                const ApiQuery& query) {
  const std::size_t limit = query.limit == 0 ? kInstancePage : std::min(query.limit, kInstancePage);
  const auto found = parts_.store.instances().list_instances(user.application, user.identity,
                                                             query.after, limit + 1);
  if (!found) return found.failure();
  std::string body = "{\"instances\":[";
  for (std::size_t i = 0; i < std::min(found->size(), limit); ++i) {
    if (i > 0) body.push_back(',');
    body += instance_json((*found)[i]);
  }
  body += "]";
  if (found->size() > limit) {
    body += ",\"next\":";
    base::append_json_string(body, (*found)[limit - 1].id.text());
  }
  return json(200, body + "}");
}

Result<net::Response> ServerApi::end_instance(const storage::UserKey& user,
                                              std::string_view instance) {
  const auto found =
      parts_.store.instances().find_instance(base::InstanceId(std::string(instance)));
  if (!found) return found.failure();
  const bool theirs = *found && (*found)->application_key == user.application &&
                      (*found)->identity == user.identity;
  if (!theirs) return fail(ErrorCode::kAbsent, "no such instance of this user");
  const std::vector<storage::Revocation> revocations = {revocation_of(**found, parts_.clock.now())};
  if (auto added = parts_.store.revocations().add(revocations); !added) return added.failure();
  return json(200, "{\"ended\":1}");
}

Result<net::Response> ServerApi::revoke_device(const storage::UserKey& user,
                                               const std::string& device) {
  std::vector<storage::Revocation> revocations;
  std::string after;
  for (;;) {
    const auto page = parts_.store.instances().list_instances(user.application, user.identity,
                                                              after, kInstancePage);
    if (!page) return page.failure();
    for (const storage::Instance& each : *page) {
      if (each.device == device) revocations.push_back(revocation_of(each, parts_.clock.now()));
    }
    if (page->size() < kInstancePage) break;
    after = page->back().id.text();
  }
  if (!revocations.empty()) {
    if (auto added = parts_.store.revocations().add(revocations); !added) return added.failure();
  }
  return json(200, "{\"ended\":" + std::to_string(revocations.size()) + "}");
}

Result<net::Response> ServerApi::sign_out(const storage::UserKey& user) {
  // Whoever has an account here: its sessions end, and what was made from them.
  std::size_t sessions = 0;
  if (user.application == parts_.accounts_application &&
      user.identity.type != IdentityType::kNumber) {
    const Result<storage::Account> account = parts_.directory.get(user.identity.endpoint);
    if (!account && account.code() != ErrorCode::kAbsent) return account.failure();
    if (account) {
      const std::vector<Identity> theirs = accounts::possible_identities(*account);
      if (std::find(theirs.begin(), theirs.end(), user.identity) != theirs.end()) {
        const std::vector<std::string> applications = {user.application};
        const Result<std::size_t> ended =
            parts_.directory.sign_out(account->user_name, applications, kReason);
        if (!ended) return ended.failure();
        sessions = *ended;
      }
    }
  }
  storage::Revocation revocation;
  revocation.scope = storage::RevocationScope::kIdentity;
  revocation.application_key = user.application;
  revocation.identity = user.identity;
  revocation.reason = kReason;
  revocation.time = parts_.clock.now();
  if (auto added = parts_.store.revocations().add({&revocation, 1}); !added) {
    return added.failure();
  }
  return json(200, "{\"sessions\":" + std::to_string(sessions) + "}");
}

Result<net::Response> ServerApi::export_page(const storage::UserKey& user, const ApiQuery& query,
                                             const std::string& path) {
  const std::size_t limit = query.limit == 0 ? kExportPage : query.limit;
  bool found = query.after.empty();
  bool more = false;
  std::size_t count = 0;
  std::string lines;
  std::string mark;
  const auto take = [&](const storage::Message& message) {
    if (!found) {
      found = export_mark(message) == query.after;
      return true;
    }
    if (count == limit || lines.size() >= kExportBytes) {
      more = true;
      return false;
    }
    ++count;
    lines += gateway::history_text(message);
    lines.push_back('\n');
    mark = export_mark(message);
    return true;
  };
  if (auto done = parts_.store.messages().export_messages(user, take); !done) {
    return done.failure();
  }
  if (!found) {
    return fail(ErrorCode::kUnrecoverablePosition, "the message the page began after has gone");
  }
  net::Response response;
  response.set("Content-Type", "application/x-ndjson");
  if (more) {
    std::string next = path + "?after=" + mark;
    if (query.limit > 0) next += "&limit=" + std::to_string(query.limit);
    response.set("Link", "<" + next + ">; rel=\"next\"");
  }
  response.body = std::move(lines);
  return response;
}

Result<net::Response> ServerApi::erase(const storage::UserKey& user) {
  const base::SteadyTime end = parts_.clock.steady() + kEraseTime;
  std::size_t steps = 0;
  for (;;) {
    const auto gone = parts_.store.messages().erase(user, parts_.clock.now(), kEraseAtOnce);
    if (!gone) return gone.failure();
    steps += *gone;
    const bool finished = *gone == 0;
    if (finished || parts_.clock.steady() >= end) {
      base::log_info("messages_erased", {{"finished", finished}, {"rows", steps}});
      return json(200, std::string("{\"finished\":") + (finished ? "true}" : "false}"));
    }
  }
}

}  // namespace countersign::web
