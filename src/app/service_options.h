// The options of the running service's rooms, as the settings give them. core.h has those that
// commands need too.
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_APP_SERVICE_OPTIONS_H_
#define COUNTERSIGN_APP_SERVICE_OPTIONS_H_

#include <string>
#include <string_view>

#include "countersign/result.h"

#include "accounts/answer_floor.h"
#include "accounts/password_pool.h"
#include "app/store_clock.h"
#include "base/log.h"
#include "config/settings.h"
#include "gateway/gateway.h"
#include "issuing/issuer.h"
#include "net/server.h"
#include "sessions/session_service.h"
#include "web/gateway_door.h"

namespace countersign::app {

base::LogLevel log_level(const config::Settings& s);
accounts::AnswerFloorOptions floor_options(const config::Settings& s);
accounts::PasswordPoolOptions pool_options(const config::Settings& s);
sessions::SessionOptions session_options(const config::Settings& s);
/// @param key  of the default application.
issuing::IssuerOptions issuer_options(const config::Settings& s, const std::string& key);
/// @param machine  the machine's own clock; outlives what is made with the options.
gateway::GatewayOptions gateway_options(const config::Settings& s, const StoreClock& store_clock);
gateway::MessagingOptions messaging_options(const config::Settings& s,
                                            const StoreClock& store_clock);
web::GatewayDoorOptions door_options(const config::Settings& s);
/// Of a listener at `listen`, which is what the setting `key` says. kBadSetting.
Result<net::ServerOptions> server_options(const config::Settings& s, std::string_view key,
                                          const std::string& listen);

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_SERVICE_OPTIONS_H_
