#include "store/durable/gob_import.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "exposition/protobuf_reader.h"
#include "exposition/quote.h"
#include "exposition/wire.h"
#include "store/bookkeeping.h"
#include "store/group_key.h"
#include "store/persistence/gob_reader.h"

namespace pgw {
namespace {

// More is no file that Go would read.
constexpr std::uint64_t kFileBytesMax = std::uint64_t{8} << 30;
constexpr std::size_t kHeadBytes = 16;  // that LooksLikeGob wants

struct FileBytes {
  std::unique_ptr<char[]> bytes;
  std::size_t size = 0;

  std::string_view view() const { return {bytes.get(), size}; }
};

Status CheckHead(const File& file) {
  std::array<char, kHeadBytes> head{};
  const Result<std::size_t> read = file.ReadAt(0, head);
  if (!read) return read.error();
  if (*read == 0) return InvalidArgument(file.path() + ": offset 0: the file is empty");
  if (LooksLikeGob({head.data(), *read})) return {};
  return InvalidArgument(file.path() +
                         ": offset 0: neither a snapshot of this program nor a persistence file of "
                         "the Go Pushgateway");
}

Result<FileBytes> ReadWhole(const File& file) {
  const Result<std::uint64_t> size = file.Size();
  if (!size) return size.error();
  FileBytes whole;
  if (*size <=
      std::min<std::uint64_t>(kFileBytesMax, std::numeric_limits<std::size_t>::max() / 2)) {
    whole.size = static_cast<std::size_t>(*size);
    whole.bytes.reset(new (std::nothrow) char[std::max<std::size_t>(whole.size, 1)]);
  }
  if (whole.bytes == nullptr) {
    return Error{Code::kTooLarge,
                 file.path() + ": no memory for its " + std::to_string(*size) + " bytes"};
  }
  const Result<std::size_t> read = file.ReadAt(0, {whole.bytes.get(), whole.size});
  if (!read) return read.error();
  whole.size = *read;
  return whole;
}

std::string Printable(const GroupKey& key) {
  std::string text;
  for (const auto& [name, value] : key.Labels()) {
    text += (text.empty() ? "" : ",") + std::string(name) + "=" + GoQuote(value);
  }
  return "group {" + text + "}";
}

// The nanoseconds that push_time_seconds shows as `seconds`, near `near` if there is a choice.
// Nullopt: no time that can be.
std::optional<WallTime> TimeShownAs(double seconds, WallTime near) {
  if (UnixSeconds(near) == seconds) return near;
  constexpr double kLimit = 9.2e9;  // seconds that nanoseconds in 64 bits reach
  if (!(std::fabs(seconds) < kLimit)) return std::nullopt;
  const auto guess = static_cast<std::int64_t>(std::llround(seconds * 1e9));
  // Of times today every 256th nanosecond is a double; dividing rounds once more.
  constexpr std::int64_t kStep = 128;
  for (const std::int64_t off : {0, 1, -1, 2, -2, 3, -3, 4, -4}) {
    const WallTime time{std::chrono::nanoseconds(guess + off * kStep)};
    if (UnixSeconds(time) == seconds) return time;
  }
  return WallTime{std::chrono::nanoseconds(guess)};
}

class Importer {
 public:
  Importer(MetricStore& store, ImportReport& report) : store_(store), report_(report) {}

  // Only notes where everything stands: a damage may still come.
  void Collect(const GobGroup& from) {
    ++groups_seen_;
    Result<GroupKey> key = GroupKey::Make({from.labels.begin(), from.labels.end()});
    if (!key || key->bytes().empty()) {
      ++report_.dropped;
      report_.Note("group number " + std::to_string(groups_seen_) +
                   " of the file is dropped: " + (key ? "it has no labels" : key.error().message));
      return;
    }
    const auto [place, fresh] = places_.try_emplace(key->bytes(), groups_.size());
    if (!fresh) {
      // Go reads a map: the later one wins.
      groups_[place->second].counts = false;
      place->second = groups_.size();
      ++report_.dropped;
      report_.Note(Printable(*key) + " stands in the file more than once; the last one counts");
    }
    groups_.push_back({std::move(*key)});
    CollectFamilies(from);
  }

  void PutIn() {
    for (Imported& group : groups_) {
      if (group.counts) group.counts = PutInGroup(group);
    }
    // In the order in which they were pushed: scrapes show the help of the latest, and of what
    // excludes each other the first was there before.
    std::ranges::sort(families_, {}, [](const ImportedFamily& family) {
      return std::tie(family.pushed, family.group, family.name);
    });
    for (const ImportedFamily& family : families_) {
      if (groups_[family.group].counts) PutInFamily(family);
    }
  }

 private:
  struct Imported {
    GroupKey key;
    std::array<std::optional<GobFamily>, 2> bookkeeping{};
    std::optional<WallTime> newest{};  // push time of its families
    bool counts = true;
  };
  struct ImportedFamily {
    WallTime pushed;
    std::size_t group;
    std::string_view name;
    std::string_view message;
  };

  void Drop(const Imported& group, std::string_view family, const std::string& why) {
    ++report_.dropped;
    report_.Note(Printable(group.key) + ", family " + GoQuote(family) + " is dropped: " + why);
  }

  // Of the group collected last.
  void CollectFamilies(const GobGroup& from) {
    Imported& group = groups_.back();
    std::unordered_map<std::string_view, const GobFamily*> latest;
    for (const GobFamily& family : from.families) {
      const auto [place, fresh] = latest.insert_or_assign(family.name, &family);
      if (!fresh) Drop(group, family.name, "it stands there more than once; the last one counts");
    }
    for (const GobFamily& family : from.families) {
      if (latest[family.name] != &family) continue;
      if (family.pushed) group.newest = std::max(group.newest, family.pushed);
      if (family.name == kPushTimeName) {
        group.bookkeeping[kSuccess] = family;
      } else if (family.name == kPushFailureTimeName) {
        group.bookkeeping[kFailure] = family;
      } else {
        CollectFamily(group, family);
      }
    }
  }

  void CollectFamily(const Imported& group, const GobFamily& family) {
    if (!family.message) return Drop(group, family.name, "the file has no content for it");
    if (!family.pushed) {
      report_.Note(Printable(group.key) + ", family " + GoQuote(family.name) +
                   ": the file has no push time that makes sense; taken for 1970");
    }
    families_.push_back(
        {family.pushed.value_or(WallTime()), groups_.size() - 1, family.name, *family.message});
  }

  bool PutInGroup(const Imported& group) {
    GroupTimes times;
    times.success_entry = EntryTime(group, kSuccess);
    times.failure_entry = EntryTime(group, kFailure);
    times.last_success = PushTime(group, kSuccess, times.success_entry);
    times.last_failure = PushTime(group, kFailure, times.failure_entry);
    if (const Status status = store_.ImportGroup(group.key, times); !status) {
      ++report_.dropped;
      report_.Note(Printable(group.key) + " is dropped: " + status.error().message);
      return false;
    }
    ++report_.groups;
    return true;
  }

  static WallTime EntryTime(const Imported& group, Bookkeeping which) {
    const std::optional<GobFamily>& entry = group.bookkeeping[which];
    if (entry && entry->pushed) return *entry->pushed;
    return group.newest.value_or(WallTime());
  }

  // What a bookkeeping family says; nullopt: never, as where there is no such family.
  std::optional<WallTime> PushTime(const Imported& group, Bookkeeping which, WallTime entry_time) {
    const std::optional<GobFamily>& entry = group.bookkeeping[which];
    if (!entry) return std::nullopt;
    std::optional<double> seconds;
    if (entry->message && Parse(*entry->message)) {
      const Family& family = set_.families.front();
      if (family.name == entry->name && family.metric_count == 1 &&
          family.type == MetricType::kGauge) {
        seconds = set_.metrics[family.first_metric].value.value();
      }
    }
    if (seconds && *seconds == 0) return std::nullopt;
    const std::optional<WallTime> time = seconds ? TimeShownAs(*seconds, entry_time) : std::nullopt;
    if (!time) {
      Drop(group, entry->name, "it does not hold a time; it begins anew with 0");
    } else if (UnixSeconds(*time) != *seconds) {
      report_.Note(Printable(group.key) + ", family " + GoQuote(entry->name) +
                   ": its value is no whole number of nanoseconds and has been rounded");
    }
    return time;
  }

  void PutInFamily(const ImportedFamily& family) {
    const Imported& group = groups_[family.group];
    const Status parsed = Parse(family.message);
    if (!parsed) {
      return Drop(group, family.name, "its content is damaged: " + parsed.error().message);
    }
    if (const std::string_view name = set_.families.front().name; name != family.name) {
      return Drop(group, family.name, "its content is that of a family " + GoQuote(name));
    }
    PushCommand command;
    command.group = &group.key;
    command.families = &set_;
    command.received = {BootTime(), family.pushed};
    if (const Status status = store_.ImportFamilies(command); !status) {
      return Drop(group, family.name, status.error().message);
    }
    ++report_.families;
  }

  // Into set_, as one family. With its length before it, since what was pushed is read so: within
  // bounds of memory, and with all that is to be refused.
  Status Parse(std::string_view message) {
    set_.Clear();
    body_.clear();
    AppendVarint(message.size(), body_);
    body_.append(message);
    return ParseDelimited(body_, set_);
  }

  MetricStore& store_;
  ImportReport& report_;
  std::uint64_t groups_seen_ = 0;
  std::vector<Imported> groups_;
  std::unordered_map<std::string, std::size_t> places_;  // in groups_, by key
  std::vector<ImportedFamily> families_;
  std::string body_;
  FamilySet set_;
};

}  // namespace

void ImportReport::Note(std::string line) {
  constexpr std::size_t kLineMax = 1000;
  if (notes.size() >= kNotesMax) {
    ++more_notes;
    return;
  }
  if (line.size() > kLineMax) line.replace(kLineMax, std::string::npos, " …");
  std::ranges::replace(line, '\n', ' ');
  notes.push_back(std::move(line));
}

Status ImportGob(const File& file, MetricStore& store, ImportReport& report) {
  if (Status status = CheckHead(file); !status) return status;
  const Result<FileBytes> whole = ReadWhole(file);
  if (!whole) return whole.error();
  Importer importer(store, report);
  const Status status = ReadGob(whole->view(), [&importer](const GobGroup& group) {
    importer.Collect(group);
    return Status();
  });
  if (!status) return Error{status.error().code, file.path() + ": " + status.error().message};
  importer.PutIn();
  return {};
}

}  // namespace pgw
