#include "server/routes/scrape_body.h"

#include <algorithm>
#include <utility>

#include "exposition/debug_string.h"
#include "exposition/protobuf_reader.h"
#include "exposition/protobuf_writer.h"
#include "exposition/text_writer.h"
#include "exposition/wire.h"

namespace pgw {

static_assert(kScrapeBytesPerCall + 2 * 1024 <= http::kSendBytesMax, "with a head before it");

namespace {

// Pieces below this are copied together; larger ones are worth an entry of their own in writev.
constexpr std::size_t kGatherBelowBytes = 4 * 1024;

// Fields of io.prometheus.client.MetricFamily.
constexpr std::uint32_t kNameField = 1;
constexpr std::uint32_t kHelpField = 2;
constexpr std::uint32_t kTypeField = 3;
constexpr std::uint32_t kMetricField = 4;

std::string EmittedName(std::string_view name) {
  return NeedsEscaping(name) ? EscapeName(name, Escaping::kUnderscores) : std::string(name);
}

template <typename Visitor>
void VisitMetrics(const FamilySet& set, const Family& family, Visitor visit) {
  for (std::uint32_t i = family.first_metric; i != kNoIndex; i = set.metrics[i].next) {
    visit(set.metrics[i]);
  }
}

// Appends one family to `out` with the samples that the store keeps of one group. The store wrote
// them; should they not be readable, the group's part is missing from the answer.
bool ReadSamples(const Snapshot::FamilyView& family, const StoredSamples& samples, FamilySet& out) {
  const std::size_t before = out.families.size();
  const Status status = ReadStoredSamples(family.name, family.type, samples, out);
  return status.ok() && out.families.size() > before;
}

void AppendLines(const FamilySet& set, const Family& family, Escaping escaping, std::string& out) {
  VisitMetrics(set, family, [&](const Metric& metric) {
    AppendMetricLines(set, family, metric, escaping, out);
  });
}

}  // namespace

std::optional<MergedFamilies::Item> MergedFamilies::Next() {
  const std::vector<Family>& own = content_.own->families;
  const Snapshot& pushed = *content_.pushed;
  const bool own_left = own_ < own.size();
  const bool pushed_left = pushed_ < pushed.family_count();
  if (!own_left && !pushed_left) return std::nullopt;
  int order = own_left ? -1 : 1;
  if (own_left && pushed_left) {
    order = own[own_].name.compare(EmittedName(pushed.family(pushed_).name));
  }
  Item item;
  if (order <= 0) item.own = &own[own_++];
  if (order >= 0) item.pushed = pushed_++;
  return item;
}

TextScrape::TextScrape(ScrapeContent content, Escaping escaping) : content_(std::move(content)) {
  pieces_.reserve(content_.own->families.size() + content_.pushed->family_count() +
                  content_.pushed->block_count());
  MergedFamilies families(content_);
  while (const auto item = families.Next()) AddFamily(*item, escaping);
  content_bytes_ = ContentBytes();
}

std::size_t TextScrape::ContentBytes() const {
  std::size_t bytes = content_.footprint() + pieces_.capacity() * sizeof(TextPiece);
  for (const auto& text : texts_) bytes += sizeof(std::string) + text->capacity();
  return bytes;
}

void TextScrape::Add(std::string_view piece) {
  if (piece.empty()) return;
  pieces_.push_back({piece, nullptr, nullptr});
  length_ += piece.size();
}

void TextScrape::AddOwned(std::string text) {
  texts_.push_back(std::make_unique<std::string>(std::move(text)));
  Add(*texts_.back());
}

void TextScrape::AddFamily(const MergedFamilies::Item& item, Escaping escaping) {
  if (item.own != nullptr) {
    std::string text;
    const std::string_view help = item.own->help;
    AppendFamilyHeader(item.own->name, &help, item.own->type, escaping, text);
    AppendLines(*content_.own, *item.own, escaping, text);
    AddOwned(std::move(text));
  }
  if (!item.pushed) return;
  const Snapshot::FamilyView family = content_.pushed->family(*item.pushed);
  if (item.own == nullptr) {
    if (escaping == Escaping::kUnderscores || !NeedsEscaping(family.name)) {
      Add(family.header);
    } else {
      std::string header;
      const std::string_view help = family.help;
      AppendFamilyHeader(family.name, family.has_help ? &help : nullptr, family.type, escaping,
                         header);
      AddOwned(std::move(header));
    }
  }
  // Where no name needs escaping, all escapings write the same lines.
  if (escaping == Escaping::kUnderscores || !content_.pushed->HasMessages(*item.pushed)) {
    const std::size_t first = pieces_.size();
    content_.pushed->AppendText(*item.pushed, pieces_, texts_);
    for (std::size_t i = first; i < pieces_.size(); ++i) length_ += pieces_[i].text.size();
  } else {
    AddEscapedSamples(*item.pushed, escaping);
  }
}

void TextScrape::AddEscapedSamples(std::size_t family, Escaping escaping) {
  const Snapshot::FamilyView view = content_.pushed->family(family);
  FamilySet set;
  std::string text;
  content_.pushed->VisitSamples(family, [&](const StoredSamples& samples) {
    if (samples.message.empty()) {
      text.append(samples.lines);
      return;
    }
    set.Clear();
    if (!ReadSamples(view, samples, set)) return;
    AppendLines(set, set.families.front(), escaping, text);
  });
  AddOwned(std::move(text));
}

void TextScrape::Next(std::vector<std::string_view>& pieces) {
  // Views into gathered_ are made while it grows, so it must not move.
  gathered_.clear();
  gathered_.reserve(kScrapeBytesPerCall);
  std::size_t run_start = 0;  // of what was gathered since the last large piece
  std::size_t total = 0;
  const auto end_run = [&] {
    if (gathered_.size() > run_start) {
      pieces.push_back(std::string_view(gathered_).substr(run_start));
    }
    run_start = gathered_.size();
  };
  while (at_ < pieces_.size() && total < kScrapeBytesPerCall) {
    const std::string_view piece = pieces_[at_].text.substr(offset_, kScrapeBytesPerCall - total);
    if (piece.size() < kGatherBelowBytes) {
      gathered_.append(piece);
    } else {
      end_run();
      pieces.push_back(piece);
    }
    total += piece.size();
    offset_ += piece.size();
    if (offset_ < pieces_[at_].text.size()) continue;
    ++at_;
    offset_ = 0;
  }
  end_run();
}

MessageScrape::MessageScrape(ScrapeContent content, Negotiated format)
    : content_(std::move(content)),
      content_bytes_(content_.footprint()),
      format_(format),
      families_(content_) {}

void MessageScrape::Next(std::vector<std::string_view>& pieces) {
  if (sent_ == buffer_.size()) {
    buffer_.clear();
    sent_ = 0;
    while (buffer_.size() < kScrapeBytesPerCall) {
      const auto item = families_.Next();
      if (!item) break;
      AppendFamily(*item, buffer_);
    }
  }
  const std::string_view piece = std::string_view(buffer_).substr(sent_, kScrapeBytesPerCall);
  if (!piece.empty()) pieces.push_back(piece);
  sent_ += piece.size();
}

void MessageScrape::AppendFamily(const MergedFamilies::Item& item, std::string& out) {
  if (format_.format == ExpositionFormat::kProtobuf) {
    AppendMessage(item, out);
  } else {
    AppendDebugText(item, out);
  }
}

Family MessageScrape::Frame(const MergedFamilies::Item& item) const {
  Family frame;
  if (item.own != nullptr) {
    frame = *item.own;
    frame.first_metric = frame.last_metric = kNoIndex;
    frame.metric_count = 0;
    return frame;
  }
  const Snapshot::FamilyView view = content_.pushed->family(*item.pushed);
  frame.name = view.name;
  frame.help = view.help;
  frame.has_help = view.has_help;
  frame.type = view.type;
  return frame;
}

// Group by group, so that a large family is never there as a set in whole, only as bytes.
void MessageScrape::AppendMessage(const MergedFamilies::Item& item, std::string& out) {
  const Family frame = Frame(item);
  std::string message;
  AppendBytesField(kNameField, EscapeName(frame.name, format_.escaping), message);
  if (frame.has_help) AppendBytesField(kHelpField, frame.help, message);
  AppendVarintField(kTypeField, static_cast<std::uint64_t>(frame.type), message);

  std::string encoded;
  const auto append_metrics = [&](const FamilySet& set, const Family& family) {
    VisitMetrics(set, family, [&](const Metric& metric) {
      encoded.clear();
      AppendMetricMessage(set, metric, format_.escaping, encoded);
      AppendBytesField(kMetricField, encoded, message);
    });
  };
  if (item.own != nullptr) append_metrics(*content_.own, *item.own);
  if (item.pushed) {
    const Snapshot::FamilyView view = content_.pushed->family(*item.pushed);
    FamilySet set;
    content_.pushed->VisitSamples(*item.pushed, [&](const StoredSamples& samples) {
      set.Clear();
      if (ReadSamples(view, samples, set)) append_metrics(set, set.families.front());
    });
  }
  AppendVarint(message.size(), out);
  out.append(message);
}

// For people. Each group's part is printed as a family of its own would be if it were alone, so
// all parts are strung together first.
void MessageScrape::AppendDebugText(const MergedFamilies::Item& item, std::string& out) {
  const bool compact = format_.format == ExpositionFormat::kProtobufCompact;
  if (!item.pushed) {
    AppendFamilyDebugText(*content_.own, *item.own, format_.escaping, compact, out);
    return;
  }
  FamilySet set;
  Family whole = Frame(item);
  const auto string_on = [&](const Family& part) {
    if (part.first_metric == kNoIndex) return;
    if (whole.last_metric == kNoIndex) {
      whole.first_metric = part.first_metric;
    } else {
      set.metrics[whole.last_metric].next = part.first_metric;
    }
    whole.last_metric = part.last_metric;
    whole.metric_count += part.metric_count;
  };
  if (item.own != nullptr) {
    // By way of its message: a set can only be copied by reading.
    const std::string message = SerializeFamily(*content_.own, *item.own, Escaping::kAllowUtf8);
    if (ParseFamilyMessage(set.Intern(message), set).ok()) string_on(set.families.back());
  }
  const Snapshot::FamilyView view = content_.pushed->family(*item.pushed);
  content_.pushed->VisitSamples(*item.pushed, [&](const StoredSamples& samples) {
    if (ReadSamples(view, samples, set)) string_on(Family(set.families.back()));
  });
  AppendFamilyDebugText(set, whole, format_.escaping, compact, out);
}

}  // namespace pgw
