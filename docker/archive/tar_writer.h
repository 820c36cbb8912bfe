// Writes a tar archive, exact to the byte: the same calls give the same bytes, everywhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "docker/archive/byte_stream.h"
#include "docker/archive/tar_entry.h"

namespace pgw::image {

// Takes entries in the order in which they shall stand. After an error it must not be used.
// Not thread-safe.
class TarWriter {
 public:
  // `sink` must outlive the writer.
  explicit TarWriter(ByteSink& sink) : sink_(sink) {}

  // An entry with its content; `entry.size` is set from it. The path must be greater than the one
  // before (kInvalidArgument): sorted archives are what makes two builds equal.
  Status Add(TarEntry entry, std::string_view content);
  // Two blocks of zeros. Nothing may follow. No further padding: 20 blocks to a record made sense
  // on tape.
  Status Finish();

 private:
  ByteSink& sink_;
  std::string last_path_;
};

}  // namespace pgw::image
