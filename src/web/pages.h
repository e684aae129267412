// Pages: fills the templates of web/templates. Every text from outside goes through the templates'
// escaping.
// Thread-safety: immutable after construction.
#ifndef COUNTERSIGN_WEB_PAGES_H_
#define COUNTERSIGN_WEB_PAGES_H_

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/codes.h"

#include "base/clock.h"
#include "storage/records.h"
#include "web/assets.h"
#include "web/page_template.h"

namespace countersign::web {

struct SignInView {
  std::string notice;
  std::optional<ErrorCode> problem;
  std::string username;  ///< kept after a failure
  std::string form_token;
  bool sign_up_open = true;
  bool email_is_name = false;  ///< people sign in with their address
};

struct SignUpView {
  std::string notice;
  std::optional<ErrorCode> problem;
  std::string username;
  std::string email;
  std::string form_token;
  bool email_is_name = false;  ///< no user name is asked for, and the address is required
  std::size_t minimum_length = 15;
};

/// Tokens of the forms that a signed-in person's pages hold, by the path they post to.
struct PageTokens {
  std::string_view session_cookie;
  std::string for_path(std::string_view path) const;
};

/// Of the client page and the chat page.
struct ClientView {
  std::string user_name;
  std::string application_key;
  PageTokens tokens;
};

struct AccountView {
  std::string notice;
  std::optional<ErrorCode> problem;
  const storage::Account* account = nullptr;
  const storage::SignInSession* current = nullptr;
  std::vector<storage::SignInSession> sessions;
  std::string_view refused_end;  ///< the session whose end wanted another password; else empty
  bool fresh = true;  ///< the password was given lately: ending a session does not ask for it
  std::size_t minimum_length = 15;
  PageTokens tokens;
};

struct MessageView {
  std::string heading;
  std::string text;
  std::string link;
  std::string link_text;
  std::string request_id;
};

class Pages {
 public:
  /// @param assets  outlives the pages.
  explicit Pages(const Assets& assets);

  std::string sign_in(const SignInView& view) const;
  std::string sign_up(const SignUpView& view) const;
  std::string client(const ClientView& view) const;
  std::string chat(const ClientView& view) const;
  std::string account(const AccountView& view) const;
  std::string message(const MessageView& view) const;

 private:
  struct Frame {
    std::string_view title = {};
    std::string_view main_class = {};
    std::string_view script = {};  ///< asset
    bool sdk = false;
    const PageTokens* tokens = nullptr;  ///< set: somebody is signed in
    std::string_view current = {};       ///< `client`, `chat`, `account` or none
  };
  std::string in_frame(const Frame& frame, std::string_view main) const;
  std::string session_row(const AccountView& view, const storage::SignInSession& session) const;

  const Assets& assets_;
  PageTemplate layout_;
  PageTemplate sign_in_;
  PageTemplate sign_up_;
  PageTemplate client_;
  PageTemplate chat_;
  PageTemplate account_;
  PageTemplate session_row_;
  PageTemplate message_;
};

/// The form field that a refusal is about: `username`, `email`, `password`, or empty.
std::string_view field_of(ErrorCode code);

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_PAGES_H_
