#include "server/routes/gzip_stream.h"

#include <zlib.h>

#include <cstddef>
#include <utility>

namespace pgw {
namespace {

// Exposition text shrinks to a tenth at level 1 already; level 6 takes thrice the time for a
// quarter less.
constexpr int kLevel = 1;
constexpr int kGzipWrapper = 16;
constexpr int kMemoryLevel = 8;
constexpr std::size_t kOutputBytes = 16 * 1024;
// After this much input a call has taken long enough: what is done is sent.
constexpr std::size_t kInputBytesPerCall = 512 * 1024;

}  // namespace

struct GzipStream::Deflater {
  Deflater() {
    ready = deflateInit2(&stream, kLevel, Z_DEFLATED, MAX_WBITS + kGzipWrapper, kMemoryLevel,
                         Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~Deflater() { deflateEnd(&stream); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  void Feed(std::string_view input, int flush, std::string& out) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream.avail_in = static_cast<uInt>(input.size());
    do {
      const std::size_t start = out.size();
      out.resize(start + kOutputBytes);
      stream.next_out = reinterpret_cast<Bytef*>(out.data()) + start;
      stream.avail_out = static_cast<uInt>(kOutputBytes);
      deflate(&stream, flush);
      out.resize(start + kOutputBytes - stream.avail_out);
    } while (stream.avail_out == 0);
  }

  z_stream stream{};
  bool ready = false;
};

GzipStream::GzipStream(std::unique_ptr<http::BodySource> plain)
    : plain_(std::move(plain)), deflater_(std::make_unique<Deflater>()) {}

GzipStream::~GzipStream() = default;

void GzipStream::Next(std::vector<std::string_view>& pieces) {
  output_.clear();
  std::size_t fed = 0;
  // Without memory for a deflater the answer ends short of a gzip trailer, which clients notice.
  while (deflater_->ready && !finished_ && output_.size() < kOutputBytes) {
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
