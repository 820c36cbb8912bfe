// Three header values, a line each: Accept, Accept-Encoding, Content-Type.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "exposition/names.h"
#include "exposition/negotiation.h"

namespace {

using namespace pgw;  // NOLINT: a program of one file

void CheckFailed(const char* condition, int line) {
  std::fprintf(stderr, "line %d: %s\n", line, condition);
  std::abort();
}
#define CHECK(condition) ((condition) ? void() : CheckFailed(#condition, __LINE__))

std::string_view NextLine(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  const std::string_view line = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return line;
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

void CheckAccept(std::string_view accept) {
  const Negotiated negotiated = NegotiateFormat(accept);
  // Nothing but the default is chosen unasked.
  if (negotiated.format != ExpositionFormat::kText) {
    CHECK(Contains(accept, "vnd.google.protobuf"));
    CHECK(Contains(accept, "io.prometheus.client.MetricFamily"));
  }
  if (negotiated.escaping != Escaping::kUnderscores) {
    CHECK(Contains(accept, EscapingName(negotiated.escaping)));
  }
  const std::string content_type = ContentType(negotiated);
  CHECK(IsDelimitedProtobuf(content_type) == (negotiated.format == ExpositionFormat::kProtobuf));
  // What we say we send is what we send to those who ask for just that.
  CHECK(NegotiateFormat(content_type) == negotiated);
  // A clause that matches nothing and names no escaping changes nothing.
  CHECK(NegotiateFormat(std::string(accept) + ",x/y;q=-1") == negotiated);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  CheckAccept(NextLine(rest));
  const std::string_view encoding = NextLine(rest);
  if (NegotiateGzip(encoding)) CHECK(Contains(encoding, "gzip"));
  const std::string_view type = NextLine(rest);
  if (IsDelimitedProtobuf(type)) {
    CHECK(Contains(type, "delimited"));
    CHECK(IsDelimitedProtobuf(std::string(type) + ";x=\"y;\\\"\"") || Contains(type, "x") ||
          Contains(type, "X"));
  }
  return 0;
}
