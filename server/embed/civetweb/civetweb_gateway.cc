#include "server/embed/civetweb/civetweb_gateway.h"

#include <string_view>
#include <utility>

#include "server/embed/civetweb/exchange.h"

namespace pgw::embed {

CivetwebGateway::CivetwebGateway(http::Handler& handler, const Clock& clock,
                                 CivetwebOptions options)
    : handler_(handler),
      clock_(clock),
      options_(std::move(options)),
      budget_(options_.bodies_bytes_max, options_.body_bytes_max) {}

CivetwebGateway::~CivetwebGateway() = default;

Status CivetwebGateway::Mount(CivetServer& server) {
  const std::string& prefix = options_.prefix;
  if (!prefix.empty() && (prefix.front() != '/' || prefix.back() == '/')) {
    return InvalidArgument("a prefix is empty or begins, and does not end, with a slash: \"" +
                           prefix + "\"");
  }
  if (server.getContext() == nullptr) return InvalidArgument("the server is not running");
  if (!options_.accept_decoded_paths && OptionIsYes(server.getContext(), "decode_url")) {
    return InvalidArgument(
        "the server decodes paths before handlers see them: start it with decode_url \"no\"");
  }
  server.addHandler(MountPoint(), this);
  return {};
}

void CivetwebGateway::Unmount(CivetServer& server) {
  if (server.getContext() != nullptr) server.removeHandler(MountPoint());
}

std::string CivetwebGateway::MountPoint() const {
  return options_.prefix.empty() ? "/" : options_.prefix;
}

bool CivetwebGateway::Handle(mg_connection* connection, int* status) noexcept {
  Exchange exchange(connection, handler_, clock_, options_, budget_);
  *status = exchange.Run();
  return *status != 0;
}

bool CivetwebGateway::handleGet(CivetServer*, mg_connection* connection, int* status) {
  return Handle(connection, status);
}
bool CivetwebGateway::handlePost(CivetServer*, mg_connection* connection, int* status) {
  return Handle(connection, status);
}
bool CivetwebGateway::handleHead(CivetServer*, mg_connection* connection, int* status) {
  return Handle(connection, status);
}
bool CivetwebGateway::handlePut(CivetServer*, mg_connection* connection, int* status) {
  return Handle(connection, status);
}
bool CivetwebGateway::handleDelete(CivetServer*, mg_connection* connection, int* status) {
  return Handle(connection, status);
}
bool CivetwebGateway::handleOptions(CivetServer*, mg_connection* connection, int* status) {
  return Handle(connection, status);
}
bool CivetwebGateway::handlePatch(CivetServer*, mg_connection* connection, int* status) {
  return Handle(connection, status);
}

}  // namespace pgw::embed
