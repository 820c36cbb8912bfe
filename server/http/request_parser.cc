#include "server/http/request_parser.h"

#include <algorithm>
#include <vector>

#include "server/http/ascii.h"

namespace pgw::http {
namespace {

// What chunk lines may spend on anything but data: as Go, 16 KiB beyond a fair share per chunk.
constexpr std::uint64_t kChunkOverheadMax = 16 * 1024;
// One chunk line with its extensions, or all lines of a trailer, as Go.
constexpr std::size_t kChunkLineMax = 4096;
constexpr std::size_t kChunkSizeDigitsMax = 16;

// A header as offsets into the head, which moves while it grows.
struct FieldPlace {
  std::size_t name = 0;
  std::size_t value = 0;
  std::uint32_t name_size = 0;
  std::uint32_t value_size = 0;
};

// The value of a hexadecimal digit, or -1.
constexpr int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = LowerAscii(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Takes a chunk's size off the front of its line.
bool TakeChunkSize(std::string_view& line, std::uint64_t& size) {
  size = 0;
  std::size_t digits = 0;
  for (; digits < line.size(); ++digits) {
    const int value = HexValue(line[digits]);
    if (value < 0) break;
    if (digits == kChunkSizeDigitsMax) return false;
    size = size << 4 | static_cast<std::uint64_t>(value);
  }
  line.remove_prefix(digits);
  return digits != 0;
}

// What may stand behind a chunk's size: blanks, and extensions behind a semicolon. Extensions are
// dropped, so their grammar does not matter, but where their line ends does: some readers look for
// that end behind a quoted string. So a quote that is still open at the end is refused.
bool IsChunkExtension(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return true;
  if (text[first] != ';' || !IsFieldValue(text)) return false;
  bool quoted = false;
  for (std::size_t i = first; i < text.size(); ++i) {
    if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == '\\' && quoted) {
      ++i;
    }
  }
  return !quoted;
}

}  // namespace

struct RequestParser::Impl {
  enum class Chunks : unsigned char { kSize, kData, kDataEnd, kTrailer, kDone };

  // ---- The head ----
  std::vector<FieldPlace> fields;
  std::vector<Header> headers;
  RequestLine line;
  Refusal refusal;
  std::size_t line_bytes = 0;  // of the request line without its end
  std::size_t next_line = 0;   // where the first line begins that was not looked at
  std::size_t scanned = 0;     // where the search for its end goes on
  bool has_line = false;

  // ---- The body ----
  Chunks chunks = Chunks::kSize;
  std::size_t chunk_scanned = 0;      // of what was given and not consumed
  std::size_t trailer_bytes = 0;      // of its lines so far
  std::uint64_t chunk_remaining = 0;  // of the data of this chunk
  std::uint64_t body_bytes = 0;       // announced by all chunks so far
  std::uint64_t overhead = 0;

  Progress Refuse(Refusal why) {
    refusal = why;
    return Progress::kRefused;
  }

  Progress TakeHeadLine(std::string_view received);
  void MakeViews(std::string_view head);

  Progress TakeChunkLine(std::string_view received, std::size_t bytes_max, std::string_view& text);
  Progress TakeSize(std::string_view received, std::uint64_t bytes_max, std::size_t& consumed);
  Progress TakeData(std::string_view received, ByteBuffer* body, std::size_t& consumed);
  Progress TakeDataEnd(std::string_view received, std::size_t& consumed);
  Progress TakeTrailerLine(std::string_view received, std::size_t& consumed);
};

RequestParser::RequestParser() : impl_(std::make_unique<Impl>()) {}
RequestParser::~RequestParser() = default;
RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;

void RequestParser::Reset() {
  Impl fresh;
  // Their memory is used again.
  fresh.fields = std::move(impl_->fields);
  fresh.headers = std::move(impl_->headers);
  fresh.fields.clear();
  fresh.headers.clear();
  *impl_ = std::move(fresh);
}

const RequestLine& RequestParser::line() const { return impl_->line; }
std::span<const Header> RequestParser::headers() const { return impl_->headers; }
std::size_t RequestParser::head_bytes() const { return impl_->next_line; }
const Refusal& RequestParser::refusal() const { return impl_->refusal; }
void RequestParser::MoveHead(std::string_view head) { impl_->MakeViews(head); }

bool RequestParser::InTrailer() const { return impl_->chunks == Impl::Chunks::kTrailer; }

// ---- The head ----

// A line is looked at when all of it is there, and refused before the next one is looked at: so
// the answer depends on the bytes alone and not on the pieces they come in.
RequestParser::Progress RequestParser::ParseHead(std::string_view received, std::size_t bytes_max) {
  Impl& impl = *impl_;
  // Something else entirely, such as a TLS handshake, may never send a line end.
  if (impl.scanned == 0 && !received.empty()) {
    const unsigned char first = static_cast<unsigned char>(received.front());
    if (first <= ' ' || first >= 0x7f) return impl.Refuse({});
  }
  for (;;) {
    const std::size_t end = received.find('\n', impl.scanned);
    const bool is_whole = end != std::string_view::npos;
    impl.scanned = is_whole ? end + 1 : received.size();
    if (bytes_max != 0 && impl.scanned > bytes_max) return impl.Refuse({431});
    if (!is_whole) return Progress::kNeedMore;
    const Progress progress = impl.TakeHeadLine(received.substr(0, end));
    if (progress != Progress::kNeedMore) return progress;
  }
}

// `received` ends where the line feed stands. A line may end in a line feed alone (RFC 9112 §2.2).
RequestParser::Progress RequestParser::Impl::TakeHeadLine(std::string_view received) {
  std::string_view text = received.substr(next_line);
  if (text.ends_with('\r')) text.remove_suffix(1);
  next_line = received.size() + 1;
  if (!has_line) {
    if (const auto why = ParseRequestLine(text, line)) return Refuse(*why);
    has_line = true;
    line_bytes = text.size();
    return Progress::kNeedMore;
  }
  if (text.empty()) {
    MakeViews(received);
    return Progress::kDone;
  }
  Header field;
  if (const auto why = ParseHeaderLine(text, field)) return Refuse(*why);
  const char* const head = received.data();
  fields.push_back({static_cast<std::size_t>(field.name.data() - head),
                    static_cast<std::size_t>(field.value.data() - head),
                    static_cast<std::uint32_t>(field.name.size()),
                    static_cast<std::uint32_t>(field.value.size())});
  return Progress::kNeedMore;
}

void RequestParser::Impl::MakeViews(std::string_view head) {
  headers.clear();
  for (const FieldPlace& place : fields) {
    headers.push_back(
        {head.substr(place.name, place.name_size), head.substr(place.value, place.value_size)});
  }
  // It parsed before, so it parses again.
  (void)ParseRequestLine(head.substr(0, line_bytes), line);
}

// ---- Chunks ----

RequestParser::Progress RequestParser::ParseChunks(std::string_view received,
                                                   std::uint64_t bytes_max, ByteBuffer* body,
                                                   std::size_t& consumed) {
  Impl& impl = *impl_;
  consumed = 0;
  for (;;) {
    const std::string_view rest = received.substr(consumed);
    Progress progress = Progress::kDone;
    switch (impl.chunks) {
      case Impl::Chunks::kSize:
        progress = impl.TakeSize(rest, bytes_max, consumed);
        break;
      case Impl::Chunks::kData:
        progress = impl.TakeData(rest, body, consumed);
        break;
      case Impl::Chunks::kDataEnd:
        progress = impl.TakeDataEnd(rest, consumed);
        break;
      case Impl::Chunks::kTrailer:
        progress = impl.TakeTrailerLine(rest, consumed);
        break;
      case Impl::Chunks::kDone:
        return Progress::kDone;
    }
    if (progress != Progress::kDone) return progress;
  }
}

// One line of the framing without its end. That has to be CRLF, and nothing in the line may look
// like a part of one: whoever ends lines elsewhere would find other requests here.
RequestParser::Progress RequestParser::Impl::TakeChunkLine(std::string_view received,
                                                           std::size_t bytes_max,
                                                           std::string_view& text) {
  const std::size_t end = received.find('\n', chunk_scanned);
  const bool is_whole = end != std::string_view::npos;
  chunk_scanned = is_whole ? end + 1 : received.size();
  if (chunk_scanned > bytes_max) return Refuse({});
  if (!is_whole) return Progress::kNeedMore;
  chunk_scanned = 0;
  if (end == 0 || received[end - 1] != '\r') return Refuse({});
  text = received.substr(0, end - 1);
  return Progress::kDone;
}

RequestParser::Progress RequestParser::Impl::TakeSize(std::string_view received,
                                                      std::uint64_t bytes_max,
                                                      std::size_t& consumed) {
  std::string_view text;
  if (const Progress progress = TakeChunkLine(received, kChunkLineMax, text);
      progress != Progress::kDone) {
    return progress;
  }
  const std::size_t line_size = text.size();
  std::uint64_t size = 0;
  if (!TakeChunkSize(text, size) || !IsChunkExtension(text)) return Refuse({});
  // A chunk of a few bytes with a long extension costs the reader more than it brings.
  overhead += line_size + 2;
  overhead -= std::min(overhead, 16 + std::min<std::uint64_t>(size, 1u << 20) * 2);
  if (overhead > kChunkOverheadMax) return Refuse({});
  if (bytes_max != 0 && size > bytes_max - std::min(bytes_max, body_bytes)) return Refuse({413});
  body_bytes += size;
  chunk_remaining = size;
  chunks = size == 0 ? Chunks::kTrailer : Chunks::kData;
  consumed += line_size + 2;
  return Progress::kDone;
}

RequestParser::Progress RequestParser::Impl::TakeData(std::string_view received, ByteBuffer* body,
                                                      std::size_t& consumed) {
  const std::string_view data = received.substr(
      0, static_cast<std::size_t>(std::min<std::uint64_t>(received.size(), chunk_remaining)));
  if (body != nullptr && !body->Append(data)) return Refuse({503});
  consumed += data.size();
  chunk_remaining -= data.size();
  if (chunk_remaining != 0) return Progress::kNeedMore;
  chunks = Chunks::kDataEnd;
  return Progress::kDone;
}

RequestParser::Progress RequestParser::Impl::TakeDataEnd(std::string_view received,
                                                         std::size_t& consumed) {
  static constexpr std::string_view kLineEnd = "\r\n";
  const std::string_view there = received.substr(0, kLineEnd.size());
  if (!kLineEnd.starts_with(there)) return Refuse({});
  if (there.size() < kLineEnd.size()) return Progress::kNeedMore;
  consumed += kLineEnd.size();
  chunks = Chunks::kSize;
  return Progress::kDone;
}

// Trailers are read, and forgotten.
RequestParser::Progress RequestParser::Impl::TakeTrailerLine(std::string_view received,
                                                             std::size_t& consumed) {
  std::string_view text;
  if (const Progress progress = TakeChunkLine(received, kChunkLineMax - trailer_bytes, text);
      progress != Progress::kDone) {
    return progress;
  }
  if (text.empty()) {
    chunks = Chunks::kDone;
  } else {
    Header field;
    // A length that comes afterwards would be read by whoever puts it to the headers.
    if (ParseHeaderLine(text, field) || EqualsIgnoringCase(field.name, "content-length") ||
        EqualsIgnoringCase(field.name, "transfer-encoding")) {
      return Refuse({});
    }
  }
  trailer_bytes += text.size() + 2;
  consumed += text.size() + 2;
  return Progress::kDone;
}

}  // namespace pgw::http
