#include "sessions/form_token.h"

#include <string>

#include <gtest/gtest.h>

#include "base/random.h"

namespace countersign::sessions {
namespace {

class FormToken : public ::testing::Test {
 protected:
  base::SeededRandom random{3};
  const std::string secret = make_pre_session(random);
};

TEST_F(FormToken, IsGoodForItsSecretAndPathOnly) {
  const std::string token = form_token(secret, "/users/sign_in");
  EXPECT_TRUE(verify_form_token(secret, "/users/sign_in", token));
  EXPECT_FALSE(verify_form_token(secret, "/users/sign_up", token));
  EXPECT_FALSE(verify_form_token(make_pre_session(random), "/users/sign_in", token));
  EXPECT_FALSE(verify_form_token(secret, "/users/sign_in", ""));
  EXPECT_FALSE(verify_form_token(secret, "/users/sign_in", token + "A"));
}

TEST_F(FormToken, DoesNotShowTheSecret) {
  EXPECT_EQ(form_token(secret, "/").find(secret), std::string::npos);
}

TEST_F(FormToken, NoSecretNoToken) {
  EXPECT_FALSE(verify_form_token("", "/", form_token("", "/")));
}

TEST_F(FormToken, KnowsWhatCanBeAPreSession) {
  EXPECT_TRUE(is_pre_session(secret));
  EXPECT_FALSE(is_pre_session(""));
  EXPECT_FALSE(is_pre_session(secret + "A"));
  EXPECT_FALSE(is_pre_session(std::string(43, '!')));
}

}  // namespace
}  // namespace countersign::sessions
