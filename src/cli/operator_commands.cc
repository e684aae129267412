#include "cli/operator_commands.h"

#include <algorithm>

#include "app/core.h"
#include "base/json_text.h"
#include "cli/failure.h"

namespace countersign::cli {
namespace {

Result<std::unique_ptr<app::Core>> open_core(const StoreOptions& options) {
  auto settings = options.load();
  if (!settings) return settings.failure();
  return app::Core::open(std::move(*settings), app::Core::Purpose::kCommand);
}

void print_secret(const app::NewSecret& secret, bool json, std::ostream& out, std::ostream& err) {
  if (json) {
    out << "{\"applicationKey\":\"" << secret.application_key << "\",\"secret\":\""
        << secret.secret_base64 << "\",\"fingerprint\":\"" << secret.fingerprint << "\"}\n";
    return;
  }
  out << "application key     " << secret.application_key << "\napplication secret  "
      << secret.secret_base64 << "\nfingerprint         " << secret.fingerprint << '\n';
  err << "The secret is not shown again.\n";
}

}  // namespace

int run_app_create(const StoreOptions& options, const std::string& name, std::ostream& out,
                   std::ostream& err) {
  auto core = open_core(options);
  if (!core) return report(err, core.error());
  const auto made = (*core)->applications().create(name, (*core)->clock().now());
  if (!made) return report(err, made.error());
  print_secret(*made, options.json, out, err);
  return kExitOk;
}

int run_app_list(const StoreOptions& options, std::ostream& out, std::ostream& err) {
  auto core = open_core(options);
  if (!core) return report(err, core.error());
  const auto all = (*core)->applications().list();
  if (!all) return report(err, all.error());
  if (options.json) out << '[';
  bool first = true;
  for (const auto& app : *all) {
    if (options.json) {
      std::string line = "{\"applicationKey\":";
      base::append_json_string(line, app.key);
      line += ",\"name\":";
      base::append_json_string(line, app.name);
      line += app.is_default ? ",\"default\":true" : ",\"default\":false";
      line += ",\"secrets\":[";
      for (std::size_t i = 0; i < app.fingerprints.size(); ++i) {
        line += std::string(i == 0 ? "\"" : ",\"") + app.fingerprints[i] + "\"";
      }
      out << (first ? "" : ",\n ") << line << "]}";
    } else {
      out << app.key << "  " << app.name << '\n';
      for (std::size_t i = 0; i < app.fingerprints.size(); ++i) {
        out << "    secret " << app.fingerprints[i] << (i == 0 ? "  mints\n" : "  verifies only\n");
      }
    }
    first = false;
  }
  if (options.json) out << "]\n";
  return kExitOk;
}

int run_app_rotate_secret(const StoreOptions& options, const std::string& key, std::ostream& out,
                          std::ostream& err) {
  auto core = open_core(options);
  if (!core) return report(err, core.error());
  auto& applications = (*core)->applications();
  const auto made = applications.rotate_secret(key.empty() ? applications.default_key() : key,
                                               (*core)->clock().now());
  if (!made) return report(err, made.error());
  print_secret(*made, options.json, out, err);
  err << "The secret before it still verifies. Retire it once no ticket of its time lives: after "
         "a day and two minutes at the latest.\n";
  return kExitOk;
}

int run_app_retire_secret(const StoreOptions& options, const std::string& key,
                          const std::string& fingerprint, std::ostream& out, std::ostream& err) {
  auto core = open_core(options);
  if (!core) return report(err, core.error());
  auto& applications = (*core)->applications();
  const auto done =
      applications.retire_secret(key.empty() ? applications.default_key() : key, fingerprint);
  if (!done) return report(err, done.error());
  out << "retired " << fingerprint << '\n';
  return kExitOk;
}

int run_config_check(const StoreOptions& options, std::ostream& out, std::ostream& err) {
  const auto settings = options.load();
  if (!settings) return report(err, settings.error());
  for (const auto& name : config::unused_variables(config::read_environment())) {
    err << "countersign: warning: " << name << " is no setting\n";
  }
  out << "the settings are good\n";
  return kExitOk;
}

int run_config_doc(bool markdown, std::ostream& out) {
  out << (markdown ? config::document_as_markdown() : config::document_as_toml());
  return kExitOk;
}

int run_migrate(const StoreOptions& options, app::MigrationMode mode, std::ostream& out,
                std::ostream& err) {
  const auto settings = options.load();
  if (!settings) return report(err, settings.error());
  const auto steps = app::migrate_store(*settings, mode);
  if (!steps) return report(err, steps.error());
  using State = storage::MigrationStep::State;
  const auto word = [](State state) {
    switch (state) {
      case State::kPending:
        return "pending";
      case State::kTried:
        return "would be applied";
      case State::kAppliedNow:
        return "applied now";
      case State::kApplied:
        break;
    }
    return "applied";
  };
  for (const auto& step : *steps) out << step.name << "  " << word(step.state) << '\n';
  return kExitOk;
}

}  // namespace countersign::cli
