// Refusals: an error as a page where a person would see it, as problem JSON everywhere else.
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_WEB_REFUSAL_H_
#define COUNTERSIGN_WEB_REFUSAL_H_

#include "countersign/codes.h"

#include "net/http_message.h"
#include "web/pages.h"
#include "web/routes.h"

namespace countersign::web {

/// True if a person reads the answer: the route is a page's (or none at all), and the browser asked
/// for HTML or posted a form. Endpoints for programs answer JSON whatever they are asked for.
bool reads_pages(const net::Request& request, const Route* route);

/// The answer for `code`. `route` may be null.
net::Response refusal(const Pages& pages, const net::Request& request, const Route* route,
                      ErrorCode code);

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_REFUSAL_H_
