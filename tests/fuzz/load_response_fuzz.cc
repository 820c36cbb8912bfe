// What a server may answer, to the load bench's parser and scanner: however the bytes are cut, the
// same responses and the same series come out.
//
// The first byte of the input says how the rest is cut.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/response_parser.h"
#include "bench/load/scrape_scanner.h"

namespace {

using pgw::load::ResponseParser;
using pgw::load::ScrapeScanner;
using pgw::load::SeenSeries;

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

struct Outcome {
  std::vector<std::string> responses;
  std::vector<std::uint64_t> series;
  bool failed = false;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome Read(std::string_view bytes, std::size_t piece) {
  Outcome outcome;
  ResponseParser parser;
  ScrapeScanner scanner("abcd-");
  std::string body;
  const auto finish = [&] {
    outcome.responses.push_back(std::to_string(parser.status()) +
                                (parser.keep_alive() ? " kept " : " closed ") + body);
    body.clear();
    scanner.Reset();
  };
  while (!bytes.empty() && !parser.failed()) {
    const std::string_view some = bytes.substr(0, piece);
    const ResponseParser::Step step = parser.Next(some);
    Require(step.consumed > 0 && step.consumed <= some.size(), "progress");
    Require(step.body.size() <= step.consumed, "the body is among what was consumed");
    Require(step.body.empty() || (step.body.data() >= some.data() &&
                                  step.body.data() + step.body.size() <= some.data() + some.size()),
            "the body is a view of what was given");
    body += step.body;
    scanner.Feed(step.body, [&](const SeenSeries& seen) {
      outcome.series.push_back(seen.group * 1000003ULL + seen.sequence);
    });
    bytes.remove_prefix(step.consumed);
    if (!parser.done()) continue;
    finish();
    if (!parser.keep_alive()) return outcome;
    parser.Reset();
  }
  if (!parser.failed() && parser.Close()) finish();
  outcome.failed = parser.failed();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t piece = 1 + data[0] % 64;
  Require(Read(bytes, bytes.size()) == Read(bytes, piece), "the same however it is cut");
  return 0;
}
