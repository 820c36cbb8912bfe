#include "docker/archive/tar_writer.h"

namespace pgw::image {

Status TarWriter::Add(TarEntry entry, std::string_view content) {
  if (!last_path_.empty() && entry.path <= last_path_) {
    return InvalidArgument("tar: " + entry.path + " after " + last_path_);
  }
  entry.size = content.size();
  const Result<std::string> header = EncodeTarHeader(entry);
  if (!header) return header.error();
  if (Status status = sink_.Write(*header); !status) return status;
  if (Status status = sink_.Write(content); !status) return status;
  last_path_ = std::move(entry.path);
  return sink_.Write(std::string(TarPadding(content.size()), '\0'));
}

Status TarWriter::Finish() { return sink_.Write(std::string(2 * kTarBlock, '\0')); }

}  // namespace pgw::image
