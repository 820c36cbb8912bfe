// Which format and compression a scrape gets. Pure functions of the request's headers.
// Rules: upstream's promhttp and expfmt.Negotiate; OpenMetrics is never produced.
#pragma once

#include <string>
#include <string_view>

#include "exposition/names.h"

namespace pgw {

enum class ExpositionFormat : unsigned char {
  kText,             // 0.0.4
  kProtobuf,         // delimited
  kProtobufText,     // debug, several lines a family
  kProtobufCompact,  // debug, one line a family
};

struct Negotiated {
  ExpositionFormat format = ExpositionFormat::kText;
  Escaping escaping = Escaping::kUnderscores;

  friend bool operator==(const Negotiated&, const Negotiated&) = default;
};

// `accept` is the first Accept header line, empty if there is none.
Negotiated NegotiateFormat(std::string_view accept);

// The Content-Type of such an answer, with its escaping parameter.
std::string ContentType(const Negotiated& negotiated);

// True: gzip; false: identity. `accept_encoding` is the first Accept-Encoding line.
bool NegotiateGzip(std::string_view accept_encoding);

// True if `content_type` names delimited protobuf exactly as upstream demands; anything else,
// also something unparsable, means text.
bool IsDelimitedProtobuf(std::string_view content_type);

}  // namespace pgw
