#include "cli/user_commands.h"

#include <functional>
#include <iostream>

#include <termios.h>
#include <unistd.h>

#include "app/core.h"
#include "base/json_text.h"
#include "cli/failure.h"

namespace countersign::cli {
namespace {

/// What a command works with: the store and the account services.
struct Tools {
  std::unique_ptr<app::Core> core;
  std::unique_ptr<app::AccountTools> accounts;
};

Result<Tools> open_tools(const StoreOptions& options) {
  auto settings = options.load();
  if (!settings) return settings.failure();
  auto core = app::Core::open(std::move(*settings), app::Core::Purpose::kCommand);
  if (!core) return core.failure();
  auto accounts = app::AccountTools::create(**core);
  if (!accounts) return accounts.failure();
  return Tools{std::move(*core), std::move(*accounts)};
}

/// Runs `act` and reports how it went; `done` is printed on success.
int with_tools(const StoreOptions& options, std::ostream& err,
               const std::function<Result<void>(Tools&)>& act) {
  auto tools = open_tools(options);
  if (!tools) return report(err, tools.error());
  const auto done = act(*tools);
  return done ? kExitOk : report(err, done.error());
}

/// Switches the terminal's echo off while it lives.
class SilentTerminal {
 public:
  SilentTerminal() : active_(tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!active_) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  ~SilentTerminal() {
    if (active_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  termios before_{};
  bool active_;
};

Result<base::SecretBytes> read_line(std::istream& in) {
  std::string line;
  if (!std::getline(in, line)) {
    return fail(ErrorCode::kUsage, "the password is read from standard input, and there is none");
  }
  if (line.ends_with('\r')) line.pop_back();
  base::SecretBytes secret{std::string_view(line)};
  base::wipe(line);
  return secret;
}

Result<base::SecretBytes> read_password(std::istream& in, std::ostream& err) {
  if (&in != &std::cin || isatty(STDIN_FILENO) == 0) return read_line(in);
  const SilentTerminal silent;
  err << "Password: " << std::flush;
  auto first = read_line(in);
  err << "\nAgain: " << std::flush;
  const auto second = read_line(in);
  err << '\n';
  if (!first) return first;
  if (!second || first->view() != second->view()) {
    return fail(ErrorCode::kUsage, "the two passwords differ");
  }
  return first;
}

std::string account_json(const storage::Account& account) {
  std::string line = "{\"userName\":";
  base::append_json_string(line, account.user_name);
  line += ",\"email\":";
  if (account.email) {
    base::append_json_string(line, *account.email);
  } else {
    line += "null";
  }
  line += account.disabled ? ",\"disabled\":true" : ",\"disabled\":false";
  line += ",\"created\":\"" + base::format_rfc3339(account.created) + "\"}";
  return line;
}

}  // namespace

int run_user_add(const UserAddOptions& options, std::istream& in, std::ostream& out,
                 std::ostream& err) {
  const auto password = read_password(in, err);
  if (!password) return report(err, password.error());
  return with_tools(options.store, err, [&](Tools& tools) -> Result<void> {
    const bool email_required = tools.core->settings().issuing_identity != "username";
    const auto account =
        tools.accounts->directory().add(options.name, options.email, email_required, *password);
    if (!account) return account.failure();
    if (options.store.json) {
      out << account_json(*account) << '\n';
    } else {
      out << "added " << account->user_name << '\n';
    }
    return {};
  });
}

int run_user_list(const StoreOptions& options, std::ostream& out, std::ostream& err) {
  return with_tools(options, err, [&](Tools& tools) -> Result<void> {
    constexpr std::size_t kPage = 500;
    std::string after;
    bool any = false;
    if (options.json) out << '[';
    for (;;) {
      const auto page = tools.accounts->directory().list(after, kPage);
      if (!page) return page.failure();
      for (const auto& account : *page) {
        if (options.json) {
          out << (any ? ",\n " : "") << account_json(account);
        } else {
          out << account.user_name << (account.email ? "  " + *account.email : "")
              << (account.disabled ? "  disabled" : "") << '\n';
        }
        any = true;
      }
      if (page->size() < kPage) break;
      after = page->back().user_name_key;
    }
    if (options.json) {
      out << "]\n";
    } else if (!any) {
      err << "nobody has an account yet\n";
    }
    return {};
  });
}

int run_user_disable(const UserActOptions& options, bool disabled, std::ostream& out,
                     std::ostream& err) {
  return with_tools(options.store, err, [&](Tools& tools) -> Result<void> {
    const auto done = tools.accounts->directory().set_disabled(
        options.name, disabled, tools.core->applications().ring()->application_keys());
    if (!done) return done.failure();
    out << (disabled ? "disabled " : "enabled ") << options.name << '\n';
    return {};
  });
}

int run_user_sign_out(const UserActOptions& options, std::ostream& out, std::ostream& err) {
  return with_tools(options.store, err, [&](Tools& tools) -> Result<void> {
    const auto ended = tools.accounts->directory().sign_out(
        options.name, tools.core->applications().ring()->application_keys());
    if (!ended) return ended.failure();
    out << "signed out " << options.name << ": " << *ended
        << (*ended == 1 ? " session ended\n" : " sessions ended\n");
    return {};
  });
}

int run_user_unlock(const UserActOptions& options, std::ostream& out, std::ostream& err) {
  return with_tools(options.store, err, [&](Tools& tools) -> Result<void> {
    if (auto done = tools.accounts->directory().unlock(options.name); !done) return done.failure();
    out << "unlocked " << options.name << '\n';
    return {};
  });
}

}  // namespace countersign::cli
