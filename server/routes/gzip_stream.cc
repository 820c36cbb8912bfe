#include "server/routes/gzip_stream.h"

#include <cstddef>
#include <utility>

#include "server/routes/deflater.h"
#include "server/routes/scrape_body.h"

namespace pgw {
namespace {

constexpr std::size_t kOutputBytes = 16 * 1024;
// After this much input, one call of a scrape, a call has taken long enough, half a millisecond:
// what is done is sent, and other connections of the thread have their turn.
constexpr std::size_t kInputBytesPerCall = kScrapeBytesPerCall;

}  // namespace

GzipStream::GzipStream(std::unique_ptr<ReaderBody> plain)
    : plain_(std::move(plain)), deflater_(std::make_unique<Deflater>(Deflater::kGzip)) {}

GzipStream::~GzipStream() = default;

std::size_t GzipStream::buffered_bytes() const noexcept {
  return plain_->buffered_bytes() + Deflater::kBytes + output_.capacity();
}

void GzipStream::Next(std::vector<std::string_view>& pieces) {
  output_.clear();
  std::size_t fed = 0;
  // Without memory for a deflater the answer ends short of a gzip trailer, which clients notice.
  while (deflater_->ready() && !finished_ && output_.size() < kOutputBytes) {
    input_.clear();
    plain_->Next(input_);
    for (const std::string_view piece : input_) {
      deflater_->Feed(piece, Z_NO_FLUSH, output_);
      fed += piece.size();
    }
    finished_ = input_.empty();
    if (finished_) deflater_->Feed({}, Z_FINISH, output_);
    if (fed < kInputBytesPerCall) continue;
    if (output_.empty()) deflater_->Feed({}, Z_SYNC_FLUSH, output_);
    break;
  }
  if (!output_.empty()) pieces.push_back(output_);
}

std::string ReadAll(http::BodySource& source) {
  std::string text;
  std::vector<std::string_view> pieces;
  for (source.Next(pieces); !pieces.empty(); source.Next(pieces)) {
    for (const std::string_view piece : pieces) text.append(piece);
    pieces.clear();
  }
  return text;
}

}  // namespace pgw
