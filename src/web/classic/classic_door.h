// ClassicDoor: stands before the site and answers what the classic SDK asks; everything else it
// hands on.
//
// Every answer on the SDK's addresses is a JSON object that any origin may read, also when the
// request was refused before anybody looked at its path. The access log names routes: keys travel
// in this door's paths.
// Thread-safety: every call may be made from any shard.
// Source: docs/reference/classic-door.md.
#ifndef COUNTERSIGN_WEB_CLASSIC_CLASSIC_DOOR_H_
#define COUNTERSIGN_WEB_CLASSIC_CLASSIC_DOOR_H_

#include <string_view>

#include "base/clock.h"
#include "net/http_handler.h"
#include "web/classic/classic_plane.h"
#include "web/classic/classic_rest.h"

namespace countersign::web::classic {

class ClassicDoor final : public net::HttpHandler {
 public:
  /// @param inner  answers what is not for this door. All that is referred to outlives it.
  ClassicDoor(net::HttpHandler& inner, ClassicRestParts rest, ClassicPlaneOptions plane);

  std::size_t body_limit(std::string_view method, std::string_view path) const override;
  net::Awaitable<net::Response> handle(net::Request& request, net::Shard& shard) override;
  net::Response refuse(ErrorCode code) const override;
  net::Response refuse_request(ErrorCode code, const net::Request& head) const override;

 private:
  net::Awaitable<net::Response> answer_rest(net::Request& request, net::Shard& shard);
  net::Response answer_plane(const net::Request& request, net::Shard& shard) const;
  void note(const net::Request& request, std::string_view route, int status, base::SteadyTime began,
            bool quiet) const;

  net::HttpHandler& inner_;
  const SiteContext& site_;
  ClassicRest rest_;
  const ClassicPlane plane_;
};

}  // namespace countersign::web::classic

#endif  // COUNTERSIGN_WEB_CLASSIC_CLASSIC_DOOR_H_
