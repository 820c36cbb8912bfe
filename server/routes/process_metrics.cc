#include "server/routes/process_metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "base/mutex.h"

namespace pgw {
namespace {

// A small file of /proc that is read again and again. It stays open: opening takes five times as
// long as reading, and for the network's figures as long as all the rest of a small scrape.
// Thread-safe.
class ProcFile {
 public:
  explicit ProcFile(const char* path) : path_(path) {}
  ~ProcFile() {
    MutexLock lock(mutex_);
    Close();
  }
  ProcFile(const ProcFile&) = delete;
  ProcFile& operator=(const ProcFile&) = delete;

  // The whole of it; what fails reads as empty.
  std::string Read() {
    MutexLock lock(mutex_);
    // After a fork it would still be that of the parent.
    if (fd_ < 0 || owner_ != getpid()) {
      Close();
      owner_ = getpid();
      fd_ = open(path_, O_RDONLY | O_CLOEXEC);
    }
    std::string text;
    std::array<char, 16 * 1024> chunk;
    ssize_t size = 0;
    while (fd_ >= 0 &&
           (size = pread(fd_, chunk.data(), chunk.size(), static_cast<off_t>(text.size()))) > 0) {
      text.append(chunk.data(), static_cast<std::size_t>(size));
    }
    return text;
  }

 private:
  void Close() PGW_REQUIRES(mutex_) {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  const char* const path_;
  Mutex mutex_;
  pid_t owner_ PGW_GUARDED_BY(mutex_) = 0;
  int fd_ PGW_GUARDED_BY(mutex_) = -1;
};

std::optional<std::uint64_t> ToNumber(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view NextWord(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const std::string_view word = rest.substr(0, rest.find_first_of(" \n"));
  rest.remove_prefix(word.size());
  return word;
}

std::string_view NextLine(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  return line;
}

// Unix time of the boot. Read once: the kernel derives it from a clock that is being corrected.
std::optional<double> BootTimeSeconds() {
  static const std::optional<double> kBootTime = [] {
    const std::string text = ProcFile("/proc/stat").Read();
    std::string_view rest = text;
    while (!rest.empty()) {
      std::string_view line = NextLine(rest);
      if (NextWord(line) != "btime") continue;
      const auto seconds = ToNumber(NextWord(line));
      return seconds ? std::optional<double>(static_cast<double>(*seconds)) : std::nullopt;
    }
    return std::optional<double>();
  }();
  return kBootTime;
}

std::optional<double> CountOpenFiles() {
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return std::nullopt;
  double entries = 0;
  while (readdir(directory) != nullptr) ++entries;
  closedir(directory);
  return std::max(entries - 3, 0.0);  // without `.`, `..` and the directory itself
}

std::optional<double> SoftLimit(int resource) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) return std::nullopt;
  return static_cast<double>(limit.rlim_cur);  // no limit is 2^64 - 1, here as upstream
}

std::optional<double> ToDouble(std::optional<std::uint64_t> value) {
  if (!value) return std::nullopt;
  return static_cast<double>(*value);
}

}  // namespace

std::optional<ProcStat> ParseProcStat(std::string_view text) {
  // The program's name stands in parentheses and may contain anything, parentheses too.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  std::string_view rest = text.substr(name_end + 1);
  ProcStat stat;
  constexpr int kFirstField = 3;
  constexpr int kLastField = 24;
  for (int field = kFirstField; field <= kLastField; ++field) {
    const std::string_view word = NextWord(rest);
    std::uint64_t* const target = field == 14   ? &stat.user_ticks
                                  : field == 15 ? &stat.system_ticks
                                  : field == 22 ? &stat.start_ticks
                                  : field == 23 ? &stat.virtual_bytes
                                  : field == 24 ? &stat.resident_pages
                                                : nullptr;
    if (target == nullptr) continue;
    const auto value = ToNumber(word);
    if (!value) return std::nullopt;
    *target = *value;
  }
  return stat;
}

std::optional<std::uint64_t> ParseNetstat(std::string_view text, std::string_view section,
                                          std::string_view column) {
  while (!text.empty()) {
    std::string_view names = NextLine(text);
    std::string_view values = NextLine(text);
    if (NextWord(names) != section || NextWord(values) != section) continue;
    for (;;) {
      const std::string_view name = NextWord(names);
      const std::string_view value = NextWord(values);
      if (name.empty() || value.empty()) return std::nullopt;
      if (name == column) return ToNumber(value);
    }
  }
  return std::nullopt;
}

ProcessReading ReadProcess() {
  static ProcFile stat_file("/proc/self/stat");
  static ProcFile netstat_file("/proc/self/net/netstat");
  ProcessReading reading;
  if (const auto stat = ParseProcStat(stat_file.Read())) {
    const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
    reading.cpu_seconds =
        static_cast<double>(stat->user_ticks + stat->system_ticks) / ticks_per_second;
    reading.virtual_bytes = static_cast<double>(stat->virtual_bytes);
    reading.resident_bytes =
        static_cast<double>(stat->resident_pages) * static_cast<double>(sysconf(_SC_PAGESIZE));
    if (const auto boot = BootTimeSeconds()) {
      reading.start_time_seconds =
          *boot + static_cast<double>(stat->start_ticks) / ticks_per_second;
    }
  }
  reading.open_fds = CountOpenFiles();
  reading.max_fds = SoftLimit(RLIMIT_NOFILE);
  reading.virtual_bytes_max = SoftLimit(RLIMIT_AS);
  const std::string netstat = netstat_file.Read();
  reading.network_receive_bytes = ToDouble(ParseNetstat(netstat, "IpExt:", "InOctets"));
  reading.network_transmit_bytes = ToDouble(ParseNetstat(netstat, "IpExt:", "OutOctets"));
  return reading;
}

}  // namespace pgw
