// A folder that appears whole or not at all. Knows base.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace pgw::image {

// Files are written into a hidden folder beside `target`, which takes its place at Commit() and is
// removed if that is not reached. Not thread-safe.
class StagedFolder {
 public:
  // `marker` is a file that every such folder contains: an existing `target` is replaced only if
  // it is empty or has it, never somebody's home. Errors name the path.
  static Result<StagedFolder> Create(const std::string& target, std::string_view marker);

  StagedFolder(StagedFolder&& other) noexcept
      : target_(std::move(other.target_)), path_(std::exchange(other.path_, {})) {}
  StagedFolder& operator=(StagedFolder&&) = delete;
  ~StagedFolder();

  const std::string& path() const { return path_; }
  // Everything is on the disk before the new name is. What stood there before is removed.
  Status Commit();

 private:
  StagedFolder(std::string target, std::string path)
      : target_(std::move(target)), path_(std::move(path)) {}

  std::string target_;
  std::string path_;
};

}  // namespace pgw::image
