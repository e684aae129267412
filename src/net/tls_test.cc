// TLS: certificates good and bad, reload, what is spoken and what is refused.
#include <cstring>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "net/net_test_support.h"
#include "net/tls_context.h"

namespace countersign::net {
namespace {

using testing::HasSubstr;

/// A directory with `cert.pem` and `key.pem`, self-signed for a name.
class Certificate {
 public:
  explicit Certificate(const std::string& name) {
    std::string pattern = (std::filesystem::temp_directory_path() / "net-tls-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    write(name);
  }
  ~Certificate() { std::filesystem::remove_all(directory_); }

  std::string file() const { return (directory_ / "cert.pem").string(); }
  std::string key() const { return (directory_ / "key.pem").string(); }
  void write(const std::string& name) const {
    char curve[] = "P-256";  // the macro wants it mutable
    EVP_PKEY* const pair = EVP_EC_gen(curve);
    X509* const x509 = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    X509_set_pubkey(x509, pair);
    X509_sign(x509, pair, EVP_sha256());
    std::FILE* out = std::fopen(file().c_str(), "w");
    PEM_write_X509(out, x509);
    std::fclose(out);
    out = std::fopen(key().c_str(), "w");
    PEM_write_PrivateKey(out, pair, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
    X509_free(x509);
    EVP_PKEY_free(pair);
  }

 private:
  std::filesystem::path directory_;
};

class TlsClient final : public RawClient {
 public:
  explicit TlsClient(std::uint16_t port, int max_version = 0, const char* protocol = "http/1.1")
      : RawClient(port) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    if (max_version != 0) {
      SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
      SSL_CTX_set_max_proto_version(context_.get(), max_version);
      SSL_CTX_set_cipher_list(context_.get(), "ALL:@SECLEVEL=0");
    }
    ssl_.reset(SSL_new(context_.get()));
    std::string offer(1, static_cast<char>(std::strlen(protocol)));
    offer += protocol;
    SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(offer.data()),
                        static_cast<unsigned>(offer.size()));
    SSL_set_fd(ssl_.get(), fd());
    shaken_ = SSL_connect(ssl_.get()) == 1;
    ERR_clear_error();
  }

  bool shaken() const { return shaken_; }
  std::string version() const { return SSL_get_version(ssl_.get()); }
  std::string protocol() const {
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &chosen, &size);
    return std::string(reinterpret_cast<const char*>(chosen), size);
  }
  /// The common name in the server's certificate.
  std::string server_name() const {
    X509* const x509 = SSL_get1_peer_certificate(ssl_.get());
    char name[100] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, name, sizeof name);
    X509_free(x509);
    return name;
  }

  bool send(std::string_view bytes) override {
    std::size_t sent = 0;
    return SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent) == 1;
  }
  std::string receive() override {
    std::string bytes(64 * 1024, '\0');
    std::size_t got = 0;
    if (SSL_read_ex(ssl_.get(), bytes.data(), bytes.size(), &got) != 1) got = 0;
    ERR_clear_error();
    bytes.resize(got);
    return bytes;
  }

 private:
  std::unique_ptr<SSL_CTX, SslDeleter> context_;
  SslPtr ssl_;
  bool shaken_ = false;
};

ServerOptions tls_options(const Certificate& certificate) {
  ServerOptions options = quick_options();
  options.limits = ServerLimits();
  options.certificate_file = certificate.file();
  options.key_file = certificate.key();
  return options;
}

TEST(Tls, ServesHttpAndWebSockets) {
  const Certificate certificate("first.test");
  TestServer server(tls_options(certificate));
  EXPECT_TRUE(server.server->tls());
  TlsClient client(server.port());
  ASSERT_TRUE(client.shaken());
  EXPECT_EQ(client.version(), "TLSv1.3");
  EXPECT_EQ(client.protocol(), "http/1.1");
  EXPECT_THAT(client.get("/echo").body, HasSubstr("\nsecure\n"));
  EXPECT_EQ(client.get("/large").body, std::string(300'000, 'L'));
  EXPECT_EQ(client.upgrade("/ws").status, 101);
  const std::string text(60'000, 't');
  for (int i = 0; i < 3; ++i) client.send_frame(Opcode::kText, text);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.read_frame()->payload, text);
  client.send_frame(Opcode::kText, "close:4503");
  EXPECT_EQ(client.read_frame()->code(), 4503);
}

TEST(Tls, RefusesUploadsUnreadHereToo) {
  const Certificate certificate("first.test");
  TestServer server(tls_options(certificate));
  TlsClient client(server.port());
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10485760\r\n\r\n");
  client.send(std::string(1024 * 1024, 'x'));
  EXPECT_EQ(client.read_response().status, 413);
}

TEST(Tls, SpeaksNothingOlderThan12AndNothingButHttp11) {
  const Certificate certificate("first.test");
  TestServer server(tls_options(certificate));
  TlsClient current(server.port(), TLS1_2_VERSION);
  ASSERT_TRUE(current.shaken());
  EXPECT_EQ(current.get("/echo").status, 200);
  EXPECT_FALSE(TlsClient(server.port(), TLS1_1_VERSION).shaken());
  EXPECT_FALSE(TlsClient(server.port(), 0, "h2").shaken());
}

TEST(Tls, TellsAPlainHttpClientThatItIsAtTheWrongPort) {
  const Certificate certificate("first.test");
  TestServer server(tls_options(certificate));
  auto client = server.connect();
  EXPECT_EQ(client.get("/echo").status, 400);
  client.finish_sending();
  EXPECT_TRUE(client.ended());
  EXPECT_THAT(server.metrics.expose(), HasSubstr("countersign_net_tls_failures_total 1"));
}

TEST(Tls, EndsHandshakesThatGoNowhere) {
  const Certificate certificate("first.test");
  auto options = tls_options(certificate);
  options.limits.handshake_timeout = std::chrono::milliseconds(200);
  TestServer server(options);
  auto silent = server.connect();
  auto garbage = server.connect();
  garbage.send("\x01\x02\x03 this is no TLS record");
  EXPECT_TRUE(silent.ended());
  garbage.read_to_end();  // an alert, perhaps
  EXPECT_TRUE(server.wait_for_connections(0));
}

TEST(Tls, GivesNewConnectionsTheReloadedCertificateAndLeavesOldOnesAlone) {
  const Certificate certificate("first.test");
  TestServer server(tls_options(certificate));
  TlsClient old(server.port());
  EXPECT_EQ(old.server_name(), "first.test");
  certificate.write("second.test");
  ASSERT_TRUE(server.server->reload_certificate().ok());
  EXPECT_EQ(TlsClient(server.port()).server_name(), "second.test");
  EXPECT_EQ(old.get("/echo").status, 200);
}

TEST(Tls, KeepsTheOldCertificateWhenTheNewOneIsBad) {
  const Certificate certificate("first.test");
  TestServer server(tls_options(certificate));
  std::ofstream(certificate.file()) << "no certificate\n";
  const auto reloaded = server.server->reload_certificate();
  ASSERT_FALSE(reloaded.ok());
  EXPECT_EQ(reloaded.code(), ErrorCode::kBadCertificate);
  EXPECT_EQ(TlsClient(server.port()).server_name(), "first.test");
}

TEST(Tls, NamesTheFileThatIsWrong) {
  const Certificate certificate("first.test");
  const Certificate other("other.test");
  const auto mixed = TlsContext::load(certificate.file(), other.key());
  ASSERT_FALSE(mixed.ok());
  EXPECT_EQ(mixed.code(), ErrorCode::kBadCertificate);
  EXPECT_THAT(mixed.error().detail, HasSubstr(other.key()));

  const auto absent = TlsContext::load(certificate.file() + ".absent", certificate.key());
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.code(), ErrorCode::kUnreadableFile);
  EXPECT_THAT(absent.error().detail, HasSubstr(".absent"));

  const auto swapped = TlsContext::load(certificate.key(), certificate.file());
  EXPECT_EQ(swapped.code(), ErrorCode::kBadCertificate);
}

TEST(Tls, WantsCertificateAndKeyTogether) {
  const Certificate certificate("first.test");
  ServerOptions options = tls_options(certificate);
  options.key_file.reset();
  base::SystemClock clock;
  base::SystemRandom random;
  base::Metrics metrics;
  TestHandler handler;
  const auto server = Server::create(options, handler, nullptr, clock, random, metrics);
  const auto started = server->start();
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.code(), ErrorCode::kBadSetting);
}

}  // namespace
}  // namespace countersign::net
