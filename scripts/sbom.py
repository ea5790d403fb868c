"""Print what is in an image, as CycloneDX 1.6: run by the image's Python, with nothing but the standard library.

docker run --rm -i wallet-app python3 - < scripts/sbom.py

It lists the Python packages of the environment and of the Python below it, that Python, the libraries that wheels bring
along and declare (PEP 770), the SQLite that keeps the ledger, and the packages of Debian.
"""

from __future__ import annotations

import json
import platform
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

Component = dict[str, Any]

PACKAGE = "wallet-cli"
DPKG_STATUS = Path("/var/lib/dpkg/status")


def component(kind: str, name: str, version: str, purl: str, **more: Any) -> Component:
    """One thing that is in the image; `purl` is its package URL, and names it in this list."""
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl} | more


def python_packages() -> Iterator[Component]:
    """Those of this environment, and those that came with the base's Python, such as pip."""
    base = sysconfig.get_path("purelib", vars={"base": sys.base_prefix, "platbase": sys.base_prefix})
    for found in distributions(path=list(dict.fromkeys([*sys.path, base]))):
        name, version = found.metadata["Name"].lower().replace("_", "-"), found.version
        known = "License-Expression" in found.metadata
        more = {"licenses": [{"expression": found.metadata["License-Expression"]}]} if known else {}
        yield component("library", name, version, f"pkg:pypi/{name}@{version}", **more)
        yield from declared_by(found)


def declared_by(wheel: Distribution) -> Iterator[Component]:
    """What a wheel says it was built with or has inside."""
    for file in wheel.files or ():
        if file.parent.name == "sboms" and file.suffix == ".json":
            for each in json.loads(file.read_text("utf-8")).get("components", ()):
                purl = each.get("purl", "")
                if purl and not purl.startswith("pkg:pypi/"):
                    yield component(each["type"], each["name"], each["version"], purl)


def python_and_sqlite() -> Iterator[Component]:
    import apsw

    python, sqlite = platform.python_version(), apsw.sqlite_lib_version()
    yield component("platform", "python", python, f"pkg:generic/python@{python}")
    yield component("library", "sqlite", sqlite, f"pkg:generic/sqlite@{sqlite}")


def debian_packages() -> Iterator[Component]:
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    for entry in DPKG_STATUS.read_text("utf-8").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line and not line.startswith(" "))
        if fields.get("Status") == "install ok installed":
            name, version = fields["Package"], fields["Version"]
            where = f"arch={fields['Architecture']}&distro=debian-{release}"
            yield component("library", name, version, f"pkg:deb/debian/{name}@{quote(version, safe='')}?{where}")


def bill() -> dict[str, Any]:
    """The list. It has no time and no random number: the same image gives the same list."""
    everything = [*python_packages(), *python_and_sqlite(), *debian_packages()]
    by_purl = {each["purl"]: each for each in everything}
    (own,) = (each for each in by_purl.values() if each["name"] == PACKAGE)
    del by_purl[own["purl"]]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": own | {"type": "application"}},
        "components": [by_purl[purl] for purl in sorted(by_purl)],
    }


if __name__ == "__main__":
    print(json.dumps(bill(), indent=1))
