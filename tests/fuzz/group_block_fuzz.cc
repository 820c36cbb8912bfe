// Meta data and a block of a snapshot, of arbitrary bytes. The first byte is how many bytes of
// meta data follow; 0: none, as after a repair.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/replayed_store.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data + 1), size - 1);
  pgw::MetricStore store{pgw::StoreOptions()};
  pgw::StoreReplayer replayer(store);
  if (!replayer.OnSnapshotMeta(input.substr(0, data[0]))) return 0;
  if (input.size() < data[0]) return 0;
  // What came before a fault is in the store: nobody uses it then.
  if (!replayer.OnSnapshotBlock(input.substr(data[0]))) return 0;
  pgw::testing::UseInEveryWay(store, size);
  return 0;
}
