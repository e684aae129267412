#include "app/master_key.h"

#include "app/files.h"
#include "base/encoding.h"

namespace countersign::app {
namespace {

constexpr std::size_t kKeyBytes = 32;

std::string key_id(std::span<const std::uint8_t> key) {
  const auto digest = base::hmac_sha256(key, "countersign/master-key-id/1");
  return base::base64url_encode(std::span(digest).first(12));
}

}  // namespace

Result<MasterKey> load_master_key(const std::string& path, storage::MetaStore& meta,
                                  base::Random& random) {
  const auto known = meta.get(kMasterKeyIdName);
  if (!known) return known.failure();
  if (!file_exists(path)) {
    if (*known) {
      return fail(ErrorCode::kUnreadableFile,
                  path +
                      ": the master key is missing, and the store was made with one; put it "
                      "back from its copy, or copy it from another node");
    }
    std::vector<std::uint8_t> fresh(kKeyBytes);
    random.fill(fresh);
    std::string text = base::base64url_encode(fresh);
    auto written = write_private_file(path, text + "\n");
    base::wipe(text);
    if (!written) return written.failure();
  }
  auto text = read_small_file(path);
  if (!text) return text.failure();
  const auto bytes = base::base64url_decode(*text);
  base::wipe(*text);
  if (!bytes || bytes->size() != kKeyBytes) {
    return fail(ErrorCode::kUnreadableFile,
                "master_key_file " + path + ": does not hold 32 bytes in base64url");
  }
  MasterKey key{key_id(*bytes), base::SecretBytes(std::span<const std::uint8_t>(*bytes))};
  const auto standing = meta.set_if_absent(kMasterKeyIdName, key.id);
  if (!standing) return standing.failure();
  if (*standing != key.id) {
    return fail(ErrorCode::kMasterKeyMismatch, "master_key_file " + path + " holds the key " +
                                                   key.id + ", the store was made with " +
                                                   *standing);
  }
  return key;
}

}  // namespace countersign::app
