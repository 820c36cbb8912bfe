#include "docker/archive/gzip.h"

#include <zlib.h>

#include <array>
#include <limits>

namespace pgw::image {
namespace {

constexpr int kGzipWindow = 15 + 16;  // zlib's notation: the largest window, a gzip wrapper
// 9 is half again as slow for one byte in two thousand; a larger memory level packs programs worse.
constexpr int kLevel = 8;
constexpr int kMemory = 8;
constexpr int kUnknownOs = 255;

}  // namespace

Result<std::string> Gzip(std::string_view bytes) {
  // zlib counts in 32 bits; a layer of ours is some megabytes.
  if (bytes.size() > std::numeric_limits<uInt>::max()) {
    return Error{Code::kTooLarge, "a layer of 4 GiB or more cannot be compressed"};
  }
  z_stream stream{};
  if (deflateInit2(&stream, kLevel, Z_DEFLATED, kGzipWindow, kMemory, Z_DEFAULT_STRATEGY) != Z_OK) {
    return Error{Code::kInternal, "zlib cannot be started"};
  }
  gz_header header{};
  header.os = kUnknownOs;
  deflateSetHeader(&stream, &header);
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int code = deflate(&stream, Z_FINISH);
  const std::size_t size = stream.total_out;
  deflateEnd(&stream);
  if (code != Z_STREAM_END) return Error{Code::kInternal, "zlib did not finish a layer"};
  packed.resize(size);
  return packed;
}

struct GunzipSource::State {
  z_stream stream{};
  std::array<char, 32768> input;
  std::uint64_t consumed = 0;  // bytes of the packed stream, for messages
  bool in_member = false;
  bool any_member = false;
  bool ended = false;

  State() { ready = inflateInit2(&stream, kGzipWindow) == Z_OK; }
  ~State() { inflateEnd(&stream); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  bool ready = false;

  Error Broken(std::string_view what) const {
    return InvalidArgument("gzip, at byte " + std::to_string(consumed) + ": " + std::string(what));
  }
};

GunzipSource::GunzipSource(ByteSource& source, std::uint64_t bytes_max)
    : source_(source), bytes_left_(bytes_max), state_(std::make_unique<State>()) {}

GunzipSource::~GunzipSource() = default;

Result<bool> GunzipSource::Refill() {
  z_stream& stream = state_->stream;
  if (stream.avail_in != 0) return true;
  const Result<std::size_t> read = source_.Read(state_->input);
  if (!read) return read.error();
  stream.next_in = reinterpret_cast<Bytef*>(state_->input.data());
  stream.avail_in = static_cast<uInt>(*read);
  return *read != 0;
}

// False where the stream ends between two members.
Result<bool> GunzipSource::StartMember() {
  const Result<bool> more = Refill();
  if (!more) return more.error();
  if (!*more) {
    if (!state_->any_member) return state_->Broken("an empty stream");
    state_->ended = true;
    return false;
  }
  inflateReset(&state_->stream);
  state_->in_member = true;
  state_->any_member = true;
  return true;
}

Result<std::size_t> GunzipSource::Read(std::span<char> buffer) {
  if (!state_->ready) return Error{Code::kInternal, "zlib cannot be started"};
  if (buffer.empty() || state_->ended) return std::size_t{0};
  z_stream& stream = state_->stream;
  while (true) {
    if (!state_->in_member) {
      const Result<bool> started = StartMember();
      if (!started) return started.error();
      if (!*started) return std::size_t{0};
    }
    const Result<bool> more = Refill();
    if (!more) return more.error();
    if (!*more) return state_->Broken("the stream is cut off");
    const uInt before = stream.avail_in;
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(std::min<std::size_t>(buffer.size(), 1u << 20));
    const uInt room = stream.avail_out;
    const int code = inflate(&stream, Z_NO_FLUSH);
    state_->consumed += before - stream.avail_in;
    if (code == Z_STREAM_END) {
      state_->in_member = false;
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      return state_->Broken(stream.msg != nullptr ? stream.msg : "broken data");
    }
    const std::size_t size = room - stream.avail_out;
    if (size > bytes_left_) {
      return Error{Code::kTooLarge, "more comes out of the gzip stream than is allowed"};
    }
    bytes_left_ -= size;
    if (size != 0) return size;
  }
}

}  // namespace pgw::image
