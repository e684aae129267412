#include "ticket/mac_key.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "ticket/base64.h"

namespace countersign {
namespace {

std::string base64_of(const Mac& mac) {
  return base64::encode(base64::Variant::kStandard,
                        {reinterpret_cast<const char*>(mac.data()), mac.size()});
}

TEST(MacKey, GivesTheValuesOfRfc4231) {
  const std::string key(20, '\x0b');
  EXPECT_EQ(base64_of(MacKey(as_bytes_of(key)).sign("Hi There")),
            "sDRMYdjbOFNcqK/OrwvxK4gdwgDJgz2nJuk3bC4yz/c=");
  // A key longer than a block is hashed first (test case 6).
  const std::string long_key(131, '\xaa');
  EXPECT_EQ(base64_of(MacKey(as_bytes_of(long_key))
                          .sign("Test Using Larger Than Block-Size Key - Hash Key First")),
            "YOQxWR7gtn8Niiaqy/W3f44LxiE3KMUUBUYEDw7jf1Q=");
}

TEST(MacKey, AgreesWithOpenSslForAnyKeyAndMessage) {
  EXPECT_TRUE(rc::check([](const std::string& key, const std::string& message) {
    RC_ASSERT(MacKey(as_bytes_of(key)).sign(message) ==
              reference_hmac(as_bytes_of(key), as_bytes_of(message)));
  }));
}

TEST(MacKey, AgreesWithOpenSslAroundEveryBlockBoundary) {
  for (std::size_t key_size : {0U, 1U, 16U, 63U, 64U, 65U, 200U}) {
    const std::string key(key_size, 'k');
    const MacKey kept(as_bytes_of(key));
    for (std::size_t size = 0; size < 300; ++size) {
      const std::string message(size, 'm');
      ASSERT_EQ(kept.sign(message), reference_hmac(as_bytes_of(key), as_bytes_of(message)))
          << key_size << ' ' << size;
    }
  }
}

TEST(EqualMacs, TellsEverySingleBitApart) {
  const Mac mac = MacKey(as_bytes_of("key")).sign("message");
  EXPECT_TRUE(equal_macs(mac, mac));
  for (std::size_t bit = 0; bit < 256; ++bit) {
    Mac other = mac;
    other[bit / 8] ^= std::byte{static_cast<unsigned char>(1U << bit % 8)};
    EXPECT_FALSE(equal_macs(mac, other)) << bit;
  }
  EXPECT_FALSE(equal_macs(mac, std::span{mac}.first(31)));
}

}  // namespace
}  // namespace countersign
