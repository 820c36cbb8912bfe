// pgw-pack: packs container images without a container engine.
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "docker/command_line.h"
#include "docker/file.h"
#include "docker/interrupt.h"
#include "docker/pack/description.h"
#include "docker/pack/image_builder.h"
#include "docker/pack/outputs.h"
#include "docker/pack/staged_folder.h"
#include "docker/printable.h"
#include "docker/read/inspect.h"
#include "docker/read/verify.h"
#include "docker/registry/push.h"

namespace pgw::image {
namespace {

constexpr std::size_t kDescriptionBytesMax = 1u << 20;

const std::vector<CommandSpec>& Commands() {
  static const std::vector<CommandSpec> kCommands{
      {"build",
       {"DESCRIPTION.json"},
       "Packs the described image in all forms into a folder, which is replaced.",
       {{"--output", "DIR", "the folder (required)", 'o'},
        {"--set", "NAME=VALUE", "gives a ${NAME} of the description its value", 's', true},
        {"--platform", "OS/ARCH[/VARIANT]", "for this platform instead of the description's", 'p',
         true},
        {"--attestations", "on|off", "with SBOM and provenance, whatever the description says"}}},
      {"inspect",
       {"ARCHIVE|DIR"},
       "Shows what is in an image archive or an OCI layout folder. Bounds as with verify.",
       {{"--json", "", "as JSON"}}},
      {"verify",
       {"ARCHIVE|DIR"},
       "Checks every digest, size and rule. Exit code 1 and a line for each fault found. Reads at\n"
       "    most 64 GiB, and unpacks at most 4 GiB from a layer and 16 GiB from all of them.",
       {{"--integrity", "", "only digests, sizes and agreement: for images of other tools"}}},
      {"push",
       {"ARCHIVE|DIR", "REGISTRY/REPOSITORY:TAG"},
       "Pushes a whole image, after checking all of it. Logins come from Docker's config.json;\n"
       "    plain http is for loopback hosts alone.",
       {{"--mount-from", "REPOSITORY", "takes blobs that this repository of the registry has"},
        {"--ca-file", "FILE", "trusts these certificates besides the system's"}}},
  };
  return kCommands;
}

// 0, or why nobody can read it.
Result<int> Print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return SystemError("standard output", errno);
  }
  return 0;
}

int ExitCode(const Result<int>& code) {
  if (code) return *code;
  std::fprintf(stderr, "pgw-pack: error: %s\n", code.error().message.c_str());
  return 1;
}

Result<Variables> ReadVariables(const ParsedCommand& command) {
  Variables variables;
  const auto found = command.options.find("--set");
  if (found == command.options.end()) return variables;
  for (const std::string& text : found->second) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || !IsVariableName(text.substr(0, equals))) {
      return InvalidArgument("--set expects NAME=VALUE, got \"" + Printable(text) + "\"");
    }
    variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return variables;
}

Result<Description> LoadDescription(const ParsedCommand& command) {
  const std::string& path = command.operands[0];
  Result<Variables> variables = ReadVariables(command);
  if (!variables) return variables.error();
  DescriptionInputs inputs;
  inputs.set = std::move(*variables);
  // The one variable of the environment: reproducible builds agree on it.
  if (const char* const epoch = std::getenv("SOURCE_DATE_EPOCH")) {
    inputs.environment["SOURCE_DATE_EPOCH"] = epoch;
  }
  if (const auto platforms = command.options.find("--platform");
      platforms != command.options.end()) {
    inputs.platforms = platforms->second;
  }
  const Result<std::string> text = ReadFile(path, kDescriptionBytesMax);
  if (!text) return text.error();
  inputs.here = std::filesystem::path(path).parent_path().string();
  if (inputs.here.empty()) inputs.here = ".";
  Result<Description> description = ParseDescription(*text, inputs);
  if (!description) return InvalidArgument(path + ": " + description.error().message);
  if (command.Has("--attestations")) {
    const std::string value = command.Value("--attestations");
    if (value != "on" && value != "off") return InvalidArgument("--attestations expects on or off");
    description->attestations = value == "on";
  }
  return description;
}

Result<Image> BuildInto(const ParsedCommand& command) {
  const Result<Description> description = LoadDescription(command);
  if (!description) return description.error();
  Result<StagedFolder> folder = StagedFolder::Create(command.Value("--output"), kOutputMarker);
  if (!folder) return folder.error();
  Result<Image> image = BuildImage(*description);
  if (!image) return InvalidArgument(command.operands[0] + ": " + image.error().message);
  if (Status status = WriteOutputs(*image, folder->path()); !status) return status.error();
  if (Status status = folder->Commit(); !status) return status.error();
  return image;
}

Result<int> Build(const ParsedCommand& command) {
  if (!command.Has("--output")) return InvalidArgument("build expects --output DIR");
  const Result<Image> image = [&command] {
    const InterruptGuard guard;
    return BuildInto(command);
  }();
  // With the staged folder gone.
  PassInterruptOn();
  if (!image) return image.error();
  return Print("OCI image manifest " + image->reference.text() + ": " + image->index.digest.hex() +
               "\nBuild timestamp: " + FormatDateUtc(image->created) + "\n" +
               image->blobs.at(image->index.digest) + "\n");
}

Result<int> Inspect(const ParsedCommand& command) {
  const auto store = OpenLayout(command.operands[0]);
  if (!store) return store.error();
  const Result<Json> inspection = InspectLayout(**store);
  if (!inspection) return InvalidArgument(command.operands[0] + ": " + inspection.error().message);
  return Print(command.Has("--json") ? PrettyJson(*inspection) + "\n"
                                     : DescribeInspection(*inspection));
}

Result<int> Verify(const ParsedCommand& command) {
  const std::string& path = command.operands[0];
  const auto store = OpenLayout(path);
  if (!store) return store.error();
  VerifyOptions options;
  options.integrity_only = command.Has("--integrity");
  const Result<VerifyReport> report = VerifyLayout(**store, options);
  if (!report) return InvalidArgument(path + ": " + report.error().message);
  for (const std::string& finding : report->findings) {
    std::fprintf(stderr, "%s: %s\n", path.c_str(), finding.c_str());
  }
  if (!report->ok()) return 1;
  return Print(path + ": " + std::to_string(report->images) + " manifests, " +
               std::to_string(report->blobs) + " files, all as they should be\n");
}

// What can be told of the options without asking the registry.
Status CheckPushOptions(const ParsedCommand& command, const Reference& reference) {
  const std::string from = command.Value("--mount-from");
  if (command.Has("--mount-from") && !ParseName(reference.registry + "/" + from)) {
    return InvalidArgument("--mount-from expects a repository, got \"" + Printable(from) + "\"");
  }
  if (!command.Has("--ca-file")) return {};
  constexpr std::size_t kCertificatesBytesMax = 16u << 20;
  const Result<std::string> text = ReadFile(command.Value("--ca-file"), kCertificatesBytesMax);
  if (!text) return InvalidArgument("--ca-file: " + text.error().message);
  if (text->find("-----BEGIN ") != std::string::npos) return {};
  return InvalidArgument("--ca-file: " + command.Value("--ca-file") + ": no certificates");
}

Result<int> Push(const ParsedCommand& command) {
  Result<Reference> reference = ParseReference(command.operands[1]);
  if (!reference) return reference.error();
  if (Status status = CheckPushOptions(command, *reference); !status) return status.error();
  const auto store = OpenLayout(command.operands[0]);
  if (!store) return store.error();
  RegistryOptions options;
  options.http.ca_file = command.Value("--ca-file");
  options.credentials = CredentialsPlace::FromEnvironment();
  RegistryClient client(*reference, command.Value("--mount-from"), std::move(options));
  PushOptions push;
  push.progress = [](std::string_view line) { (void)Print(std::string(line) + "\n").has_value(); };
  const Result<Digest> digest = PushLayout(**store, client, push);
  if (!digest)
    return Error{digest.error().code, command.operands[0] + ": " + digest.error().message};
  return Print(reference->text() + "@" + digest->text() + "\n");
}

std::string Help() {
  std::string text =
      "Packs container images from a description, and reads, checks and pushes them. Needs no\n"
      "container engine. docs/images.md describes the description.\n\n";
  for (const CommandSpec& command : Commands()) text += DescribeCommand(command) + "\n";
  return text;
}

Result<int> Run(const ParsedCommand& command) {
  if (command.command->name == "build") return Build(command);
  if (command.command->name == "inspect") return Inspect(command);
  if (command.command->name == "verify") return Verify(command);
  if (command.command->name == "push") return Push(command);
  return 1;
}

int Main(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h"))
    return ExitCode(Print(Help()));
  const Result<ParsedCommand> command = ParseCommand(Commands(), arguments);
  if (!command) {
    std::fprintf(stderr, "pgw-pack: error: %s; try pgw-pack --help\n",
                 command.error().message.c_str());
    return 1;
  }
  if (command->help) return ExitCode(Print(DescribeCommand(*command->command)));
  return ExitCode(Run(*command));
}

}  // namespace
}  // namespace pgw::image

int main(int argc, char** argv) {
  return pgw::image::Main(std::vector<std::string>(argv + 1, argv + argc));
}
