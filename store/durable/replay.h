// Puts what persistence reads back into a store. Knows store, store/persistence, base.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "store/metric_store.h"
#include "store/persistence/recovery.h"
#include "store/session.h"

namespace pgw {

// What stands for a snapshot in the meta data of its file.
std::string EncodeSnapshotMeta(const Session& session, bool suspicious);

// Reads a file that is no snapshot of ours into the store, or says why it cannot.
using ForeignReader = std::function<Status(const File& file, MetricStore& store)>;

// Fills an empty store that nobody uses yet. Also tells, for a store that is thrown away
// afterwards, whether the contents of files make sense. Not thread-safe; the store must outlive it.
class StoreReplayer final : public persistence::Replayer {
 public:
  explicit StoreReplayer(MetricStore& store, ForeignReader foreign = {})
      : store_(store), foreign_(std::move(foreign)) {}

  // The one that the last record belongs to.
  const Session& session() const { return session_; }

  // What was read becomes part of this session, which drops what has expired meanwhile. Returns it
  // with the time that it begins at for the store: within one boot the clock goes on, whoever reads
  // it.
  Session Begin(Session session);

  Status OnSnapshotMeta(std::string_view meta) override;
  Status OnSnapshotBlock(std::string_view block) override;
  Status OnRecord(persistence::Lsn lsn, std::string_view record) override;
  Status OnForeignSnapshot(const File& file) override;
  // A session that nothing is known of, if `next` does not begin one itself: what is missing may
  // have begun another, with another clock and time to live.
  std::optional<std::string> OnGap(std::string_view next) override;

 private:
  MetricStore& store_;
  const ForeignReader foreign_;
  Session session_;
  BootTime latest_ = BootTime::min();  // of the last record, on the session's clock
};

}  // namespace pgw
