// The files of an OCI layout or an image archive, wherever they lie. Knows tar and files.
//
// An archive is read through once to find its entries; blobs stay where they are.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "docker/archive/tar_reader.h"
#include "docker/file.h"

namespace pgw::image {

// Bytes that can be read at any place. Immutable; outlives what it opens.
class RandomAccess {
 public:
  virtual ~RandomAccess() = default;
  virtual std::unique_ptr<ByteSource> OpenRange(std::uint64_t offset, std::uint64_t size) const = 0;
  virtual std::uint64_t size() const = 0;
};

// Views bytes that must outlive it.
class MemoryBytes final : public RandomAccess {
 public:
  explicit MemoryBytes(std::string_view bytes) : bytes_(bytes) {}
  std::unique_ptr<ByteSource> OpenRange(std::uint64_t offset, std::uint64_t size) const override;
  std::uint64_t size() const override { return bytes_.size(); }

 private:
  std::string_view bytes_;
};

// What an archive says around its files' contents.
struct ArchiveFacts {
  std::vector<TarMember> members;  // in their order
  bool canonical_end = false;      // two blocks of zeros, zeros as padding
};

// Immutable after it was opened; outlives what it opens.
class LayoutStore {
 public:
  virtual ~LayoutStore() = default;

  // Sizes of regular files by path: index.json, blobs/sha256/…
  const std::map<std::string, std::uint64_t>& files() const { return files_; }
  // kInvalidArgument where there is no such file.
  virtual Result<std::unique_ptr<ByteSource>> Open(const std::string& path) const = 0;
  // Of archives, else null.
  virtual const ArchiveFacts* archive() const { return nullptr; }
  // The whole file, up to a bound.
  Result<std::string> Read(const std::string& path, std::size_t bytes_max) const;

 protected:
  std::map<std::string, std::uint64_t> files_;
};

// A layout folder or an uncompressed archive, of 64 GiB at most.
Result<std::unique_ptr<LayoutStore>> OpenLayout(const std::string& path);
// An archive. A path that is there twice is an error: readers disagree on which one counts.
Result<std::unique_ptr<LayoutStore>> OpenArchive(std::unique_ptr<RandomAccess> bytes);

}  // namespace pgw::image
