// What every store must do when many threads, of two programs, use it at once.
#include <algorithm>
#include <atomic>
#include <set>

#include "storage/conformance/conformance.h"

namespace countersign::storage {
namespace {

constexpr int kThreads = 8;

TEST_P(StoreConformance, OneOfManyConcurrentSignUpsGetsTheName) {
  open_both();
  std::atomic<int> created = 0;
  std::atomic<int> taken = 0;
  in_parallel(kThreads, [&](int i) {
    Account account = sample_account("ann");
    account.id = AccountId("id-" + std::to_string(i));
    account.email_key.reset();
    const Result<void> result =
        store_of(i).accounts().create_account(account, "hash-" + std::to_string(i));
    if (result.ok()) ++created;
    if (failed_with(result, ErrorCode::kNameTaken)) ++taken;
  });
  EXPECT_EQ(created, 1);
  EXPECT_EQ(taken, kThreads - 1);
  const Account account = store().accounts().find_account_by_name("key-ann").value().value();
  EXPECT_EQ(store().accounts().get_password_hash(account.id).value(),
            "hash-" + account.id.text().substr(3));
}

TEST_P(StoreConformance, OneOfManyConcurrentSignUpsGetsTheAddress) {
  open_both();
  std::atomic<int> created = 0;
  std::atomic<int> refused = 0;
  in_parallel(kThreads, [&](int i) {
    Account account = sample_account("name-" + std::to_string(i));
    account.email_key = "one@example.org";
    const Result<void> result = store_of(i).accounts().create_account(account, "hash");
    if (result.ok()) ++created;
    if (failed_with(result, ErrorCode::kEmailRefused)) ++refused;
  });
  EXPECT_EQ(created, 1);
  EXPECT_EQ(refused, kThreads - 1);
}

TEST_P(StoreConformance, AFailingRecordDoesNotFailItsNeighbours) {
  create_account("taken");
  constexpr int kEach = 25;
  std::atomic<int> wrong = 0;
  in_parallel(kThreads, [&](int i) {
    for (int n = 0; n < kEach; ++n) {
      if (i % 2 == 0) {
        const Account account = sample_account(std::to_string(i) + "-" + std::to_string(n));
        if (!store().accounts().create_account(account, "hash").ok()) ++wrong;
      } else {
        Account account = sample_account("taken");
        account.id = AccountId("second-" + std::to_string(i) + "-" + std::to_string(n));
        if (!failed_with(store().accounts().create_account(account, "hash"),
                         ErrorCode::kNameTaken)) {
          ++wrong;
        }
      }
    }
  });
  EXPECT_EQ(wrong, 0);
  reopen();
  EXPECT_EQ(store().accounts().list_accounts("", 10000).value().size(), 1u + kThreads / 2 * kEach);
}

TEST_P(StoreConformance, NoUpdateOfACounterIsLost) {
  open_both();
  constexpr int kEach = 25;
  std::atomic<int> failed = 0;
  in_parallel(kThreads, [&](int i) {
    for (int n = 0; n < kEach; ++n) {
      // Opposite orders of the keys: a store that locks rows must not deadlock for good.
      const std::vector<std::string> keys =
          i % 2 == 0 ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{"b", "a"};
      const Result<bool> updated =
          store_of(i).throttles().update(keys, [](std::span<ThrottleCounter> counters) {
            for (ThrottleCounter& counter : counters) ++counter.failures;
            return true;
          });
      if (!updated.ok() || !*updated) ++failed;
    }
  });
  EXPECT_EQ(failed, 0);
  store()
      .throttles()
      .update(std::vector<std::string>{"a", "b"},
              [](std::span<ThrottleCounter> counters) {
                EXPECT_EQ(counters[0].failures, kThreads * kEach);
                EXPECT_EQ(counters[1].failures, kThreads * kEach);
                return false;
              })
      .value();
}

TEST_P(StoreConformance, ConcurrentTriesOfADeviceNeverExceedItsAllowance) {
  open_both();
  const AccountId ann = create_account("ann");
  ASSERT_TRUE(
      succeeded(store().known_devices().create_device(KnownDevice{"token", ann, 0, at(0)}, 5)));
  std::atomic<int> allowed = 0;
  in_parallel(kThreads, [&](int i) {
    for (int n = 0; n < 5; ++n) {
      if (store_of(i).known_devices().reserve_try("token", ann, 10).value()) ++allowed;
    }
  });
  EXPECT_EQ(allowed, 10);
}

TEST_P(StoreConformance, OneOfManyConcurrentPasswordChangesWins) {
  open_both();
  const AccountId ann = create_account("ann");
  std::atomic<int> changed = 0;
  in_parallel(kThreads, [&](int i) {
    if (store_of(i)
            .accounts()
            .change_password(ann, "hash-of-ann", "new-" + std::to_string(i), SessionHandle(), at(1))
            .value()) {
      ++changed;
    }
  });
  EXPECT_EQ(changed, 1);
  EXPECT_EQ(store().accounts().find_account(ann).value()->epoch, 1u);
}

TEST_P(StoreConformance, TheSessionCapHoldsForConcurrentSignIns) {
  open_both();
  const AccountId ann = create_account("ann");
  std::atomic<int> ended = 0;
  in_parallel(kThreads, [&](int i) {
    for (int n = 0; n < 5; ++n) {
      const std::string name = std::to_string(i) + "-" + std::to_string(n);
      ended += static_cast<int>(store_of(i)
                                    .sessions()
                                    .create_session(sample_session(name, ann, at(n)), 3)
                                    .value()
                                    .size());
    }
  });
  EXPECT_EQ(store().sessions().list_sessions(ann).value().size(), 3u);
  EXPECT_EQ(ended, kThreads * 5 - 3);
  EXPECT_EQ(revocations().size(), kThreads * 5u - 3u);
}

TEST_P(StoreConformance, TheLimitOfInstancesHoldsForConcurrentConnects) {
  open_both();
  std::atomic<int> created = 0;
  in_parallel(kThreads, [&](int i) {
    for (int n = 0; n < 3; ++n) {
      const Instance instance = sample_instance(std::to_string(i) + "-" + std::to_string(n));
      if (store_of(i).instances().create_instance(instance, 5).ok()) ++created;
    }
  });
  EXPECT_EQ(created, 5);
}

TEST_P(StoreConformance, NoInstanceOutlivesASessionThatEndsMeanwhile) {
  open_both();
  const AccountId ann = create_account("ann");
  for (int round = 0; round < 10; ++round) {
    const std::string name = std::to_string(round);
    const SessionHandle session = create_session(name, ann);
    const Instance instance = sample_instance(name, session);
    in_parallel(2, [&](int i) {
      if (i == 0) {
        static_cast<void>(store_of(0).instances().create_instance(instance, 100));
      } else {
        EXPECT_TRUE(store_of(1).sessions().end_session(session, "sign_out", at(9)).value());
      }
    });
    EXPECT_FALSE(instance_exists(instance.id));
  }
}

TEST_P(StoreConformance, APollerSeesEveryRevocationOnceAndInOrder) {
  open_both();
  constexpr int kEach = 20;
  const AccountId ann = create_account("ann");
  for (int i = 0; i < kThreads * kEach; ++i) create_session(std::to_string(i), ann);
  const std::int64_t total = kThreads * kEach;

  std::vector<std::int64_t> seen;
  std::set<std::string> sessions;
  std::atomic<int> writers = kThreads;
  in_parallel(kThreads + 1, [&](int i) {
    if (i < kThreads) {
      for (int n = 0; n < kEach; ++n) {
        const SessionHandle handle("handle-" + std::to_string(i * kEach + n));
        EXPECT_TRUE(store_of(i).sessions().end_session(handle, "sign_out", at(1)).value());
      }
      --writers;
      return;
    }
    std::int64_t last = 0;
    for (bool done = false; !done;) {
      done = writers == 0;
      const std::vector<Revocation> page = store().revocations().poll(last, 1000).value();
      for (const Revocation& revocation : page) {
        seen.push_back(revocation.id);
        sessions.insert(revocation.session.text());
        last = revocation.id;
      }
    }
  });

  ASSERT_EQ(static_cast<std::int64_t>(seen.size()), total);
  for (std::int64_t i = 0; i < total; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i + 1);
  EXPECT_EQ(static_cast<std::int64_t>(sessions.size()), total);
  EXPECT_EQ(store().revocations().head().value(), total);
}

TEST_P(StoreConformance, AnAcknowledgedWriteIsSeenByEveryReader) {
  open_both();
  in_parallel(kThreads, [&](int i) {
    for (int n = 0; n < 10; ++n) {
      const std::string name = std::to_string(i) + "-" + std::to_string(n);
      EXPECT_TRUE(succeeded(store_of(i).meta().set(name, "value")));
      EXPECT_EQ(store_of(i).meta().get(name).value(), "value");
      EXPECT_EQ(store_of(i + 1).meta().get(name).value(), "value");
    }
  });
}

TEST_P(StoreConformance, TheFirstOfManyConcurrentValuesStandsForAll) {
  open_both();
  std::vector<std::string> stands(kThreads);
  in_parallel(kThreads, [&](int i) {
    stands[static_cast<std::size_t>(i)] =
        store_of(i).meta().set_if_absent("name", std::to_string(i)).value();
  });
  EXPECT_EQ(std::set<std::string>(stands.begin(), stands.end()).size(), 1u);
}

}  // namespace
}  // namespace countersign::storage
