// Listening sockets from addresses as Go's net.Listen takes them, errors in Go's words. Knows base.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pgw::http {

struct HostPort {
  std::string host;
  std::string port;
};

// "host:port", "[v6%zone]:port", ":port". kInvalidArgument: `address foo: missing port in address`.
Result<HostPort> SplitHostPort(std::string_view address);

// A number, or a service name from `services` (the text of /etc/services) or the few names
// everybody knows. Empty is 0. kInvalidArgument: `address 99999: invalid port`, `lookup tcp/x:
// unknown port`.
Result<std::uint16_t> ResolvePort(std::string_view port, std::string_view services);

// The port of "vsock://:9100"; the host part is ignored.
Result<std::uint32_t> ParseVsockPort(std::string_view address);

// A non-blocking descriptor, bound and listening, for any of the forms above. Wildcards listen on
// both IP versions where the kernel has both. kUnavailable or kInvalidArgument:
// `listen tcp 127.0.0.1:9091: bind: address already in use`.
Result<int> OpenListener(std::string_view address);

// `127.0.0.1:9091`, `[::1]:9091`, `vm(3):9100`, `@` for an unnamed Unix socket; IPv4-mapped
// addresses as IPv4.
std::string AddressText(const sockaddr_storage& address, socklen_t size);

// The address a socket is bound to.
std::string LocalAddressText(int descriptor);

// How Go words an errno: "address already in use".
std::string ErrorText(int error);

}  // namespace pgw::http
