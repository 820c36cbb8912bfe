// Compresses a body while it is sent. Keeps zlib to itself.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/message.h"
#include "server/routes/reader_body.h"

namespace pgw {

class Deflater;

class GzipStream final : public ReaderBody {
 public:
  explicit GzipStream(std::unique_ptr<ReaderBody> plain);
  ~GzipStream() override;

  void Next(std::vector<std::string_view>& pieces) override;
  std::size_t buffered_bytes() const noexcept override;

 private:
  std::unique_ptr<ReaderBody> plain_;
  std::unique_ptr<Deflater> deflater_;
  std::vector<std::string_view> input_;
  std::string output_;
  bool finished_ = false;
};

// All that `source` gives, in one text.
std::string ReadAll(http::BodySource& source);

}  // namespace pgw
