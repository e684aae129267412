#include "base/secret_bytes.h"

#include <algorithm>
#include <string>

#include <sodium.h>

namespace countersign::base {

void wipe(std::string& text) noexcept {
  sodium_memzero(text.data(), text.capacity());
  text.clear();
}

SecretBytes::SecretBytes(std::span<const std::uint8_t> bytes)
    : data_(new std::uint8_t[bytes.size()], Wipe{bytes.size()}), size_(bytes.size()) {
  std::copy(bytes.begin(), bytes.end(), data_.get());
}

SecretBytes::SecretBytes(std::string_view text)
    : SecretBytes(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size())) {}

void SecretBytes::Wipe::operator()(std::uint8_t* data) const noexcept {
  sodium_memzero(data, size);
  delete[] data;
}

}  // namespace countersign::base
