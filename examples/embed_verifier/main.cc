// Mints a user ticket and verifies it, as an application server and a platform of your own would.
//
//     embed_verifier APPLICATION_KEY SECRET_FILE TYPE:ENDPOINT
//
// Prints the ticket and what the verifier read from it. See
// docs/guides/embedding-the-ticket-library.md.
#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include <countersign/application_secret.h>
#include <countersign/identity.h>
#include <countersign/key_ring.h>
#include <countersign/policy.h>
#include <countersign/user_ticket.h>

namespace {

// Every failure has a code with a name and one sentence; `detail` is for the log.
int report(const char* action, const countersign::Error& error) {
  std::cerr << action << ": " << countersign::error_name(error.code) << ": "
            << countersign::error_text(error.code) << ' ' << error.detail << '\n';
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace countersign;
  if (argc != 4) {
    std::cerr << "usage: embed_verifier APPLICATION_KEY SECRET_FILE TYPE:ENDPOINT\n";
    return 2;
  }

  // Secrets are read once, strictly, and wiped when the objects end.
  std::string secret_text;
  std::getline(std::ifstream(argv[2]) >> std::ws, secret_text);
  Result<ApplicationSecret> secret = ApplicationSecret::from_base64(secret_text);
  if (!secret) return report("reading the secret", secret.error());
  KeyRing ring;
  if (Result<void> added = ring.add(argv[1], *std::move(secret)); !added) {
    return report("adding the application", added.error());
  }

  Result<Identity> identity = parse_identity(argv[3]);
  if (!identity) return report("reading the identity", identity.error());

  // The library reads no clock: the caller says what time it is.
  const auto now = std::chrono::system_clock::now();
  const Result<CompactUserTicket> ticket = mint_user_ticket(
      ring, RawUserTicket{*identity, argv[1], std::chrono::floor<std::chrono::seconds>(now)});
  if (!ticket) return report("minting", ticket.error());
  std::cout << "ticket:   " << ticket->text() << '\n';

  // A verifier is made once, shared by all threads, and given a new ring when secrets change.
  const UserTicketVerifier verifier(std::make_shared<const KeyRing>(std::move(ring)),
                                    Policy::default_policy());
  VerifyOptions options;
  options.expected_identity = *identity;
  const Result<VerifiedUserTicket> verified = verifier.verify(
      ticket->text(), std::chrono::time_point_cast<Instant::duration>(now), options);
  if (!verified) return report("verifying", verified.error());
  std::cout << "identity: " << identity_type_name(verified->identity().type) << ' '
            << verified->identity().endpoint << '\n'
            << "lives:    " << verified->expires_in().count() << " s\n";

  // Anything that was changed on the way is refused, with a reason for the log.
  std::string changed = ticket->text();
  changed[changed.size() - 10] = changed[changed.size() - 10] == 'A' ? 'B' : 'A';
  const Result<VerifiedUserTicket> refused =
      verifier.verify(changed, std::chrono::time_point_cast<Instant::duration>(now));
  if (refused) return 1;
  std::cout << "changed:  " << error_name(refused.code()) << '\n';
  return 0;
}
