#include "cli/message_commands.h"

#include <memory>
#include <vector>

#include "accounts/directory.h"
#include "app/core.h"
#include "base/json_text.h"
#include "cli/failure.h"
#include "gateway/callback_desk.h"
#include "gateway/inbox_text.h"

namespace countersign::cli {
namespace {

constexpr std::size_t kPage = 500;

/// The streams that a name stands for.
Result<std::vector<storage::UserKey>> find_users(app::Core& core,
                                                 const UserMessagesOptions& options) {
  const std::string& application =
      options.application_key.empty() ? core.applications().default_key() : options.application_key;
  std::vector<storage::UserKey> users;
  if (Result<Identity> identity = parse_identity(options.name); identity) {
    users.push_back({application, *std::move(identity)});
    return users;
  }
  const auto tools = app::AccountTools::create(core);
  if (!tools) return tools.failure();
  const Result<storage::Account> account = (*tools)->directory().get(options.name);
  if (!account) return account.failure();
  for (Identity& identity : accounts::possible_identities(*account)) {
    users.push_back({application, std::move(identity)});
  }
  return users;
}

Result<std::unique_ptr<app::Core>> open_core(const StoreOptions& options) {
  auto settings = options.load();
  if (!settings) return settings.failure();
  return app::Core::open(std::move(*settings), app::Core::Purpose::kCommand);
}

std::string callback_json(const storage::Callback& callback) {
  std::string line = "{\"id\":" + std::to_string(callback.id) + ",\"event\":\"" +
                     std::string(gateway::callback_event(callback.kind)) + "\",\"time\":\"" +
                     base::format_rfc3339(callback.time) + "\",\"application\":";
  base::append_json_string(line, callback.user.application);
  line += ",\"user\":{\"type\":\"" + std::string(identity_type_name(callback.user.identity.type)) +
          "\",\"endpoint\":";
  base::append_json_string(line, callback.user.identity.endpoint);
  line += "},\"attempts\":" + std::to_string(callback.attempts) + ",\"error\":";
  base::append_json_string(line, callback.last_error);
  return line + "}";
}

Result<storage::CallbackStore*> callbacks_of(app::Core& core) {
  storage::CallbackStore* const callbacks = core.store().callbacks();
  if (callbacks == nullptr) {
    return fail(ErrorCode::kNotAvailable, "this store keeps no callbacks");
  }
  return callbacks;
}

}  // namespace

int run_user_export(const UserMessagesOptions& options, std::ostream& out, std::ostream& err) {
  auto core = open_core(options.store);
  if (!core) return report(err, core.error());
  const auto users = find_users(**core, options);
  if (!users) return report(err, users.error());
  bool any = false;
  for (const storage::UserKey& user : *users) {
    const auto take = [&out](const storage::Message& message) {
      out << gateway::history_text(message) << '\n';
      return out.good();
    };
    const auto done = (*core)->store().messages().export_messages(user, take);
    if (!done && done.code() != ErrorCode::kAbsent) return report(err, done.error());
    any = any || done.ok();
  }
  out.flush();
  if (!out.good()) return report(err, {ErrorCode::kUnwritableFile, "standard output"});
  if (!any) return report(err, {ErrorCode::kAbsent, options.name + " has no inbox"});
  return kExitOk;
}

int run_user_erase_messages(const UserMessagesOptions& options, std::ostream& out,
                            std::ostream& err) {
  if (!options.yes) {
    return report(err, {ErrorCode::kUsage,
                        "erasing cannot be undone: say --yes, and see docs/guides/privacy.md for "
                        "what it does not reach"});
  }
  auto core = open_core(options.store);
  if (!core) return report(err, core.error());
  const auto users = find_users(**core, options);
  if (!users) return report(err, users.error());
  for (const storage::UserKey& user : *users) {
    for (;;) {
      const auto gone = (*core)->store().messages().erase(user, (*core)->clock().now(), kPage);
      if (!gone) return report(err, gone.error());
      if (*gone == 0) break;
    }
  }
  out << "erased the messages of " << options.name << '\n';
  return kExitOk;
}

int run_callbacks_list(const StoreOptions& options, std::ostream& out, std::ostream& err) {
  auto core = open_core(options);
  if (!core) return report(err, core.error());
  const auto callbacks = callbacks_of(**core);
  if (!callbacks) return report(err, callbacks.error());
  std::int64_t after = 0;
  bool any = false;
  if (options.json) out << '[';
  for (;;) {
    const auto page = (*callbacks)->list_dead(after, kPage);
    if (!page) return report(err, page.error());
    for (const storage::Callback& callback : *page) {
      if (options.json) {
        out << (any ? ",\n " : "") << callback_json(callback);
      } else {
        out << callback.id << "  " << gateway::callback_event(callback.kind) << "  "
            << base::format_rfc3339(callback.time) << "  "
            << identity_type_name(callback.user.identity.type) << ':'
            << callback.user.identity.endpoint << "  " << callback.attempts << " attempts  "
            << callback.last_error << '\n';
      }
      any = true;
    }
    if (page->size() < kPage) break;
    after = page->back().id;
  }
  if (options.json) {
    out << "]\n";
  } else if (!any) {
    err << "no dead letters\n";
  }
  return kExitOk;
}

int run_callbacks_replay(const StoreOptions& options, std::optional<std::int64_t> id,
                         std::ostream& out, std::ostream& err) {
  auto core = open_core(options);
  if (!core) return report(err, core.error());
  const auto callbacks = callbacks_of(**core);
  if (!callbacks) return report(err, callbacks.error());
  const auto replayed = (*callbacks)->replay(id);
  if (!replayed) return report(err, replayed.error());
  if (id && *replayed == 0) {
    return report(
        err, {ErrorCode::kAbsent, "no dead letter " + std::to_string(*id) + ", or no room for it"});
  }
  out << "waiting again: " << *replayed << '\n';
  return kExitOk;
}

}  // namespace countersign::cli
