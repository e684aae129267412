#include "web/pages.h"

#include "sessions/form_token.h"

namespace countersign::web {
namespace {

constexpr std::string_view kYes = "yes";

std::string_view flag(bool on) { return on ? kYes : std::string_view(); }

std::string_view text_of(const std::optional<ErrorCode>& problem) {
  return problem ? error_text(*problem) : std::string_view();
}

std::string_view flag_of(const std::optional<ErrorCode>& problem, std::string_view field) {
  return flag(problem && field_of(*problem) == field);
}

/// `2026-01-02 03:04 UTC`; the page script shows it in the reader's own zone.
std::string readable(base::SystemTime time) {
  const std::string exact = base::format_rfc3339(time);
  return exact.substr(0, 10) + ' ' + exact.substr(11, 5) + " UTC";
}

/// The place of a session, for its owner.
std::string_view place_of(std::string_view address_prefix) {
  const bool loopback = address_prefix.starts_with("127.") || address_prefix == "::/64";
  return loopback ? "this computer" : address_prefix;
}

}  // namespace

std::string PageTokens::for_path(std::string_view path) const {
  return sessions::form_token(session_cookie, path);
}

std::string_view field_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNameTaken:
    case ErrorCode::kBadUserName:
      return "username";
    case ErrorCode::kBadEmail:
    case ErrorCode::kEmailRequired:
    case ErrorCode::kEmailRefused:
      return "email";
    case ErrorCode::kPasswordTooShort:
    case ErrorCode::kPasswordTooLong:
    case ErrorCode::kPasswordTooCommon:
    case ErrorCode::kPasswordContainsName:
    case ErrorCode::kBadPasswordText:
      return "password";
    default:
      return {};
  }
}

Pages::Pages(const Assets& assets)
    : assets_(assets),
      layout_(embedded_file("layout.html")),
      sign_in_(embedded_file("sign_in.html")),
      sign_up_(embedded_file("sign_up.html")),
      client_(embedded_file("client.html")),
      chat_(embedded_file("chat.html")),
      account_(embedded_file("account.html")),
      session_row_(embedded_file("session_row.html")),
      message_(embedded_file("message.html")) {}

std::string Pages::in_frame(const Frame& frame, std::string_view main) const {
  const bool signed_in = frame.tokens != nullptr;
  const std::string token = signed_in ? frame.tokens->for_path("/users/sign_out") : std::string();
  return layout_.render({
      {"title", frame.title},
      {"main_class", frame.main_class},
      {"logo_url", assets_.path_of("logo.svg")},
      {"style_url", assets_.path_of("style.css")},
      {"script_url", assets_.path_of(frame.script)},
      {"sdk", flag(frame.sdk)},
      {"signed_in", flag(signed_in)},
      {"on_client", flag(frame.current == "client")},
      {"on_chat", flag(frame.current == "chat")},
      {"on_account", flag(frame.current == "account")},
      {"csrf_token", token},
      {"main", main},
  });
}

std::string Pages::sign_in(const SignInView& view) const {
  const std::string main = sign_in_.render({
      {"notice", view.notice},
      {"problem", text_of(view.problem)},
      {"login_label", view.email_is_name ? "E-mail address" : "User name or e-mail address"},
      {"username", view.username},
      {"csrf_token", view.form_token},
      {"sign_up_open", flag(view.sign_up_open)},
  });
  return in_frame({.title = "Sign in", .main_class = "narrow", .script = "forms.js"}, main);
}

std::string Pages::sign_up(const SignUpView& view) const {
  std::string email_describedby;
  if (view.problem && field_of(*view.problem) == "email") email_describedby = "problem";
  if (view.email_is_name) {
    email_describedby += email_describedby.empty() ? "email-hint" : " email-hint";
  }
  const std::string main = sign_up_.render({
      {"notice", view.notice},
      {"problem", text_of(view.problem)},
      {"problem_field", view.problem ? field_of(*view.problem) : std::string_view()},
      {"username_problem", flag_of(view.problem, "username")},
      {"email_problem", flag_of(view.problem, "email")},
      {"password_problem", flag_of(view.problem, "password")},
      {"ask_user_name", flag(!view.email_is_name)},
      {"email_required", flag(view.email_is_name)},
      {"email_is_name", flag(view.email_is_name)},
      {"email_describedby", email_describedby},
      {"username", view.username},
      {"email", view.email},
      {"minimum_length", std::to_string(view.minimum_length)},
      {"csrf_token", view.form_token},
  });
  return in_frame({.title = "Create an account", .main_class = "narrow", .script = "forms.js"},
                  main);
}

std::string Pages::client(const ClientView& view) const {
  const std::string main = client_.render({
      {"user_name", view.user_name},
      {"application_key", view.application_key},
  });
  return in_frame({.title = "Client",
                   .main_class = "wide",
                   .script = "client_page.js",
                   .sdk = true,
                   .tokens = &view.tokens,
                   .current = "client"},
                  main);
}

std::string Pages::chat(const ClientView& view) const {
  const std::string main = chat_.render({
      {"user_name", view.user_name},
      {"application_key", view.application_key},
  });
  return in_frame({.title = "Chat",
                   .main_class = "chat-main",
                   .script = "chat_page.js",
                   .sdk = true,
                   .tokens = &view.tokens,
                   .current = "chat"},
                  main);
}

std::string Pages::session_row(const AccountView& view,
                               const storage::SignInSession& session) const {
  const std::string path = "/users/sessions/" + session.handle.text() + "/end";
  return session_row_.render({
      {"agent", session.agent == "api" ? std::string_view("Program, by name and password")
                                       : std::string_view(session.agent)},
      {"address", place_of(session.address_prefix)},
      {"current", flag(session.handle == view.current->handle)},
      {"ask_password", flag(!view.fresh)},
      {"handle", session.handle.text()},
      {"created", base::format_rfc3339(session.created)},
      {"created_text", readable(session.created)},
      {"last_seen", base::format_rfc3339(session.last_seen)},
      {"last_seen_text", readable(session.last_seen)},
      {"csrf_token", view.tokens.for_path(path)},
  });
}

std::string Pages::account(const AccountView& view) const {
  std::string rows;
  for (const storage::SignInSession& session : view.sessions) rows += session_row(view, session);
  // The form calls them present and new; the refusals speak of "the password".
  std::string_view problem_field;
  const bool wrong_password = view.problem == ErrorCode::kCredentials;
  const std::string end_field = "password-" + std::string(view.refused_end);
  if (wrong_password) {
    problem_field = view.refused_end.empty() ? std::string_view("current_password") : end_field;
  }
  if (view.problem && field_of(*view.problem) == "password") problem_field = "new_password";
  const std::string main = account_.render({
      {"notice", view.notice},
      {"problem", wrong_password ? "The present password is not right." : text_of(view.problem)},
      {"problem_field", problem_field},
      {"current_problem", flag(problem_field == "current_password")},
      {"new_problem", flag(problem_field == "new_password")},
      {"user_name", view.account->user_name},
      {"email", view.account->email ? *view.account->email : std::string_view()},
      {"created", base::format_rfc3339(view.account->created)},
      {"created_text", readable(view.account->created)},
      {"minimum_length", std::to_string(view.minimum_length)},
      {"sessions", rows},
      {"csrf_token", view.tokens.for_path("/users/password")},
      {"everywhere_token", view.tokens.for_path("/users/sign_out_everywhere")},
  });
  return in_frame({.title = "Your account",
                   .main_class = "wide",
                   .script = "forms.js",
                   .tokens = &view.tokens,
                   .current = "account"},
                  main);
}

std::string Pages::message(const MessageView& view) const {
  const std::string main = message_.render({
      {"heading", view.heading},
      {"text", view.text},
      {"link", view.link},
      {"link_text", view.link_text},
      {"request_id", view.request_id},
  });
  return in_frame({.title = view.heading, .main_class = "narrow", .script = "forms.js"}, main);
}

}  // namespace countersign::web
