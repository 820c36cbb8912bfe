// Generated bodies: what was parsed, written and read back is the same.

#include "tests/fuzz/text_round_trip.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace pgw {
namespace {

// Writes bodies that are valid, if odd: every type, all kinds of names and numbers, lines in any
// order, blanks where they are allowed.
class BodyGenerator {
 public:
  BodyGenerator(std::uint64_t seed, NameValidation validation)
      : random_(seed), validation_(validation) {}

  std::string Body() {
    lines_.clear();
    header_.clear();
    for (std::uint64_t families = 1 + Below(4); families > 0; --families) {
      Family("f" + std::to_string(families) + Name());
    }
    if (Below(2) == 0) std::shuffle(lines_.begin(), lines_.end(), random_);
    std::string body = header_;
    for (const std::string& line : lines_) body += line;
    return body;
  }

 private:
  std::uint64_t Below(std::uint64_t bound) { return random_() % bound; }

  template <std::size_t kCount>
  std::string_view Pick(const std::string_view (&choices)[kCount]) {
    return choices[Below(kCount)];
  }

  std::string Name() {
    static constexpr std::string_view kLegacy[] = {"", "_total", "_sum", "_count", "_bucket", "_9"};
    static constexpr std::string_view kUtf8[] = {".b", " c", "\xc3\xa9", "\\\"", "\n", "_x.sum"};
    return std::string(validation_ == NameValidation::kUtf8 && Below(2) == 0 ? Pick(kUtf8)
                                                                             : Pick(kLegacy));
  }

  std::string Blank() {
    static constexpr std::string_view kBlanks[] = {"", "", "", " ", "\t", "  "};
    return std::string(Pick(kBlanks));
  }

  std::string Quoted(std::string_view text) {
    std::string quoted = "\"";
    AppendEscapedLabelValue(text, quoted);
    return quoted + '"';
  }

  std::string Number() {
    static constexpr std::string_view kNumbers[] = {"0",
                                                    "1",
                                                    "42",
                                                    "08",
                                                    "1e6",
                                                    "1000000",
                                                    "999999",
                                                    "0.1",
                                                    "0.30000000000000004",
                                                    "1e-400",
                                                    "+5",
                                                    "5.",
                                                    ".5",
                                                    "1e22",
                                                    "123456.789",
                                                    "4.4582999999999996e-05",
                                                    "9007199254740993",
                                                    "18446744073709551616",
                                                    "1e300"};
    return std::string(Pick(kNumbers));
  }

  std::string AnyNumber() {
    static constexpr std::string_view kOthers[] = {"NaN", "+Inf", "-Inf", "-0", "-1.5", "-1e-400"};
    return Below(4) == 0 ? std::string(Pick(kOthers)) : Number();
  }

  std::vector<std::string> Labels() {
    static constexpr std::string_view kValues[] = {
        "", "v", "a longer value than sixteen bytes", "\"", "\\", "\n", "Bj\xc3\xb6rn", "{},=#\t"};
    std::vector<std::string> labels;
    for (std::uint64_t i = Below(4); i > 0; --i) {
      const std::string name = "l" + std::to_string(i) + (i == 2 ? Name() : "");
      labels.push_back((NeedsEscaping(name) || Below(8) == 0 ? Quoted(name) : name) + Blank() +
                       "=" + Blank() + Quoted(Pick(kValues)) + Blank());
    }
    return labels;
  }

  void Line(const std::string& name, std::vector<std::string> labels, const std::string& bound,
            const std::string& value) {
    if (Below(8) == 0) std::shuffle(labels.begin(), labels.end(), random_);
    if (!bound.empty()) {
      const std::size_t place = Below(8) == 0 ? Below(labels.size() + 1) : labels.size();
      labels.insert(labels.begin() + static_cast<std::ptrdiff_t>(place), bound);
    }
    const bool braced = NeedsEscaping(name) || Below(8) == 0;
    if (braced) {
      const std::size_t place = Below(4) == 0 ? Below(labels.size() + 1) : 0;
      labels.insert(labels.begin() + static_cast<std::ptrdiff_t>(place), Quoted(name));
    }
    std::string line = Below(16) == 0 ? Blank() : "";
    if (!braced) line += name;
    if (!labels.empty()) {
      line += '{';
      for (std::size_t i = 0; i < labels.size(); ++i) line += (i > 0 ? "," : "") + labels[i];
      line += Below(16) == 0 ? ",}" : "}";
    }
    lines_.push_back(line + ' ' + Blank() + value + '\n');
  }

  void Family(const std::string& name) {
    static constexpr std::string_view kTypes[] = {"counter", "gauge",     "untyped",
                                                  "summary", "histogram", "gaugehistogram"};
    const std::string_view type = Pick(kTypes);
    const std::string written = NeedsEscaping(name) ? Quoted(name) : name;
    if (Below(2) == 0) header_ += "# HELP " + written + " some \\n help \\\\ text\n";
    if (type != "untyped" || Below(2) == 0) {
      header_ += "# TYPE " + written + ' ' + std::string(type) + '\n';
    }
    for (std::uint64_t metrics = Below(5); metrics > 0; --metrics) {
      const std::vector<std::string> labels = Labels();
      if (type == "summary") {
        for (std::uint64_t i = Below(4); i > 0; --i) {
          Line(name, labels, "quantile=\"" + AnyNumber() + '"', AnyNumber());
        }
        if (Below(4) != 0) Line(name + "_sum", labels, "", AnyNumber());
        if (Below(4) != 0) Line(name + "_count", labels, "", std::to_string(Below(2000000)));
      } else if (type == "counter" || type == "gauge" || type == "untyped") {
        Line(name, labels, "", AnyNumber());
      } else {
        for (std::uint64_t i = Below(6); i > 0; --i) {
          Line(name + "_bucket", labels, "le=\"" + AnyNumber() + '"', Number());
        }
        if (Below(4) != 0) Line(name + "_bucket", labels, "le=\"+Inf\"", Number());
        if (Below(4) != 0) Line(name + "_sum", labels, "", AnyNumber());
        if (Below(4) != 0) Line(name + "_count", labels, "", Number());
      }
    }
  }

  std::mt19937_64 random_;
  const NameValidation validation_;
  std::string header_;
  std::vector<std::string> lines_;
};

void ExpectRoundTrips(std::uint64_t seed, NameValidation validation) {
  constexpr int kBodies = 5000;
  BodyGenerator generator(seed, validation);
  int within_lines = 0;
  for (int i = 0; i < kBodies; ++i) {
    const std::string body = generator.Body();
    FamilySet set;
    const Status status = ParseText(body, validation, set);
    ASSERT_TRUE(status) << status.error().message << '\n' << body;
    ASSERT_EQ(TextProblem(body, validation), "") << body;
    for (const Metric& metric : set.metrics) within_lines += metric.beyond_lines ? 0 : 1;
  }
  // The comparison of metrics must have had something to compare.
  EXPECT_GT(within_lines, kBodies);
}

TEST(TextRoundTripTest, HoldsForLegacyNames) { ExpectRoundTrips(40, NameValidation::kLegacy); }

TEST(TextRoundTripTest, HoldsForUtf8Names) { ExpectRoundTrips(41, NameValidation::kUtf8); }

// A checker that cannot see a difference would prove nothing.
TEST(TextRoundTripTest, CheckerSeesDifferences) {
  FamilySet set;
  ASSERT_TRUE(
      ParseText("# TYPE h histogram\nh_bucket{a=\"b\",le=\"1\"} 1\nh_bucket{a=\"b\","
                "le=\"+Inf\"} 1\n",
                NameValidation::kLegacy, set));
  EXPECT_EQ(StoredLinesProblem(set, set.families[0]), "");
  set.points[0].value = Number(-0.0);
  EXPECT_EQ(StoredLinesProblem(set, set.families[0]), "stored lines give another metric");
  set.metrics[0].beyond_lines = true;
  EXPECT_EQ(StoredLinesProblem(set, set.families[0]), "");
}

}  // namespace
}  // namespace pgw
