#include <boost/beast/http/basic_parser.hpp>
#include <boost/optional.hpp>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

#include "server/http/request_parser.h"

namespace pgw::http {
namespace {

namespace beast = boost::beast;
using Field = beast::http::field;
using BeastError = beast::error_code;

// What chunk headers may spend on anything but data: as Go, 16 KiB beyond a fair share per chunk.
constexpr std::uint64_t kChunkOverheadMax = 16 * 1024;
// One chunk header with its extensions, or all trailers.
constexpr std::size_t kChunkLineMax = 16 * 1024;

// A header as offsets into the head, which moves while it grows.
struct FieldPlace {
  std::size_t name = 0;
  std::size_t value = 0;
  std::uint32_t name_size = 0;
  std::uint32_t value_size = 0;
};

// Beast's grammar of header fields and chunks. The request line is not shown to it: its version
// check knows no 505 and no HTTP/1.2, so it gets a line of ours instead.
class Grammar final : public beast::http::basic_parser<true> {
 public:
  Grammar() {
    header_limit(std::numeric_limits<std::uint32_t>::max());  // counted by RequestParser
    body_limit(boost::none);                                  // likewise
    BeastError ec;
    static constexpr std::string_view kLine = "PUT / HTTP/1.1\r\n";
    put(boost::asio::const_buffer(kLine.data(), kLine.size()), ec);
  }

  std::vector<FieldPlace> fields;
  const char* head = nullptr;  // where the head lies during this step
  std::size_t head_size = 0;
  bool folded = false;
  bool content_length_seen = false;

  ByteBuffer* body = nullptr;
  std::uint64_t body_bytes = 0;  // announced by chunk headers so far
  std::uint64_t body_bytes_max = 0;
  std::uint64_t overhead = 0;
  std::size_t trailer_bytes = 0;
  bool too_large = false;
  bool out_of_memory = false;

 private:
  using BeastView = beast::string_view;

  void on_request_impl(beast::http::verb, BeastView, BeastView, int, BeastError&) override {}
  void on_response_impl(int, BeastView, int, BeastError&) override {}

  void on_field_impl(Field field, BeastView name, BeastView value, BeastError& ec) override {
    if (is_header_done()) {  // a trailer: read, and forgotten
      trailer_bytes += name.size() + value.size();
      if (trailer_bytes > kChunkLineMax) ec = beast::http::error::bad_chunk;
      return;
    }
    content_length_seen |= field == Field::content_length;
    // obs-fold: Beast either joins the lines in a buffer of its own, or skips an empty first one.
    const std::less<const char*> before;
    const char* end = name.data() + name.size();
    if (before(value.data(), end) || before(head + head_size, value.data() + value.size()) ||
        std::memchr(end, '\n', static_cast<std::size_t>(value.data() - end)) != nullptr) {
      folded = true;
      ec = beast::http::error::bad_value;
      return;
    }
    fields.push_back({static_cast<std::size_t>(name.data() - head),
                      static_cast<std::size_t>(value.data() - head),
                      static_cast<std::uint32_t>(name.size()),
                      static_cast<std::uint32_t>(value.size())});
  }

  void on_header_impl(BeastError&) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const&, BeastError&) override {}
  std::size_t on_body_impl(BeastView bytes, BeastError&) override { return bytes.size(); }

  void on_chunk_header_impl(std::uint64_t size, BeastView extensions, BeastError& ec) override {
    // A chunk of a few bytes with a long extension costs the reader more than it brings.
    overhead += extensions.size() + 5;
    overhead -= std::min(overhead, 16 + std::min<std::uint64_t>(size, 1u << 20) * 2);
    if (overhead > kChunkOverheadMax || extensions.size() > kChunkLineMax) {
      ec = beast::http::error::bad_chunk;
      return;
    }
    if (body_bytes_max != 0 && size > body_bytes_max - body_bytes) {
      too_large = true;
      ec = beast::http::error::body_limit;
      return;
    }
    body_bytes += size;
  }

  std::size_t on_chunk_body_impl(std::uint64_t, BeastView bytes, BeastError& ec) override {
    if (body != nullptr && !body->Append({bytes.data(), bytes.size()})) {
      out_of_memory = true;
      ec = beast::http::error::body_limit;
    }
    return bytes.size();
  }

  void on_finish_impl(BeastError&) override {}
};

}  // namespace

struct RequestParser::Impl {
  boost::optional<Grammar> grammar;
  std::vector<FieldPlace> places;  // between requests, for its memory
  std::vector<Header> headers;
  RequestLine line;
  Refusal refusal;
  std::size_t line_bytes = 0;  // with its CRLF; 0 until it was seen
  std::size_t scanned = 0;     // where the search for it goes on
  std::size_t consumed = 0;    // by the grammar
  bool bad_field = false;      // the line at `consumed` is none; its words depend on all of it

  Progress Refuse(Refusal why) {
    refusal = why;
    return Progress::kRefused;
  }

  Progress TakeLine(std::string_view received);
  Progress TakeFields(std::string_view received);
  Refusal Explain(BeastError error) const;
  void MakeViews(std::string_view head);
};

RequestParser::RequestParser() : impl_(std::make_unique<Impl>()) { Reset(); }
RequestParser::~RequestParser() = default;
RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;

void RequestParser::Reset() {
  Impl& impl = *impl_;
  if (impl.grammar) impl.places = std::move(impl.grammar->fields);
  impl.grammar.emplace();
  impl.places.clear();
  impl.grammar->fields = std::move(impl.places);
  impl.headers.clear();
  impl.line = {};
  impl.refusal = {};
  impl.line_bytes = impl.scanned = impl.consumed = 0;
  impl.bad_field = false;
}

const RequestLine& RequestParser::line() const { return impl_->line; }
std::span<const Header> RequestParser::headers() const { return impl_->headers; }
std::size_t RequestParser::head_bytes() const { return impl_->consumed; }
const Refusal& RequestParser::refusal() const { return impl_->refusal; }
void RequestParser::MoveHead(std::string_view head) { impl_->MakeViews(head); }

RequestParser::Progress RequestParser::Impl::TakeLine(std::string_view received) {
  // Something else entirely, such as a TLS handshake, may never send a line end.
  if (scanned == 0 && !received.empty()) {
    const unsigned char first = static_cast<unsigned char>(received.front());
    if (first <= ' ' || first >= 0x7f) return Refuse({});
  }
  const std::size_t end = received.find('\n', scanned);
  scanned = received.size();
  if (end == std::string_view::npos) return Progress::kNeedMore;
  if (end == 0 || received[end - 1] != '\r') return Refuse({});
  if (auto why = ParseRequestLine(received.substr(0, end - 1), line)) return Refuse(*why);
  consumed = line_bytes = end + 1;
  return Progress::kDone;
}

Refusal RequestParser::Impl::Explain(BeastError error) const {
  if (error == beast::http::error::bad_transfer_encoding && !grammar->content_length_seen) {
    return {501, {}, "Unsupported transfer encoding"};  // said twice
  }
  return {};
}

RequestParser::Progress RequestParser::Impl::TakeFields(std::string_view received) {
  grammar->head = received.data();
  grammar->head_size = received.size();
  const std::string_view rest = received.substr(consumed);
  BeastError ec;
  if (!bad_field) {
    consumed += grammar->put(boost::asio::const_buffer(rest.data(), rest.size()), ec);
    if (ec == beast::http::error::need_more) return Progress::kNeedMore;
    bad_field = ec == beast::http::error::bad_field;
  }
  if (bad_field) {
    const std::string_view bad_line = received.substr(consumed);
    const std::size_t end = bad_line.find('\n');
    return end == std::string_view::npos ? Progress::kNeedMore
                                         : Refuse(RefuseHeaderLine(bad_line.substr(0, end)));
  }
  if (ec) return Refuse(Explain(ec));
  MakeViews(received);
  return Progress::kDone;
}

void RequestParser::Impl::MakeViews(std::string_view head) {
  headers.clear();
  for (const FieldPlace& place : grammar->fields) {
    headers.push_back(
        {head.substr(place.name, place.name_size), head.substr(place.value, place.value_size)});
  }
  // It parsed before, so it parses again.
  (void)ParseRequestLine(head.substr(0, line_bytes - 2), line);
}

RequestParser::Progress RequestParser::ParseHead(std::string_view received, std::size_t bytes_max) {
  Impl& impl = *impl_;
  Progress progress = Progress::kDone;
  if (impl.line_bytes == 0) progress = impl.TakeLine(received);
  if (progress == Progress::kDone) progress = impl.TakeFields(received);
  if (progress == Progress::kRefused || bytes_max == 0) return progress;
  const std::size_t size = progress == Progress::kDone ? impl.consumed : received.size();
  return size > bytes_max ? impl.Refuse({431}) : progress;
}

RequestParser::Progress RequestParser::ParseChunks(std::string_view received,
                                                   std::uint64_t bytes_max, ByteBuffer* body,
                                                   std::size_t& consumed) {
  Impl& impl = *impl_;
  Grammar& grammar = *impl.grammar;
  grammar.eager(true);
  grammar.body = body;
  grammar.body_bytes_max = bytes_max;
  consumed = 0;
  if (grammar.is_done()) return Progress::kDone;
  if (received.empty()) return Progress::kNeedMore;
  BeastError ec;
  consumed = grammar.put(boost::asio::const_buffer(received.data(), received.size()), ec);
  if (ec && ec != beast::http::error::need_more) {
    return impl.Refuse({grammar.out_of_memory ? 503 : grammar.too_large ? 413 : 400});
  }
  if (grammar.is_done()) return Progress::kDone;
  if (received.size() - consumed > kChunkLineMax) return impl.Refuse({});
  return Progress::kNeedMore;
}

}  // namespace pgw::http
