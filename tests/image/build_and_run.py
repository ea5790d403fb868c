"""Build the image from the Dockerfile and run it, with no registry and no Docker: python tests/image/build_and_run.py

Outside the default run: it needs root on Debian, a few minutes, and the machine's own package mirror. It

1. makes a small Debian with Python by debootstrap, from the mirror that apt uses here, and gives it the name that FROM
   names;
2. builds the Dockerfile on it with buildah, `--isolation chroot --pull-never`, with a decoy `.env`, key and ledger in
   the build context, and pip set up as it is on this machine;
3. runs the image's own CMD as its own USER, as PID 1, its root file system read-only but for /data, and checks what the
   Dockerfile promises; each check prints a line. The exit code is 0 if all of them hold.

Not with `buildah run --isolation chroot`, which gives a container neither a PID 1 of its own nor a read-only root nor a
network of its own: step 3 does it with `unshare`, from the configuration that the image carries. What is not shown here
is what belongs to Docker: that `-p` publishes the port, that a new volume takes over the owner of /data (here the
folder is given to the image's user), and that HEALTHCHECK is run every 30 s (here it is run once).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent.parent
IMAGE = "wallet-app"
TOOLS = {
    "buildah": "buildah", "debootstrap": "debootstrap", "unshare": "util-linux", "nsenter": "util-linux",
    "ip": "iproute2", "curl": "curl",
}  # fmt: skip
"""Programs, and the Debian packages that have them."""

BUILD_TIMEOUT_S = 900
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 30
DECOY = "decoy-that-must-not-be-in-the-image"

# Run as PID 1 of a container: everything read-only but /data and /dev, then the image's user, then its command.
ENTER = """
set -e
root=$1 data=$2 user=$3 group=$4 folder=$5; shift 5
ip link set lo up
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --bind "$data" "$root/data"
mount -o remount,ro,bind "$root"
exec chroot "$root" sh -c 'cd "$1"; shift; exec setpriv "$@"' sh "$folder" \
  --no-new-privs --reuid "$user" --regid "$group" --clear-groups --bounding-set=-all --inh-caps=-all env -i "$@"
"""


def run(*command: str | Path, timeout_s: float = BUILD_TIMEOUT_S, check: bool = True, **more: Any) -> str:
    """Run a command to its end and return its stdout; its stderr is shown if it fails."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=timeout_s, check=False, **more
    )
    if check and done.returncode:
        sys.exit(
            f"{' '.join(map(str, command))[:300]}\nexit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    return str(done.stdout)


def buildah(*arguments: str | Path) -> str:
    return run("buildah", "--storage-driver", "vfs", *arguments)


# The base


def install_tools() -> None:
    missing = {package for program, package in TOOLS.items() if not shutil.which(program)}
    if missing:
        run("apt-get", "install", "-y", "--no-install-recommends", *sorted(missing))


def base_name() -> str:
    """The image that FROM names, unless it is told otherwise."""
    found = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert found, "the Dockerfile names no base"
    return found[1]


def mirror(codename: str) -> str:
    """Where this machine's apt has that release from."""
    targets = run("apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages")
    for line in targets.splitlines():
        name, component, uri = line.split(" ", 2)
        if name == codename and component == "main":
            return uri
    sys.exit(f"apt has no source of Debian {codename} main here")


def make_base(name: str, folder: Path, codename: str) -> None:
    """A minimal Debian with Python, under the name of the official image."""
    proxy = run("sh", "-c", 'eval "$(apt-config shell P Acquire::http::Proxy)"; printf %s "$P"')
    tree = folder / "base"
    packages = "python3,python3-venv,ca-certificates"
    run(
        "debootstrap", "--variant=minbase", f"--include={packages}", codename, tree, mirror(codename),
        env=os.environ | ({"http_proxy": proxy} if proxy and proxy != "DIRECT" else {}),
    )  # fmt: skip
    for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man"):
        shutil.rmtree(tree / waste, ignore_errors=True)
    with tarfile.open(folder / "base.tar", "w") as archive:
        archive.add(tree, ".")
    container = buildah("from", "scratch").strip()
    buildah("add", "--quiet", container, folder / "base.tar", "/")
    buildah("config", "--cmd", "/bin/sh", container)
    buildah("commit", "--quiet", "--rm", container, name)
    shutil.rmtree(tree)


# The image


def pip_settings(folder: Path) -> list[str]:
    """The build's `--volume` options that set up pip as it is here; what they name stays out of the image."""
    lines = ["[global]"]
    places: set[Path] = set()
    for line in run(sys.executable, "-m", "pip", "config", "list").splitlines():
        found = re.fullmatch(r"(?:global|install|:env:)\.([\w-]+)='(.*)'", line)
        if found is None or found[1] in ("target", "user", "prefix", "config-file"):
            continue
        lines.append(f"{found[1]} = {found[2]}")
        for word in found[2].split():
            path = Path(urlsplit(word).path if word.startswith("file:") else word)
            if path.is_absolute() and path.exists():
                # What the pages of an index link to may stand beside them; a folder such as /opt is too much.
                whole = path.is_dir() and len(path.parent.parts) > 2
                places.add(path.parent if whole else path)
    settings = folder / "pip.conf"
    settings.write_text("\n".join(dict.fromkeys(lines)) + "\n", "utf-8")
    volumes = {settings: Path("/etc/pip.conf")} | {path: path for path in sorted(places)}
    return [option for source, target in volumes.items() for option in ("--volume", f"{source}:{target}:ro")]


def make_context(folder: Path) -> Path:
    """The files of the repository as a person has them, with secrets that must not get into the image."""
    context = folder / "context"
    files = run("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, context / name)
    for name in (
        ".env",
        "wallet_cli/.env",
        "wallet_cli/web/.env.local",
        "wallet.db",
        "wallet_cli/old.db",
        "jwt_secret_key",
    ):
        (context / name).write_text(f"JWT_SECRET_KEY={DECOY}\n", "utf-8")
    return context


def build(context: Path, volumes: list[str]) -> None:
    # The format of Docker, as that of OCI knows no HEALTHCHECK.
    buildah(
        "bud", "--isolation", "chroot", "--pull-never", "--format", "docker", "--quiet", *volumes, "-t", IMAGE, context
    )


# Running it


class Image(NamedTuple):
    """The file system of the image, and the configuration that it carries."""

    root: Path
    config: Mapping[str, Any]

    @property
    def user(self) -> tuple[str, str]:
        user, _, group = self.config["User"].partition(":")
        return user, group


class Container:
    """One run of the image's CMD, on a data folder, until it is stopped."""

    def __init__(self, image: Image, data: Path, *more: str) -> None:
        self.image = image
        self.log = data.parent / f"{data.name}.log"
        command = [*image.config["Cmd"], *more]
        with self.log.open("ab") as log:
            self._unshare = subprocess.Popen(
                [
                    "unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child",
                    *inside(image, data, command),
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self.pid = int(wait_for(self._first_child, "the container to start"))

    def _first_child(self) -> int | None:
        pid = self._unshare.pid
        if self._unshare.poll() is not None:
            raise ChildProcessError(self.log.read_text("utf-8"))
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
        return int(children[0]) if children else None

    def exec(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """As `docker exec`: another process inside, as the image's user, with the image's environment."""
        user, group = self.image.user
        return subprocess.run(
            [
                "nsenter", "--target", str(self.pid), "--mount", "--pid", "--net", "--ipc", "--uts",
                f"--root=/proc/{self.pid}/root", f"--wd=/proc/{self.pid}/cwd",
                "setpriv", "--reuid", user, "--regid", group, "--clear-groups",
                "env", "-i", *self.image.config["Env"], *command,
            ],
            capture_output=True, text=True, timeout=60, check=check,
        )  # fmt: skip

    def call(self, method: str, path: str, body: object = None, key: str = "") -> tuple[int, Any]:
        """An HTTP request from beside the container; 0 where nobody answers."""
        done = subprocess.run(
            [
                "nsenter", "--target", str(self.pid), "--net",
                "curl", "--silent", "--max-time", "10", "--noproxy", "*", "--write-out", "\n%{http_code}", "-X", method,
                f"http://127.0.0.1:5000{path}",
                *(["-H", f"Authorization: Bearer {key}"] if key else []),
                *(["-H", "Content-Type: application/json", "--data", json.dumps(body)] if body is not None else []),
            ],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        text, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(text) if text.startswith("{") else text

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send PID 1 a signal, as `docker stop` does; returns its exit code."""
        os.kill(self.pid, number)
        return self._unshare.wait(STOP_TIMEOUT_S)

    def kill(self) -> None:
        if self._unshare.poll() is None:
            self._unshare.kill()  # --kill-child: the container goes with it
            self._unshare.wait()


def inside(image: Image, data: Path, command: list[str]) -> list[str]:
    """A command line that runs a command in the image's file system, under the image's configuration."""
    folder = image.config["WorkingDir"]
    return [
        "sh", "-c", ENTER, "sh", str(image.root), str(data), *image.user, folder, *image.config["Env"], *command,
    ]  # fmt: skip


def wait_for(found: Callable[[], Any], what: str) -> Any:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        answer = found()
        if answer:
            return answer
        time.sleep(0.05)
    raise TimeoutError(f"waited {START_TIMEOUT_S} s in vain for {what}")


def wait_until_ready(container: Container) -> None:
    try:
        wait_for(lambda: container.call("GET", "/readyz")[0] == 200, "the port to answer")
    except TimeoutError:
        print(container.log.read_text("utf-8"))
        raise


@contextlib.contextmanager
def mounted() -> Iterator[Image]:
    """The built image's file system and configuration."""
    config = json.loads(buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"]
    container = buildah("from", "--pull-never", IMAGE).strip()
    try:
        yield Image(Path(buildah("mount", container).strip()), config)
    finally:
        buildah("rm", container)


# What has to hold

failures = 0


def check(what: str, holds: bool, shown: object = "") -> None:
    global failures
    failures += not holds
    print(f"{'ok  ' if holds else 'FAIL'}  {what}{f': {shown}' if shown != '' else ''}", flush=True)


def files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        yield from (Path(folder) / name for name in names)


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file."""
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in files(root)}


def check_contents(image: Image) -> None:
    everything = [path for path in files(image.root) if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in everything)
    own = sum(path.stat().st_size for path in files(image.root / "opt/wallet") if not path.is_symlink())
    print(f"      image {size / 1e6:.0f} MB, of which {own / 1e6:.0f} MB are this program and what it needs")
    secrets = [path for path in everything if path.stat().st_size < 2**20 and DECOY.encode() in path.read_bytes()]
    check("no decoy secret inside", not secrets, secrets or "")
    named = [path for path in everything if path.name.startswith(".env") or path.suffix in (".db", ".pem.key")]
    check("no .env and no ledger inside", not named, named or "")
    wallet = image.root / "opt/wallet"
    check("no pip in what is shipped", not list(wallet.glob("lib/python3*/site-packages/pip*")))
    sources = [path for path in files(wallet) if path.suffix == ".py" and "site-packages" in path.parts]
    compiled = sum((path.parent / "__pycache__").is_dir() for path in sources)
    check("byte code is compiled", compiled == len(sources), f"{compiled} of {len(sources)} modules")
    # A file of no bytes is where buildah mounted one during the build.
    ours = [path for path in everything if path.name == "pip.conf" or path.is_relative_to(image.root / "src")]
    ours = [path for path in ours if path.stat().st_size]
    check("nothing of the build is left", not ours, ours or "")
    setuid = [path for path in files(wallet) if path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID)]
    check("nothing of it is setuid", not setuid)


def check_configuration(image: Image) -> None:
    config = image.config
    user, group = image.user
    check(
        "USER is a fixed id, not root",
        user.isdigit() and int(user) > 0 and group.isdigit() and int(group) > 0,
        config["User"],
    )
    check(
        "VOLUME /data, EXPOSE 5000", set(config["Volumes"]) == {"/data"} and set(config["ExposedPorts"]) == {"5000/tcp"}
    )
    check("CMD in exec form", config["Cmd"][:2] == ["wallet", "serve"], config["Cmd"])
    check("STOPSIGNAL", config.get("StopSignal") in ("SIGTERM", "15"), config.get("StopSignal"))
    check("HEALTHCHECK", config.get("Healthcheck", {}).get("Test", [""])[0] == "CMD")


def check_run(image: Image, data: Path) -> None:
    before = snapshot(image.root)
    container = Container(image, data)
    try:
        wait_until_ready(container)
        check("the port answers", True, container.call("GET", "/healthz"))
        check_inside(container)
        log = container.log.read_text("utf-8")
        check("a fresh container says how to make the first key", "wallet key create NAME" in log)
        print("".join(f"      log: {line}\n" for line in log.splitlines()), end="")
        check("nobody may call without a key", container.call("GET", "/api/v1/wallet/get/1")[0] == 401)
        key = container.exec("wallet", "key", "create", "first", "-q").stdout.strip()
        check("docker exec … wallet key create", key.startswith("wk_"))
        api = "/api/v1"
        user = container.call("POST", f"{api}/users", {"phone_number": "9886977544"}, key)
        wallet = container.call("POST", f"{api}/wallet/create", {"user_id": 1, "type": "type1"}, key)
        credit = {"user_id": 1, "wallet_id": 1, "amount": 20, "is_credit": True}
        added = container.call("POST", f"{api}/transactions/create", credit, key)
        check(
            "user, wallet and transaction: 201",
            [user[0], wallet[0], added[0]] == [201, 201, 201],
            added[1]["data"]["id"],
        )
        started_s = time.monotonic()
        code = container.stop()
        check("SIGTERM to PID 1: exit 0", code == 0, f"exit {code} after {time.monotonic() - started_s:.1f} s")
        secret = data / "wallet" / "jwt_secret_key"
        kept = secret.read_bytes()
        container = Container(image, data)
        wait_until_ready(container)
        status, answer = container.call("GET", f"{api}/wallet/get/1/type1", key=key)
        check(
            "after a restart the transaction is there",
            (status, answer["data"]["balance"]) == (200, "20.00"),
            answer["data"]["balance"],
        )
        check(
            "the token secret is kept, 0600",
            secret.read_bytes() == kept and stat.S_IMODE(secret.stat().st_mode) == 0o600,
        )
        check("SIGINT to PID 1: exit 0", container.stop(signal.SIGINT) == 0)
        container = Container(image, data, "--workers", "2")
        wait_until_ready(container)
        check("two workers answer", container.call("GET", f"{api}/wallet/get/1/type1", key=key)[0] == 200)
        code = container.stop()
        check("SIGTERM to their PID 1: exit 0", code == 0, f"exit {code}")
    finally:
        container.kill()
    changed = [path for path, seen in snapshot(image.root).items() if before.get(path) != seen]
    check(
        "nothing but /data is written",
        not changed,
        changed or sorted(str(path.relative_to(data)) for path in files(data)),
    )
    others = [path for path in files(data) if path.stat().st_uid != int(image.user[0])]
    check("what is written is the user's", not others, others or "")
    traces = [line for line in container.log.read_text("utf-8").splitlines() if "Traceback" in line or "Error" in line]
    check("no traceback in the log", not traces, traces or "")


def check_inside(container: Container) -> None:
    status = Path(f"/proc/{container.pid}/status").read_text("ascii")
    (uids,) = re.findall(r"^Uid:\t(.*)$", status, re.MULTILINE)
    (inner,) = re.findall(r"^NSpid:\t.*\t(\d+)$", status, re.MULTILINE)
    check("the server is PID 1", inner == "1")
    check(
        "whoami",
        "0" not in uids.split(),
        f"{container.exec('whoami').stdout.strip()} ({container.exec('id').stdout.strip()})",
    )
    (capabilities,) = re.findall(r"^CapEff:\t(\w+)$", status, re.MULTILINE)
    check("no capabilities", int(capabilities, 16) == 0)
    refused = container.exec(
        "sh", "-c", "for f in /x /tmp/x /opt/wallet/x /etc/x; do touch $f && echo $f; done", check=False
    )
    check("the root file system is read-only", refused.stdout == "" and "Read-only file system" in refused.stderr)
    listening = Path(f"/proc/{container.pid}/net/tcp").read_text("ascii")
    check("it listens on every address", re.search(r" 00000000:1388 \S+ 0A ", listening) is not None)
    healthy = container.exec(*container.image.config["Healthcheck"]["Test"][1:], check=False)
    check("HEALTHCHECK passes", healthy.returncode == 0, healthy.stderr.strip()[-200:])
    check("wallet demo", container.exec("wallet", "demo", check=False).returncode == 0)
    check_list(json.loads(container.exec("python3", "-c", (ROOT / "scripts/sbom.py").read_text("utf-8")).stdout))


def check_list(bill: dict[str, Any]) -> None:
    """The list of what is in the image, which scripts/image writes."""
    listed = {(each["name"], each["version"]) for each in bill["components"]}
    locked = re.findall(r"^([a-z0-9-]+)==(\S+)(.*)", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    missing = {(name, version) for name, version, marker in locked if "== 'win32'" not in marker} - listed
    check("what the lock names is in the list, in its version", not missing, missing or f"{len(listed)} things")
    names = {name for name, _ in listed}
    check("so are Python, SQLite and the C library", {"python", "sqlite", "libc6"} <= names)
    check("it is about this package", bill["metadata"]["component"]["name"] == "wallet-cli")
    try:
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError:
        print("      left out: the schema of CycloneDX; pip install 'cyclonedx-python-lib[json-validation]'")
        return
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill))
    check("it is CycloneDX 1.6", wrong is None, wrong or "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rebuild-base", action="store_true", help="make the base anew even if there is one")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("this needs root: debootstrap, mount and unshare")
    install_tools()
    name = base_name()
    # Beside other things of some size; what it holds is gone at the end.
    with tempfile.TemporaryDirectory(prefix="wallet-image-") as temporary:
        folder = Path(temporary)
        started_s = time.monotonic()
        there = subprocess.run(
            ["buildah", "--storage-driver", "vfs", "inspect", "--type", "image", name], capture_output=True
        )
        if options.rebuild_base or there.returncode:
            make_base(name, folder, name.rpartition("-")[2])
            print(f"      base made in {time.monotonic() - started_s:.0f} s", flush=True)
        started_s = time.monotonic()
        build(make_context(folder), pip_settings(folder))
        print(f"      image built in {time.monotonic() - started_s:.0f} s", flush=True)
        with mounted() as image:
            check_configuration(image)
            check_contents(image)
            data = folder / "data"
            data.mkdir(mode=0o700)
            os.chown(data, *map(int, image.user))
            folder.chmod(0o755)
            check_run(image, data)
    print(f"{failures} of the checks failed" if failures else "all checks hold")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
