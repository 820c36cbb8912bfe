// A journal's records of arbitrary bytes, one after the other: each begins with two bytes for its
// length.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "store/command_record.h"
#include "tests/fuzz/replayed_store.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  pgw::MetricStore store{pgw::StoreOptions()};
  pgw::StoreReplayer replayer(store);
  pgw::BootTime latest{};
  for (pgw::persistence::Lsn lsn = 1; rest.size() > 2; ++lsn) {
    const std::size_t length =
        static_cast<unsigned char>(rest[0]) * 256U + static_cast<unsigned char>(rest[1]);
    rest.remove_prefix(2);
    const std::string_view record = rest.substr(0, length);
    rest.remove_prefix(record.size());
    // Checksums and the log see to the order of times, which the store relies on.
    const auto command = pgw::ReadCommandRecord(record);
    const bool session = command && command->kind == pgw::CommandKind::kSession;
    if (command && !session && command->time.boot < latest) break;
    if (!replayer.OnRecord(lsn, record)) break;
    latest = session ? store.PinTime() : command->time.boot;
    store.UnpinTime();
  }
  pgw::testing::UseInEveryWay(store, size);
  return 0;
}
