// A journal's records of arbitrary bytes, one after the other: each begins with two bytes for its
// length.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/replayed_store.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  pgw::MetricStore store{pgw::StoreOptions()};
  pgw::StoreReplayer replayer(store);
  for (pgw::persistence::Lsn lsn = 1; rest.size() > 2; ++lsn) {
    const std::size_t length =
        static_cast<unsigned char>(rest[0]) * 256U + static_cast<unsigned char>(rest[1]);
    rest.remove_prefix(2);
    const std::string_view record = rest.substr(0, length);
    rest.remove_prefix(record.size());
    if (!replayer.OnRecord(lsn, record)) break;
  }
  pgw::testing::UseInEveryWay(store, size);
  return 0;
}
