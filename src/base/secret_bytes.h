// SecretBytes: bytes that must not linger: wiped when they go, never printed, copied only by name.
// Thread-safety: a value type.
#ifndef COUNTERSIGN_BASE_SECRET_BYTES_H_
#define COUNTERSIGN_BASE_SECRET_BYTES_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace countersign::base {

/// Overwrites the text's bytes (its whole capacity) and empties it.
void wipe(std::string& text) noexcept;

class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::span<const std::uint8_t> bytes);
  explicit SecretBytes(std::string_view text);
  SecretBytes(SecretBytes&&) noexcept = default;
  SecretBytes& operator=(SecretBytes&&) noexcept = default;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() = default;

  std::span<const std::uint8_t> bytes() const { return {data_.get(), size_}; }
  std::string_view view() const { return {reinterpret_cast<const char*>(data_.get()), size_}; }
  bool empty() const { return size_ == 0; }
  SecretBytes clone() const { return SecretBytes(bytes()); }

 private:
  struct Wipe {
    Wipe() noexcept : size(0) {}
    explicit Wipe(std::size_t size_) noexcept : size(size_) {}
    void operator()(std::uint8_t* data) const noexcept;
    std::size_t size;
  };
  std::unique_ptr<std::uint8_t[], Wipe> data_;
  std::size_t size_ = 0;
};

}  // namespace countersign::base

#endif  // COUNTERSIGN_BASE_SECRET_BYTES_H_
