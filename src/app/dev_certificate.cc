#include "app/dev_certificate.h"

#include <array>
#include <memory>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "app/files.h"

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

Key new_key() { return Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")); }

constexpr long kSecondsValid = 397L * 24 * 3600;

bool add_extension(X509* certificate, X509* issuer, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

Certificate new_certificate(EVP_PKEY* key, const char* name) {
  Certificate certificate(X509_new());
  std::array<unsigned char, 16> serial{};
  if (!certificate || RAND_bytes(serial.data(), serial.size()) != 1) return nullptr;
  serial[0] = static_cast<unsigned char>((serial[0] & 0x7f) | 0x40);
  const std::unique_ptr<BIGNUM, Freer<BN_free>> number(
      BN_bin2bn(serial.data(), serial.size(), nullptr));
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const bool made =
      number && X509_set_version(certificate.get(), 2) == 1 &&
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())) != nullptr &&
      X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kSecondsValid) != nullptr &&
      X509_set_pubkey(certificate.get(), key) == 1 &&
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>(name), -1, -1, 0) == 1;
  return made ? std::move(certificate) : nullptr;
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

}  // namespace

Result<DevCertificate> make_dev_certificate(const std::string& directory) {
  const auto broken = fail(ErrorCode::kInternal, "OpenSSL could not make the certificate");
  const Key authority_key = new_key();
  const Key key = new_key();
  if (!authority_key || !key) return broken;
  const Certificate authority =
      new_certificate(authority_key.get(), "Countersign development authority");
  const Certificate leaf = new_certificate(key.get(), "localhost");
  if (!authority || !leaf) return broken;

  X509_NAME* issuer = X509_get_subject_name(authority.get());
  X509* a = authority.get();
  X509* l = leaf.get();
  const bool built =
      X509_set_issuer_name(a, issuer) == 1 && X509_set_issuer_name(l, issuer) == 1 &&
      add_extension(a, a, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      add_extension(a, a, NID_key_usage, "critical,keyCertSign") &&
      add_extension(a, a, NID_subject_key_identifier, "hash") &&
      add_extension(a, a, NID_name_constraints,
                    "critical,permitted;DNS:localhost,permitted;IP:127.0.0.1/255.255.255.255,"
                    "permitted;IP:::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") &&
      add_extension(l, a, NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(l, a, NID_key_usage, "critical,digitalSignature") &&
      add_extension(l, a, NID_ext_key_usage, "serverAuth") &&
      add_extension(l, a, NID_authority_key_identifier, "keyid") &&
      add_extension(l, a, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") &&
      X509_sign(a, authority_key.get(), EVP_sha256()) > 0 &&
      X509_sign(l, authority_key.get(), EVP_sha256()) > 0;
  if (!built) return broken;

  const Bio key_bio(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PrivateKey(key_bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
      1) {
    return broken;
  }
  DevCertificate files{directory + "/dev-certificate.pem", directory + "/dev-certificate.key",
                       directory + "/dev-authority.pem"};
  for (const auto& [path, text] :
       {std::pair{files.key_file, take_text(key_bio.get())},
        std::pair{files.authority_file, certificate_text(a)},
        std::pair{files.certificate_file, certificate_text(l) + certificate_text(a)}}) {
    if (auto written = write_private_file(path, text); !written) return written.failure();
  }
  return files;
}

}  // namespace countersign::app
