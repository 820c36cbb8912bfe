#include "docker/pack/statements.h"

#include "docker/oci.h"

namespace pgw::image {
namespace {

// As package URLs want it in a qualifier's value.
std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '/') {
      out += "%2F";
    } else if (c == ':') {
      out += "%3A";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

bool IsCommit(std::string_view revision) {
  return (revision.size() == 40 || revision.size() == 64) &&
         revision.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

JsonObject MakeStatement(const StatementSubject& subject, std::string_view predicate_type,
                         JsonObject predicate) {
  // The name is formed as BuildKit forms it, which tools of registries look for.
  const Reference& reference = subject.description.reference;
  JsonObject named;
  named["name"] = "pkg:docker/" + reference.name() + "@" + reference.tag +
                  "?platform=" + Escape(subject.platform.name());
  named["digest"] = JsonObject({{"sha256", subject.manifest.hex()}});
  JsonObject statement;
  statement["_type"] = "https://in-toto.io/Statement/v1";
  statement["predicateType"] = predicate_type;
  statement["subject"] = JsonArray({std::move(named)});
  statement["predicate"] = std::move(predicate);
  return statement;
}

JsonObject MakeProvenance(const StatementSubject& subject, const ProvenanceInfo& info,
                          const std::vector<Package>& packages) {
  const Description& description = subject.description;
  // Without a public repository there is still one name for each state of the source.
  const std::string source = info.source.empty()
                                 ? "pkg:generic/" + EscapeAll(ImageName(description.reference)) +
                                       "@" + EscapeAll(info.revision)
                                 : "git+" + info.source + "@" + EscapeAll(info.revision);
  JsonObject parameters;
  parameters["source"] = source;
  parameters["image"] = description.reference.text();
  parameters["platform"] = subject.platform.name();
  parameters["sourceDateEpoch"] = description.created;

  JsonArray dependencies;
  JsonObject from;
  from["uri"] = source;
  // Sources without git, or with changes, have no commit's digest.
  if (IsCommit(info.revision)) from["digest"] = JsonObject({{"gitCommit", info.revision}});
  dependencies.emplace_back(std::move(from));
  for (const Package& package : packages) {
    JsonObject dependency;
    dependency["uri"] = package.purl();
    dependency["digest"] = JsonObject({{"sha256", package.sha256}});
    dependencies.emplace_back(std::move(dependency));
  }

  JsonObject definition;
  definition["buildType"] = info.build_type;
  definition["externalParameters"] = std::move(parameters);
  JsonArray tools;
  for (const Tool& tool : info.tools) {
    tools.emplace_back(JsonObject({{"name", tool.name}, {"version", tool.version}}));
  }
  JsonObject internal;
  if (!tools.empty()) internal["tools"] = std::move(tools);
  definition["internalParameters"] = std::move(internal);
  definition["resolvedDependencies"] = std::move(dependencies);
  JsonObject run;
  // No times and no invocation: the same source gives the same statement.
  run["builder"] = JsonObject({{"id", info.builder}});
  run["metadata"] = JsonObject();
  JsonObject provenance;
  provenance["buildDefinition"] = std::move(definition);
  provenance["runDetails"] = std::move(run);
  return provenance;
}

}  // namespace pgw::image
