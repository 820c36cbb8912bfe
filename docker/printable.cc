#include "docker/printable.h"

namespace pgw::image {

std::string Printable(std::string_view text) {
  constexpr std::size_t kBytesMax = 300;
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : text.substr(0, kBytesMax)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= ' ' && byte < 0x7f && c != '\\') {
      out.push_back(c);
    } else {
      out.append("\\x").append({kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
  if (text.size() > kBytesMax) out += "…";
  return out;
}

}  // namespace pgw::image
