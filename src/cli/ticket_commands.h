// The commands `ticket issue`, `ticket verify` and `ticket inspect`: the ticket library at the
// shell. They read the clock only when no `--now` is given, and print nothing but their answer on
// `out`.
//
// Exit status of all: 0 good; 1 the ticket is not valid; 2 wrong usage, one line on `err`; 3 a file
// cannot be read or holds no usable secret, one line on `err`.
#ifndef COUNTERSIGN_CLI_TICKET_COMMANDS_H_
#define COUNTERSIGN_CLI_TICKET_COMMANDS_H_

#include <cstdint>
#include <istream>
#include <optional>
#include <ostream>
#include <string>

namespace countersign::cli {

/// `ticket issue --app-key K --app-secret-file F --identity TYPE:ENDPOINT [--ttl S] [--now EPOCH]`
struct TicketIssueOptions {
  std::string application_key;
  std::string secret_file;  ///< base64 text, one trailing line end is allowed
  std::string identity;     ///< TYPE:ENDPOINT
  std::int64_t ttl_seconds = 3600;
  std::optional<std::int64_t> now = std::nullopt;  ///< seconds since 1970
};

/// `ticket verify --app-key K --app-secret-file F [--policy P] [--now EPOCH] [--expect
/// TYPE:ENDPOINT]`
struct TicketVerifyOptions {
  std::string application_key;
  std::string secret_file;
  std::string policy = "default";
  std::optional<std::int64_t> now = std::nullopt;
  std::optional<std::string> expected_identity = std::nullopt;
};

/// Prints the ticket alone. Notes on names that some SDK would refuse go to `err`.
int run_ticket_issue(const TicketIssueOptions& options, std::ostream& out, std::ostream& err);

/// Verifies the ticket on `in` and prints one JSON object: `{"valid":true,"identity":{…},…}` or
/// `{"valid":false,"reason":"…"}`.
int run_ticket_verify(const TicketVerifyOptions& options, std::istream& in, std::ostream& out,
                      std::ostream& err);

/// Prints what the ticket on `in` claims as one JSON object, marked `"verified":false`. The answer
/// for text that is no ticket is `{"verified":false,"reason":"…"}` with exit status 1.
int run_ticket_inspect(std::istream& in, std::ostream& out, std::ostream& err);

}  // namespace countersign::cli

#endif  // COUNTERSIGN_CLI_TICKET_COMMANDS_H_
