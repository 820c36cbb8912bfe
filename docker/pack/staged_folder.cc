#include "docker/pack/staged_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "docker/file.h"
#include "docker/interrupt.h"

namespace pgw::image {
namespace {

namespace fs = std::filesystem;

Status SyncFolder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError(path, errno);
  // Some file systems cannot do that with folders.
  const bool good = ::fsync(fd) == 0 || errno == EINVAL;
  const int error = errno;
  ::close(fd);
  if (!good) return SystemError(path, error);
  return {};
}

Status SyncFolders(const std::string& root) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(root, error), end; !error && it != end;
       it.increment(error)) {
    if (!it->is_directory(error)) continue;
    if (Status status = SyncFolder(it->path().string()); !status) return status;
  }
  if (error) return SystemError(root, error.value());
  return SyncFolder(root);
}

void RemoveAll(const std::string& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

Status CheckReplaceable(const std::string& target, std::string_view marker) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(target, error);
  if (status.type() == fs::file_type::not_found) return {};
  if (error) return SystemError(target, error.value());
  if (status.type() != fs::file_type::directory) {
    return InvalidArgument(target + ": is there and is no directory");
  }
  const bool empty = fs::is_empty(target, error);
  if (error) return SystemError(target, error.value());
  if (empty || fs::exists(fs::path(target) / marker, error)) return {};
  return InvalidArgument(target + ": is there and was not written by pgw-pack (it has no " +
                         std::string(marker) + "); not replaced");
}

}  // namespace

Result<StagedFolder> StagedFolder::Create(const std::string& target, std::string_view marker) {
  // "out/" and "out" are the same folder.
  fs::path path = fs::path(target).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const std::string name = path.filename().string();
  if (name.empty() || name == "." || name == "..") {
    return InvalidArgument("\"" + target + "\" cannot be replaced as a whole; name a folder");
  }
  if (Status status = CheckReplaceable(path.string(), marker); !status) return status.error();
  std::error_code error;
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  fs::create_directories(parent, error);
  if (error) return SystemError(parent.string(), error.value());
  std::string staging = (parent / ("." + name + ".XXXXXX")).string();
  if (::mkdtemp(staging.data()) == nullptr) return SystemError(parent.string(), errno);
  // As mkdir(1) would: mkdtemp keeps others out.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  if (::chmod(staging.c_str(), 0777 & ~mask) != 0) return SystemError(staging, errno);
  return StagedFolder(path.string(), staging);
}

StagedFolder::~StagedFolder() {
  if (!path_.empty()) RemoveAll(path_);
}

Status StagedFolder::Commit() {
  if (Status status = CheckInterrupt(); !status) return status;
  if (Status status = SyncFolders(path_); !status) return status;
  const std::string parent = fs::path(path_).parent_path().string();
  if (::rename(path_.c_str(), target_.c_str()) != 0) {
    if (errno != ENOTEMPTY && errno != EEXIST) return SystemError(target_, errno);
    // Both names at once: at no moment is there nothing.
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) != 0) {
      const std::string old = path_ + ".old";
      if (::rename(target_.c_str(), old.c_str()) != 0) return SystemError(target_, errno);
      if (::rename(path_.c_str(), target_.c_str()) != 0) {
        const int error = errno;
        (void)::rename(old.c_str(), target_.c_str());
        return SystemError(target_, error);
      }
      RemoveAll(old);
    } else {
      RemoveAll(path_);
    }
  }
  path_.clear();
  return SyncFolder(parent);
}

}  // namespace pgw::image
