#include "web/server_api_text.h"

#include <gtest/gtest.h>

namespace countersign::web {
namespace {

std::string header(const net::Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return {};
}

TEST(ServerApiText, DecodesASegmentOnceAndStrictly) {
  EXPECT_EQ(decode_path_segment("ann").value(), "ann");
  EXPECT_EQ(decode_path_segment("a%2Fb%2f%25").value(), "a/b/%");
  EXPECT_EQ(decode_path_segment("a%252Fb").value(), "a%2Fb") << "once, not twice";
  EXPECT_EQ(decode_path_segment("a+b").value(), "a+b");
  EXPECT_EQ(decode_path_segment("%C3%A4").value(), "\xc3\xa4");
  for (const char* broken :
       {"%", "%2", "a%2", "%zz", "%2g", "%%41", "%00", "%0a", "%7F", "a\x01"}) {
    EXPECT_FALSE(decode_path_segment(broken).ok()) << broken;
  }
}

TEST(ServerApiText, ReadsUsersOfAllTypes) {
  EXPECT_EQ(read_path_user({"username", "Ann%20Lee"}).value(),
            (Identity{IdentityType::kUsername, "Ann Lee"}));
  EXPECT_EQ(read_path_user({"email", "ann@example.org"}).value().type, IdentityType::kEmail);
  EXPECT_EQ(read_path_user({"number", "%2B46700000000"}).value().endpoint, "+46700000000");
  EXPECT_FALSE(read_path_user({"Username", "ann"}).ok());
  EXPECT_FALSE(read_path_user({"username", "%ff"}).ok());
  EXPECT_FALSE(read_path_user({"username", std::string(256, 'a')}).ok());
  EXPECT_FALSE(read_path_user({"number", "46700000000"}).ok());
}

TEST(ServerApiText, ReadsQueriesThatItKnows) {
  const ApiQuery query = read_api_query("before=7&limit=20&after=c-1.2").value();
  EXPECT_EQ(query.before, 7);
  EXPECT_EQ(query.limit, 20U);
  EXPECT_EQ(query.after, "c-1.2");
  EXPECT_EQ(read_api_query("").value().limit, 0U);
  for (const char* broken : {"before=0", "before=-1", "before=1x", "limit=0", "limit=10001",
                             "limit=", "after=", "other=1", "limit=1&limit=2", "limit=%zz"}) {
    EXPECT_FALSE(read_api_query(broken).ok()) << broken;
  }
}

TEST(ServerApiText, RefusedSignaturesHaveTheDocumentedCodes) {
  const auto answer = [](ErrorCode code) { return api_refused_signature(code, "r").body; };
  EXPECT_NE(answer(ErrorCode::kBadAuthorization).find("\"errorCode\":40100,"), std::string::npos);
  EXPECT_NE(answer(ErrorCode::kBadTimestamp).find("\"errorCode\":40101,"), std::string::npos);
  EXPECT_NE(answer(ErrorCode::kBadRequestSignature).find("\"errorCode\":40102,"),
            std::string::npos);
  EXPECT_EQ(api_refused_signature(ErrorCode::kReplayed, "r").status, 401);
  EXPECT_EQ(api_refused_signature(ErrorCode::kOverloaded, "r").status, 503);
  EXPECT_EQ(header(api_refused_signature(ErrorCode::kBadTimestamp, "r"), "WWW-Authenticate"),
            "Application realm=\"server-api\"");
}

TEST(ServerApiText, ARepliesObjectBecomesTheAnswer) {
  const net::Response sent =
      answer_of_reply(std::string(R"({"id":1,"send":{"conv":"c-1","error":{"a":1}}})"), "r");
  EXPECT_EQ(sent.status, 200);
  EXPECT_EQ(sent.body, R"({"conv":"c-1","error":{"a":1}})");
}

TEST(ServerApiText, ARepliesErrorBecomesAProblemThatNamesTheUsers) {
  const net::Response refused =
      answer_of_reply(std::string(R"({"id":1,"error":{"code":214,"message":"m","temporary":false,)"
                                  R"("users":[{"type":"username","endpoint":"bob"}]}})"),
                      "r");
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.body.find(R"("code":214)"), std::string::npos);
  EXPECT_NE(refused.body.find(R"("errorCode":40300)"), std::string::npos);
  EXPECT_TRUE(refused.body.ends_with(R"("users":[{"type":"username","endpoint":"bob"}]})"));
  const net::Response slow =
      answer_of_reply(std::string(R"({"id":1,"error":{"code":111,"message":"m","temporary":true,)"
                                  R"("retry_after_ms":1500}})"),
                      "r");
  EXPECT_EQ(slow.status, 429);
  EXPECT_EQ(header(slow, "Retry-After"), "2");
  EXPECT_EQ(answer_of_reply(fail(ErrorCode::kStoreFailed), "r").status, 503);
}

}  // namespace
}  // namespace countersign::web
