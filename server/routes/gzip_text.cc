#include "server/routes/gzip_text.h"

#include <algorithm>
#include <utility>

#include "server/routes/deflater.h"

namespace pgw {
namespace {

// Pieces below this share a run: alone they would be a tenth to a half larger, and cost as much to
// begin as to compress.
constexpr std::size_t kAloneBytes = 4 * 1024;
// Where all small pieces together are such a part of the text, they are stored: compressing them
// would take longer than all the rest of a body that is kept, and make it a twentieth smaller.
constexpr std::uint64_t kWorthCompressing = 256;
// A call ends after so much text has been compressed, half a millisecond, or so much can be sent.
constexpr std::size_t kInputBytesPerCall = 64 * 1024;
constexpr std::size_t kOutputBytesPerCall = 1024 * 1024;
constexpr std::size_t kStoredBytesMax = 65'535;
constexpr std::size_t kStoredHeaderBytes = 5;
constexpr std::size_t kTrailerBytes = 8;

// Deflate, no name, no time, fastest, Unix: what zlib writes.
constexpr std::string_view kGzipHeader("\x1f\x8b\x08\0\0\0\0\0\x04\x03", 10);
// An empty last block.
constexpr std::string_view kDeflateEnd("\x03\0", 2);

void AppendLittleEndian(std::uint32_t value, std::string& out) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

std::uint32_t Crc(std::uint32_t crc, std::string_view text) {
  return static_cast<std::uint32_t>(
      crc32_z(crc, reinterpret_cast<const Bytef*>(text.data()), text.size()));
}

// The block itself is asked only where somebody may have come in between: it is one more line of
// memory for each piece.
const DeflatedText* FindKept(const TextPiece& piece) {
  const DeflatedText* const kept = DeflatedTexts::Find(piece.deflated, piece.text.size());
  return kept != nullptr ? kept : piece.block->deflated().Find(piece.text.size());
}

bool Stays(const TextPiece& piece) {
  return piece.block != nullptr && piece.text.size() >= kAloneBytes;
}

}  // namespace

GzipText::GzipText(std::unique_ptr<const TextScrape> text) : text_(std::move(text)) { Plan(); }

GzipText::~GzipText() = default;

void GzipText::Plan() {
  std::uint64_t small = 0;
  std::uint64_t length = kGzipHeader.size() + kDeflateEnd.size() + kTrailerBytes;
  bool known = true;
  for (const TextPiece& piece : text_->pieces()) {
    if (!Stays(piece)) {
      const std::uint64_t blocks = (piece.text.size() + kStoredBytesMax - 1) / kStoredBytesMax;
      length += piece.text.size() + blocks * kStoredHeaderBytes;
      small += piece.text.size();
    } else if (const DeflatedText* const kept = FindKept(piece)) {
      length += kept->bytes.size();
    } else {
      known = false;
    }
  }
  stores_small_ = small * kWorthCompressing <= text_->length();
  if (known && stores_small_) length_ = length;
}

bool GzipText::HaveDeflater() {
  if (deflater_ == nullptr) deflater_ = std::make_unique<Deflater>(Deflater::kRaw);
  return deflater_->ready();
}

void GzipText::Next(std::vector<std::string_view>& pieces) {
  output_.clear();
  parts_.clear();
  if (finished_) return;
  if (!std::exchange(begun_, true)) {
    output_.append(kGzipHeader);
    AddOutput(0);
  }
  const std::vector<TextPiece>& all = text_->pieces();
  std::size_t compressed = 0;
  std::size_t sent = 0;
  while (at_ < all.size() && compressed < kInputBytesPerCall && sent < kOutputBytesPerCall) {
    const TextPiece& piece = all[at_];
    const bool stays = Stays(piece);
    if (stays && offset_ == 0) {
      EndRun();
      if (const DeflatedText* const kept = FindKept(piece)) {
        sent += kept->bytes.size();
        AddKept(*kept);
        ++at_;
        continue;
      }
    }
    std::size_t size = 0;
    if (!stays && stores_small_) {
      size = Store(piece.text);
      sent += size;
    } else {
      // Without memory the answer ends short of a gzip trailer, which clients notice.
      if (!HaveDeflater()) {
        finished_ = true;
        break;
      }
      size = stays ? CompressForBlock(piece) : CompressOnce(piece.text);
      compressed += size;
    }
    offset_ += size;
    if (offset_ < piece.text.size()) continue;
    ++at_;
    offset_ = 0;
  }
  if (at_ == all.size()) Finish();
  // All of a run may still be in the deflater, but nothing would mean the end.
  if (parts_.empty() && in_run_) {
    deflater_->Feed({}, Z_SYNC_FLUSH, output_);
    AddOutput(0);
  }
  for (const Part& part : parts_) {
    pieces.push_back(part.kept != nullptr
                         ? std::string_view(part.kept->bytes)
                         : std::string_view(output_).substr(part.begin, part.end - part.begin));
  }
}

std::size_t GzipText::buffered_bytes() const noexcept {
  return text_->buffered_bytes() + (deflater_ != nullptr ? Deflater::kBytes : 0) +
         (growing_ ? growing_->bytes.capacity() : 0) + output_.capacity() +
         parts_.capacity() * sizeof(Part);
}

void GzipText::AddKept(const DeflatedText& kept) {
  CountPart(kept);
  parts_.push_back({&kept, 0, 0});
}

void GzipText::AddOutput(std::size_t begin) {
  if (begin == output_.size()) return;
  if (!parts_.empty() && parts_.back().kept == nullptr) {
    parts_.back().end = output_.size();
  } else {
    parts_.push_back({nullptr, begin, output_.size()});
  }
}

std::size_t GzipText::CompressForBlock(const TextPiece& piece) {
  const std::string_view text = piece.text.substr(offset_, kInputBytesPerCall);
  if (!growing_) {
    growing_.emplace();
    deflater_->Reset();
  }
  const std::size_t begin = output_.size();
  // Flushed whether it is the last or not, so that each step has something to send.
  deflater_->Feed(text, Z_SYNC_FLUSH, output_);
  AddOutput(begin);
  growing_->bytes.append(output_, begin);
  growing_->crc = Crc(growing_->crc, text);
  if (offset_ + text.size() < piece.text.size()) return text.size();
  growing_->bytes.shrink_to_fit();
  growing_->text_size = static_cast<std::uint32_t>(piece.text.size());
  growing_->crc_operator =
      static_cast<std::uint32_t>(crc32_combine_gen(static_cast<z_off_t>(piece.text.size())));
  CountPart(*growing_);
  // With an outdated block it would help nobody, and be held uncounted.
  if (!piece.block->outdated()) {
    piece.block->deflated().Keep(std::move(*growing_), text_->pushed().deflated_bytes());
  }
  growing_.reset();
  return text.size();
}

std::size_t GzipText::CompressOnce(std::string_view text) {
  text = text.substr(offset_, kInputBytesPerCall);
  if (!std::exchange(in_run_, true)) deflater_->Reset();
  const std::size_t begin = output_.size();
  deflater_->Feed(text, Z_NO_FLUSH, output_);
  AddOutput(begin);
  CountText(text);
  return text.size();
}

std::size_t GzipText::Store(std::string_view text) {
  text = text.substr(offset_, kStoredBytesMax);
  const std::size_t begin = output_.size();
  const auto size = static_cast<std::uint32_t>(text.size());
  // Not the last block, stored; then the size and its complement.
  output_.push_back('\0');
  AppendLittleEndian(size | (~size << 16), output_);
  output_.append(text);
  AddOutput(begin);
  CountText(text);
  return text.size();
}

void GzipText::EndRun() {
  if (!std::exchange(in_run_, false)) return;
  const std::size_t begin = output_.size();
  deflater_->Feed({}, Z_SYNC_FLUSH, output_);
  AddOutput(begin);
}

void GzipText::CountPart(const DeflatedText& part) {
  crc_ = static_cast<std::uint32_t>(crc32_combine_op(crc_, part.crc, part.crc_operator));
  size_ += part.text_size;
}

void GzipText::CountText(std::string_view text) {
  crc_ = Crc(crc_, text);
  size_ += static_cast<std::uint32_t>(text.size());
}

void GzipText::Finish() {
  EndRun();
  const std::size_t begin = output_.size();
  output_.append(kDeflateEnd);
  AppendLittleEndian(crc_, output_);
  AppendLittleEndian(size_, output_);
  AddOutput(begin);
  finished_ = true;
}

}  // namespace pgw
