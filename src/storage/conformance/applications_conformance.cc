// What every ApplicationStore must do.
#include <utility>

#include "storage/conformance/conformance.h"

namespace countersign::storage {
namespace {

StoredSecret sample_secret(const std::string& application_key, const std::string& fingerprint,
                           bool minting, SystemTime created) {
  StoredSecret secret;
  secret.application_key = application_key;
  secret.fingerprint = fingerprint;
  secret.sealed = std::string("\0sealed \xFF", 9) + fingerprint;
  secret.key_id = "key-1";
  secret.minting = minting;
  secret.created = created;
  return secret;
}

TEST_P(StoreConformance, KeepsApplicationsAndTheirSecretsInOrder) {
  const StoredApplication second{"b", "Second", at(1)};
  const StoredApplication first{"a", "First", at(2)};
  const StoredSecret secret_b = sample_secret("b", "one", true, at(1));
  const StoredSecret secret_a = sample_secret("a", "one", true, at(2));
  ASSERT_TRUE(succeeded(store().applications().create_application(second, secret_b)));
  ASSERT_TRUE(succeeded(store().applications().create_application(first, secret_a)));
  reopen();
  const std::vector<StoredApplication> applications =
      store().applications().list_applications().value();
  ASSERT_EQ(applications.size(), 2u);
  EXPECT_EQ(applications[0].key, "a");
  EXPECT_EQ(applications[0].name, "First");
  EXPECT_EQ(applications[0].created, at(2));
  EXPECT_EQ(applications[1].key, "b");
  const std::vector<StoredSecret> secrets = store().applications().list_secrets().value();
  ASSERT_EQ(secrets.size(), 2u);
  EXPECT_EQ(secrets[0].application_key, "a");
  EXPECT_EQ(secrets[0].fingerprint, "one");
  EXPECT_EQ(secrets[0].sealed, secret_a.sealed);
  EXPECT_EQ(secrets[0].key_id, "key-1");
  EXPECT_TRUE(secrets[0].minting);
  EXPECT_EQ(secrets[0].created, at(2));
}

TEST_P(StoreConformance, RefusesAnApplicationThatExistsWithItsSecret) {
  ASSERT_TRUE(succeeded(store().applications().create_application(
      StoredApplication{"a", "First", at(1)}, sample_secret("a", "one", true, at(1)))));
  EXPECT_TRUE(
      failed_with(store().applications().create_application(StoredApplication{"a", "Again", at(2)},
                                                            sample_secret("a", "two", true, at(2))),
                  ErrorCode::kAlreadyExists));
  EXPECT_TRUE(failed_with(store().applications().add_secret(sample_secret("a", "one", true, at(2))),
                          ErrorCode::kAlreadyExists));
  ASSERT_EQ(store().applications().list_secrets().value().size(), 1u);
  EXPECT_TRUE(store().applications().list_secrets().value()[0].minting);
}

TEST_P(StoreConformance, OneSecretOfAnApplicationMints) {
  ASSERT_TRUE(succeeded(store().applications().create_application(
      StoredApplication{"a", "First", at(1)}, sample_secret("a", "one", true, at(1)))));
  // Of an application that stands outside of the store.
  ASSERT_TRUE(
      succeeded(store().applications().add_secret(sample_secret("default", "old", true, at(1)))));
  ASSERT_TRUE(succeeded(store().applications().add_secret(sample_secret("a", "two", true, at(2)))));
  ASSERT_TRUE(
      succeeded(store().applications().add_secret(sample_secret("a", "three", false, at(3)))));
  std::string minting;
  const std::vector<StoredSecret> secrets = store().applications().list_secrets().value();
  for (const StoredSecret& secret : secrets) {
    minting += secret.application_key + "/" + secret.fingerprint + (secret.minting ? "+ " : " ");
  }
  EXPECT_EQ(minting, "a/one a/two+ a/three default/old+ ");
}

TEST_P(StoreConformance, RemovesASecretUnlessItMints) {
  ASSERT_TRUE(succeeded(store().applications().create_application(
      StoredApplication{"a", "First", at(1)}, sample_secret("a", "one", true, at(1)))));
  EXPECT_TRUE(failed_with(store().applications().remove_secret("a", "one"), ErrorCode::kBadState));
  EXPECT_TRUE(failed_with(store().applications().remove_secret("a", "two"), ErrorCode::kAbsent));
  ASSERT_TRUE(succeeded(store().applications().add_secret(sample_secret("a", "two", true, at(2)))));
  EXPECT_TRUE(succeeded(store().applications().remove_secret("a", "one")));
  EXPECT_EQ(store().applications().list_secrets().value().size(), 1u);
}

TEST_P(StoreConformance, EveryChangeOfTheApplicationsRaisesTheGeneration) {
  std::int64_t last = store().applications().generation().value();
  EXPECT_EQ(last, 0);
  const auto rose = [&] {
    const std::int64_t before = std::exchange(last, store().applications().generation().value());
    return last > before;
  };
  ASSERT_TRUE(succeeded(store().applications().create_application(
      StoredApplication{"a", "First", at(1)}, sample_secret("a", "one", true, at(1)))));
  EXPECT_TRUE(rose());
  ASSERT_TRUE(succeeded(store().applications().add_secret(sample_secret("a", "two", true, at(2)))));
  EXPECT_TRUE(rose());
  ASSERT_TRUE(succeeded(store().applications().remove_secret("a", "one")));
  EXPECT_TRUE(rose());
  EXPECT_FALSE(store().applications().remove_secret("a", "one").ok());
  EXPECT_FALSE(rose());
  ASSERT_TRUE(succeeded(store().applications().raise_generation()));
  reopen();
  EXPECT_TRUE(rose());
}

}  // namespace
}  // namespace countersign::storage
