// Messages in PostgreSQL where it is unlike an embedded store: servers that die or hang, sessions
// that are ended, lies about a commit, records that fail, and locks that many want.
#include "storage/postgres/messages.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "storage/conformance/message_conformance.h"
#include "storage/postgres/message_batches.h"
#include "storage/postgres/message_checks_for_test.h"
#include "storage/postgres/testing/postgres_server.h"
#include "storage/postgres/testing/proxy.h"

namespace countersign::storage::postgres {
namespace {

PostgresOptions options_of(const PostgresServer& server, const std::string& database) {
  PostgresOptions options;
  options.url = server.url(database);
  options.connections = 8;
  return options;
}

std::unique_ptr<Store> open_store(const PostgresOptions& options) {
  return open_postgres_store(options).value();
}

/// One session through a proxy, over TCP, as a role of its own with a password.
PostgresOptions options_through(const Proxy& proxy, const TestDatabase& database) {
  database.execute("CREATE ROLE messages_" + database.name() + " LOGIN SUPERUSER PASSWORD 'pw'");
  PostgresOptions options = database.options();
  options.url = "postgresql://messages_" + database.name() +
                ":pw@127.0.0.1:" + std::to_string(proxy.port()) + "/" + database.name() +
                "?sslmode=disable&gssencmode=disable";
  options.connections = 1;
  return options;
}

std::set<std::string> ids_in_inbox(Store& store, const std::string& name) {
  std::set<std::string> ids;
  for (const Entry& entry : whole_inbox(store, name)) ids.insert(entry.message.id);
  return ids;
}

TEST(PostgresMessages, AServerKilledInAStreamHasEveryAcknowledgedMessage) {
  PostgresServer server;
  const PostgresOptions options = options_of(server, server.create_database());
  std::unique_ptr<Store> store = open_store(options);
  sign_in(*store, {"ann", "bob", "cy", "dee"});
  const std::vector<std::string> names = {"ann", "bob", "cy", "dee"};
  std::set<std::string> acknowledged;
  for (int round = 0; round < 3; ++round) {
    std::mutex mutex;
    std::promise<void> enough;
    std::atomic<int> count = 0;
    std::atomic<bool> going = true;
    std::thread killer([&] { enough.get_future().wait(); });
    std::vector<std::thread> senders;
    for (int sender = 0; sender < 4; ++sender) {
      senders.emplace_back([&, sender] {
        for (int n = 0; going; ++n) {
          const std::string id =
              std::to_string(round) + "-" + std::to_string(sender) + "-" + std::to_string(n);
          const std::string& from = names[static_cast<std::size_t>(sender)];
          const std::string& to = names[static_cast<std::size_t>(sender + 1 + n % 3) % 4];
          const Result<Sent> sent = accept(*store, text(from, {to}, id));
          if (!sent) {
            EXPECT_EQ(sent.code(), ErrorCode::kStoreFailed);
            return;
          }
          const std::lock_guard lock(mutex);
          acknowledged.insert(from + " " + to + " " + id);
          if (++count == 200) enough.set_value();
        }
      });
    }
    killer.join();
    server.kill();
    going = false;
    for (std::thread& sender : senders) sender.join();
    store.reset();
    server.start_again();
    store = open_store(options);
  }
  std::map<std::string, std::set<std::string>> inboxes;
  for (const std::string& name : names) {
    EXPECT_EQ(faults_of_inbox(*store, name), "");
    for (const Entry& entry : whole_inbox(*store, name)) {
      inboxes[name].insert(entry.message.sender.endpoint + " " + entry.message.id);
    }
  }
  for (const std::string& line : acknowledged) {
    const std::size_t first = line.find(' ');
    const std::size_t second = line.find(' ', first + 1);
    const std::string from = line.substr(0, first);
    const std::string to = line.substr(first + 1, second - first - 1);
    const std::string entry = from + line.substr(second);
    EXPECT_EQ(inboxes[to].count(entry), 1u) << line;
    EXPECT_EQ(inboxes[from].count(entry), 1u) << line;
  }
  EXPECT_GE(acknowledged.size(), 600u);
  EXPECT_EQ(faults_of_tables(options.url), "");
}

TEST(PostgresMessages, AHangingServerFailsSendsWithinTheTimeLimitAndTheRetryMeetsTheFirst) {
  PostgresServer server;
  PostgresOptions options = options_of(server, server.create_database());
  options.statement_timeout = std::chrono::milliseconds(500);
  const std::unique_ptr<Store> store = open_store(options);
  sign_in(*store, {"ann", "bob"});
  ASSERT_TRUE(succeeded(accept(*store, text("ann", {"bob"}, "before"))));
  server.pause();
  const auto start = std::chrono::steady_clock::now();
  const Result<Sent> sent = accept(*store, text("ann", {"bob"}, "during"));
  const auto took = std::chrono::steady_clock::now() - start;
  server.go_on();
  EXPECT_EQ(sent.code(), ErrorCode::kStoreFailed);
  EXPECT_LT(took, std::chrono::seconds(12));  // half a second, the margin of five, and slack
  const Result<Sent> again = accept(*store, text("ann", {"bob"}, "during"));
  ASSERT_TRUE(succeeded(again));
  EXPECT_EQ(again->seq, 2);
  EXPECT_EQ(faults_of_inbox(*store, "bob"), "");
  EXPECT_EQ(whole_inbox(*store, "bob").size(), 2u);
}

TEST(PostgresMessages, ASessionThatHoldsAnInboxAndSaysNothingDelaysASendOnly) {
  const TestDatabase database;
  const std::unique_ptr<Store> store = open_store(database.options());
  sign_in(*store, {"ann", "bob"});
  ConnectionSettings settings;
  settings.url = database.url();
  const std::unique_ptr<Connection> holder = Connection::open(settings).value();
  ASSERT_TRUE(succeeded(holder->execute("BEGIN; SELECT 1 FROM inboxes FOR UPDATE")));
  EXPECT_TRUE(succeeded(accept(*store, text("ann", {"bob"}, "m1"))));
}

TEST(PostgresMessages, SessionsThatAreEndedOrCancelledLoseNothingAcknowledged) {
  const TestDatabase database;
  const std::unique_ptr<Store> store = open_store(database.options());
  sign_in(*store, {"ann", "bob", "cy"});
  std::atomic<bool> ending = true;
  std::thread ender([&] {
    for (int n = 0; n < 12; ++n) {
      const std::string act = n % 2 == 0 ? "pg_terminate_backend" : "pg_cancel_backend";
      database.execute("SELECT " + act +
                       "(pid) FROM pg_stat_activity WHERE pid <> "
                       "pg_backend_pid() AND datname = current_database() AND state = 'active'; "
                       "SELECT pg_sleep(0.05)");
    }
    ending = false;
  });
  std::set<std::string> acknowledged[2];
  in_parallel(2, [&](int thread) {
    const std::string from = thread == 0 ? "ann" : "cy";
    for (int n = 0; ending; ++n) {
      const std::string id = std::to_string(thread) + "-" + std::to_string(n);
      // What is unknown is asked again until it is known.
      for (;;) {
        const Result<Sent> sent = accept(*store, text(from, {"bob"}, id));
        if (!sent) continue;
        EXPECT_EQ(sent->seq, n + 1);
        acknowledged[thread].insert(id);
        break;
      }
    }
  });
  ender.join();
  EXPECT_EQ(faults_of_inbox(*store, "bob"), "");
  EXPECT_EQ(ids_in_inbox(*store, "ann"), acknowledged[0]);
  EXPECT_EQ(ids_in_inbox(*store, "cy"), acknowledged[1]);
  EXPECT_EQ(whole_inbox(*store, "bob").size(), acknowledged[0].size() + acknowledged[1].size());
}

TEST(PostgresMessages, ACommitThatIsAnsweredWithRollbackAcknowledgesNothing) {
  const TestDatabase database;
  const std::unique_ptr<Store> store = open_store(database.options());
  sign_in(*store, {"ann", "bob"});
  Proxy proxy(PostgresServer::shared().port());
  std::atomic<bool> forging = false;
  proxy.from_server = [&](std::string& bytes) {
    const std::string truth(
        "C\0\0\0\x0b"
        "COMMIT\0",
        12);
    const std::string lie(
        "C\0\0\0\x0d"
        "ROLLBACK\0",
        14);
    const std::size_t at = bytes.find(truth);
    if (forging && at != std::string::npos) bytes.replace(at, truth.size(), lie);
    return true;
  };
  const std::unique_ptr<Database> lied_to =
      Database::open(options_through(proxy, database)).value();
  const Send send = text("ann", {"bob"}, "m1");
  const Ack ack{user("bob"), "phone", store->messages().epoch().value(), 0, at(200)};
  const Send* const sends[] = {&send};
  const Ack* const acks[] = {&ack};
  forging = true;
  EXPECT_EQ(accept_batch(*lied_to, sends)[0].code(), ErrorCode::kStoreFailed);
  EXPECT_EQ(acknowledge_batch(*lied_to, acks)[0].code(), ErrorCode::kStoreFailed);
  forging = false;
  EXPECT_TRUE(accept_batch(*lied_to, sends)[0]->duplicate);  // the lie was about the answer alone
}

/// True if a message is acknowledged that the server, asked to commit it, rolled back.
bool acknowledges_what_is_not_there(bool ignore_commit_tag) {
  const TestDatabase database;
  const std::unique_ptr<Store> store = open_store(database.options());
  sign_in(*store, {"ann", "bob"});
  Proxy proxy(PostgresServer::shared().port());
  std::atomic<bool> spoiling = false;
  std::atomic<bool> spoilt = false;
  proxy.from_client = [&](std::string& bytes) {
    const std::string commit("COMMIT\0", 7);
    const std::size_t at = bytes.find(commit);
    if (spoiling && at != std::string::npos) {
      bytes.replace(at, commit.size(), std::string("ABORT \0", 7));
      spoilt = true;
    }
    return true;
  };
  PostgresOptions options = options_through(proxy, database);
  options.ignore_commit_tag_for_test = ignore_commit_tag;
  const std::unique_ptr<Database> sessions = Database::open(options).value();
  const Send send = text("ann", {"bob"}, "m1");
  const Send* const sends[] = {&send};
  spoiling = true;
  const Result<Sent> sent = accept_batch(*sessions, sends)[0];
  EXPECT_TRUE(spoilt);
  EXPECT_TRUE(ids_in_inbox(*store, "bob").empty());
  EXPECT_TRUE(sent.ok() || sent.code() == ErrorCode::kStoreFailed);
  return sent.ok();
}

TEST(PostgresMessages, ACommitTagThatNobodyLooksAtIsNoticed) {
  EXPECT_FALSE(acknowledges_what_is_not_there(false));
  EXPECT_TRUE(acknowledges_what_is_not_there(true));
}

TEST(PostgresMessages, ARecordThatFailsDoesNotFailItsNeighbours) {
  const TestDatabase database;
  const std::unique_ptr<Database> sessions = Database::open(database.options()).value();
  const std::unique_ptr<Store> store = open_store(database.options());
  sign_in(*store, {"ann", "bob"});
  std::vector<Send> sends;
  for (int n = 0; n < 9; ++n) sends.push_back(text("ann", {"bob"}, "m" + std::to_string(n)));
  sends[2].body = "\"text\":\"\xff\"";
  sends[5].body = std::string("\"text\":\"\0\"", 10);
  sends[6].msg_id.assign(9'000, 'x');  // too long for an index, and not compressible
  std::minstd_rand random;
  for (char& c : sends[6].msg_id) c = static_cast<char>('!' + random() % 90);
  std::vector<const Send*> batch;
  for (const Send& send : sends) batch.push_back(&send);
  const std::vector<Result<Sent>> answers = accept_batch(*sessions, batch);
  ASSERT_EQ(answers.size(), sends.size());
  std::int64_t seq = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (i == 2 || i == 5 || i == 6) {
      EXPECT_FALSE(answers[i].ok()) << i;
      EXPECT_NE(answers[i].code(), ErrorCode::kStoreFailed) << i;
    } else {
      ASSERT_TRUE(succeeded(answers[i])) << i;
      EXPECT_EQ(answers[i]->seq, ++seq);
    }
  }
  EXPECT_EQ(faults_of_inbox(*store, "bob"), "");
}

TEST(PostgresMessages, MessagesOfOneBatchSeeEachOther) {
  const TestDatabase database;
  const std::unique_ptr<Database> sessions = Database::open(database.options()).value();
  const std::unique_ptr<Store> store = open_store(database.options());
  sign_in(*store, {"ann", "bob"});
  using Action = GroupChange::Action;
  std::vector<Send> sends = {
      text("new", {"nobody"}, "refused"),  // makes no inbox
      text("ann", {"new"}, "too early"),   // so this one finds none
      text("new", {"ann"}, "first"),       // this one makes it
      text("ann", {"new"}, "answer"),
      text("ann", {"new"}, "answer"),  // a repeat
      change("ann", "g-1", "create", Action::kCreate, {"bob"}, "one"),
      text_to("bob", "g-1", "hello"),
      change("ann", "g-1", "add", Action::kAdd, {"new"}),
      change("ann", "g-1", "remove", Action::kRemove, {"bob"}),
      text_to("bob", "g-1", "too late"),
      change("ann", "g-2", "in vain", Action::kCreate, {"nobody"}, "two"),
      text_to("ann", "g-2", "to nothing"),
  };
  std::vector<const Send*> batch;
  for (const Send& send : sends) batch.push_back(&send);
  const std::vector<Result<Sent>> answers = accept_batch(*sessions, batch);
  std::vector<std::optional<ErrorCode>> refused;
  for (const Result<Sent>& answer : answers) {
    ASSERT_TRUE(succeeded(answer));
    refused.push_back(answer->refused ? std::optional(answer->refused->code) : std::nullopt);
  }
  const std::optional<ErrorCode> none;
  EXPECT_EQ(refused, (std::vector<std::optional<ErrorCode>>{
                         ErrorCode::kUnknownTarget, ErrorCode::kUnknownTarget, none, none, none,
                         none, none, none, none, ErrorCode::kPermissionDenied,
                         ErrorCode::kUnknownTarget, ErrorCode::kUnknownTarget}));
  EXPECT_TRUE(answers[4]->duplicate);
  EXPECT_EQ(store->messages().find_conversation(user("ann"), "g-2").code(), ErrorCode::kAbsent);
  for (const char* name : {"ann", "bob", "new"}) EXPECT_EQ(faults_of_inbox(*store, name), "");
  EXPECT_EQ(ids_in_inbox(*store, "bob"),
            (std::set<std::string>{"create", "hello", "add", "remove"}));
}

/// Lets `take` run while the only recipient acknowledges the message; it answers how many notices
/// there are.
void expect_no_failure_of_what_is_acknowledged(
    const std::function<std::size_t(MessageStore&)>& take, std::size_t left) {
  const TestDatabase database;
  const std::unique_ptr<Store> store = open_store(database.options());
  sign_in(*store, {"ann", "bob"});
  Send one = text("ann", {"bob"}, "m1");
  one.expires = at(300);
  const Sent sent = accept(*store, one).value();
  ConnectionSettings settings;
  settings.url = database.url();
  const std::unique_ptr<Connection> bob = Connection::open(settings).value();
  ASSERT_TRUE(succeeded(bob->execute(
      "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; "
      "SELECT acknowledge_entries(ARRAY['application'], ARRAY[0::bigint], ARRAY['bob'], "
      "ARRAY['phone'], ARRAY[message_epoch()], ARRAY[1::bigint], ARRAY[200000000::bigint])")));

  auto expiring = std::async(std::launch::async, [&] { return take(store->messages()); });
  const std::unique_ptr<Connection> watcher = Connection::open(settings).value();
  const auto somebody_waits = [&] {
    const Query query(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock'");
    return watcher->run(std::span(&query, 1), Connection::Mode::kRead)->front().front().integer(0) >
           0;
  };
  const auto finished = [&] {
    return expiring.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  };
  while (!somebody_waits() && !finished()) {
  }
  ASSERT_TRUE(succeeded(bob->execute("COMMIT")));
  EXPECT_EQ(expiring.get(), 0u);
  EXPECT_EQ(whole_inbox(*store, "ann").size(), left);
  const Conversation seen =
      store->messages().find_conversation(user("ann"), sent.conversation).value();
  ASSERT_EQ(seen.members.size(), 2u);
  EXPECT_EQ(seen.members[1].delivered, 1);
}

TEST(PostgresMessages, AMessageThatExpiresWhileItIsAcknowledgedDoesNotFailToo) {
  const auto expire = [](MessageStore& messages) {
    const Expiry expiry = messages.expire(at(301), 10).value();
    EXPECT_EQ(expiry.found, 1u);
    return expiry.notices.size();
  };
  expect_no_failure_of_what_is_acknowledged(expire, 1);
}

TEST(PostgresMessages, AMessageThatRetentionTakesWhileItIsAcknowledgedDoesNotFailToo) {
  const auto remove = [](MessageStore& messages) {
    const Removal removal = messages.remove_old(at(101), at(500), 10).value();
    EXPECT_EQ(removal.removed, 4u);  // both entries and both devices
    return removal.notices.size();
  };
  expect_no_failure_of_what_is_acknowledged(remove, 0);
}

TEST(PostgresMessages, AStormOfOverlappingGroupsMeetsNoDeadlock) {
  const TestDatabase database;
  const std::unique_ptr<Store> stores[2] = {open_store(database.options()),
                                            open_store(database.options())};
  std::vector<std::string> names;
  for (int n = 0; n < 12; ++n) names.push_back("u" + std::to_string(n));
  sign_in(*stores[0], names);
  std::vector<std::string> groups;
  for (int n = 0; n < 6; ++n) {
    std::vector<std::string> others;
    for (int k = 1; k < 7; ++k)
      others.push_back(names[static_cast<std::size_t>(n * 2 + k * 5) % 12]);
    std::erase(others, names[static_cast<std::size_t>(n)]);
    groups.push_back("g-" + std::to_string(n));
    ASSERT_TRUE(succeeded(accept(*stores[0], change(names[static_cast<std::size_t>(n)],
                                                    groups.back(), "create" + std::to_string(n),
                                                    GroupChange::Action::kCreate, others, "g"))));
  }
  constexpr int kThreads = 8;
  constexpr int kEach = 60;
  std::atomic<int> failed = 0;
  const auto start = std::chrono::steady_clock::now();
  in_parallel(kThreads, [&](int thread) {
    Store& store = *stores[thread % 2];
    const std::string epoch = store.messages().epoch().value();
    for (int n = 0; n < kEach; ++n) {
      const std::size_t number = static_cast<std::size_t>(thread * 7 + n) % 6;
      const std::string id = std::to_string(thread) + "-" + std::to_string(n);
      const std::string& from = names[number];
      const Result<Sent> sent = n % 3 == 0
                                    ? accept(store, text(from, {names[(number + 5) % 12]}, id))
                                    : accept(store, text_to(from, groups[number], id));
      if (!sent.ok() || sent->refused) ++failed;
      if (!acknowledge(store, Ack{user(names[(number + 3) % 12]), "phone", epoch, 1, at(300)})) {
        ++failed;
      }
    }
  });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::cout << "    " << static_cast<int>(kThreads * kEach / took.count())
            << " messages to overlapping groups a second\n";
  EXPECT_EQ(failed, 0);
  for (const std::string& name : names) EXPECT_EQ(faults_of_inbox(*stores[0], name), "");
  EXPECT_EQ(faults_of_tables(database.url()), "");
}

}  // namespace
}  // namespace countersign::storage::postgres
