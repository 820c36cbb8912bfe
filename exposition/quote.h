// Go's quoted forms (%q), which upstream's error messages carry. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace pgw {

// "…" with \" \\ \a \b \f \n \r \t \v, \xNN for other control and invalid bytes, \uNNNN and
// \UNNNNNNNN for code points Go does not count as printable, everything else verbatim.
std::string GoQuote(std::string_view text);

// '…' for one byte; a byte above 0x7f is shown as the code point of that number.
std::string GoQuoteByte(unsigned char byte);

}  // namespace pgw
