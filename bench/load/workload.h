// The requests: which bytes a push of a group consists of. Knows the form of our series.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pgw::load {

// A whole request with places for what differs from push to push. Those have a fixed width, so that
// a push changes a few bytes and nothing is rendered.
struct RequestTemplate {
  std::string bytes;
  std::size_t group_at = 0;              // kGroupDigits digits
  std::vector<std::size_t> sequence_at;  // kSequenceWidth characters each
  std::vector<std::size_t> changing_at;  // digits of other values, which change with every push
  std::uint32_t series = 0;              // that carry the sequence number
};

struct RequestTarget {
  std::string host;    // as the Host header has it
  std::string prefix;  // of the path, without a slash at its end
  std::string method = "PUT";
  std::string tag;     // tells this run's groups from others
  bool close = false;  // asks the server to close after the answer
};

// A group of `series` series in `families` families, all with the sequence number as their value.
RequestTemplate SyntheticTemplate(const RequestTarget& target, std::size_t series,
                                  std::size_t families);

// The text exposition in `text`, with one series of ours behind it. `change`: a digit of each of
// its values moves with every push. Timestamps are left out, a Pushgateway refuses them. Errors
// name `name` and the line.
Result<RequestTemplate> ReplayTemplate(const RequestTarget& target, std::string_view name,
                                       std::string_view text, bool change);

std::string ScrapeRequest(const RequestTarget& target, bool gzip);

// The request of one connection, used again and again.
class RequestBuffer {
 public:
  // Only copies the template where it is another one than before. The template must outlive it.
  std::string_view Render(const RequestTemplate& form, std::uint32_t group, std::uint64_t sequence);
  void Free();

 private:
  const RequestTemplate* form_ = nullptr;
  std::string bytes_;
};

}  // namespace pgw::load
