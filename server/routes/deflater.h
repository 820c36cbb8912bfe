// zlib's compressor at the level that scrapes use. Only for sources: what includes this sees zlib.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace pgw {

class Deflater {
 public:
  static constexpr int kRaw = -MAX_WBITS;
  static constexpr int kGzip = MAX_WBITS + 16;

  // What one takes of memory, about: zlib's manual has the formula.
  static constexpr std::size_t kBytes = (std::size_t{1} << (MAX_WBITS + 2)) + (1u << 17) + 8192;

  // `window_bits`: one of the above.
  explicit Deflater(int window_bits) {
    ready_ = deflateInit2(&stream_, kLevel, Z_DEFLATED, window_bits, kMemoryLevel,
                          Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~Deflater() { deflateEnd(&stream_); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  // False: there is no memory for it, and it must not be used.
  bool ready() const { return ready_; }

  // What comes next refers to nothing that came before.
  void Reset() { deflateReset(&stream_); }

  // Appends what has become of it to `out`; `flush` is zlib's.
  void Feed(std::string_view input, int flush, std::string& out) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
    do {
      const std::size_t start = out.size();
      out.resize(start + kOutputBytes);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data()) + start;
      stream_.avail_out = static_cast<uInt>(kOutputBytes);
      deflate(&stream_, flush);
      out.resize(start + kOutputBytes - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }

 private:
  // Exposition text shrinks to a tenth at level 1 already; level 6 takes thrice the time for a
  // quarter less.
  static constexpr int kLevel = 1;
  static constexpr int kMemoryLevel = 8;
  static constexpr std::size_t kOutputBytes = 16 * 1024;

  z_stream stream_{};
  bool ready_ = false;
};

}  // namespace pgw
