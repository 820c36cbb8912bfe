// Journals of arbitrary bytes under right checksums. The first byte: 1 = checksums are set right,
// 2 = there is an old journal; then the next two bytes tell its size.
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/fuzz/persistence_files.h"

namespace {

using namespace pgw::persistence;  // NOLINT: a program of one file
using pgw::testing::FaultFileSystem;
using pgw::testing::PlacedChecksum;

void Seal(std::string& bytes) {
  if (bytes.size() < kJournalHeaderBytes) return;
  pgw::testing::SealFileHeader(kJournalMagic, bytes);
  const ChecksumSeeds seeds(pgw::testing::IdAt(bytes, 16));
  for (std::size_t at = kJournalHeaderBytes; at + kFrameHeaderBytes <= bytes.size();) {
    char* const frame = bytes.data() + at;
    const std::string_view view = bytes;
    // A gap, to be got over.
    if (frame[0] == 'x') {
      at += kAlignment;
      continue;
    }
    Store32(frame, kFrameMarker);
    const std::uint64_t body = Aligned(Load32(frame + 12));
    Store32(frame + 8, ExtendCrc32c(seeds.body, view.substr(at + kFrameHeaderBytes, body)));
    Store32(frame + 4, PlacedChecksum(seeds.header, at, view.substr(at + 8, 32)));
    at += kFrameHeaderBytes + (body < bytes.size() ? body : bytes.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const bool sealed = (data[0] & 1) != 0;
  const bool has_old = (data[0] & 2) != 0;
  std::string journal(reinterpret_cast<const char*>(data + 3), size - 3);
  FaultFileSystem files(pgw::testing::kFolder);
  if (has_old) {
    std::string old = journal.substr(0, data[1] + 256U * data[2]);
    journal.erase(0, old.size());
    if (sealed) Seal(old);
    // They belong together, or nothing further would be tried.
    if (sealed && old.size() >= 64 && journal.size() >= 64) journal.replace(32, 16, old, 32, 16);
    files.Put(pgw::testing::kPath + ".journal.old", old);
  }
  if (sealed) Seal(journal);
  files.Put(pgw::testing::kPath + ".journal", journal);
  pgw::testing::ReadInEveryWay(files);
  return 0;
}
