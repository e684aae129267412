#include "base/http_url.h"

#include <gtest/gtest.h>

namespace countersign::base {
namespace {

TEST(HttpUrl, ReadsSchemeHostPortAndTarget) {
  const HttpUrl plain = parse_http_url("http://Backend.Example/hook?a=1").value();
  EXPECT_FALSE(plain.secure);
  EXPECT_EQ(plain.host, "backend.example");
  EXPECT_EQ(plain.port, 80);
  EXPECT_EQ(plain.target, "/hook?a=1");
  const HttpUrl secure = parse_http_url("https://[2001:DB8::1]:8443").value();
  EXPECT_TRUE(secure.secure);
  EXPECT_EQ(secure.host, "2001:db8::1");
  EXPECT_EQ(secure.port, 8443);
  EXPECT_EQ(secure.target, "/");
  EXPECT_EQ(parse_http_url("http://127.0.0.1?x").value().target, "/?x");
}

TEST(HttpUrl, RefusesWhatTwoReadersMayUnderstandDifferently) {
  for (const char* text : {
           "",
           "ftp://a/",
           "http://",
           "http:///x",
           "//a/",
           "http://user@host/",
           "http://a b/",
           "http://a/b c",
           "http://a\\b/",
           "http://a/#b",
           "http://a:0/",
           "http://a:70000/",
           "http://a:/",
           "http://a:8x/",
           "http://2130706433/",
           "http://0x7f.1/",
           "http://127.1/",
           "http://0177.0.0.1/",
           "http://127.0.0.01/",
           "http://1.2.3.256/",
           "http://-a/",
           "http://a..b/",
           "http://.a/",
           "http://a./",
           "http://[::1/",
           "http://[localhost]/",
           "http://[::1]x/",
           "http://\xc3\xa4/",
           "http://a%2e/",
           "http://a/\x01",
           "HTTP://a/",
       }) {
    EXPECT_FALSE(parse_http_url(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_http_url("http://a/" + std::string(2048, 'x')).has_value());
}

}  // namespace
}  // namespace countersign::base
