// A text scrape as gzip. What earlier scrapes compressed, and has not changed since, is sent again.
// Knows store/snapshot; keeps zlib to itself.
//
// A gzip body is one deflate stream and a checksum. Each large piece of text is compressed so that
// it ends on a byte and refers to nothing before it; hence it stays with its block and fits into
// later bodies. What lies in between (headers, small families, own metrics) is compressed each
// time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/routes/reader_body.h"
#include "server/routes/scrape_body.h"
#include "store/deflated_text.h"

namespace pgw {

class Deflater;

class GzipText final : public ReaderBody {
 public:
  explicit GzipText(std::unique_ptr<const TextScrape> text);
  ~GzipText() override;

  // Of the whole body, if it is known: where nothing has to be compressed.
  std::optional<std::uint64_t> length() const { return length_; }

  void Next(std::vector<std::string_view>& pieces) override;
  std::size_t buffered_bytes() const noexcept override;

 private:
  // A part of the answer: a kept text, or what output_ has from one place to another.
  struct Part {
    const DeflatedText* kept = nullptr;
    std::size_t begin = 0;
    std::size_t end = 0;
  };

  // False: no memory for a deflater.
  bool HaveDeflater();
  void AddKept(const DeflatedText& kept);
  // Sends what output_ has from `begin` on.
  void AddOutput(std::size_t begin);
  // These take some of the current piece and return how much.
  std::size_t CompressForBlock(const TextPiece& piece);
  std::size_t CompressOnce(std::string_view text);
  std::size_t Store(std::string_view text);
  // Ends what CompressOnce has begun, so that anything may follow.
  void EndRun();
  void CountPart(const DeflatedText& part);
  void CountText(std::string_view text);
  void Finish();

  // Looks for kept texts; decides about small pieces.
  void Plan();

  const std::unique_ptr<const TextScrape> text_;
  std::optional<std::uint64_t> length_;
  std::unique_ptr<Deflater> deflater_;  // made when needed: it costs more than a whole body of kept
  bool stores_small_ = true;            // what is small is sent as it is
  std::size_t at_ = 0;                  // the next piece
  std::size_t offset_ = 0;              // in it
  bool begun_ = false;
  bool finished_ = false;
  bool in_run_ = false;                  // pieces are being compressed together
  std::optional<DeflatedText> growing_;  // of the current piece, if that stays with its block
  std::uint32_t crc_ = 0;
  std::uint32_t size_ = 0;  // modulo 2^32
  std::string output_;      // of this call
  std::vector<Part> parts_;
};

}  // namespace pgw
