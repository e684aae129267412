#include "web/refusal.h"

#include <utility>

#include "web/answers.h"

namespace countersign::web {
namespace {

std::string_view heading_of(int status) {
  switch (status) {
    case 403:
      return "Not allowed";
    case 404:
      return "Not found";
    case 429:
    case 503:
      return "Busy";
    case 500:
      return "Something went wrong";
    default:
      return "That did not work";
  }
}

}  // namespace

bool reads_pages(const net::Request& request, const Route* route) {
  const bool for_programs =
      route != nullptr && (route->access == Access::kCredential || route->cors != Cors::kNone);
  return !for_programs && wants_html(request);
}

net::Response refusal(const Pages& pages, const net::Request& request, const Route* route,
                      ErrorCode code) {
  net::Response plain = problem(code, request.id);
  if (!reads_pages(request, route)) return plain;
  net::Response page = html(plain.status, pages.message({
                                              .heading = std::string(heading_of(plain.status)),
                                              .text = std::string(error_text(wire_code(code))),
                                              .link = "/",
                                              .link_text = "To the start page",
                                              .request_id = request.id,
                                          }));
  for (auto& header : plain.headers) {
    if (header.first != "Content-Type") page.headers.push_back(std::move(header));
  }
  return page;
}

}  // namespace countersign::web
