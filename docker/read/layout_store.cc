#include "docker/read/layout_store.h"

#include <filesystem>
#include <system_error>

#include "docker/printable.h"

namespace pgw::image {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFilesMax = 100'000;
constexpr std::uint64_t kBytesMax = std::uint64_t{64} << 30;  // of an archive, or of all files

Error TooLarge(const std::string& what) {
  return {Code::kTooLarge, Printable(what) + ": more than " + std::to_string(kBytesMax) + " bytes"};
}

Error NotThere(const std::string& path) { return InvalidArgument(Printable(path) + ": missing"); }

class FileBytes final : public RandomAccess {
 public:
  FileBytes(File file, std::uint64_t size) : file_(std::move(file)), size_(size) {}
  std::unique_ptr<ByteSource> OpenRange(std::uint64_t offset, std::uint64_t size) const override {
    return std::make_unique<FileSource>(file_, offset, size);
  }
  std::uint64_t size() const override { return size_; }

 private:
  File file_;
  std::uint64_t size_;
};

class ArchiveStore final : public LayoutStore {
 public:
  explicit ArchiveStore(std::unique_ptr<RandomAccess> bytes) : bytes_(std::move(bytes)) {}

  Status Scan() {
    const std::unique_ptr<ByteSource> source = bytes_->OpenRange(0, bytes_->size());
    TarReader reader(*source);
    while (true) {
      Result<std::optional<TarMember>> member = reader.Next();
      if (!member) return member.error();
      if (!*member) break;
      const TarEntry& entry = (*member)->entry;
      if (!offsets_.emplace(entry.path, (*member)->content_offset).second) {
        return InvalidArgument("tar, at byte " + std::to_string((*member)->header_offset) + ": " +
                               Printable(entry.path) + " is there twice");
      }
      if (entry.type == TarType::kFile) files_.emplace(entry.path, entry.size);
      facts_.members.push_back(std::move(**member));
    }
    facts_.canonical_end = reader.has_canonical_end();
    return {};
  }

  Result<std::unique_ptr<ByteSource>> Open(const std::string& path) const override {
    const auto file = files_.find(path);
    if (file == files_.end()) return NotThere(path);
    return bytes_->OpenRange(offsets_.at(path), file->second);
  }
  const ArchiveFacts* archive() const override { return &facts_; }

 private:
  const std::unique_ptr<RandomAccess> bytes_;
  std::map<std::string, std::uint64_t> offsets_;
  ArchiveFacts facts_;
};

// A file of its own, which owns its descriptor.
class OwnedFileSource final : public ByteSource {
 public:
  OwnedFileSource(File file, std::uint64_t size)
      : file_(std::move(file)), source_(file_, 0, size) {}
  Result<std::size_t> Read(std::span<char> buffer) override { return source_.Read(buffer); }

 private:
  File file_;
  FileSource source_;
};

class FolderStore final : public LayoutStore {
 public:
  explicit FolderStore(std::string root) : root_(std::move(root)) {}

  // A layout has files in three places; nothing else is looked into.
  Status Scan() {
    for (const char* const below : {"", "blobs/", "blobs/sha256/"}) {
      if (Status status = ScanFolder(below); !status) return status;
    }
    return {};
  }

  Result<std::unique_ptr<ByteSource>> Open(const std::string& path) const override {
    const auto found = files_.find(path);
    if (found == files_.end()) return NotThere(path);
    Result<File> file = File::Open(root_ + "/" + path);
    if (!file) return file.error();
    return std::unique_ptr<ByteSource>(
        std::make_unique<OwnedFileSource>(std::move(*file), found->second));
  }

 private:
  Status ScanFolder(const std::string& below) {
    const std::string folder = root_ + "/" + below;
    std::error_code error;
    if (!below.empty() && !fs::exists(folder, error)) return {};
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      if (files_.size() >= kFilesMax) return InvalidArgument(folder + ": too many files");
      const std::string path = below + it->path().filename().string();
      // What is neither file nor folder counts as a file that cannot be opened.
      const bool is_folder = it->symlink_status(error).type() == fs::file_type::directory;
      if (is_folder) continue;
      const std::uintmax_t size = it->is_regular_file(error) ? it->file_size(error) : 0;
      files_.emplace(path, size);
      bytes_ += size;
      if (size > kBytesMax || bytes_ > kBytesMax) return TooLarge(root_);
    }
    if (error) return SystemError(folder, error.value());
    return {};
  }

  const std::string root_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<ByteSource> MemoryBytes::OpenRange(std::uint64_t offset, std::uint64_t size) const {
  return std::make_unique<MemorySource>(bytes_.substr(offset, size));
}

Result<std::string> LayoutStore::Read(const std::string& path, std::size_t bytes_max) const {
  const auto source = Open(path);
  if (!source) return source.error();
  Result<std::string> text = ReadAll(**source, bytes_max);
  if (!text) return Error{text.error().code, Printable(path) + ": " + text.error().message};
  return text;
}

Result<std::unique_ptr<LayoutStore>> OpenArchive(std::unique_ptr<RandomAccess> bytes) {
  auto store = std::make_unique<ArchiveStore>(std::move(bytes));
  if (Status status = store->Scan(); !status) return status.error();
  return std::unique_ptr<LayoutStore>(std::move(store));
}

Result<std::unique_ptr<LayoutStore>> OpenLayout(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    auto store = std::make_unique<FolderStore>(path);
    if (Status status = store->Scan(); !status) return status.error();
    return std::unique_ptr<LayoutStore>(std::move(store));
  }
  Result<File> file = File::Open(path);
  if (!file) return file.error();
  const Result<std::uint64_t> size = file->Size();
  if (!size) return size.error();
  if (*size > kBytesMax) return TooLarge(path);
  auto store = OpenArchive(std::make_unique<FileBytes>(std::move(*file), *size));
  if (!store) return Error{store.error().code, path + ": " + store.error().message};
  return store;
}

}  // namespace pgw::image
