// One request of a civetweb connection and its answer. For civetweb_gateway.cc alone.
#pragma once

#include <civetweb.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "server/embed/civetweb/civetweb_gateway.h"
#include "server/http/body_budget.h"
#include "server/http/byte_buffer.h"
#include "server/http/handler.h"
#include "server/http/request_check.h"
#include "server/http/response_writer.h"

namespace pgw::embed {

// Of the server's configuration.
bool OptionIsYes(const mg_context* context, const char* name);

// A share of the memory for unfinished bodies.
class BodyCharge {
 public:
  explicit BodyCharge(http::BodyBudget& budget) : budget_(budget) {}
  ~BodyCharge() { Release(); }
  BodyCharge(const BodyCharge&) = delete;
  BodyCharge& operator=(const BodyCharge&) = delete;

  // False: nothing is left.
  [[nodiscard]] bool Grow(std::uint64_t bytes);
  void Shrink(std::uint64_t bytes);
  void Release();

 private:
  http::BodyBudget& budget_;
  std::uint64_t held_ = 0;
  bool has_reserve_ = false;
};

// Used by the connection's thread, during one call of civetweb. References must outlive it.
class Exchange {
 public:
  Exchange(mg_connection* connection, http::Handler& handler, const Clock& clock,
           const CivetwebOptions& options, http::BodyBudget& budget) noexcept
      : connection_(connection),
        info_(*mg_get_request_info(connection)),
        handler_(handler),
        clock_(clock),
        options_(options),
        charge_(budget) {}

  // Reads the request, has it handled, sends the answer. Returns its status for the access log;
  // 0: the path is not below the prefix.
  int Run() noexcept;

 private:
  enum class BodyEnd : unsigned char {
    kComplete,
    kTooLarge,
    kOverloaded,
    kTimeout,
    kBroken,
    kGone
  };

  int Serve();

  // Input.
  void TakeRequestLine();
  bool IsBelowPrefix() const;
  void TakeHeaders();
  void FillRequest();
  bool KeepsAlive() const;
  std::uint64_t BodyBytesMax() const;
  std::optional<http::Response> EarlyAnswer();
  BodyEnd ReadBody();
  void ReleaseBody();
  // Reads and drops the rest of the body. False: there is more than that.
  bool Discard(std::uint64_t bytes_max);

  // Output. Each returns the status sent.
  int Answer(http::Response response, bool keep_alive);
  int AnswerEarly(http::Response response);
  int AnswerBroken(BodyEnd end);
  int Refuse(const http::Refusal& refusal);
  http::Response TooLarge() const;
  bool SendStream(http::Response& response, const http::ResponsePlan& plan);
  bool SendBatch(const std::vector<std::string_view>& pieces, std::uint64_t size,
                 http::BodyForm form);
  // Small pieces are gathered: civetweb leaves Nagle's algorithm on.
  bool Put(std::string_view bytes);
  bool Flush();
  bool Send(std::string_view bytes);
  // Answers without any memory, unless an answer has begun. Returns the status.
  int Fail(std::string_view answer, int status);
  void CloseAfterwards() { mg_disable_connection_keep_alive(connection_); }

  mg_connection* const connection_;
  const mg_request_info& info_;
  http::Handler& handler_;
  const Clock& clock_;
  const CivetwebOptions& options_;
  BodyCharge charge_;
  std::string target_;
  std::string storage_;  // of traits_.target
  std::string remote_;
  std::vector<http::Header> headers_;
  http::RequestLine line_;
  http::RequestTraits traits_;
  http::Request request_;
  http::ByteBuffer body_;
  std::string output_;
  bool sent_ = false;  // a part of the answer
};

}  // namespace pgw::embed
