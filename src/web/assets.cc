#include "web/assets.h"

#include <cstdio>
#include <cstdlib>
#include <span>

#include "base/encoding.h"

namespace countersign::web {
namespace {

constexpr std::size_t kHashBytes = 8;  // shown as 16 hexadecimal digits

std::string_view content_type_of(std::string_view name) {
  if (name.ends_with(".js") || name.ends_with(".mjs")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  return "image/svg+xml";
}

Asset make_asset(std::string_view name, bool hashed_name) {
  Asset asset;
  asset.name = name;
  asset.content = embedded_file(name);
  asset.content_type = content_type_of(name);
  const base::Sha256 digest = base::sha256(asset.content);
  const std::string hash =
      base::hex_encode(std::span<const std::uint8_t>(digest).first(kHashBytes));
  asset.etag = '"' + hash + '"';
  if (hashed_name) {
    const std::size_t dot = name.rfind('.');
    asset.path = "/assets/" + std::string(name.substr(0, dot)) + '-' + hash;
    asset.path += name.substr(dot);
  } else {
    asset.path = "/sdk/" + std::string(name);
  }
  return asset;
}

}  // namespace

Assets::Assets() {
  for (const std::string_view name :
       {"style.css", "logo.svg", "client_page.js", "chat_page.js", "forms.js"}) {
    assets_.push_back(make_asset(name, true));
  }
  for (const std::string_view name : {"countersign.js", "countersign.mjs"}) {
    assets_.push_back(make_asset(name, false));
  }
}

const Asset* Assets::find(std::string_view path) const {
  for (const Asset& asset : assets_) {
    if (asset.path == path) return &asset;
  }
  return nullptr;
}

const std::string& Assets::path_of(std::string_view name) const {
  for (const Asset& asset : assets_) {
    if (asset.name == name) return asset.path;
  }
  std::fprintf(stderr, "no embedded asset %.*s\n", static_cast<int>(name.size()), name.data());
  std::abort();
}

}  // namespace countersign::web
