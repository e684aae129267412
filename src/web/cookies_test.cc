#include "web/cookies.h"

#include <gtest/gtest.h>

#include "web/testing/request_builder.h"

namespace countersign::web {
namespace {

TEST(Cookies, ReadsTheOneOfItsName) {
  RequestBuilder builder("GET", "/");
  builder.header("cookie", "a=b; __Host-cs_session=abc-123_; __Host-cs_sessionx=no");
  EXPECT_EQ(read_cookie(builder.request(), Cookie::kSession, true), "abc-123_");
  EXPECT_EQ(read_cookie(builder.request(), Cookie::kDevice, true), "");
}

TEST(Cookies, TakesSeveralOfOneNameForNone) {
  RequestBuilder one_line("GET", "/");
  one_line.header("cookie", "__Host-cs_session=one; __Host-cs_session=two");
  EXPECT_EQ(read_cookie(one_line.request(), Cookie::kSession, true), "");

  RequestBuilder two_lines("GET", "/");
  two_lines.header("cookie", "__Host-cs_session=one").header("cookie", "__Host-cs_session=one");
  EXPECT_EQ(read_cookie(two_lines.request(), Cookie::kSession, true), "");
}

TEST(Cookies, IgnoresValuesThatWeNeverSet) {
  for (const std::string& value : {std::string(), std::string("a b"), std::string("\"abc\""),
                                   std::string("a%20"), std::string(513, 'a')}) {
    RequestBuilder builder("GET", "/");
    builder.header("cookie", "__Host-cs_session=" + value);
    EXPECT_EQ(read_cookie(builder.request(), Cookie::kSession, true), "") << value;
  }
}

TEST(Cookies, DoesNotTakeThePlainNameWhereThePrefixedOneIsDue) {
  RequestBuilder builder("GET", "/");
  builder.header("cookie", "cs_session=planted");
  EXPECT_EQ(read_cookie(builder.request(), Cookie::kSession, true), "");
  EXPECT_EQ(read_cookie(builder.request(), Cookie::kSession, false), "planted");
}

TEST(Cookies, WritesThemForThisHostOnly) {
  EXPECT_EQ(set_cookie(Cookie::kSession, "v", true),
            "__Host-cs_session=v; Path=/; Secure; HttpOnly; SameSite=Lax");
  EXPECT_EQ(set_cookie(Cookie::kDevice, "v", true, std::chrono::seconds(60)),
            "__Host-cs_device=v; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60");
  EXPECT_EQ(set_cookie(Cookie::kPreSession, "v", false),
            "cs_pre=v; Path=/; HttpOnly; SameSite=Lax");
  EXPECT_EQ(delete_cookie(Cookie::kSession, true),
            "__Host-cs_session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
}

}  // namespace
}  // namespace countersign::web
