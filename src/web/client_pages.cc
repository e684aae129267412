#include "web/client_pages.h"

#include "web/answers.h"

namespace countersign::web {

ClientView ClientPages::view_of(const Call& call) const {
  const storage::Account& account = call.session->account;
  const issuing::IssuerOptions& issuing = site_.issuer.options();
  const Result<Identity> identity = issuing::identity_of(account, issuing.identity);
  ClientView view;
  view.user_name = identity.ok() ? identity->endpoint : account.user_name;
  view.application_key = issuing.application_key;
  view.tokens.session_cookie = call.session_cookie;
  return view;
}

net::Response ClientPages::show_client(const Call& call) const {
  return html(200, pages_.client(view_of(call)));
}

net::Response ClientPages::show_chat(const Call& call) const {
  return html(200, pages_.chat(view_of(call)));
}

}  // namespace countersign::web
