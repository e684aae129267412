// What the door's texts say and how it reads the SDK's: routes, errors, recipients, bodies.
#include "web/classic/classic_text.h"

#include <string>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "web/classic/classic_accounts.h"
#include "web/classic/classic_answers.h"
#include "web/classic/classic_routes.h"
#include "web/testing/request_builder.h"

namespace countersign::web::classic {
namespace {

using gateway::classic::TransportView;

TEST(ClassicRoutes, AreTheAddressesThatTheSdkAsks) {
  struct Case {
    std::string_view method;
    std::string_view path;
    RestEndpoint endpoint;
  };
  for (const Case& c : {
           Case{"GET", "/sinch/v1/timestamp/", RestEndpoint::kTimestamp},
           Case{"GET", "/sinch/v1/timestamp", RestEndpoint::kTimestamp},
           Case{"POST", "/sinch/v1/instance", RestEndpoint::kCreateInstance},
           Case{"PUT", "/sinch/v1/instances/id/x/authorization", RestEndpoint::kRenewInstance},
           Case{"GET", "/sinch/v1/configuration/user", RestEndpoint::kConfiguration},
           Case{"GET", "/sinch/v1/transport", RestEndpoint::kFindTransport},
           Case{"POST", "/sinch/v1/users/email/a@b.c/authentication", RestEndpoint::kSignIn},
           Case{"POST", "/sinch/v1/calls/data", RestEndpoint::kNotOffered},
           Case{"PUT", "/sinch/v1/calls/connection/id/c1", RestEndpoint::kNotOffered},
           Case{"POST", "/sinch/verification/v1/verifications", RestEndpoint::kNotOffered},
       }) {
    const RestMatch match = find_rest_route(c.method, c.path);
    ASSERT_NE(match.route, nullptr) << c.path;
    EXPECT_EQ(match.route->endpoint, c.endpoint) << c.path;
  }
  EXPECT_TRUE(find_rest_route("DELETE", "/sinch/v1/instance").path_known);
  EXPECT_EQ(find_rest_route("DELETE", "/sinch/v1/instance").route, nullptr);
  for (const std::string_view path : {"/sinch/", "/sinch/v1", "/sinch/v1/instance//", "/sinch/v2/x",
                                      "/sinch/v1/instances/id//authorization"}) {
    EXPECT_FALSE(find_rest_route("GET", path).path_known) << path;
  }
}

TEST(ClassicAnswers, ErrorsAreObjectsWithTheDocumentedCodes) {
  struct Case {
    ErrorCode code;
    int status;
    int error_code;
  };
  for (const Case& c : {
           Case{ErrorCode::kBadRequest, 400, 40001},
           Case{ErrorCode::kBadAuthorization, 401, 40100},
           Case{ErrorCode::kDuplicateHeader, 401, 40100},
           Case{ErrorCode::kBadTimestamp, 401, 40101},
           Case{ErrorCode::kBadRequestSignature, 401, 40102},
           Case{ErrorCode::kBadSignature, 401, 40108},
           Case{ErrorCode::kExpired, 401, 40108},
           Case{ErrorCode::kRevoked, 401, 40108},
           Case{ErrorCode::kCredentials, 401, 40100},
           Case{ErrorCode::kNotFound, 404, 40400},
           Case{ErrorCode::kMethodNotAllowed, 405, 40500},
           Case{ErrorCode::kBodyTooLarge, 413, 41300},
           Case{ErrorCode::kInternal, 500, 50000},
           Case{ErrorCode::kNotAvailable, 501, 50100},
           Case{ErrorCode::kStoreFailed, 503, 50300},
           Case{ErrorCode::kNotReady, 503, 50300},
       }) {
    const net::Response response = rest_error(c.code, "r1");
    EXPECT_EQ(response.status, c.status) << error_name(c.code);
    const auto body = boost::json::parse(response.body).as_object();
    EXPECT_EQ(body.at("errorCode").as_int64(), c.error_code) << error_name(c.code);
    EXPECT_FALSE(body.at("message").as_string().empty());
    EXPECT_EQ(header_of(response, "Access-Control-Allow-Origin"), "*");
    EXPECT_EQ(header_of(response, "Content-Type"), "application/json");
  }
}

TEST(ClassicAnswers, ThePlanesErrorsHaveATruthyError) {
  const net::Response response = plane_error(ErrorCode::kUnauthorized, "Subscribe");
  EXPECT_EQ(response.status, 403);
  const auto body = boost::json::parse(response.body).as_object();
  EXPECT_TRUE(body.at("error").as_bool());
  EXPECT_EQ(body.at("status").as_int64(), 403);
  EXPECT_EQ(body.at("service").as_string(), "Subscribe");
  EXPECT_EQ(header_of(response, "Access-Control-Allow-Origin"), "*");
}

TEST(ClassicAnswers, APreflightNamesTheHeaders) {
  const net::Response response = preflight_answer();
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(header_of(response, "Access-Control-Allow-Headers"),
            "authorization, content-type, x-timestamp");
  EXPECT_EQ(header_of(response, "Access-Control-Allow-Methods"), "GET, POST, PUT, PATCH, OPTIONS");
}

TEST(ClassicAnswers, AStrangersRefusalCanBeReadByAClassicClientToo) {
  net::Response response;
  response.status = 431;
  response.body = R"({"type":"urn:x","status":431})";
  add_classic_members(response, ErrorCode::kHeadersTooLarge);
  const auto body = boost::json::parse(response.body).as_object();
  EXPECT_EQ(body.at("errorCode").as_int64(), 43100);
  EXPECT_TRUE(body.at("error").as_bool());
  EXPECT_EQ(header_of(response, "Access-Control-Allow-Origin"), "*");
}

TEST(ClassicText, ReadsRecipientsAndLeavesOutWhoCannotBe) {
  const Identity ada{IdentityType::kUsername, "ada"};
  const auto read = read_recipients(
      R"([{"identity":"bob"},{"identity":"a@b.example","type":"email"},{"identity":"x","type":"pigeon"},)"
      R"({"identity":"not a mail","type":"email"},{"identity":"zo\u00eb"}])",
      ada);
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->size(), 3U);
  EXPECT_EQ((*read)[0], (Identity{IdentityType::kUsername, "bob"}));
  EXPECT_EQ((*read)[1], (Identity{IdentityType::kEmail, "a@b.example"}));
  EXPECT_EQ((*read)[2], (Identity{IdentityType::kUsername, "zoë"}));
  for (const std::string_view body : {"", "{}", "[1]", "[{}]", R"([{"identity":""}])",
                                      R"([{"identity":1}])", R"([{"identity":"a","identity":"b"}])",
                                      R"([{"identity":"\u0000"}])", "[[[[[[[[[[", "null"}) {
    EXPECT_EQ(read_recipients(body, ada).code(), ErrorCode::kBadRequest) << body;
  }
  EXPECT_EQ(read_recipients("[]", ada).value(), std::vector{ada}) << "a message to oneself";
  std::string many = "[";
  for (int i = 0; i < 101; ++i) many += R"({"identity":"bob"},)";
  many.back() = ']';
  EXPECT_EQ(read_recipients(many, ada).code(), ErrorCode::kLimitExceeded);
}

TEST(ClassicText, ReadsTheTransportIdAsTheSdkWritesIt) {
  EXPECT_EQ(read_transport_id("transportId=T-1&").value(), "T-1");
  EXPECT_EQ(read_transport_id("a=b&transportId=T%2D1").value(), "T-1");
  for (const std::string_view query :
       {"", "&", "transportId=", "transportId=&", "transportId=%", "transportId=%00",
        "transportId=a&transportId=b", "xtransportId=a"}) {
    EXPECT_EQ(read_transport_id(query).code(), ErrorCode::kBadRequest) << query;
  }
}

TEST(ClassicText, WritesATransport) {
  TransportView view;
  view.id = "T";
  view.key = "a2V5";
  view.participants = {{"c1", {IdentityType::kUsername, "bo\"b"}},
                       {"c2", {IdentityType::kEmail, "a@b.example"}}};
  EXPECT_EQ(boost::json::parse(transport_answer(view)), boost::json::parse(R"({
    "transportId":"T","key":"a2V5","participants":[
      {"channel":"c1","destination":{"identity":"bo\"b"},"instances":[{"capabilities":["im"]}]},
      {"channel":"c2","destination":{"identity":"a@b.example","type":"email"},
       "instances":[{"capabilities":["im"]}]}]})"));
}

TEST(ClassicAccounts, ReadsWhoSignsUp) {
  auto read =
      read_sign_up(R"({"password":"pw","identities":[{"type":"username","endpoint":"ada"}],)"
                   R"("profile":{"contact":{"email":"ada@example.org"}}})");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->user_name, "ada");
  EXPECT_EQ(read->email, "ada@example.org");
  EXPECT_EQ(read->password.view(), "pw");
  read =
      read_sign_up(R"({"password":"pw","identities":[{"type":"email","endpoint":"a@b.example"}]})");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->user_name, "");
  EXPECT_EQ(read->email, "a@b.example");
  for (const std::string_view body : {
           "",
           "[]",
           "{}",
           R"({"password":"pw"})",
           R"({"password":"pw","identities":[]})",
           R"({"identities":[{"type":"username","endpoint":"ada"}]})",
           R"({"password":1,"identities":[{"type":"username","endpoint":"ada"}]})",
           R"({"password":"pw","identities":[{"type":"username","endpoint":"a"},)"
           R"({"type":"username","endpoint":"b"}]})",
           R"({"password":"pw","identities":[{"type":"pigeon","endpoint":"a"}]})",
           R"({"password":"pw","identities":[{"type":"username"}]})",
       }) {
    EXPECT_EQ(read_sign_up(body).code(), ErrorCode::kBadRequest) << body;
  }
  EXPECT_EQ(read_sign_up(R"({"password":"pw","identities":[{"type":"number","endpoint":"+461"}]})")
                .code(),
            ErrorCode::kNotAvailable);
}

}  // namespace
}  // namespace countersign::web::classic
