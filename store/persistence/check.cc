#include "store/persistence/check.h"

namespace pgw::persistence {
namespace {

// "1 block", "2 blocks".
std::string Count(std::uint64_t count, const std::string& thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

void Describe(const std::string& path, const SnapshotFinding& snapshot, std::string& text) {
  text += path + ": ";
  if (snapshot.foreign) {
    text += "not a snapshot of this program, " + Count(snapshot.bytes, "byte") + "\n";
    return;
  }
  text += "snapshot, version " + std::to_string(kSnapshotVersion) + ", id " +
          ToHex(snapshot.header.id) + ", store " + ToHex(snapshot.header.lineage) + "\n";
  text += "  holds all up to record " + std::to_string(snapshot.header.lsn) + "; read " +
          Count(snapshot.blocks, "block") + " in " + Count(snapshot.bytes, "byte") + "\n";
}

void Describe(const JournalFinding& journal, std::string& text) {
  text += journal.path + ": journal, version " + std::to_string(kJournalVersion) + ", id " +
          ToHex(journal.header.id) + ", store " + ToHex(journal.header.lineage) + "\n";
  text += "  read " + Count(journal.frames, "frame") + " in " + Count(journal.bytes, "byte");
  if (journal.records > 0) {
    text += ", records " + std::to_string(journal.first_lsn) + " to " +
            std::to_string(journal.last_lsn);
  }
  text += journal.closed ? "; closed in order\n" : "; not closed\n";
}

void DescribeTail(const JournalFinding& journal, std::string& text) {
  if (journal.torn_bytes() == 0) return;
  text += journal.path + ": " + Count(journal.torn_bytes(), "byte") + " from offset " +
          std::to_string(journal.valid_bytes) +
          " on are an unfinished write; the next start cuts them off\n";
}

}  // namespace

CheckReport Check(FileSystem& files, const std::string& path, Replayer& replayer) {
  CheckReport report;
  const FileNames names(path);
  if (Status status = ReadBack(files, names, replayer, report.findings); !status) {
    report.problem = status.error();
  }
  const Findings& found = report.findings;
  if (found.snapshot) Describe(path, *found.snapshot, report.text);
  if (found.placeholder_mode) report.text += path + ": empty, as if it were not there\n";
  if (found.old_journal) Describe(*found.old_journal, report.text);
  if (found.journal) Describe(*found.journal, report.text);
  if (report.problem) {
    report.text += report.problem->message + "\n";
    return report;
  }
  if (found.old_journal) DescribeTail(*found.old_journal, report.text);
  if (found.journal) DescribeTail(*found.journal, report.text);
  if (found.unfinished_snapshot) report.text += names.snapshot_new + ": an unfinished snapshot\n";
  if (found.unfinished_journal) report.text += names.journal_next + ": an unfinished journal\n";
  if (!found.snapshot && !found.placeholder_mode && !found.old_journal && !found.journal) {
    report.text += path + ": there is nothing\n";
  }
  report.text += "sound; the last record is " + std::to_string(found.lsn) + "\n";
  return report;
}

}  // namespace pgw::persistence
