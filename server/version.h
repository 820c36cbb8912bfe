// Which build this is, in the forms that upstream shows it in. Members that are about Go or about
// the building machine stay empty.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "server/routes/own_metrics.h"

namespace pgw {

// What --version prints.
std::string VersionText();

// (version=…, branch=…, revision=…), for the log.
std::string VersionInfo();

// (go=, platform=…, user=, date=…, tags=…), for the log.
std::string BuildContext();

// build_information of /api/v1/status, keys sorted.
std::vector<std::pair<std::string, std::string>> BuildInformation();

BuildLabels BuildInfoLabels();

}  // namespace pgw
