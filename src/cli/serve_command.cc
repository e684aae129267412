#include "cli/serve_command.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "app/service.h"
#include "base/log.h"
#include "cli/failure.h"

namespace countersign::cli {
namespace {

/// Takes as many open files as the machine allows: each client is one.
void raise_file_limit() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace

int run_serve(const StoreOptions& options, std::ostream& out, std::ostream& err) {
  const auto settings = options.load();
  if (!settings) return report(err, settings.error());
  raise_file_limit();
  // Blocked before any thread starts, so that all of them inherit it and sigwait() gets the signal.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  for (const auto& name : config::unused_variables(config::read_environment())) {
    base::log_warning("environment_variable_unused", {{"name", name}});
  }
  auto service = app::Service::start(*settings);
  if (!service) return report(err, service.error());
  out << "ready " << (*service)->url() << std::endl;
  for (;;) {
    int signal = 0;
    sigwait(&signals, &signal);
    if (signal != SIGHUP) break;
    (*service)->reload();
  }
  (*service)->drain_and_stop();
  return kExitOk;
}

}  // namespace countersign::cli
