#include "store/snapshot.h"

#include <algorithm>
#include <utility>

#include "exposition/names.h"
#include "exposition/protobuf_reader.h"
#include "exposition/text_parser.h"
#include "exposition/text_writer.h"
#include "store/prepared_push.h"

namespace pgw {
namespace {

// True if every slot of the block is alive, so that its bytes go out as they are.
bool AllAlive(const Block& block, Deadline now) {
  return block.min_deadline() > now || block.TightenMinDeadline() > now;
}

}  // namespace

Status ReadStoredSamples(std::string_view name, MetricType type, const StoredSamples& samples,
                         FamilySet& out) {
  return samples.message.empty() ? ParseStoredLines(name, type, samples.lines, out)
                                 : ParseFamilyMessage(samples.message, out);
}

std::size_t Snapshot::footprint() const {
  std::size_t bytes = sizeof(Snapshot) + blocks_.capacity() * sizeof(Block*) +
                      families_.capacity() * sizeof(FamilyPart);
  // The header repeats the help.
  for (const FamilyPart& part : families_) bytes += 2 * part.header.view().size();
  return bytes;
}

Snapshot::FamilyView Snapshot::family(std::size_t index) const {
  const FamilyPart& part = families_[index];
  return {part.name.view(), part.type, part.help.view(), static_cast<bool>(part.help),
          part.header.view()};
}

template <typename Visit>
void Snapshot::VisitText(std::size_t family, std::vector<std::unique_ptr<std::string>>& scratch,
                         const Visit& visit) const {
  const FamilyPart& part = families_[family];
  for (std::uint32_t b = part.first_block; b < part.first_block + part.block_count; ++b) {
    const Block& block = blocks_[b];
    if (AllAlive(block, now_)) {
      if (!block.bytes().empty())
        visit(TextPiece{block.bytes(), &block, block.deflated().Newest()});
      continue;
    }
    auto filtered = std::make_unique<std::string>();
    for (std::uint32_t i = 0; i < block.slot_count(); ++i) {
      if (block.slot(i).alive(now_)) filtered->append(block.text(block.slot(i)));
    }
    if (filtered->empty()) continue;
    if (filtered->size() == block.bytes().size()) {
      // Only slots without text have expired. Slots need not lie in order: one size, one text.
      visit(TextPiece{block.bytes(), &block, block.deflated().Newest()});
      continue;
    }
    visit(TextPiece{*filtered, &block, block.deflated().Newest()});
    scratch.push_back(std::move(filtered));
  }
}

void Snapshot::AppendText(std::size_t family, std::vector<std::string_view>& pieces,
                          std::vector<std::unique_ptr<std::string>>& scratch) const {
  VisitText(family, scratch, [&](const TextPiece& piece) { pieces.push_back(piece.text); });
}

void Snapshot::AppendText(std::size_t family, std::vector<TextPiece>& pieces,
                          std::vector<std::unique_ptr<std::string>>& scratch) const {
  VisitText(family, scratch, [&](const TextPiece& piece) { pieces.push_back(piece); });
}

bool Snapshot::HasMessages(std::size_t family) const {
  const FamilyPart& part = families_[family];
  for (std::uint32_t b = part.first_block; b < part.first_block + part.block_count; ++b) {
    const Block& block = blocks_[b];
    for (const SlotExtra& extra : block.extras()) {
      if (extra.message && block.slot(extra.slot).alive(now_)) return true;
    }
  }
  return false;
}

void Snapshot::VisitSamples(std::size_t family,
                            const std::function<void(const StoredSamples&)>& visit) const {
  VisitSlots(families_[family], [&visit](const Block& block, std::uint32_t slot) {
    const SlotExtra* const extra = block.extras().empty() ? nullptr : block.extra(slot);
    visit({block.text(block.slot(slot)),
           extra != nullptr ? extra->message.view() : std::string_view()});
  });
}

std::size_t Snapshot::LiveLines(const Block& block) const {
  if (AllAlive(block, now_)) return block.line_count();
  std::size_t lines = 0;
  for (std::uint32_t i = 0; i < block.slot_count(); ++i) {
    if (block.slot(i).alive(now_)) lines += CountLines(block.text(block.slot(i)));
  }
  return lines;
}

std::size_t Snapshot::CorrectTypes() {
  std::size_t corrected = 0;
  for (FamilyPart& part : families_) {
    if (!part.suspect) continue;
    bool fits = false;
    MetricType found = part.type;
    VisitSlots(part, [&](const Block& block, std::uint32_t index) {
      const Slot& slot = block.slot(index);
      if (slot.size == 0) return;
      found = static_cast<MetricType>(slot.type);
      fits = fits || found == part.type;
    });
    if (fits) continue;
    part.type = found;
    const std::string_view help = part.help.view();
    std::string header;
    AppendFamilyHeader(part.name.view(), part.help ? &help : nullptr, found, Escaping::kUnderscores,
                       header);
    part.header = SharedText(std::move(header));
    ++corrected;
  }
  return corrected;
}

void Snapshot::Finish() {
  std::erase_if(families_, [this](const FamilyPart& part) {
    std::size_t lines = 0;
    for (std::uint32_t b = part.first_block; b < part.first_block + part.block_count; ++b) {
      lines += LiveLines(blocks_[b]);
    }
    series_ += lines;
    // Every group has exactly one sample of it, and pushed ones of that name are ignored.
    if (part.name.view() == kPushTimeName) groups_ = lines;
    return lines == 0;
  });
}

}  // namespace pgw
