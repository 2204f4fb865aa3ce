"""The released contracts, and the version that a changed contract must have.

tests/contract/released has the document of each released version, and SHA256SUMS has their checksums in the format of
sha256sum. Released files are never edited, because clients have copies of them.
"""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from contract import Change, ContractError, Level, Object, level, read

SUMS = "SHA256SUMS"
NEXT = {Level.DOCUMENTATION: "patch", Level.ADDITION: "minor", Level.BREAK: "major"}


class Version(NamedTuple):
    """A semantic version without a pre-release label."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def parse(text: object) -> Version:
    match = re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", text) if isinstance(text, str) else None
    if match is None:
        raise ContractError(f"the version {text!r} is not MAJOR.MINOR.PATCH")
    return Version(*map(int, match.groups()))


def version(document: Object) -> Version:
    return parse(document.get("info", {}).get("version"))


def released(directory: Path) -> dict[Version, Object]:
    """Returns the released documents. Fails if their files do not match SHA256SUMS."""
    files = {path.name: path for path in sorted(directory.glob("*")) if path.name != SUMS}
    sums = _sums(directory)
    for name in sums.keys() - files.keys():
        raise ContractError(f"{directory / name} was released, but does not exist")
    documents: dict[Version, Object] = {}
    for name, path in files.items():
        if path.suffix != ".yaml":
            raise ContractError(f"{path} is not a released contract")
        if name not in sums:
            raise ContractError(f"{path} is not in {SUMS}: contracts are released by scripts/compatibility --release")
        if sums[name] != _sum(path):
            raise ContractError(f"{path} was edited after its release")
        document = read(path)
        if version(document) != parse(path.stem):
            raise ContractError(f"{path} has the version {version(document)}")
        documents[version(document)] = document
    return documents


def check_version(last: Version, current: Version, changes: list[Change]) -> str | None:
    """Returns an error if the version is too low for these changes since the last release."""
    if current < last:
        return f"the version {current} is lower than the last released one, {last}"
    needed = level(changes)
    enough = {
        # A change of wording needs no new version.
        Level.DOCUMENTATION: True,
        Level.ADDITION: current[:2] > last[:2],
        Level.BREAK: current.major > last.major,
    }
    if enough[needed]:
        return None
    return f"the version {current} is too low: after {last}, these changes need a higher {NEXT[needed]} version"


def release(contract: Path, directory: Path) -> Path:
    """Stores the document as the released one of its version."""
    current = version(read(contract))
    stored = directory / f"{current}.yaml"
    if stored.exists():
        raise ContractError(f"{current} is already released: increase info.version")
    directory.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(contract.read_bytes())
    sums = _sums(directory) | {stored.name: _sum(stored)}
    lines = [f"{sums[name]}  {name}\n" for name in sorted(sums, key=lambda name: parse(name.removesuffix(".yaml")))]
    (directory / SUMS).write_text("".join(lines), encoding="ascii")
    return stored


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sums(directory: Path) -> dict[str, str]:
    path = directory / SUMS
    sums: dict[str, str] = {}
    for line in path.read_text(encoding="ascii").splitlines() if path.exists() else []:
        match = re.fullmatch(r"([0-9a-f]{64})  (\S+)", line)
        if match is None:
            raise ContractError(f"{path} has a line that is not in the format of sha256sum: {line}")
        sums[match[2]] = match[1]
    return sums
