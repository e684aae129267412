// Minting and verifying user tickets on one core, as ratios to what the processor allows.
//
// Yardstick, measured in the same run: how many blocks a second this processor's SHA-256 works
// through in one stream, divided by the four blocks that the MAC of a ticket takes when the two key
// blocks are kept (three for the payload, one outside). Short rounds of all rows take turns, so
// that a change of clock speed meets all of them; processor time is counted, so that other programs
// do not; and medians are compared.
//
//     ninja ticket_bench && bin/ticket_bench [ROUNDS]
#define OPENSSL_SUPPRESS_DEPRECATED
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/sha.h>

#include "countersign/key_ring.h"
#include "countersign/user_ticket.h"

#include "ticket/base64.h"
#include "ticket/json_reader.h"
#include "ticket/mac_key.h"

namespace {

using namespace countersign;

constexpr std::string_view kApplicationKey = "1a006c4a-8d2e-4caf-85e0-c64de1435b8f";
constexpr std::chrono::sys_seconds kCreated{std::chrono::seconds{1767232800}};
constexpr double kBlocksPerTicket = 4;

// Keeps the compiler from leaving out work whose result nobody reads.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

// Seconds of processor time this thread has used.
double processor_seconds() {
  std::timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Calls `work` `count` times and returns calls per second.
template <class Work>
double rate(int count, Work work) {
  const double start = processor_seconds();
  for (int i = 0; i < count; ++i) work();
  return count / (processor_seconds() - start);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// A row of the table: its rate in each round.
struct Row {
  const char* name;
  std::vector<double> rates = {};
};

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 301;

  KeyRing ring;
  Result<ApplicationSecret> secret = ApplicationSecret::from_base64("0Qnbtiw9atgEH4JGGiBnXg==");
  const MacKey key(secret->reveal());
  if (!ring.add(std::string(kApplicationKey), *std::move(secret))) return 1;
  const RawUserTicket raw{
      {IdentityType::kUsername, "alice.in.wonderland"}, std::string(kApplicationKey), kCreated};
  const std::string ticket = mint_user_ticket(ring, raw)->text();
  const std::string payload = *base64::decode(base64::Variant::kStandard,
                                              std::string_view(ticket).substr(0, ticket.find(':')));
  const UserTicketVerifier strict(std::make_shared<const KeyRing>(ring.clone()), Policy::strict());
  const Instant now{kCreated + std::chrono::seconds{10}};
  if (!strict.verify(ticket, now)) return 1;
  if (payload.size() > 3 * 64 - 9) return 1;  // else the MAC would take more than four blocks

  const std::vector<unsigned char> stream(16384, 'x');
  Row yardstick{"yardstick"};
  Row mint{"mint"};
  Row verify{"verify"};
  Row mac{"mac alone"};
  Row reader{"JSON reader alone"};
  for (int round = 0; round < rounds; ++round) {
    yardstick.rates.push_back(rate(20,
                                   [&] {
                                     SHA256_CTX context;
                                     SHA256_Init(&context);
                                     SHA256_Update(&context, stream.data(), stream.size());
                                     keep(context);
                                   }) *
                              (16384 / 64) / kBlocksPerTicket);
    mint.rates.push_back(rate(3000, [&] { keep(mint_user_ticket(ring, raw)); }));
    verify.rates.push_back(rate(3000, [&] { keep(strict.verify(ticket, now)); }));
    mac.rates.push_back(rate(3000, [&] { keep(key.sign(payload)); }));
    reader.rates.push_back(rate(3000, [&] {
      JsonDocument json;
      keep(json.parse(payload));
    }));
  }

  const double limit = median(yardstick.rates);
  std::printf("payload %zu bytes, ticket %zu bytes, %d rounds\n", payload.size(), ticket.size(),
              rounds);
  std::printf("yardstick: %.2f M MACs/s of four SHA-256 blocks, one stream\n", limit / 1e6);
  for (const Row* const row : {&mac, &reader}) {
    const double per_second = median(row->rates);
    std::printf("%-18s %.2f M/s, %.0f ns\n", row->name, per_second / 1e6, 1e9 / per_second);
  }
  struct Budget {
    const Row& row;
    double budget;
    double goal;
  };
  for (const Budget& entry : {Budget{mint, 0.50, 0.60}, Budget{verify, 0.35, 0.45}}) {
    const double per_second = median(entry.row.rates);
    const double ratio = per_second / limit;
    std::printf("%s ratio %.2f (budget %.2f, goal %.2f)  %.2f M/s, %.0f ns\n", entry.row.name,
                ratio, entry.budget, entry.goal, per_second / 1e6, 1e9 / per_second);
  }
  return 0;
}
