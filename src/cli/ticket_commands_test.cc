#include "cli/ticket_commands.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "cli/vectors_command.h"

namespace countersign::cli {
namespace {

namespace json = boost::json;

constexpr const char* kKey = "1a006c4a-8d2e-4caf-85e0-c64de1435b8f";
constexpr const char* kSecret = "0Qnbtiw9atgEH4JGGiBnXg==";
constexpr std::int64_t kNow = 1767232800;

class TicketCommands : public testing::Test {
 protected:
  TicketCommands()
      : folder_(std::filesystem::path(testing::TempDir()) /
                (std::string("ticket_commands_") +
                 testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(folder_);
    secret_file_ = write("app.secret", std::string(kSecret) + "\n");
  }
  ~TicketCommands() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) {
    const std::string path = folder_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  TicketIssueOptions issue_options(std::string identity = "username:alice") {
    return {kKey, secret_file_, std::move(identity), 3600, kNow};
  }
  TicketVerifyOptions verify_options() {
    TicketVerifyOptions options;
    options.application_key = kKey;
    options.secret_file = secret_file_;
    options.now = kNow;
    return options;
  }

  int issue(const TicketIssueOptions& options) {
    clear();
    return run_ticket_issue(options, out_, err_);
  }
  int verify(const TicketVerifyOptions& options, const std::string& text) {
    clear();
    std::istringstream in(text);
    return run_ticket_verify(options, in, out_, err_);
  }
  int inspect(const std::string& text) {
    clear();
    std::istringstream in(text);
    return run_ticket_inspect(in, out_, err_);
  }
  std::string issued(const TicketIssueOptions& options) {
    EXPECT_EQ(issue(options), 0) << err_.str();
    return out_.str();
  }
  void clear() {
    out_.str("");
    err_.str("");
  }
  json::object answer() const { return json::parse(out_.str()).as_object(); }
  // Wrong usage is told in one line, and nothing is printed as an answer.
  void expect_one_line_on_err() const {
    const std::string line = err_.str();
    EXPECT_EQ(out_.str(), "");
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
    EXPECT_TRUE(line.ends_with('\n')) << line;
    EXPECT_EQ(line.find(kSecret), std::string::npos);
  }

  std::filesystem::path folder_;
  std::string secret_file_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(TicketCommands, IssuePrintsTheTicketAloneAndVerifyAcceptsItWithItsLineEnd) {
  const std::string ticket = issued(issue_options());
  EXPECT_EQ(std::count(ticket.begin(), ticket.end(), '\n'), 1);
  EXPECT_EQ(err_.str(), "");
  for (const std::string& text : {ticket, ticket.substr(0, ticket.size() - 1),
                                  ticket.substr(0, ticket.size() - 1) + "\r\n"}) {
    EXPECT_EQ(verify(verify_options(), text), 0) << out_.str();
  }
  EXPECT_EQ(
      json::serialize(answer()),
      R"({"valid":true,"identity":{"type":"username","endpoint":"alice"},)"
      R"("applicationKey":"1a006c4a-8d2e-4caf-85e0-c64de1435b8f",)"
      R"("created":"2026-01-01T02:00:00Z","expiresIn":3600,"expiresAt":"2026-01-01T03:00:00Z"})");
}

TEST_F(TicketCommands, VerifyStripsOneLineEndOnly) {
  const std::string ticket = issued(issue_options());
  EXPECT_EQ(verify(verify_options(), ticket + "\n"), 1);
  EXPECT_EQ(answer().at("valid"), false);
  EXPECT_EQ(answer().at("reason"), "bad_base64");
}

TEST_F(TicketCommands, VerifyNamesTheReason) {
  const std::string ticket = issued(issue_options());
  TicketVerifyOptions options = verify_options();
  options.now = kNow + 100000;
  EXPECT_EQ(verify(options, ticket), 1);
  EXPECT_EQ(out_.str(), "{\"valid\":false,\"reason\":\"expired\"}\n");
  options = verify_options();
  options.expected_identity = "username:bob";
  EXPECT_EQ(verify(options, ticket), 1);
  EXPECT_EQ(answer().at("reason"), "identity_mismatch");
  EXPECT_EQ(verify(verify_options(), std::string(100000, 'A')), 1);
  EXPECT_EQ(answer().at("reason"), "too_large");
  EXPECT_EQ(verify(verify_options(), ""), 1);
  EXPECT_EQ(answer().at("reason"), "bad_layout");
}

TEST_F(TicketCommands, VerifyFollowsThePolicy) {
  const std::string ticket = issued(issue_options("username:john smith"));
  TicketVerifyOptions options = verify_options();
  EXPECT_EQ(verify(options, ticket), 0);
  options.policy = "strict";
  EXPECT_EQ(verify(options, ticket), 1);
  EXPECT_EQ(answer().at("reason"), "bad_identity");
}

TEST_F(TicketCommands, WrongUsageExitsTwoWithOneLine) {
  for (const char* identity : {"", "alice", "phone:1", "username:", "email:nobody", "number:123"}) {
    EXPECT_EQ(issue(issue_options(identity)), 2) << identity;
    expect_one_line_on_err();
  }
  for (const std::int64_t ttl :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{86401}, INT64_MAX, INT64_MIN}) {
    TicketIssueOptions options = issue_options();
    options.ttl_seconds = ttl;
    EXPECT_EQ(issue(options), 2) << ttl;
    expect_one_line_on_err();
  }
  TicketIssueOptions late = issue_options();
  late.now = INT64_MAX;
  EXPECT_EQ(issue(late), 2);
  expect_one_line_on_err();
  TicketIssueOptions key = issue_options();
  key.application_key = "a b";
  EXPECT_EQ(issue(key), 2);
  expect_one_line_on_err();

  TicketVerifyOptions options = verify_options();
  options.policy = "lenient";
  EXPECT_EQ(verify(options, "x"), 2);
  expect_one_line_on_err();
  options = verify_options();
  options.expected_identity = "alice";
  EXPECT_EQ(verify(options, "x"), 2);
  expect_one_line_on_err();
  options = verify_options();
  options.now = INT64_MIN;
  EXPECT_EQ(verify(options, "x"), 2);
  expect_one_line_on_err();
}

TEST_F(TicketCommands, UnreadableFilesAndBadSecretsExitThree) {
  TicketIssueOptions options = issue_options();
  for (const std::string& path :
       {std::string("/does/not/exist"), folder_.string(), write("empty", ""),
        write("junk", "not base64\n"), write("short", "AAAAAAAAAAAAAAAAAAAA\n"),
        write("blank", std::string(kSecret) + " \n"),
        write("twice", std::string(kSecret) + "\n\n")}) {
    options.secret_file = path;
    EXPECT_EQ(issue(options), 3) << path;
    expect_one_line_on_err();
  }
  TicketVerifyOptions verify_with = verify_options();
  verify_with.secret_file = "/does/not/exist";
  EXPECT_EQ(verify(verify_with, "x"), 3);
  expect_one_line_on_err();
}

TEST_F(TicketCommands, IssueNotesNamesThatSomeSdkRefuses) {
  issued(issue_options("username:ann lee"));
  EXPECT_NE(err_.str().find("note:"), std::string::npos);
}

TEST_F(TicketCommands, InspectShowsClaimsMarkedUnverified) {
  std::string ticket = issued(issue_options());
  ticket[ticket.size() - 10] = ticket[ticket.size() - 10] == 'A' ? 'B' : 'A';
  EXPECT_EQ(inspect(ticket), 0);
  EXPECT_EQ(answer().at("verified"), false);
  EXPECT_EQ(answer().at("identity").at("endpoint"), "alice");
  EXPECT_EQ(answer().at("expiresIn"), 3600);
  EXPECT_FALSE(answer().contains("valid"));
  EXPECT_EQ(inspect("nonsense"), 1);
  EXPECT_EQ(answer().at("reason"), "bad_layout");
}

int run_on(const std::string& path, std::string& out, std::string& err) {
  std::ostringstream out_stream;
  std::ostringstream err_stream;
  const int status = run_vectors(path, out_stream, err_stream);
  out = out_stream.str();
  err = err_stream.str();
  return status;
}

class VectorsCommand : public TicketCommands {
 protected:
  // A file with one vector that mints a ticket; `ticket` is what it expects.
  std::string file(const std::string& ticket, const std::string& count = "1",
                   const std::string& kind = "user_ticket_mint") {
    return R"({"schema":1,"policies":{"default":{"max_lifetime":3600}},"keyring":[],"counts":{")" +
           kind + "\":" + count + R"(},"vectors":[{"id":"one","kind":")" + kind + R"(","key":")" +
           kKey + R"(","secret":")" + kSecret +
           R"(","input":{"type":"username","endpoint":"alice","epoch":1767232800},"ticket":")" +
           ticket + R"(","expect":{"default":{"verdict":"accept","reasons":[]}}}]})";
  }
  std::string good_ticket() {
    std::string ticket = issued(issue_options());
    ticket.pop_back();
    return ticket;
  }
  std::string out;
  std::string err;
};

TEST_F(VectorsCommand, PassesTheInteropVectors) {
  EXPECT_EQ(run_on(COUNTERSIGN_SOURCE_DIR "/tests/interop/vectors/tickets.json", out, err), 0);
  EXPECT_EQ(out, "1147 passed, 0 failed\n");
  EXPECT_EQ(err, "");
}

TEST_F(VectorsCommand, PrintsEachFailureAndCounts) {
  EXPECT_EQ(run_on(write("good.json", file(good_ticket())), out, err), 0);
  EXPECT_EQ(out, "1 passed, 0 failed\n");
  EXPECT_EQ(run_on(write("other.json", file("other")), out, err), 1);
  EXPECT_TRUE(out.starts_with("FAILED one (default): ticket: expected \"other\"")) << out;
  EXPECT_TRUE(out.ends_with("\n0 passed, 1 failed\n")) << out;
}

TEST_F(VectorsCommand, FailsKindsItDoesNotKnow) {
  EXPECT_EQ(run_on(write("kind.json", file("x", "1", "smoke_signal")), out, err), 1);
  EXPECT_TRUE(out.ends_with("0 passed, 1 failed\n")) << out;
}

TEST_F(VectorsCommand, UnreadableAndMalformedFilesExitThreeWithOneLine) {
  std::string no_expect = file(good_ticket());
  no_expect.replace(no_expect.find("\"expect\""), 8, "\"except\"");
  for (const std::string& path :
       {std::string("/does/not/exist"), folder_.string(), write("a", ""), write("b", "[]"),
        write("c", "{\"schema\":2}"), write("d", file(good_ticket(), "2")), write("e", no_expect),
        write("f", file(good_ticket()) + "x")}) {
    EXPECT_EQ(run_on(path, out, err), 3) << path;
    EXPECT_EQ(out, "");
    EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
  }
}

TEST_F(VectorsCommand, FollowsTheFilesOwnPolicyNumbers) {
  std::string lowered = file(good_ticket());
  const std::string number = "\"max_lifetime\":3600";
  lowered.replace(lowered.find(number), number.size(), "\"max_lifetime\":3599");
  EXPECT_EQ(run_on(write("low.json", lowered), out, err), 1);
  EXPECT_NE(out.find("lifetime_too_long"), std::string::npos) << out;
}

}  // namespace
}  // namespace countersign::cli
