// countersign: the command line. It reads arguments and hands over; each command is a function of
// its own in this room.
#include <algorithm>
#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "cli/backup_commands.h"
#include "cli/certificate_command.h"
#include "cli/failure.h"
#include "cli/message_commands.h"
#include "cli/operator_commands.h"
#include "cli/serve_command.h"
#include "cli/ticket_commands.h"
#include "cli/user_commands.h"
#include "cli/vectors_command.h"
#include "config/nearest.h"

#ifndef COUNTERSIGN_VERSION
#error "COUNTERSIGN_VERSION comes from CMake"
#endif

namespace countersign::cli {
namespace {

/// No core dump may hold a secret: every command may hold one. RLIMIT_CORE alone does not bind a
/// piped core_pattern.
void forbid_core_dumps() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
}

/// The exit status of the command that ran.
using Command = std::function<int()>;

void add_store_options(CLI::App& command, StoreOptions& options, bool json) {
  command
      .add_option_function<std::string>(
          "--config", [&options](const std::string& file) { options.config_file = file; },
          "Settings file (TOML)")
      ->type_name("FILE");
  command
      .add_option_function<std::string>(
          "--data-dir",
          [&options](const std::string& path) { options.overrides.emplace_back("data_dir", path); },
          "Folder of the server's data (setting data_dir; default ./var)")
      ->type_name("DIR");
  command
      .add_option_function<std::vector<std::string>>(
          "--set",
          [&options](const std::vector<std::string>& pairs) {
            for (const auto& pair : pairs) {
              const auto equals = pair.find('=');
              if (equals == std::string::npos) {
                throw CLI::ValidationError("--set", "wants KEY=VALUE, not " + pair);
              }
              options.overrides.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
            }
          },
          "Any setting (see `countersign config doc`)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  if (json) command.add_flag("--json", options.json, "Print JSON");
}

void add_override(CLI::App& command, StoreOptions& options, const std::string& flag,
                  const std::string& key, const std::string& value_name, const std::string& help) {
  command
      .add_option_function<std::string>(
          flag,
          [&options, key](const std::string& value) { options.overrides.emplace_back(key, value); },
          help)
      ->type_name(value_name);
}

void add_ticket_commands(CLI::App& root, Command& chosen) {
  auto* group = root.add_subcommand("ticket", "Issue, verify and inspect user tickets");
  group->require_subcommand(1);

  static TicketIssueOptions issue;
  auto* command = group->add_subcommand("issue", "Print a ticket for an identity");
  command->add_option("--app-key", issue.application_key, "Application key")->required();
  command->add_option("--app-secret-file", issue.secret_file, "File with the base64 secret")
      ->required();
  command
      ->add_option("--identity", issue.identity,
                   "TYPE:ENDPOINT, type username, email or number; username:alice")
      ->required();
  command->add_option("--ttl", issue.ttl_seconds, "Lifetime in seconds (default 3600)");
  command->add_option("--now", issue.now, "Time of minting, seconds since 1970 (default: now)");
  command->callback(
      [&chosen] { chosen = [] { return run_ticket_issue(issue, std::cout, std::cerr); }; });

  static TicketVerifyOptions verify;
  command = group->add_subcommand("verify", "Verify the ticket on standard input");
  command->add_option("--app-key", verify.application_key, "Application key")->required();
  command->add_option("--app-secret-file", verify.secret_file, "File with the base64 secret")
      ->required();
  command->add_option("--policy", verify.policy, "default or strict");
  command->add_option("--now", verify.now, "Time of judging, seconds since 1970 (default: now)");
  command->add_option("--expect", verify.expected_identity, "TYPE:ENDPOINT it must be for");
  command->callback([&chosen] {
    chosen = [] { return run_ticket_verify(verify, std::cin, std::cout, std::cerr); };
  });

  command = group->add_subcommand("inspect",
                                  "Show what the ticket on standard input claims, "
                                  "without verifying it");
  command->callback(
      [&chosen] { chosen = [] { return run_ticket_inspect(std::cin, std::cout, std::cerr); }; });

  static std::string file;
  command = root.add_subcommand("vectors", "Run a file of interop vectors");
  command->add_option("FILE", file, "The file, as tests/interop/vectors/README.md describes it")
      ->required();
  command->callback([&chosen] { chosen = [] { return run_vectors(file, std::cout, std::cerr); }; });
}

void add_user_commands(CLI::App& root, Command& chosen) {
  auto* group = root.add_subcommand(
      "user", "Add, list, disable, sign out and unlock people; export and erase their messages");
  group->require_subcommand(1);

  static UserAddOptions add;
  auto* command = group->add_subcommand("add",
                                        "Add a person; the password is read from standard "
                                        "input");
  command->add_option("NAME", add.name, "User name")->required();
  command->add_option("--email", add.email, "E-mail address");
  add_store_options(*command, add.store, true);
  command->callback(
      [&chosen] { chosen = [] { return run_user_add(add, std::cin, std::cout, std::cerr); }; });

  static StoreOptions list;
  command = group->add_subcommand("list", "List everybody");
  add_store_options(*command, list, true);
  command->callback(
      [&chosen] { chosen = [] { return run_user_list(list, std::cout, std::cerr); }; });

  static UserActOptions act;
  struct Act {
    const char* name;
    const char* help;
    int (*run)();
  };
  static constexpr Act kActs[] = {
      {"disable", "Disable a person: signed out everywhere, and no way in",
       [] { return run_user_disable(act, true, std::cout, std::cerr); }},
      {"enable", "Let a disabled person in again",
       [] { return run_user_disable(act, false, std::cout, std::cerr); }},
      {"sign-out", "Sign a person out everywhere: sessions, tickets and clients end within 2 s",
       [] { return run_user_sign_out(act, std::cout, std::cerr); }},
      {"unlock", "Forget a person's failed sign-ins",
       [] { return run_user_unlock(act, std::cout, std::cerr); }},
  };
  for (const auto& row : kActs) {
    command = group->add_subcommand(row.name, row.help);
    command->add_option("NAME", act.name, "User name or e-mail address")->required();
    add_store_options(*command, act.store, false);
    command->callback([&chosen, run = row.run] { chosen = run; });
  }
}

/// `user export` and `user erase-messages`, beside the commands of add_user_commands().
void add_message_commands(CLI::App& root, Command& chosen) {
  auto* user = root.get_subcommand("user");
  static UserMessagesOptions messages;
  const auto add = [&](const char* name, const char* help) {
    auto* command = user->add_subcommand(name, help);
    command->add_option("NAME", messages.name, "User name, e-mail address, or TYPE:ENDPOINT")
        ->required();
    command->add_option("--app-key", messages.application_key,
                        "Application key (default: the default application)");
    add_store_options(*command, messages.store, false);
    return command;
  };
  auto* command =
      add("export", "Print the messages a person may read or has sent, as lines of JSON");
  command->callback(
      [&chosen] { chosen = [] { return run_user_export(messages, std::cout, std::cerr); }; });
  command = add("erase-messages", "Erase the messages a person has sent, and their inbox");
  command->add_flag("--yes", messages.yes, "Needed: it cannot be undone");
  command->callback([&chosen] {
    chosen = [] { return run_user_erase_messages(messages, std::cout, std::cerr); };
  });

  auto* callbacks = root.add_subcommand("callbacks", "What your backend could not be told");
  callbacks->require_subcommand(1);
  static StoreOptions store;
  command = callbacks->add_subcommand("list", "List the dead letters");
  add_store_options(*command, store, true);
  command->callback(
      [&chosen] { chosen = [] { return run_callbacks_list(store, std::cout, std::cerr); }; });
  static std::optional<std::int64_t> id;
  command = callbacks->add_subcommand("replay", "Have dead letters posted again");
  command->add_option("ID", id, "Of one dead letter, as `callbacks list` shows it (default: all)");
  add_store_options(*command, store, false);
  command->callback(
      [&chosen] { chosen = [] { return run_callbacks_replay(store, id, std::cout, std::cerr); }; });
}

void add_application_commands(CLI::App& root, Command& chosen) {
  auto* group = root.add_subcommand("app", "Applications and their secrets");
  group->require_subcommand(1);
  static StoreOptions store;
  static std::string name;
  static std::string key;
  static std::string fingerprint;

  auto* command = group->add_subcommand("create", "Make an application; prints its secret once");
  command->add_option("NAME", name, "What people call it")->required();
  add_store_options(*command, store, true);
  command->callback(
      [&chosen] { chosen = [] { return run_app_create(store, name, std::cout, std::cerr); }; });

  command =
      group->add_subcommand("list", "List applications and the fingerprints of their secrets");
  add_store_options(*command, store, true);
  command->callback(
      [&chosen] { chosen = [] { return run_app_list(store, std::cout, std::cerr); }; });

  command = group->add_subcommand("rotate-secret", "Make a new secret; the old one still verifies");
  command->add_option("KEY", key, "Application key (default: the default application)");
  add_store_options(*command, store, true);
  command->callback([&chosen] {
    chosen = [] { return run_app_rotate_secret(store, key, std::cout, std::cerr); };
  });

  command = group->add_subcommand("retire-secret", "End a secret that no longer mints");
  command->add_option("FINGERPRINT", fingerprint, "As `app list` shows it")->required();
  command->add_option("--app-key", key, "Application key (default: the default application)");
  add_store_options(*command, store, false);
  command->callback([&chosen] {
    chosen = [] { return run_app_retire_secret(store, key, fingerprint, std::cout, std::cerr); };
  });
}

void add_other_commands(CLI::App& root, Command& chosen) {
  static StoreOptions store;

  auto* command = root.add_subcommand("serve", "Serve: sign-in pages, tickets and the gateway");
  add_store_options(*command, store, false);
  add_override(*command, store, "--listen", "server.listen", "HOST:PORT",
               "Address to serve on; port 0: a free one");
  add_override(*command, store, "--tls-certificate", "server.tls_certificate", "FILE",
               "PEM certificate chain; serves TLS");
  add_override(*command, store, "--tls-key", "server.tls_key", "FILE", "PEM private key");
  command->callback([&chosen] { chosen = [] { return run_serve(store, std::cout, std::cerr); }; });

  auto* config = root.add_subcommand("config", "Check and document the settings");
  config->require_subcommand(1);
  command = config->add_subcommand("check", "Read all settings and say what is wrong");
  add_store_options(*command, store, false);
  command->callback(
      [&chosen] { chosen = [] { return run_config_check(store, std::cout, std::cerr); }; });
  static bool markdown = false;
  command = config->add_subcommand("doc", "Print every setting with its meaning and default");
  command->add_flag("--markdown", markdown, "As a page of Markdown");
  command->callback([&chosen] { chosen = [] { return run_config_doc(markdown, std::cout); }; });

  static auto mode = app::MigrationMode::kApply;
  command = root.add_subcommand("migrate", "Bring the store's schema up to date");
  auto* list = command->add_flag_callback(
      "--list", [] { mode = app::MigrationMode::kList; },
      "Only show which steps are applied and pending");
  command
      ->add_flag_callback(
          "--dry-run", [] { mode = app::MigrationMode::kTry; },
          "Apply the pending steps and undo them: shows that migrating would succeed")
      ->excludes(list);
  add_store_options(*command, store, false);
  command->callback(
      [&chosen] { chosen = [] { return run_migrate(store, mode, std::cout, std::cerr); }; });

  static DevCertificateOptions certificate;
  command = root.add_subcommand("dev-certificate",
                                "Make a TLS certificate for this machine, for development, and say "
                                "how to trust it; a good one is kept");
  command
      ->add_option("--name", certificate.names,
                   "A further name or address of this machine or its network (may be repeated)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_flag("--renew", certificate.renew,
                    "Make a new one even if there is one that is good for 30 days more");
  add_store_options(*command, certificate.store, true);
  command->callback([&chosen] {
    chosen = [] { return run_dev_certificate(certificate, std::cout, std::cerr); };
  });
}

void add_backup_commands(CLI::App& root, Command& chosen) {
  static BackupOptions backup;
  auto* command =
      root.add_subcommand("backup", "Copy the store into a file, beside a running server");
  command->add_option("FILE", backup.file, "The backup, made with mode 0600")->required();
  command->add_flag("--force", backup.force, "Replace FILE if it is there");
  add_store_options(*command, backup.store, true);
  command->callback(
      [&chosen] { chosen = [] { return run_backup(backup, std::cout, std::cerr); }; });

  static RestoreOptions restore;
  command = root.add_subcommand(
      "restore", "Put a backup in the place of the store: positions are renewed, sessions end");
  command->add_option("FILE", restore.file, "The backup");
  command->add_flag("--dry-run", restore.dry_run,
                    "Do all but the last step, and undo it: shows that restoring would succeed");
  command->add_flag("--in-place", restore.in_place,
                    "The store was put back by other means (PostgreSQL, a file copy): only renew "
                    "positions and end sessions");
  add_store_options(*command, restore.store, true);
  command->callback(
      [&chosen] { chosen = [] { return run_restore(restore, std::cout, std::cerr); }; });
}

/// What to say of a first word that is no command; CLI11 would only ask for a subcommand.
std::optional<std::string> unknown_command(const CLI::App& root, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return std::nullopt;
  const std::string word = argv[1];
  std::vector<std::string> names;
  for (const auto* command : root.get_subcommands({})) names.push_back(command->get_name());
  if (std::ranges::find(names, word) != names.end()) return std::nullopt;
  const std::vector<std::string_view> known(names.begin(), names.end());
  std::string text = "there is no command " + word;
  if (const auto near = config::nearest(word, known))
    text += "; did you mean " + std::string(*near) + "?";
  return text;
}

/// What to say of arguments that no option takes. Only names of options are repeated: the rest may
/// be a password that somebody put where it does not belong.
std::string unexpected_arguments(const CLI::App& root) {
  std::string names;
  for (const auto& word : root.remaining(true)) {
    if (word.starts_with("--")) names += " " + word.substr(0, word.find('='));
  }
  return names.empty() ? "there are more arguments than the command takes"
                       : "the command has no option" + names;
}

int run(int argc, char** argv) {
  CLI::App root(
      "Countersign: delegated security for calls and chat.\n"
      "Your server signs a user ticket, the browser starts with it, the gateway verifies it.",
      "countersign");
  root.set_version_flag("--version", "countersign " COUNTERSIGN_VERSION);
  root.require_subcommand(1);
  Command chosen;
  add_other_commands(root, chosen);
  add_backup_commands(root, chosen);
  add_ticket_commands(root, chosen);
  add_user_commands(root, chosen);
  add_message_commands(root, chosen);
  add_application_commands(root, chosen);
  root.footer(
      "Example:\n"
      "  countersign serve --data-dir ./var --listen localhost:8080\n"
      "Every command explains itself: countersign ticket issue --help");
  if (const auto word = unknown_command(root, argc, argv)) {
    std::cerr << "countersign: " << *word << " (see --help)\n";
    return kExitUsage;
  }
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return root.exit(error);  // --help, --version
    const bool extras = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError);
    std::cerr << "countersign: " << (extras ? unexpected_arguments(root) : error.what())
              << " (see --help)\n";
    return kExitUsage;
  }
  return chosen();
}

}  // namespace
}  // namespace countersign::cli

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  countersign::cli::forbid_core_dumps();
  try {
    return countersign::cli::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "countersign: " << error.what() << '\n';
    return countersign::cli::kExitFailed;
  }
}
