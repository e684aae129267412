#include "app/dev_certificate.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "app/files.h"
#include "base/secret_bytes.h"

namespace countersign::app {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* thing) const noexcept {
    Free(thing);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Names = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;

constexpr std::chrono::hours kValid{397 * 24};
constexpr std::chrono::hours kRenewBefore{30 * 24};

Key new_key() { return Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")); }

DevCertificate files_under(const std::string& directory) {
  DevCertificate files;
  files.certificate_file = directory + "/dev-certificate.pem";
  files.key_file = directory + "/dev-certificate.key";
  files.authority_file = directory + "/dev-authority.pem";
  return files;
}

bool add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

Certificate new_certificate(EVP_PKEY* key, const char* name, base::SystemTime now) {
  Certificate certificate(X509_new());
  std::array<unsigned char, 16> serial{};
  if (!certificate || RAND_bytes(serial.data(), serial.size()) != 1) return nullptr;
  serial[0] = static_cast<unsigned char>((serial[0] & 0x7f) | 0x40);
  const std::unique_ptr<BIGNUM, Freer<BN_free>> number(
      BN_bin2bn(serial.data(), serial.size(), nullptr));
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  std::time_t from = std::chrono::system_clock::to_time_t(now - std::chrono::hours(1));
  std::time_t to = std::chrono::system_clock::to_time_t(now + kValid);
  const bool made =
      number && X509_set_version(certificate.get(), 2) == 1 &&
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())) != nullptr &&
      X509_time_adj(X509_getm_notBefore(certificate.get()), 0, &from) != nullptr &&
      X509_time_adj(X509_getm_notAfter(certificate.get()), 0, &to) != nullptr &&
      X509_set_pubkey(certificate.get(), key) == 1 &&
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>(name), -1, -1, 0) == 1;
  return made ? std::move(certificate) : nullptr;
}

/// `DNS:localhost,IP:127.0.0.1`, and the same as subtrees of what the authority may vouch for.
std::pair<std::string, std::string> extension_values(std::span<const DevName> names) {
  std::string alternatives;
  std::string constraints = "critical";
  for (const auto& [is_address, text] : names) {
    const std::string kind = is_address ? "IP:" : "DNS:";
    const bool six = text.find(':') != std::string::npos;
    const std::string_view mask = !is_address ? ""
                                  : six       ? "/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
                                              : "/255.255.255.255";
    alternatives.append(alternatives.empty() ? "" : ",").append(kind + text);
    constraints.append(",permitted;").append(kind + text).append(mask);
  }
  return {std::move(alternatives), std::move(constraints)};
}

std::string take_text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

std::string certificate_text(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  return PEM_write_bio_X509(bio.get(), certificate) == 1 ? take_text(bio.get()) : "";
}

std::string fingerprint(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  X509_digest(certificate, EVP_sha256(), digest.data(), &size);
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) text.append({kHex[digest[i] >> 4], kHex[digest[i] & 15]});
  return text;
}

base::SystemTime end_of(const X509* certificate) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) return {};
  return base::SystemTime(std::chrono::seconds(timegm(&parts)));
}

std::vector<DevName> names_of(const X509* certificate) {
  const Names alternatives(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::vector<DevName> names;
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(alternatives.get(), i), &type));
    const unsigned char* data = ASN1_STRING_get0_data(value);
    const auto size = static_cast<std::size_t>(ASN1_STRING_length(value));
    if (type == GEN_DNS) {
      names.push_back({false, std::string(reinterpret_cast<const char*>(data), size)});
    } else if (type == GEN_IPADD && (size == 4 || size == 16)) {
      std::array<char, INET6_ADDRSTRLEN> text{};
      inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text.data(), text.size());
      names.push_back({true, text.data()});
    }
  }
  return names;
}

Certificate read_certificate(BIO* bio) {
  return Certificate(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
}

}  // namespace

std::optional<DevCertificate> find_dev_certificate(const std::string& directory,
                                                   std::span<const DevName> names,
                                                   base::SystemTime now) {
  DevCertificate found = files_under(directory);
  const auto chain = read_small_file(found.certificate_file);
  const auto authority_text = read_small_file(found.authority_file);
  auto key_text = read_small_file(found.key_file);
  if (!chain || !authority_text || !key_text) return std::nullopt;
  const auto bio = [](const std::string& text) {
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  };
  const Certificate leaf = read_certificate(bio(*chain).get());
  const Certificate authority = read_certificate(bio(*authority_text).get());
  const Key key(PEM_read_bio_PrivateKey(bio(*key_text).get(), nullptr, nullptr, nullptr));
  base::wipe(*key_text);
  if (!leaf || !authority || !key || X509_check_private_key(leaf.get(), key.get()) != 1 ||
      X509_verify(leaf.get(), X509_get0_pubkey(authority.get())) != 1) {
    return std::nullopt;
  }
  found.names = names_of(leaf.get());
  found.expires_at = end_of(leaf.get());
  found.authority_sha256 = fingerprint(authority.get());
  const bool for_all = std::ranges::all_of(names, [&found](const DevName& name) {
    return std::ranges::find(found.names, name) != found.names.end();
  });
  if (!for_all || found.expires_at < now + kRenewBefore) return std::nullopt;
  return found;
}

Result<DevCertificate> make_dev_certificate(const std::string& directory,
                                            std::span<const DevName> names, base::SystemTime now) {
  const auto broken = fail(ErrorCode::kInternal, "OpenSSL could not make the certificate");
  const Key authority_key = new_key();
  const Key key = new_key();
  if (!authority_key || !key) return broken;
  const Certificate authority =
      new_certificate(authority_key.get(), "Countersign development authority", now);
  const Certificate leaf = new_certificate(key.get(), "localhost", now);
  if (!authority || !leaf) return broken;

  const auto [alternatives, constraints] = extension_values(names);
  X509_NAME* issuer = X509_get_subject_name(authority.get());
  X509* a = authority.get();
  X509* l = leaf.get();
  const bool built = X509_set_issuer_name(a, issuer) == 1 && X509_set_issuer_name(l, issuer) == 1 &&
                     add_extension(a, a, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                     add_extension(a, a, NID_key_usage, "critical,keyCertSign") &&
                     add_extension(a, a, NID_subject_key_identifier, "hash") &&
                     add_extension(a, a, NID_name_constraints, constraints) &&
                     add_extension(l, a, NID_basic_constraints, "critical,CA:FALSE") &&
                     add_extension(l, a, NID_key_usage, "critical,digitalSignature") &&
                     add_extension(l, a, NID_ext_key_usage, "serverAuth") &&
                     add_extension(l, a, NID_authority_key_identifier, "keyid") &&
                     add_extension(l, a, NID_subject_alt_name, alternatives) &&
                     X509_sign(a, authority_key.get(), EVP_sha256()) > 0 &&
                     X509_sign(l, authority_key.get(), EVP_sha256()) > 0;
  if (!built) return broken;

  const Bio key_bio(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PrivateKey(key_bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
      1) {
    return broken;
  }
  DevCertificate files = files_under(directory);
  std::string key_text = take_text(key_bio.get());
  const auto key_written = write_private_file(files.key_file, key_text);
  base::wipe(key_text);
  if (!key_written) return key_written.failure();
  // A death in between leaves files that do not belong together: they are made anew next time.
  for (const auto& [path, text] :
       {std::pair{files.authority_file, certificate_text(a)},
        std::pair{files.certificate_file, certificate_text(l) + certificate_text(a)}}) {
    if (auto written = write_private_file(path, text); !written) return written.failure();
  }
  files.names.assign(names.begin(), names.end());
  files.expires_at = end_of(l);
  files.authority_sha256 = fingerprint(a);
  files.made = true;
  return files;
}

}  // namespace countersign::app
