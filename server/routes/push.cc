// PUT and POST of metrics, from the body on.
#include <utility>

#include "exposition/negotiation.h"
#include "exposition/protobuf_reader.h"
#include "exposition/text_parser.h"
#include "server/routes/body_decoding.h"
#include "server/routes/gateway.h"
#include "server/routes/status_mapping.h"

namespace pgw {
namespace {

using http::Request;
using http::Response;

// Smaller bodies are parsed in the time that it takes to look whether that is needed.
constexpr std::size_t kFingerprintedBytesMin = 4096;

constexpr char kRejected[] = "pushed metrics are invalid or inconsistent with existing metrics";

// The set that this thread parses into, empty on both ends of its use: it keeps its arrays from
// push to push, but never a view of a body that is gone.
class BorrowedSet {
 public:
  BorrowedSet() { Families().Clear(); }
  ~BorrowedSet() { Families().Clear(); }
  BorrowedSet(const BorrowedSet&) = delete;
  BorrowedSet& operator=(const BorrowedSet&) = delete;

  FamilySet& operator*() const { return Families(); }

 private:
  static FamilySet& Families() {
    thread_local FamilySet families;
    return families;
  }
};

// What decides about the outcome of a push beside its body and its group, all else being the same
// for the server's whole life.
std::uint64_t MeaningOf(const Request& request, PushMode mode, BodyEncoding encoding) {
  const bool protobuf = IsDelimitedProtobuf(request.Find("Content-Type").value_or(""));
  return static_cast<std::uint64_t>(encoding) << 2 | (mode == PushMode::kReplace ? 2u : 0u) |
         (protobuf ? 1u : 0u);
}

Status Parse(const Request& request, std::string_view body, NameValidation validation,
             FamilySet& out) {
  if (IsDelimitedProtobuf(request.Find("Content-Type").value_or(""))) {
    return ParseDelimited(body, out);
  }
  return ParseText(body, validation, out);
}

// What upstream reports of a stream that breaks off: it parses while it reads, so a fault in the
// complete lines before the break comes first.
Error FirstFault(const Request& request, const DecodedBody& body, NameValidation validation) {
  const bool text = !IsDelimitedProtobuf(request.Find("Content-Type").value_or(""));
  if (!text || body.error->code != Code::kInvalidArgument) return *body.error;
  const std::string_view decoded = body.bytes;
  const std::string_view lines = decoded.substr(0, decoded.rfind('\n') + 1);
  const BorrowedSet families;
  const Status status = ParseText(lines, validation, *families);
  return status.ok() ? *body.error : status.error();
}

}  // namespace

Response Gateway::RefuseBody(const Request& request, const Error& error) {
  log_.Debug("failed to parse text",
             {{"source", request.remote_address}, {"err", std::string_view(error.message)}});
  Response response = ReplyTo(error);
  CountPush(FactsOf(request), response.status);
  return response;
}

Response Gateway::PushBody(const Request& request, const GroupKey& group) {
  store_.Expect(group);
  std::string_view body = request.body;
  DecodedBody decoded;
  const BodyEncoding encoding = EncodingOf(request.Find("Content-Encoding"));
  PushCommand command;
  command.group = &group;
  command.mode = request.method == "PUT" ? PushMode::kReplace : PushMode::kMerge;
  command.received = request.received;
  command.deadline = ttl_.DeadlineFor(request.received.boot);
  if (body.size() >= kFingerprintedBytesMin && commands_.TakesRepeats()) {
    command.fingerprint = FingerprintOf(body, MeaningOf(request, command.mode, encoding));
    if (commands_.Repeat({&group, *command.fingerprint, command.received, command.deadline})) {
      return AnswerPush(FactsOf(request), request.remote_address, {});
    }
  }
  if (encoding != BodyEncoding::kIdentity) {
    decoded = encoding == BodyEncoding::kGzip ? DecodeGzip(body, options_.decompressed_bytes_max)
                                              : DecodeSnappy(body, options_.decompressed_bytes_max);
    if (decoded.error) {
      return RefuseBody(request, FirstFault(request, decoded, options_.validation));
    }
    body = decoded.bytes;
  }

  const BorrowedSet families;
  if (const Status status = Parse(request, body, options_.validation, *families); !status) {
    return RefuseBody(request, status.error());
  }
  command.families = &*families;
  Outcome outcome = commands_.Push(command);
  PushFacts facts = FactsOf(request);
  if (outcome.pending == nullptr) {
    return AnswerPush(facts, request.remote_address, outcome.status);
  }
  facts.source = request.remote_address;
  return Respond(std::move(outcome), [this, facts = std::move(facts)](const Status& status) {
    return AnswerPush(facts, facts.source, status);
  });
}

Response Gateway::AnswerPush(const PushFacts& push, std::string_view source, const Status& status) {
  Response response;
  response.status = options_.check_consistency ? 200 : 202;
  if (!status) {
    Error error = status.error();
    const bool rejected = error.code == Code::kInvalidArgument;
    // What the log itself could not do, it has logged.
    if (options_.check_consistency && (rejected || error.code == Code::kTooLarge)) {
      log_.Error(
          kRejected,
          {{"method", push.method}, {"source", source}, {"err", std::string_view(error.message)}});
    }
    if (rejected) error.message = std::string(kRejected) + ": " + error.message;
    // Whoever switched the check off is not told of refusals, as upstream does not wait for them.
    if (options_.check_consistency || !rejected) response = ReplyTo(error);
  }
  CountPush(push, response.status);
  return response;
}

}  // namespace pgw
