// Metric and label names: what is valid, and how names that older clients cannot read are escaped.
// Knows base. All functions are pure.
#pragma once

#include <string>
#include <string_view>

namespace pgw {

// Which names a server accepts: --push.enable-utf8-names.
enum class NameValidation : unsigned char {
  kLegacy,  // [a-zA-Z_:][a-zA-Z0-9_:]*, labels without the colon
  kUtf8,    // any non-empty valid UTF-8
};

bool IsValidUtf8(std::string_view text);
bool IsLegacyMetricName(std::string_view name);
bool IsLegacyLabelName(std::string_view name);
bool IsValidMetricName(std::string_view name, NameValidation validation);
bool IsValidLabelName(std::string_view name, NameValidation validation);

// How a scrape writes names that are not legacy-valid. Upstream tests label names by the metric
// rule too (a colon needs no escaping). Legacy-valid names are never touched.
enum class Escaping : unsigned char { kUnderscores, kDots, kValues, kAllowUtf8 };

// True if `name` is not [a-zA-Z_:][a-zA-Z0-9_:]*.
inline bool NeedsEscaping(std::string_view name) { return !IsLegacyMetricName(name); }

// underscores, dots, values, allow-utf-8.
std::string_view EscapingName(Escaping escaping);

// `name` in the given form. With kAllowUtf8 it is returned unchanged (the writer quotes it).
std::string EscapeName(std::string_view name, Escaping escaping);

// Undoes the `values` form (U__…) of a URL segment. Anything malformed comes back unchanged.
std::string UnescapeValuesName(std::string_view segment);

}  // namespace pgw
