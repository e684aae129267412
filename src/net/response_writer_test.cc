#include "net/response_writer.h"

#include <gtest/gtest.h>

#include "countersign/codes.h"

namespace countersign::net {
namespace {

ResponseFrame frame() {
  ResponseFrame made;
  made.date = "Sun, 06 Nov 1994 08:49:37 GMT";
  made.request_id = "abc";
  return made;
}

Response response(int status, std::string body) {
  Response made;
  made.status = status;
  made.body = std::move(body);
  return made;
}

std::string written(const Response& answer, const ResponseFrame& with) {
  std::string out;
  EXPECT_TRUE(append_response(out, answer, with));
  return out;
}

TEST(ResponseWriter, WritesOneFlatBuffer) {
  auto answer = response(200, "hi");
  answer.set("content-type", "text/plain");
  EXPECT_EQ(written(answer, frame()),
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n"
            "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nx-request-id: abc\r\n\r\nhi");
}

TEST(ResponseWriter, LeavesOutBodiesThatHaveNoPlace) {
  auto head = frame();
  head.head_only = true;
  EXPECT_TRUE(written(response(200, "hi"), head).ends_with("x-request-id: abc\r\n\r\n"));
  EXPECT_NE(written(response(200, "hi"), head).find("content-length: 2"), std::string::npos);
  for (const int status : {101, 204, 304}) {
    const auto text = written(response(status, ""), frame());
    EXPECT_EQ(text.find("content-length"), std::string::npos) << status;
  }
}

TEST(ResponseWriter, RefusesFieldsThatWouldBreakTheHead) {
  for (const char* bad : {"a\nb", "a\rb", "a\x01"}) {
    auto answer = response(200, "");
    answer.set("x", bad);
    std::string out = "before";
    EXPECT_FALSE(append_response(out, answer, frame()));
    EXPECT_EQ(out, "before");
  }
}

TEST(ResponseWriter, SaysHowTheConnectionGoesOn) {
  auto old = frame();
  old.http11 = false;
  EXPECT_NE(written(response(200, ""), old).find("connection: keep-alive"), std::string::npos);
  old.keep_alive = false;
  EXPECT_NE(written(response(200, ""), old).find("connection: close"), std::string::npos);
}

TEST(ResponseWriter, KnowsTheReasonOfEveryStatusOfTheErrorList) {
  for (int code = 100; code < 1300; ++code) {
    const int status = http_status(static_cast<ErrorCode>(code));
    if (status != 0) {
      EXPECT_FALSE(reason_phrase(status).empty()) << status;
    }
  }
}

}  // namespace
}  // namespace countersign::net
