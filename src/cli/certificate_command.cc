#include "cli/certificate_command.h"

#include "app/dev_certificate.h"
#include "app/files.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "cli/failure.h"

namespace countersign::cli {
namespace {

std::string as_json(const app::DevCertificate& files) {
  std::string text;
  const auto member = [&text](std::string_view name, std::string_view value) {
    text.append(text.empty() ? "{\"" : ",\"").append(name).append("\":");
    base::append_json_string(text, value);
  };
  member("certificate", files.certificate_file);
  member("key", files.key_file);
  member("authority", files.authority_file);
  member("authoritySha256", files.authority_sha256);
  member("expiresAt", base::format_rfc3339(files.expires_at));
  text += ",\"names\":[";
  for (std::size_t i = 0; i < files.names.size(); ++i) {
    if (i > 0) text += ',';
    base::append_json_string(text, files.names[i].text);
  }
  return text + (files.made ? "],\"made\":true}\n" : "],\"made\":false}\n");
}

std::string as_text(const app::DevCertificate& files) {
  std::string names;
  for (const auto& name : files.names) names.append(names.empty() ? "" : ", ").append(name.text);
  const std::string& authority = files.authority_file;
  return "certificate  " + files.certificate_file + "\nkey          " + files.key_file +
         "\nauthority    " + authority + "\nnames        " + names + "\nexpires      " +
         base::format_rfc3339(files.expires_at) +
         (files.made ? "" : "\n\nThey were there and are good: nothing was changed.") +
         "\n\nThe authority's key was forgotten after it had signed: it can vouch for these names "
         "and for nothing\nelse. Until it is trusted, browsers warn. To trust it:\n\n"
         "  curl               curl --cacert " +
         authority + "\n  Node               NODE_EXTRA_CA_CERTS=" + authority +
         "\n  Chromium on Linux  certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n countersign-dev "
         "-i " +
         authority +
         "\n  Firefox            Settings, Certificates, Authorities, Import; for web sites"
         "\n  macOS              security add-trusted-cert -p ssl " +
         authority + "\n  Windows            certutil -user -addstore Root " + authority + "\n";
}

}  // namespace

int run_dev_certificate(const DevCertificateOptions& options, std::ostream& out,
                        std::ostream& err) {
  const auto settings = options.store.load();
  if (!settings) return report(err, settings.error());
  const auto names = app::dev_names(options.names);
  if (!names) return report(err, names.error());
  if (auto made = app::make_data_directory(settings->data_dir); !made) {
    return report(err, made.error());
  }
  const auto now = base::SystemClock().now();
  const auto& directory = settings->data_dir;
  auto found = options.renew ? std::nullopt : app::find_dev_certificate(directory, *names, now);
  if (!found) {
    auto made = app::make_dev_certificate(directory, *names, now);
    if (!made) return report(err, made.error());
    found = std::move(*made);
  }
  out << (options.store.json ? as_json(*found) : as_text(*found));
  return kExitOk;
}

}  // namespace countersign::cli
