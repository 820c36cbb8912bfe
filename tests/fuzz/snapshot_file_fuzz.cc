// Snapshots of arbitrary bytes under right checksums. The first byte: 1 = checksums are set right.
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/fuzz/persistence_files.h"

namespace {

using namespace pgw::persistence;  // NOLINT: a program of one file
using pgw::testing::FaultFileSystem;
using pgw::testing::PlacedChecksum;

// The padded bytes at `offset`, as far as they are there.
std::string_view Padded(std::string_view bytes, std::size_t offset, std::uint32_t length) {
  return offset < bytes.size() ? bytes.substr(offset, Aligned(length)) : std::string_view();
}

void Seal(std::string& bytes) {
  if (bytes.size() < kSnapshotHeaderBytes) return;
  const ChecksumSeeds seeds(pgw::testing::IdAt(bytes, 16));
  const std::uint32_t meta = Load32(bytes.data() + 56);
  Store32(bytes.data() + 60, ExtendCrc32c(seeds.body, Padded(bytes, kSnapshotHeaderBytes, meta)));
  pgw::testing::SealFileHeader(kSnapshotMagic, bytes);
  std::uint64_t at = kSnapshotHeaderBytes + Aligned(meta);
  while (at + kBlockHeaderBytes <= bytes.size()) {
    char* const block = bytes.data() + at;
    const std::string_view view = bytes;
    if (block[0] == 'P' && block[3] == 'E' && at + kSnapshotFooterBytes <= bytes.size()) {
      bytes.replace(at, 4, "PGWE");
      Store64(bytes.data() + at + 16, at + kSnapshotFooterBytes);
      bytes.replace(at + 24, 40, bytes, 16, 40);  // identity, store, LSN
      Store32(bytes.data() + at + 4,
              Crc32c(std::string_view(bytes).substr(at + 8, kSnapshotFooterBytes - 8)));
      return;
    }
    bytes.replace(at, 4, "PGWB");
    const std::uint32_t length = Load32(block + 12);
    Store32(block + 8, ExtendCrc32c(seeds.body, Padded(view, at + kBlockHeaderBytes, length)));
    Store32(block + 4, PlacedChecksum(seeds.header, at, view.substr(at + 8, 16)));
    at += kBlockHeaderBytes + Aligned(length);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string snapshot(reinterpret_cast<const char*>(data + 1), size - 1);
  if ((data[0] & 1) != 0) Seal(snapshot);
  FaultFileSystem files(pgw::testing::kFolder);
  files.Put(pgw::testing::kPath, snapshot);
  pgw::testing::ReadInEveryWay(files);
  return 0;
}
