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
Error FirstFault(const Request& request, std::string_view decoded, const Error& error,
                 NameValidation validation) {
  const bool text = !IsDelimitedProtobuf(request.Find("Content-Type").value_or(""));
  if (!text || error.code != Code::kInvalidArgument) return error;
  const std::string_view lines = decoded.substr(0, decoded.rfind('\n') + 1);
  const BorrowedSet families;
  const Status status = ParseText(lines, validation, *families);
  return status.ok() ? error : status.error();
}

// The same for a body that came to no end, for that `reason`.
Error FaultOfBroken(const Request& request, std::string_view reason,
                    const GatewayOptions& options) {
  const BodyEncoding encoding = EncodingOf(request.Find("Content-Encoding"));
  const std::uint64_t bytes_max = options.decompressed_bytes_max;
  Error error = InvalidArgument(std::string(reason));
  DecodedBody decoded;
  std::string_view body = request.body;
  if (encoding == BodyEncoding::kGzip) {
    decoded = DecodeGzip(body, bytes_max);
    // Where the stream broke off with the body, the body is why.
    if (decoded.error && decoded.error->message != "unexpected EOF") error = *decoded.error;
    body = decoded.bytes;
  } else if (encoding == BodyEncoding::kSnappy) {
    decoded = DecodeSnappy(body, bytes_max);
    if (!decoded.error && reason == "unexpected EOF") error.message = "snappy: corrupt input";
    if (decoded.error) error = *decoded.error;
    body = decoded.bytes;
  }
  if (!IsDelimitedProtobuf(request.Find("Content-Type").value_or(""))) {
    return FirstFault(request, body, error, options.validation);
  }
  const BorrowedSet families;
  const Status status = ParseDelimited(body, *families);
  return status.ok() ? error : status.error();
}

}  // namespace

Response Gateway::OnBrokenBody(const Request& request, std::string_view reason) {
  if (IsGzipped(request)) {
    if (const auto error = GzipHeaderError(request.body)) {
      const bool cut = *error == "EOF" || *error == "unexpected EOF";
      return Response::PlainError(400, cut ? reason : *error);
    }
  }
  auto admitted = Admit(request);
  if (auto* const answer = std::get_if<Response>(&admitted)) return std::move(*answer);
  return RefuseBody(request, FaultOfBroken(request, reason, options_));
}

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
      return RefuseBody(request,
                        FirstFault(request, decoded.bytes, *decoded.error, options_.validation));
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
