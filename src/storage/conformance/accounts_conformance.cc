// What every AccountStore must do.
#include "storage/conformance/conformance.h"

namespace countersign::storage {
namespace {

void expect_same(const Account& found, const Account& expected) {
  EXPECT_EQ(found.id, expected.id);
  EXPECT_EQ(found.user_name, expected.user_name);
  EXPECT_EQ(found.user_name_key, expected.user_name_key);
  EXPECT_EQ(found.email, expected.email);
  EXPECT_EQ(found.email_key, expected.email_key);
  EXPECT_EQ(found.email_lookup, expected.email_lookup);
  EXPECT_EQ(found.email_confirmed, expected.email_confirmed);
  EXPECT_EQ(found.disabled, expected.disabled);
  EXPECT_EQ(found.epoch, expected.epoch);
  EXPECT_EQ(found.created, expected.created);
}

TEST_P(StoreConformance, FindsAnAccountByIdNameAndAddress) {
  Account account = sample_account("ann");
  account.email_confirmed = true;
  account.epoch = 3;
  account.created = at(5) + std::chrono::microseconds(123456);
  ASSERT_TRUE(succeeded(store().accounts().create_account(account, "$argon2id$one")));
  reopen();
  expect_same(store().accounts().find_account(account.id).value().value(), account);
  expect_same(store().accounts().find_account_by_name("key-ann").value().value(), account);
  const std::vector<Account> holders =
      store().accounts().find_accounts_by_email("ann@example.org", 8).value();
  ASSERT_EQ(holders.size(), 1u);
  expect_same(holders[0], account);
  EXPECT_EQ(store().accounts().get_password_hash(account.id).value(), "$argon2id$one");
}

TEST_P(StoreConformance, KeepsAnAccountWithoutAnAddress) {
  Account account = sample_account("ann");
  account.email.reset();
  account.email_key.reset();
  account.email_lookup.reset();
  ASSERT_TRUE(succeeded(store().accounts().create_account(account, "hash")));
  Account second = sample_account("bob");
  second.email.reset();
  second.email_key.reset();
  second.email_lookup.reset();
  ASSERT_TRUE(succeeded(store().accounts().create_account(second, "hash")));
  expect_same(store().accounts().find_account(account.id).value().value(), account);
}

TEST_P(StoreConformance, KeepsNamesByteForByte) {
  Account account = sample_account("ann");
  account.user_name = " Änn\xF0\x9F\x98\x80 'quoted' \"double\" %_\\";
  account.user_name_key = account.user_name + "/key";
  ASSERT_TRUE(succeeded(store().accounts().create_account(account, "hash")));
  expect_same(store().accounts().find_account_by_name(account.user_name_key).value().value(),
              account);
}

TEST_P(StoreConformance, FindsNoAccountWhereThereIsNone) {
  EXPECT_FALSE(store().accounts().find_account(AccountId("nobody")).value().has_value());
  EXPECT_FALSE(store().accounts().find_account_by_name("nobody").value().has_value());
  EXPECT_TRUE(store().accounts().find_accounts_by_email("nobody@example.org", 8).value().empty());
  EXPECT_TRUE(
      failed_with(store().accounts().get_password_hash(AccountId("nobody")), ErrorCode::kAbsent));
}

TEST_P(StoreConformance, RefusesATakenNameAndKeepsTheFirst) {
  create_account("ann");
  Account second = sample_account("bob");
  second.user_name_key = "key-ann";
  EXPECT_TRUE(
      failed_with(store().accounts().create_account(second, "other"), ErrorCode::kNameTaken));
  EXPECT_FALSE(store().accounts().find_account(second.id).value().has_value());
  EXPECT_TRUE(failed_with(store().accounts().get_password_hash(second.id), ErrorCode::kAbsent));
  EXPECT_EQ(store().accounts().get_password_hash(AccountId("id-ann")).value(), "hash-of-ann");
}

TEST_P(StoreConformance, RefusesAnAddressThatHasAnOwner) {
  create_account("ann");
  Account second = sample_account("bob");
  second.email_key = "ann@example.org";
  EXPECT_TRUE(
      failed_with(store().accounts().create_account(second, "other"), ErrorCode::kEmailRefused));
  second.email_key.reset();
  EXPECT_TRUE(succeeded(store().accounts().create_account(second, "other")));
}

TEST_P(StoreConformance, ManyAccountsHoldAnAddressTheOwnerComesFirstThenTheOldest) {
  const auto hold = [&](const std::string& name, std::int64_t created, bool owns) {
    Account account = sample_account(name);
    account.email_lookup = "shared@example.org";
    account.email_key.reset();
    if (owns) account.email_key = account.email_lookup;
    account.created = at(created);
    ASSERT_TRUE(succeeded(store().accounts().create_account(account, "hash")));
  };
  hold("young", 30, false);
  hold("old", 10, false);
  hold("owner", 40, true);
  hold("middle", 20, false);
  create_account("other");
  const auto names = [&](std::size_t limit) {
    const std::vector<Account> holders =
        store().accounts().find_accounts_by_email("shared@example.org", limit).value();
    std::string all;
    for (const Account& account : holders) all += account.user_name + ' ';
    return all;
  };
  EXPECT_EQ(names(8), "owner old middle young ");
  EXPECT_EQ(names(2), "owner old ");
}

TEST_P(StoreConformance, ATakenNameIsToldBeforeATakenAddress) {
  create_account("ann");
  Account second = sample_account("ann");
  second.id = AccountId("id-second");
  EXPECT_TRUE(
      failed_with(store().accounts().create_account(second, "other"), ErrorCode::kNameTaken));
}

TEST_P(StoreConformance, RefusesAnAccountIdInUse) {
  create_account("ann");
  Account second = sample_account("bob");
  second.id = AccountId("id-ann");
  EXPECT_TRUE(
      failed_with(store().accounts().create_account(second, "other"), ErrorCode::kAlreadyExists));
}

TEST_P(StoreConformance, ListsAccountsInOrderOfTheirKeysByPages) {
  for (const char* name : {"c", "a", "e", "b", "d"}) create_account(name);
  const std::vector<Account> first = store().accounts().list_accounts("", 2).value();
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].user_name, "a");
  EXPECT_EQ(first[1].user_name, "b");
  const std::vector<Account> rest =
      store().accounts().list_accounts(first[1].user_name_key, 100).value();
  ASSERT_EQ(rest.size(), 3u);
  EXPECT_EQ(rest[0].user_name, "c");
  EXPECT_EQ(rest[2].user_name, "e");
  EXPECT_TRUE(store().accounts().list_accounts("key-e", 100).value().empty());
}

TEST_P(StoreConformance, OrdersAccountsByBytesNotByLanguage) {
  for (const char* name : {"a", "B", "_", "Z", "\xC3\xA4"}) create_account(name);
  const std::vector<Account> accounts = store().accounts().list_accounts("", 100).value();
  std::string order;
  for (const Account& account : accounts) order += account.user_name;
  EXPECT_EQ(order, "BZ_a\xC3\xA4");
}

TEST_P(StoreConformance, RehashesOnlyOverTheHashItWasMadeFrom) {
  const AccountId id = create_account("ann");
  EXPECT_TRUE(store().accounts().rehash_password(id, "hash-of-ann", "new").value());
  EXPECT_FALSE(store().accounts().rehash_password(id, "hash-of-ann", "late").value());
  EXPECT_EQ(store().accounts().get_password_hash(id).value(), "new");
  EXPECT_EQ(store().accounts().find_account(id).value()->epoch, 0u);
  EXPECT_FALSE(store().accounts().rehash_password(AccountId("nobody"), "a", "b").value());
}

TEST_P(StoreConformance, APasswordChangeEndsEveryOtherSessionAndForgetsDevices) {
  const AccountId ann = create_account("ann");
  const AccountId bob = create_account("bob");
  const SessionHandle kept = create_session("kept", ann);
  const SessionHandle other = create_session("other", ann);
  const SessionHandle foreign = create_session("foreign", bob);
  const Instance instance = sample_instance("one", other);
  ASSERT_TRUE(succeeded(store().instances().create_instance(instance, 5)));
  ASSERT_TRUE(
      succeeded(store().known_devices().create_device(KnownDevice{"token-ann", ann, 0, at(0)}, 5)));
  ASSERT_TRUE(
      succeeded(store().known_devices().create_device(KnownDevice{"token-bob", bob, 0, at(0)}, 5)));

  EXPECT_TRUE(store().accounts().change_password(ann, "hash-of-ann", "new", kept, at(50)).value());

  EXPECT_EQ(store().accounts().get_password_hash(ann).value(), "new");
  const SessionView view = store().sessions().find_session_by_handle(kept).value().value();
  EXPECT_EQ(view.account.epoch, 1u);
  EXPECT_EQ(view.session.epoch, 1u);
  EXPECT_FALSE(session_exists(other));
  EXPECT_FALSE(instance_exists(instance.id));
  EXPECT_TRUE(session_exists(foreign));
  EXPECT_FALSE(store().known_devices().reserve_try("token-ann", ann, 10).value());
  EXPECT_TRUE(store().known_devices().reserve_try("token-bob", bob, 10).value());
  ASSERT_EQ(revocations().size(), 1u);
  EXPECT_EQ(revocations()[0].scope, RevocationScope::kSession);
  EXPECT_EQ(revocations()[0].session, other);
  EXPECT_EQ(revocations()[0].reason, "password_change");
  EXPECT_EQ(revocations()[0].time, at(50));
}

TEST_P(StoreConformance, APasswordChangeOverAnOldHashChangesNothing) {
  const AccountId ann = create_account("ann");
  const SessionHandle session = create_session("one", ann);
  EXPECT_FALSE(
      store().accounts().change_password(ann, "stale", "new", SessionHandle(), at(50)).value());
  EXPECT_EQ(store().accounts().get_password_hash(ann).value(), "hash-of-ann");
  EXPECT_EQ(store().accounts().find_account(ann).value()->epoch, 0u);
  EXPECT_TRUE(session_exists(session));
  EXPECT_TRUE(revocations().empty());
}

TEST_P(StoreConformance, APasswordChangeKeepsNoSessionOfSomebodyElse) {
  const AccountId ann = create_account("ann");
  const AccountId bob = create_account("bob");
  const SessionHandle session = create_session("bob", bob);
  ASSERT_TRUE(
      store().accounts().change_password(ann, "hash-of-ann", "new", session, at(50)).value());
  EXPECT_EQ(store().sessions().find_session_by_handle(session).value()->session.epoch, 0u);
}

TEST_P(StoreConformance, DisablingEndsEverySessionAndRevokesTheIdentities) {
  const AccountId ann = create_account("ann");
  const SessionHandle session = create_session("one", ann);
  const Instance instance = sample_instance("one");
  ASSERT_TRUE(succeeded(store().instances().create_instance(instance, 5)));
  Revocation identity = identity_revocation(instance.identity, SystemTime());
  identity.reason.clear();

  ASSERT_TRUE(succeeded(
      store().accounts().set_disabled(ann, true, std::vector<Revocation>{identity}, at(60))));

  const Account disabled = store().accounts().find_account(ann).value().value();
  EXPECT_TRUE(disabled.disabled);
  EXPECT_EQ(disabled.epoch, 1u);
  EXPECT_FALSE(session_exists(session));
  EXPECT_FALSE(instance_exists(instance.id));
  EXPECT_EQ(store().revocations().watermark("application", instance.identity).value(), at(60));
  const std::vector<Revocation> log = revocations();
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log[0].session, session);
  EXPECT_EQ(log[1].scope, RevocationScope::kIdentity);
  EXPECT_EQ(log[1].identity, instance.identity);
  EXPECT_EQ(log[1].reason, "disabled");
  EXPECT_EQ(log[1].time, at(60));

  ASSERT_TRUE(succeeded(store().accounts().set_disabled(ann, false, {}, at(70))));
  const Account enabled = store().accounts().find_account(ann).value().value();
  EXPECT_FALSE(enabled.disabled);
  EXPECT_EQ(enabled.epoch, 1u);
  EXPECT_EQ(revocations().size(), 2u);
}

TEST_P(StoreConformance, SigningOutEverywhereEndsSessionsOfThatAccountAlone) {
  const AccountId ann = create_account("ann");
  const AccountId bob = create_account("bob");
  const SessionHandle first = create_session("first", ann);
  const SessionHandle second = create_session("second", ann);
  const SessionHandle foreign = create_session("foreign", bob);
  const Identity identity{IdentityType::kUsername, "ann"};

  const Result<std::size_t> ended = store().accounts().sign_out_everywhere(
      ann, std::vector<Revocation>{identity_revocation(identity, at(90))}, "operator", at(80));

  EXPECT_EQ(ended.value(), 2u);
  EXPECT_FALSE(session_exists(first));
  EXPECT_FALSE(session_exists(second));
  EXPECT_TRUE(session_exists(foreign));
  EXPECT_EQ(store().accounts().find_account(ann).value()->epoch, 1u);
  EXPECT_EQ(store().accounts().find_account(bob).value()->epoch, 0u);
  ASSERT_EQ(revocations().size(), 3u);
  EXPECT_EQ(revocations()[0].reason, "operator");
  EXPECT_EQ(store().revocations().watermark("application", identity).value(), at(90));
}

TEST_P(StoreConformance, ActsOnAnUnknownAccountAreAbsentAndWriteNothing) {
  const AccountId nobody("nobody");
  const std::vector<Revocation> identities{
      identity_revocation(Identity{IdentityType::kUsername, "nobody"}, at(1))};
  EXPECT_TRUE(failed_with(store().accounts().set_disabled(nobody, true, identities, at(1)),
                          ErrorCode::kAbsent));
  EXPECT_TRUE(
      failed_with(store().accounts().sign_out_everywhere(nobody, identities, "operator", at(1)),
                  ErrorCode::kAbsent));
  EXPECT_TRUE(revocations().empty());
}

TEST_P(StoreConformance, CountsAccountsWhoseAddressIsNotConfirmed) {
  EXPECT_EQ(store().accounts().count_unconfirmed().value(), 0u);
  create_account("open");
  Account confirmed = sample_account("confirmed");
  confirmed.email_confirmed = true;
  ASSERT_TRUE(succeeded(store().accounts().create_account(confirmed, "hash")));
  Account without = sample_account("without");
  without.email.reset();
  without.email_key.reset();
  without.email_lookup.reset();
  ASSERT_TRUE(succeeded(store().accounts().create_account(without, "hash")));
  EXPECT_EQ(store().accounts().count_unconfirmed().value(), 1u);
}

}  // namespace
}  // namespace countersign::storage
