// gzip with the same bytes on every machine, for a given zlib; and unpacking within a bound.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "docker/archive/byte_stream.h"

namespace pgw::image {

// One member, without a name and a time; the header's OS byte says unknown (255).
Result<std::string> Gzip(std::string_view bytes);

// Unpacks a stream of gzip members. An error after more than `bytes_max` bytes, at a stream that
// is cut off, and at what follows the last member. `source` must outlive it.
class GunzipSource final : public ByteSource {
 public:
  GunzipSource(ByteSource& source, std::uint64_t bytes_max);
  ~GunzipSource() override;
  GunzipSource(const GunzipSource&) = delete;
  GunzipSource& operator=(const GunzipSource&) = delete;

  Result<std::size_t> Read(std::span<char> buffer) override;

 private:
  struct State;
  Result<bool> Refill();  // false at the source's end
  Result<bool> StartMember();

  ByteSource& source_;
  std::uint64_t bytes_left_;
  std::unique_ptr<State> state_;
};

}  // namespace pgw::image
