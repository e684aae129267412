#include "cli/backup_commands.h"

#include <unistd.h>

#include "app/backup.h"
#include "base/json_text.h"
#include "cli/failure.h"

namespace countersign::cli {
namespace {

/// A line on the terminal that says how much is done; nothing elsewhere.
class ProgressLine {
 public:
  ProgressLine(std::string verb, std::ostream& err)
      : verb_(std::move(verb)), err_(err), shown_(::isatty(STDERR_FILENO) == 1) {}
  ~ProgressLine() {
    if (percent_ >= 0) err_ << "\r\033[K" << std::flush;
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  storage::Progress teller() {
    if (!shown_) return nullptr;
    return [this](std::int64_t done, std::int64_t total) {
      const std::int64_t percent = total > 0 ? 100 * done / total : 0;
      if (percent == percent_) return;
      percent_ = percent;
      err_ << '\r' << verb_ << "  " << percent << " %" << std::flush;
    };
  }

 private:
  std::string verb_;
  std::ostream& err_;
  bool shown_;
  std::int64_t percent_ = -1;
};

/// `"name":` and the value, with a comma before it.
void append_member(std::string& json, std::string_view name, std::string_view value) {
  json += ",\"";
  json += name;
  json += "\":";
  base::append_json_string(json, value);
}

void append_member(std::string& json, std::string_view name, std::int64_t value) {
  json += ",\"" + std::string(name) + "\":" + std::to_string(value);
}

std::string facts_as_json(const std::string& file, const storage::BackupFacts& facts) {
  std::string json = "{\"file\":";
  base::append_json_string(json, file);
  append_member(json, "bytes", facts.bytes);
  append_member(json, "schema", facts.schema);
  if (!facts.master_key_id.empty()) append_member(json, "masterKeyId", facts.master_key_id);
  if (facts.taken) append_member(json, "taken", base::format_rfc3339(*facts.taken));
  return json;
}

void append_ended(std::string& json, const app::NewBeginning& ended) {
  append_member(json, "sessionsEnded", static_cast<std::int64_t>(ended.sessions));
}

void tell_ended(const app::NewBeginning& ended, std::ostream& out) {
  out << "positions   renewed: every client learns that they changed\nsessions    "
      << ended.sessions << " ended: people sign in again; tickets made until now are refused\n";
}

int usage(std::ostream& err, const std::string& text) {
  return report(err, Error{ErrorCode::kUsage, text});
}

}  // namespace

int run_backup(const BackupOptions& options, std::ostream& out, std::ostream& err) {
  const auto settings = options.store.load();
  if (!settings) return report(err, settings.error());
  const auto made = [&] {
    ProgressLine line("backup", err);
    return app::back_up(*settings, options.file, options.force, line.teller());
  }();
  if (!made) return report(err, made.error());
  if (options.store.json) {
    std::string json = facts_as_json(options.file, made->facts);
    json += ",\"notIncluded\":[";
    base::append_json_string(json, made->master_key_file);
    for (const auto& file : {made->application_key_file, made->application_secret_file}) {
      if (file.empty()) continue;
      json += ',';
      base::append_json_string(json, file);
    }
    out << json << "]}\n";
    return kExitOk;
  }
  out << "backup      " << options.file << ", " << made->facts.bytes
      << " bytes, checked\nschema      " << made->facts.schema << "\nmaster key  "
      << made->facts.master_key_id << "\n\nNot in it, and needed with it:\n  "
      << made->master_key_file
      << "  keep it apart: who has both can open the sealed secrets; it never changes\n";
  if (!made->application_key_file.empty()) out << "  " << made->application_key_file << '\n';
  out << "  " << made->application_secret_file << "  copy it each time the secret was rotated\n";
  return kExitOk;
}

int run_restore(const RestoreOptions& options, std::ostream& out, std::ostream& err) {
  if (options.in_place == !options.file.empty()) {
    return usage(err, "restore takes a FILE, or --in-place for a store that was put back already");
  }
  if (options.in_place && options.dry_run) return usage(err, "--in-place has no --dry-run");
  const auto settings = options.store.load();
  if (!settings) return report(err, settings.error());

  if (options.in_place) {
    const auto ended = app::begin_anew_in_place(*settings);
    if (!ended) return report(err, ended.error());
    if (options.store.json) {
      std::string json = "{\"inPlace\":true";
      append_ended(json, *ended);
      out << json << "}\n";
    } else {
      tell_ended(*ended, out);
    }
    return kExitOk;
  }

  const auto restored = [&] {
    ProgressLine line(options.dry_run ? "rehearsal" : "restore", err);
    return app::restore(*settings, options.file, options.dry_run, line.teller());
  }();
  if (!restored) return report(err, restored.error());
  const auto& facts = restored->facts;
  if (options.store.json) {
    std::string json = facts_as_json(options.file, facts);
    append_ended(json, restored->ended);
    if (!restored->kept_as.empty()) append_member(json, "keptAs", restored->kept_as);
    json += options.dry_run ? ",\"restored\":false}" : ",\"restored\":true}";
    out << json << '\n';
    return kExitOk;
  }
  out << "backup      " << options.file << ", " << facts.bytes << " bytes, checked"
      << (facts.taken ? ", of " + base::format_rfc3339(*facts.taken) : std::string()) << '\n';
  if (options.dry_run) {
    out << "it can be restored; nothing was changed\n";
    return kExitOk;
  }
  tell_ended(restored->ended, out);
  if (!restored->kept_as.empty()) {
    out << "kept        " << restored->kept_as
        << " is the store of before; delete it when all is good\n";
  }
  return kExitOk;
}

}  // namespace countersign::cli
