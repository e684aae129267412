#include "storage/conformance/conformance.h"

#include <latch>
#include <thread>

#include "base/encoding.h"

namespace countersign::storage {

SystemTime at(std::int64_t seconds) {
  return SystemTime(std::chrono::seconds(1767225600 + seconds));
}

Account sample_account(const std::string& name) {
  Account account;
  account.id = AccountId("id-" + name);
  account.user_name = name;
  account.user_name_key = "key-" + name;
  account.email = name + "@Example.org";
  account.email_key = account.email_lookup = name + "@example.org";
  account.created = at(1);
  return account;
}

SignInSession sample_session(const std::string& name, const AccountId& account,
                             SystemTime created) {
  SignInSession session;
  session.id_hash = base::to_string(base::sha256(name));
  session.handle = SessionHandle("handle-" + name);
  session.account = account;
  session.created = created;
  session.last_seen = created + std::chrono::microseconds(1);
  session.authenticated = created + std::chrono::microseconds(2);
  session.factors = "password";
  session.address_prefix = "192.0.2.1";
  session.agent = "Firefox";
  return session;
}

Instance sample_instance(const std::string& name, std::optional<SessionHandle> session) {
  Instance instance;
  instance.id = InstanceId("instance-" + name);
  instance.application_key = "application";
  instance.identity = Identity{IdentityType::kUsername, "Ann Lee"};
  instance.device = "device-" + name;
  instance.session = std::move(session);
  instance.generation = 7;
  instance.key_id = "key-1";
  instance.ticket_created = at(10);
  instance.created = at(11);
  instance.expires = at(1000);
  return instance;
}

Revocation identity_revocation(const Identity& identity, SystemTime time) {
  Revocation revocation;
  revocation.scope = RevocationScope::kIdentity;
  revocation.application_key = "application";
  revocation.identity = identity;
  revocation.reason = "operator";
  revocation.time = time;
  return revocation;
}

void in_parallel(int count, const std::function<void(int)>& work) {
  std::latch start(count);
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      work(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

AccountId StoreConformance::create_account(const std::string& name) {
  const Account account = sample_account(name);
  EXPECT_TRUE(succeeded(store().accounts().create_account(account, "hash-of-" + name)));
  return account.id;
}

SessionHandle StoreConformance::create_session(const std::string& name, const AccountId& account,
                                               SystemTime created) {
  const SignInSession session = sample_session(name, account, created);
  EXPECT_TRUE(succeeded(store().sessions().create_session(session, 1000)));
  return session.handle;
}

bool StoreConformance::session_exists(const SessionHandle& handle) {
  return store().sessions().find_session_by_handle(handle).value().has_value();
}

bool StoreConformance::instance_exists(const InstanceId& id) {
  return store().instances().find_instance(id).value().has_value();
}

std::vector<Revocation> StoreConformance::revocations() {
  return store().revocations().poll(0, 100000).value();
}

}  // namespace countersign::storage
