// A push made ready for the store. Plain bodies are rendered straight from what was parsed: the
// same has to come out as from labels that are sanitised and written one by one.

#include "store/prepared_push.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exposition/text_parser.h"
#include "store/group_key.h"
#include "tests/support/random.h"

namespace pgw {
namespace {

using LabelList = std::vector<std::pair<std::string_view, std::string_view>>;

std::string Describe(const PreparedPush& push, const Status& status) {
  if (!status) return status.error().message;
  std::string out(push.refused() ? "refused\n" : "");
  for (const PreparedFamily& family : push.families()) {
    out.append(family.name).append("|").append(family.exposed).append("|").append(family.help);
    out.append(family.has_help ? "|help" : "|").append(family.has_samples ? "|samples" : "|");
    out.append(family.beyond_lines ? "|beyond" : "|").append(family.refused ? "|refused" : "|");
    out.append(std::to_string(static_cast<int>(family.type))).append("\n");
    if (family.message) out.append("message ").append(family.message.view()).append("\n");
    if (family.error) out.append("error ").append(family.error.view()).append("\n");
    out.append(push.text(family));
    // What is asked of single samples where other groups have that family too.
    const Family& pushed = push.set().families[family.family];
    for (std::uint32_t m = pushed.first_metric; m != kNoIndex; m = push.set().metrics[m].next) {
      out.append("series ").append(push.LinePrefix(family, push.set().metrics[m])).append("\n");
    }
  }
  for (const std::string& text : push.errors().texts()) out.append("- ").append(text).append("\n");
  return out + std::to_string(push.errors().count());
}

// What comes of `body` in that group, on the way that names need no escaping or on the other one.
std::string Prepared(const LabelList& group, std::string_view body, bool plainly) {
  FamilySet set;
  const Status parsed = ParseText(body, NameValidation::kUtf8, set);
  if (!parsed) return parsed.error().message;
  if (!plainly) set.names_plain = false;
  const Result<GroupKey> key = GroupKey::Make(group);
  if (!key) return key.error().message;
  const GroupingLabels labels(key->bytes());
  const OwnFamilyTable own({{"own_total", "Own.", MetricType::kCounter, false}});
  PreparedPush push;
  const Status status = push.Prepare(labels, set, own);
  return Describe(push, status);
}

void ExpectSame(const LabelList& group, std::string_view body) {
  const std::string plain = Prepared(group, body, true);
  ASSERT_EQ(plain, Prepared(group, body, false)) << body;
}

class RandomBody {
 public:
  explicit RandomBody(std::uint64_t seed) : random_(seed) {}

  std::string Make() {
    out_.clear();
    for (std::uint64_t family = 1 + random_.Below(4); family > 0; --family) AddFamily();
    return out_;
  }

 private:
  std::string_view Pick(std::initializer_list<std::string_view> from) {
    return from.begin()[random_.Below(from.size())];
  }

  void AddFamily() {
    const std::string name(Pick({"a", "b_total", "own_total", "m", "m_count", "push_time_seconds",
                                 "a_name_that_is_longer_than_two_vectors", ":colon"}));
    const std::string_view type =
        Pick({"counter", "gauge", "histogram", "summary", "untyped", "gaugehistogram", ""});
    if (random_.OneIn(2)) out_.append("# HELP ").append(name).append(" Some \\\\ help.\n");
    if (!type.empty()) out_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
    std::vector<std::string_view> labels;
    for (const std::string_view label : {"z", "y", "code", "instance", "job", "__x", "le"}) {
      if (random_.OneIn(label.size() > 4 || label == "job" || label == "le" ? 12 : 3)) {
        labels.push_back(label);
      }
    }
    for (std::uint64_t metric = 1 + random_.Below(6); metric > 0; --metric) {
      if (random_.OneIn(10) && !labels.empty()) labels.pop_back();
      AddMetric(name, type, labels);
    }
  }

  void AddMetric(const std::string& name, std::string_view type,
                 const std::vector<std::string_view>& labels) {
    std::string text;
    for (const std::string_view label : labels) {
      text.append(text.empty() ? "" : ",").append(label).append("=\"");
      text.append(Pick({"1", "2", "", "3 and a half, said in many words to fill more than a vector",
                        "\\\\", "q\\\"q", "\\n", "\xc3\xa9", "10.0.0.1:6443"}));
      text.append("\"");
    }
    const bool histogram = type.ends_with("histogram");
    if (!histogram && type != "summary") return AddLine(name, "", text, "");
    for (const std::string_view bound : {"0.5", "1", "+Inf"}) {
      if (random_.OneIn(9)) continue;
      AddLine(name, histogram ? "_bucket" : "", text,
              std::string(histogram ? "le=\"" : "quantile=\"") + std::string(bound) + "\"");
    }
    if (!random_.OneIn(9)) AddLine(name, "_sum", text, "");
    if (!random_.OneIn(9)) AddLine(name, "_count", text, "");
  }

  void AddLine(const std::string& name, std::string_view suffix, std::string labels,
               std::string_view bound) {
    if (!bound.empty()) labels.append(labels.empty() ? "" : ",").append(bound);
    out_.append(name).append(suffix);
    if (!labels.empty()) out_.append("{").append(labels).append("}");
    out_.append(" ").append(
        Pick({"0", "1", "17", "1e3", "4.25", "123456789", "NaN", "+Inf", "3."}));
    out_.append(random_.OneIn(200) ? " 5\n" : "\n");
  }

  testing::Random random_;
  std::string out_;
};

TEST(PreparedPushTest, RendersPlainBodiesAsOthers) {
  const std::vector<LabelList> groups = {
      {{"job", "j"}},
      {{"job", "j"}, {"instance", "i"}},
      {{"job", "j"}, {"code", "\"200\"\n\\"}, {"a", ""}},
      {{"job", "j"}, {"le", "1"}, {"quantile", "2"}},
      {{"job", "j"}, {"zz", "the last one of all"}, {"y", "in the midst"}},
  };
  std::size_t different = 0;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    const std::string body = RandomBody(seed).Make();
    for (const LabelList& group : groups) ASSERT_NO_FATAL_FAILURE(ExpectSame(group, body));
    different += Prepared(groups[0], body, true).find("error") == std::string::npos ? 1 : 0;
  }
  EXPECT_GT(different, 500U);  // not only complaints are compared
}

TEST(PreparedPushTest, SanitisesSamplesOnlyWhenAsked) {
  FamilySet set;
  ASSERT_TRUE(ParseText("m{b=\"1\",job=\"x\"} 1\n", NameValidation::kLegacy, set));
  const Result<GroupKey> key = GroupKey::Make({{"job", "j"}, {"a", "2"}});
  ASSERT_TRUE(key);
  const GroupingLabels labels(key->bytes());
  const OwnFamilyTable own({});
  PreparedPush push;
  ASSERT_TRUE(push.Prepare(labels, set, own));
  ASSERT_EQ(push.families().size(), 1U);
  EXPECT_EQ(push.text(push.families()[0]), "m{a=\"2\",b=\"1\",instance=\"\",job=\"j\"} 1\n");
  EXPECT_EQ(set.metrics[0].label_count, 2U);
  EXPECT_EQ(push.set().metrics[0].label_count, 4U);
  EXPECT_EQ(push.LinePrefix(push.families()[0], push.set().metrics[0]),
            "m{a=\"2\",b=\"1\",instance=\"\",job=\"j\"} ");
}

TEST(PreparedPushTest, TellsSamplesApartWhoseValuesRunTogether) {
  EXPECT_EQ(
      Prepared({{"job", "j"}}, "m{a=\"xy\",b=\"\"} 1\nm{a=\"x\",b=\"y\"} 1\n", true).find("before"),
      std::string::npos);
  EXPECT_NE(
      Prepared({{"job", "j"}}, "m{a=\"2\"} 1\nm{a=\"1\"} 1\nm{a=\"2\"} 1\n", true).find("before"),
      std::string::npos);
  EXPECT_NE(Prepared({{"job", "j"}}, "m{instance=\"\"} 1\nm 1\n", true).find("before"),
            std::string::npos);
}

// A few are compared with each other, many by their hashes.
TEST(PreparedPushTest, FindsASampleThatComesTwiceAmongFewAndMany) {
  const auto line = [](int value) { return "m{a=\"" + std::to_string(value) + "\"} 1\n"; };
  for (const int samples : {2, 3, 8, 9, 40}) {
    std::string body;
    for (int i = samples; i > 0; --i) body += line(i);
    EXPECT_EQ(Prepared({{"job", "j"}}, body, true).find("before"), std::string::npos) << samples;
    for (const int twice : {1, samples / 2 + 1, samples}) {
      EXPECT_NE(Prepared({{"job", "j"}}, body + line(twice), true).find("before"),
                std::string::npos)
          << samples << " " << twice;
    }
  }
}

}  // namespace
}  // namespace pgw
