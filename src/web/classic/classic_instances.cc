#include "web/classic/classic_instances.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/log.h"
#include "gateway/classic/classic_gateway.h"

namespace countersign::web::classic {
namespace {

constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kListed = 1'000;

std::uint32_t random_generation(base::Random& random) {
  std::array<std::uint8_t, 4> bytes{};
  random.fill(bytes);
  std::uint32_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value >> 1;
}

// Whose budget it is. Neither applications nor types have line feeds in their names.
std::string user_name(const gateway::TicketFacts& facts) {
  std::string name = facts.application_key;
  name.append("\n").append(identity_type_name(facts.identity.type));
  return name.append("\n").append(facts.identity.endpoint);
}

bool is_classic(const storage::Instance& instance) {
  return instance.device == gateway::classic::classic_device(instance.id);
}

}  // namespace

ClassicInstances::ClassicInstances(ClassicInstanceOptions options, gateway::KeyRingProvider ring,
                                   Policy policy, gateway::InstanceKeys keys, storage::Store& store,
                                   const base::Clock& clock, base::Random& random)
    : options_(options),
      tickets_(std::move(ring), policy, options.replay),
      keys_(std::move(keys)),
      store_(store),
      desk_(store.sessions(), store.instances(), store.revocations(), options.desk),
      openings_(options.openings),
      clock_(clock),
      random_(random) {}

Result<gateway::TicketFacts> ClassicInstances::read_ticket(std::string_view ticket,
                                                           base::SystemTime now) const {
  auto facts = tickets_.verify(ticket, now);
  // The verifier allows for skewed clocks; what a ticket gives begins before it ends.
  if (facts && facts->expires <= now) return fail(ErrorCode::kExpired);
  return facts;
}

Result<GivenInstance> ClassicInstances::create(std::string_view ticket) {
  const base::SystemTime now = clock_.now();
  auto facts = read_ticket(ticket, now);
  if (!facts) return facts.failure();
  if (openings_.take(user_name(*facts), 1, clock_.steady())) {
    return fail(ErrorCode::kTooManyRequests, "instances");
  }
  storage::Instance instance;
  instance.id = base::InstanceId(random_.token(kIdBytes));
  instance.application_key = std::move(facts->application_key);
  instance.identity = std::move(facts->identity);
  instance.device = gateway::classic::classic_device(instance.id);
  instance.session = std::move(facts->session);
  instance.generation = random_generation(random_);
  instance.key_id = keys_.current_key_id();
  instance.ticket_created = facts->created;
  instance.created = now;
  instance.expires = now + options_.lifetime;
  if (facts->presented) facts->presented->device = instance.device;

  auto stored = desk_.create(instance, facts->presented, now);
  if (!stored && stored.code() == ErrorCode::kLimitExceeded) {
    const auto ended = end_oldest(instance);
    if (!ended) return ended.failure();
    if (*ended) stored = desk_.create(std::move(instance), facts->presented, now);
  }
  if (!stored) return stored.failure();
  return given(*std::move(stored));
}

Result<GivenInstance> ClassicInstances::renew(std::string_view id, std::string_view ticket) {
  const base::SystemTime now = clock_.now();
  auto facts = read_ticket(ticket, now);
  if (!facts) return facts.failure();
  auto found = desk_.find(base::InstanceId(std::string(id)));
  if (!found) return found.failure();
  // Whose it is else, and whether there is one, is nobody's business.
  const bool own = *found && is_classic(**found) &&
                   (*found)->application_key == facts->application_key &&
                   (*found)->identity == facts->identity;
  if (!own) return fail(ErrorCode::kNotFound, "no such classic instance of this user");
  storage::Instance instance = **std::move(found);
  instance.session = std::move(facts->session);
  instance.ticket_created = facts->created;
  instance.expires = now + options_.lifetime;
  if (facts->presented) facts->presented->device = instance.device;
  const auto refreshed = desk_.refresh(instance, facts->presented, now);
  if (!refreshed && refreshed.code() == ErrorCode::kAbsent) {
    return fail(ErrorCode::kNotFound, "the instance has just ended");
  }
  if (!refreshed) return refreshed.failure();
  return given(std::move(instance));
}

Result<GivenInstance> ClassicInstances::given(storage::Instance instance) const {
  auto all = secrets(instance);
  // Its master key is gone: the SDK is to make a new instance.
  if (all.empty()) return fail(ErrorCode::kNotFound, "no secret can be derived");
  return GivenInstance{std::move(instance), std::move(all.front())};
}

std::vector<std::string> ClassicInstances::secrets(const storage::Instance& instance) const {
  std::vector<std::string> all;
  auto secret = keys_.secret(instance.key_id, instance.application_key, instance.id.text(),
                             instance.generation);
  if (secret) all.push_back(*std::move(secret));
  return all;
}

Result<bool> ClassicInstances::end_oldest(const storage::Instance& newcomer) {
  const auto listed =
      store_.instances().list_instances(newcomer.application_key, newcomer.identity, {}, kListed);
  if (!listed) return listed.failure();
  const storage::Instance* oldest = nullptr;
  for (const storage::Instance& instance : *listed) {
    if (!is_classic(instance) || instance.expires <= newcomer.created) continue;
    if (oldest == nullptr || instance.expires < oldest->expires) oldest = &instance;
  }
  if (oldest == nullptr) return false;
  storage::Revocation revocation;
  revocation.scope = storage::RevocationScope::kInstance;
  revocation.instance = oldest->id;
  revocation.reason = "replaced";
  revocation.time = newcomer.created;
  const auto ended = store_.revocations().add({&revocation, 1});
  if (!ended) return ended.failure();
  base::log_info("classic_instance_made_room", {});
  return true;
}

}  // namespace countersign::web::classic
