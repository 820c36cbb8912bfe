// The bodies of a scrape: the server's own families merged with a snapshot of the pushed ones.
// Knows store and exposition.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exposition/family_set.h"
#include "exposition/names.h"
#include "exposition/negotiation.h"
#include "server/http/message.h"
#include "server/routes/reader_body.h"
#include "store/snapshot.h"

namespace pgw {

// What a call of Next() gives of a scrape at most, so that it leaves in one send. Of 32, 48, 56 and
// 64 KB, 56 are the fastest.
inline constexpr std::size_t kScrapeBytesPerCall = 56 * 1024;

// What a scrape shows. Own families are sorted by name.
struct ScrapeContent {
  std::unique_ptr<const FamilySet> own;
  std::shared_ptr<const Snapshot> pushed;

  // Bytes of memory, without the blocks.
  std::size_t footprint() const { return own->footprint() + pushed->footprint(); }
};

// Walks both by name, as the default escaping emits names. A name in both is one family.
class MergedFamilies {
 public:
  struct Item {
    const Family* own = nullptr;        // its help and type hold
    std::optional<std::size_t> pushed;  // index in the snapshot
  };

  explicit MergedFamilies(const ScrapeContent& content) : content_(content) {}

  // Nullopt at the end.
  std::optional<Item> Next();

 private:
  const ScrapeContent& content_;
  std::size_t own_ = 0;
  std::size_t pushed_ = 0;
};

// Text 0.0.4. Refers to the snapshot's blocks instead of copying them; small pieces are gathered.
class TextScrape final : public ReaderBody {
 public:
  TextScrape(ScrapeContent content, Escaping escaping);

  // Of the whole body.
  std::uint64_t length() const { return length_; }

  // The whole body, for who does not call Next(). They live as long as this.
  const std::vector<TextPiece>& pieces() const { return pieces_; }
  const Snapshot& pushed() const { return *content_.pushed; }

  void Next(std::vector<std::string_view>& pieces) override;
  std::size_t buffered_bytes() const noexcept override {
    return content_bytes_ + gathered_.capacity();
  }

 private:
  std::size_t ContentBytes() const;
  void Add(std::string_view piece);
  void AddOwned(std::string text);
  void AddFamily(const MergedFamilies::Item& item, Escaping escaping);
  void AddEscapedSamples(std::size_t family, Escaping escaping);

  const ScrapeContent content_;
  std::vector<std::unique_ptr<std::string>> texts_;
  std::vector<TextPiece> pieces_;
  std::uint64_t length_ = 0;
  std::size_t at_ = 0;      // the next one of pieces_
  std::size_t offset_ = 0;  // in it
  std::string gathered_;
  std::size_t content_bytes_ = 0;
};

// The three protobuf forms, family by family.
class MessageScrape final : public ReaderBody {
 public:
  MessageScrape(ScrapeContent content, Negotiated format);

  void Next(std::vector<std::string_view>& pieces) override;
  std::size_t buffered_bytes() const noexcept override {
    return content_bytes_ + buffer_.capacity();
  }

 private:
  void AppendFamily(const MergedFamilies::Item& item, std::string& out);
  void AppendMessage(const MergedFamilies::Item& item, std::string& out);
  void AppendDebugText(const MergedFamilies::Item& item, std::string& out);
  // The family as it is shown: name, help and type, but no samples.
  Family Frame(const MergedFamilies::Item& item) const;

  const ScrapeContent content_;
  const std::size_t content_bytes_;
  const Negotiated format_;
  MergedFamilies families_;
  std::string buffer_;
  std::size_t sent_ = 0;  // of buffer_
};

}  // namespace pgw
