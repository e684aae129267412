// ClientPages: the two pages in which a signed-in person's client runs: the client page, which
// shows how it was let in, and the chat page. Thread-safety: every call may be made from any shard.
// `call.session` is set.
#ifndef COUNTERSIGN_WEB_CLIENT_PAGES_H_
#define COUNTERSIGN_WEB_CLIENT_PAGES_H_

#include "web/call.h"
#include "web/pages.h"

namespace countersign::web {

class ClientPages {
 public:
  /// Both outlive this.
  ClientPages(const SiteContext& site, const Pages& pages) : site_(site), pages_(pages) {}

  net::Response show_client(const Call& call) const;
  net::Response show_chat(const Call& call) const;

 private:
  ClientView view_of(const Call& call) const;

  const SiteContext& site_;
  const Pages& pages_;
};

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_CLIENT_PAGES_H_
