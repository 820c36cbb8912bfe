// The body of an answer that shows what is stored. Knows server/http's messages.
#pragma once

#include <cstddef>
#include <cstdint>

#include "server/http/message.h"

namespace pgw {

class ReaderBody : public http::BodySource {
 public:
  // Bytes of memory that it keeps now beside the store's blocks. Changes with Next() only.
  virtual std::size_t buffered_bytes() const noexcept = 0;
  // How often it has let go of what it had of the store, to go on with what is there now.
  virtual std::uint64_t refreshes() const noexcept { return 0; }
};

}  // namespace pgw
