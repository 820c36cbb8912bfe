"""Loads a packed image with the programs that people load images with: skopeo, umoci, podman, buildah,
a registry. They are unpacked from Debian's packages, never installed; no service is started but a
registry on a loopback port, which ends with the test. Docker is this machine's, where a daemon answers.

    image_loads.py --program build/dev/docker/pgw-pack --peers build/peers [--image DIR]
                   [skopeo|umoci|registry|tls|podman|buildah|docker|run …]

Without --image an image of tiny programs is packed; then `run`, which starts the container, is not
possible. With it DIR is what `pgw-pack build` wrote.
"""

import argparse
import hashlib
import io
import json
import os
import pathlib
import platform
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request

import harness
import images
import peers
from harness import Failure
from images import expect


class Trial:
    """An image's files, and the tools to load it with."""

    def __init__(self, program: str, directory: str, image: pathlib.Path, folder: pathlib.Path):
        self.program, self.directory, self.image, self.folder = program, directory, image, folder
        self.layout = image / "oci"
        self.digest, self.index = images.index_of(self.layout)
        (self.hybrid,) = image.glob("airgap/*.tar")
        (self.oci_archive,) = image.glob("*.oci.tar")
        (top,) = json.loads((self.layout / "index.json").read_text(encoding="utf-8"))["manifests"]
        self.name = top["annotations"]["org.opencontainers.image.ref.name"]
        self.policy = folder / "policy.json"
        self.policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}', encoding="utf-8")

    def docker_archive(self, architecture: str) -> pathlib.Path:
        (archive,) = self.image.glob(f"*.linux-{architecture}*.docker.tar") if architecture != "arm" else \
            self.image.glob("*.linux-arm-*.docker.tar")
        return archive

    def config_digest(self, architecture: str) -> str:
        """What engines call the image's id."""
        (image,) = [each for each in self.images() if each["platform"]["architecture"] == architecture]
        manifest = json.loads(images.blob(self.layout, image["digest"]))
        return manifest["config"]["digest"].removeprefix("sha256:")

    def images(self) -> list[dict]:
        return [each for each in self.index["manifests"] if each["platform"]["os"] != "unknown"]

    def run(self, tool: str, *words: str, environment: dict | None = None) -> str:
        peer = peers.get(tool, self.directory)
        done = subprocess.run([str(peer.program), *map(str, words)], cwd=self.folder, text=True, capture_output=True,
                              env={**peer.environment, **(environment or {})}, stdin=subprocess.DEVNULL, timeout=150, check=False)
        if done.returncode:
            raise Failure(f"{tool} {' '.join(map(str, words))}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def skopeo(self, *words: str) -> str:
        return self.run("skopeo", "--policy", self.policy, "--tmpdir", self.folder, *words)


def host_architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}.get(platform.machine(), platform.machine())


def check_skopeo(trial: Trial) -> None:
    """Each form is read; every platform with its attestations is copied there and back unchanged."""
    for source in (f"oci:{trial.layout}", f"oci:{trial.layout}:{trial.name}", f"oci-archive:{trial.oci_archive}",
                   f"oci-archive:{trial.hybrid}"):
        expect(trial.skopeo("inspect", "--raw", source).encode(), images.blob(trial.layout, trial.digest), f"what skopeo finds in {source}")
        for image in trial.images():
            architecture = image["platform"]["architecture"]
            found = json.loads(trial.skopeo("--override-arch", architecture, "inspect", source))
            expect(found["Architecture"], architecture, f"the architecture in {source}")
    for image in trial.images():
        architecture = image["platform"]["architecture"]
        found = json.loads(trial.skopeo("inspect", f"docker-archive:{trial.docker_archive(architecture)}"))
        expect(found["Architecture"], architecture, "the architecture of a docker archive")
    trial.skopeo("copy", "--all", f"oci-archive:{trial.hybrid}", "oci:there:x:1")
    trial.skopeo("copy", "--all", "oci:there:x:1", f"oci-archive:back.tar:{trial.name}")
    trial.skopeo("copy", "--all", "oci-archive:back.tar", "oci:again:x:1")
    blobs = images.tree(trial.layout / "blobs")
    expect(images.tree(trial.folder / "there/blobs"), blobs, "all blobs, copied by skopeo")
    expect(images.tree(trial.folder / "again/blobs"), blobs, "all blobs, copied there and back")


def check_umoci(trial: Trial) -> None:
    """umoci unpacks the files with owners and modes. It knows no indexes: of one platform."""
    trial.skopeo("copy", f"docker-archive:{trial.docker_archive('arm64')}", "oci:one:a")
    trial.run("umoci", "unpack", "--rootless", "--image", "one:a", "bundle")
    root = trial.folder / "bundle/rootfs"
    program = root / "bin/pushgateway"
    expect((program.stat().st_mode & 0o7777, int(program.stat().st_mtime)), (0o755, _created(trial)), "/bin/pushgateway")
    expect((root / "usr/share/doc/pushgateway/LICENSE").read_bytes(), (images.ROOT / "LICENSE").read_bytes(), "LICENSE")
    process = json.loads((trial.folder / "bundle/config.json").read_text(encoding="utf-8"))["process"]
    expect((process["args"], process["cwd"]), (["/bin/pushgateway"], "/pushgateway"), "the process")


def _created(trial: Trial) -> int:
    with_time = images.members(trial.hybrid)[0]
    return int(with_time.mtime)


class Registry:
    """Debian's registry on a loopback port until the `with` block ends; with TLS where there is a certificate."""

    def __init__(self, trial: Trial, certificate: pathlib.Path | None = None):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{probe.getsockname()[1]}"
        settings = trial.folder / f"registry-{self.host}.yml"
        tls = f", tls: {{certificate: {certificate}, key: {certificate}.key}}" if certificate else ""
        settings.write_text(
            f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {trial.folder}/registry}}}}\n"
            f"http: {{addr: '{self.host}'{tls}}}\n", encoding="utf-8")
        self.log = open(trial.folder / "registry.log", "ab")
        self.process = subprocess.Popen([peers.get("docker-registry", trial.directory).program, "serve", settings],
                                        stdout=self.log, stderr=self.log, preexec_fn=harness._die_with_parent)

    def __enter__(self) -> str:
        address = tuple(self.host.split(":"))
        end = time.monotonic() + harness.PATIENCE_SECONDS
        while True:
            try:
                socket.create_connection(address, timeout=5).close()
                return self.host
            except OSError as error:
                if time.monotonic() > end:
                    self.__exit__()
                    raise Failure(f"the registry does not start: {error}") from error
                time.sleep(0.05)

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def check_registry(trial: Trial) -> None:
    """What pgw-pack pushes to Debian's registry, skopeo reads back with the same digests."""
    with Registry(trial) as host:
        _push_and_read_back(trial, f"{host}/team/pushgateway")


def check_tls(trial: Trial) -> None:
    """Certificates count: a known one for this host, and no other."""
    if shutil.which("openssl") is None:
        raise peers.Unavailable("no openssl to make certificates with")
    good = _certificate(trial, "good", "IP:127.0.0.1")
    other = _certificate(trial, "other", "DNS:registry.example")
    with Registry(trial, good) as host:
        target = f"{host}/team/pushgateway:1.2.3"
        done = _push(trial, trial.layout, target, "--ca-file", str(good))
        expect((done.returncode, done.stderr), (0, ""), "a push over TLS")
        expect(done.stdout.splitlines()[-1], f"{target}@{trial.digest}", "what it prints")
        for words, text in ((["--ca-file", str(other)], "certificate"), ([], "HTTP 400"), (["--ca-file", "/none"], "--ca-file: /none"),
                            (["--ca-file", "/dev/null"], "--ca-file: "), (["--mount-from", "A b"], "--mount-from expects")):
            done = _push(trial, trial.layout, target, *words)
            if done.returncode != 1 or text not in done.stderr:
                raise Failure(f"a push with {words}: {done.returncode}, {done.stderr}")
    with Registry(trial, other) as host:
        done = _push(trial, trial.layout, f"{host}/team/other:1", "--ca-file", str(other))
        if done.returncode != 1 or "certificate" not in done.stderr:
            raise Failure(f"a push to a host of another name: {done.returncode}, {done.stderr}")


def _certificate(trial: Trial, name: str, alternative: str) -> pathlib.Path:
    path = trial.folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName={alternative}", "-out", path, "-keyout", f"{path}.key"],
                   check=True, capture_output=True)
    return path


def _push(trial: Trial, source: pathlib.Path, target: str, *more: str) -> subprocess.CompletedProcess:
    return subprocess.run([trial.program, "push", source, target, *more], capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, "DOCKER_CONFIG": str(trial.folder)})


def _push_and_read_back(trial: Trial, repository: str) -> None:
    for source, more in ((trial.layout, []), (trial.hybrid, []), (trial.hybrid, ["--mount-from", "team/pushgateway"])):
        target = f"{repository}{'-copy' if more else ''}:1.2.3"
        done = _push(trial, source, target, *more)
        if done.returncode:
            raise Failure(f"pgw-pack push {source}: {done.stderr}")
        expect(done.stdout.splitlines()[-1], f"{target}@{trial.digest}", "what pgw-pack push prints")
        expect(": mounted" in done.stdout, bool(more), "blobs that were mounted")
        remote = f"docker://{target}"
        raw = trial.skopeo("inspect", "--tls-verify=false", "--raw", remote)
        expect(raw.encode(), images.blob(trial.layout, trial.digest), "the index in the registry")
        for image in trial.images():
            found = json.loads(trial.skopeo("--override-arch", image["platform"]["architecture"], "inspect",
                                            "--tls-verify=false", remote))
            expect((found["Architecture"], found["Digest"]), (image["platform"]["architecture"], trial.digest), "an image in the registry")
    trial.skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{repository}:1.2.3", "oci:pulled:x:1")
    expect(images.tree(trial.folder / "pulled/blobs"), images.tree(trial.layout / "blobs"), "all blobs, from the registry")


class Containers:
    """podman or buildah with all it has in the trial's folder."""

    def __init__(self, trial: Trial, tool: str):
        self.trial, self.tool = trial, tool
        root = peers.get(tool, trial.directory).root
        (trial.folder / "containers.conf").write_text(
            f'[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\nruntime = "runc"\n'
            f'conmon_path = ["{root}/usr/bin/conmon"]\n[engine.runtimes]\nrunc = ["{root}/usr/sbin/runc"]\n', encoding="utf-8")
        (trial.folder / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{trial.folder}/graph"\nrunroot = "{trial.folder}/run"\n', encoding="utf-8")
        (trial.folder / "registries.conf").write_text("", encoding="utf-8")
        try:
            self("info")
        except Failure as failure:  # no namespaces for who is not root, no room for its files
            reason = " ".join(str(failure).split()).partition(" info: ")[2]
            raise peers.Unavailable(f"{tool} does not work here: {reason}") from failure
        self._apply_control_image()

    def _apply_control_image(self) -> None:
        """Some machines let no tool apply any layer. Then nothing is said about ours."""
        archive = self.trial.folder / "control.docker.tar"
        write_control_image(archive)
        words = ("load", "-i", str(archive)) if self.tool == "podman" else ("pull", "--quiet", f"docker-archive:{archive}")
        try:
            self(words[0], "--signature-policy", str(self.trial.policy), *words[1:])
            self("rmi", "--all", "--force")
        except Failure as failure:
            told = [line.strip() for line in str(failure).splitlines() if "layer" in line.lower()] or [str(failure)]
            raise peers.Unavailable(f"{self.tool} applies no layer here, not even of two files: {told[-1]}") from failure

    def __call__(self, *words: str) -> str:
        folder = self.trial.folder
        settings = {"CONTAINERS_CONF": folder / "containers.conf", "CONTAINERS_STORAGE_CONF": folder / "storage.conf",
                    "CONTAINERS_REGISTRIES_CONF": folder / "registries.conf"}
        return self.trial.run(self.tool, "--root", f"{folder}/graph", "--runroot", f"{folder}/run", *words,
                              environment={key: str(value) for key, value in settings.items()})

    def load(self, archive: pathlib.Path) -> dict:
        self("load", "--signature-policy", str(self.trial.policy), "-i", str(archive))
        (image,) = json.loads(self("inspect", self.trial.name))
        return image


def write_control_image(path: pathlib.Path) -> None:
    """An image of one layer with two files, as `docker save` writes it, made of nothing that is ours."""
    def packed(files: dict[str, bytes]) -> bytes:
        memory = io.BytesIO()
        with tarfile.open(fileobj=memory, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return memory.getvalue()

    layer = packed({"first": b"one\n", "second": b"two\n"})
    config = json.dumps({"architecture": host_architecture(), "os": "linux", "config": {"Cmd": ["/first"]},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["localhost/control:1"], "Layers": ["layer.tar"]}]).encode()
    path.write_bytes(packed({"config.json": config, "layer.tar": layer, "manifest.json": manifest}))


def check_podman(trial: Trial) -> None:
    if os.geteuid() != 0:
        raise peers.Unavailable("podman in a folder of its own wants root")
    podman = Containers(trial, "podman")
    for archive in (trial.hybrid, trial.oci_archive, trial.docker_archive(host_architecture())):
        image = podman.load(archive)
        expect((image["Architecture"], image["User"]), (host_architecture(), "65534"), f"what podman loads from {archive.name}")
        expect(image["Config"]["Entrypoint"], ["/bin/pushgateway"], "the entry point")
        podman("rmi", "--all", "--force")


def check_buildah(trial: Trial) -> None:
    """An image for a FROM line: pulled out of each form of archive, and a container made of it."""
    buildah = Containers(trial, "buildah")
    for archive in (f"oci-archive:{trial.hybrid}", f"oci-archive:{trial.oci_archive}",
                    f"docker-archive:{trial.docker_archive(host_architecture())}"):
        identity = buildah("pull", "--quiet", "--signature-policy", str(trial.policy), archive).strip()
        image = json.loads(buildah("inspect", "--type", "image", identity))
        expect((image["FromImage"], image["FromImageID"]), (trial.name, trial.config_digest(host_architecture())),
               f"what buildah pulls from {archive}")
        container = buildah("from", "--pull-never", trial.name).strip()
        process = json.loads(buildah("inspect", container))["OCIv1"]["config"]
        expect((process["User"], process["Entrypoint"], process["WorkingDir"]), ("65534", ["/bin/pushgateway"], "/pushgateway"),
               "the process of a container from it")
        if os.geteuid() == 0:  # others would have to mount it in a namespace
            root = pathlib.Path(buildah("mount", container).strip())
            program, home = (root / "bin/pushgateway").stat(), (root / "pushgateway").stat()
            expect((program.st_mode & 0o7777, program.st_uid, home.st_uid), (0o755, 0, 65534), "files in a container from it")
        buildah("rm", container)
        buildah("rmi", "--all", "--force")


def check_docker(trial: Trial) -> None:
    """docker load, if there is a daemon. What was loaded is gone afterwards; what was there stays."""
    if not shutil.which("docker") or _docker("info").returncode:
        raise peers.Unavailable("no docker daemon answers (docker info)")
    if not _docker("image", "inspect", trial.name).returncode:
        raise peers.Unavailable(f"docker has an image of the name {trial.name}, which may be in use")
    for archive in (trial.docker_archive(host_architecture()), trial.hybrid):
        done = _docker("load", "--input", str(archive))
        expect((done.returncode, done.stderr), (0, ""), f"docker load of {archive.name}")
        try:
            done = _docker("image", "inspect", trial.name)
            expect((done.returncode, done.stderr), (0, ""), f"what docker loads from {archive.name} under the name")
            (image,) = json.loads(done.stdout)
            expect((image["Architecture"], image["Config"]["User"], image["Config"]["Entrypoint"]),
                   (host_architecture(), "65534", ["/bin/pushgateway"]), f"what docker loads from {archive.name}")
            expect(image["Config"]["Healthcheck"]["Test"], ["CMD", "/bin/pushgateway", "--healthcheck"], "the health check")
        finally:
            _docker("image", "rm", trial.name)


def _docker(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(["docker", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)


def check_run(trial: Trial) -> None:
    """The container as k0s runs it: any user, nothing writable, no capabilities."""
    if os.geteuid() != 0:
        raise peers.Unavailable("podman in a folder of its own wants root")
    podman = Containers(trial, "podman")
    podman.load(trial.hybrid)
    # Names are looked up inside, without an NSS library. What asks a name server is tested by release_names.py.
    for user, host in (("65534", "localhost"), ("1001", "gateway.hosts.example")):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        # The limits: runc may not raise them where this machine is a container itself.
        container = podman("run", "--detach", "--network=host", "--user", user, "--read-only", "--read-only-tmpfs=false",
                           "--cap-drop=all", "--security-opt=no-new-privileges", "--ulimit", "nofile=1024:1024",
                           "--ulimit", "nproc=1024:1024", "--add-host=gateway.hosts.example:127.0.0.1", trial.name,
                           "--metric.timetolive=120s", f"--web.listen-address={host}:{port}").strip()
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url + "/-/ready")
            with urllib.request.urlopen(urllib.request.Request(url + "/metrics/job/k0s/instance/here", b"some_metric 42\n", method="POST"), timeout=10):
                pass
            with urllib.request.urlopen(url + "/metrics", timeout=10) as scrape:
                expect(b'some_metric{instance="here",job="k0s"} 42' in scrape.read(), True, "what was pushed")
            podman("exec", container, "/bin/pushgateway", "--healthcheck", f"--web.listen-address={host}:{port}")
            podman("exec", container, "/bin/pushgateway", "--healthcheck", f"http://{host}:{port}/-/healthy")
        finally:
            podman("rm", "--force", "--time", "2", container)
    _run_with_one_argument(podman, trial.name)


def _run_with_one_argument(podman: Containers, name: str) -> None:
    """Exactly what k0s passes, in a network of its own; asked from inside, as there is no other way."""
    container = podman("run", "--detach", "--network=none", "--read-only", "--read-only-tmpfs=false", "--cap-drop=all",
                       "--security-opt=no-new-privileges", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024",
                       name, "--metric.timetolive=120s").strip()
    try:
        end = time.monotonic() + harness.PATIENCE_SECONDS
        while True:
            try:
                podman("exec", container, "/bin/pushgateway", "--healthcheck")
                break
            except Failure:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        (state,) = json.loads(podman("inspect", container))
        expect((state["State"]["Running"], state["Args"]), (True, ["--metric.timetolive=120s"]), "the container")
    finally:
        podman("rm", "--force", "--time", "2", container)


def _wait_for(url: str) -> None:
    end = time.monotonic() + harness.PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > end:
                raise Failure(f"{url}: {error}") from error
            time.sleep(0.05)


CHECKS = {"skopeo": check_skopeo, "umoci": check_umoci, "registry": check_registry, "tls": check_tls, "podman": check_podman,
          "buildah": check_buildah, "docker": check_docker, "run": check_run}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--peers", default="build/peers")
    parser.add_argument("--image", type=pathlib.Path)
    parser.add_argument("checks", nargs="*", choices=[[], *CHECKS], metavar="check", default=[])
    harness.add_report_option(parser)
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.program).resolve())
    checks = arguments.checks or [name for name in CHECKS if name != "run" or arguments.image]
    tally = harness.Tally()
    for name in checks:
        with tempfile.TemporaryDirectory(prefix="pgw-e2e-") as temporary:
            folder = pathlib.Path(temporary)
            image = arguments.image and arguments.image.resolve()
            if image is None:
                images.write_binaries(folder / "binaries")
                image = folder / "out"
                done = images.pack(program, folder / "binaries", image)
                expect((done.returncode, done.stderr), (0, ""), "pgw-pack build")
            try:
                CHECKS[name](Trial(program, arguments.peers, image, folder))
            except peers.Unavailable as reason:
                tally.skip(name, str(reason))
            except Exception as failure:  # pylint: disable=broad-exception-caught
                tally.fail(name, str(failure) if isinstance(failure, Failure) else f"{type(failure).__name__}: {failure}")
            else:
                tally.ok(name)
    return tally.finish(arguments.report)


if __name__ == "__main__":
    sys.exit(main())
