"""The released contracts, and which version a changed one must have.

tests/contract/released holds the document of every released version, and SHA256SUMS their sums in the format of
sha256sum. A released file is never edited: those who hold a copy would hold another contract.
"""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from contract import Change, ContractError, Level, Object, level, read

SUMS = "SHA256SUMS"
NEXT = {Level.DOCUMENTATION: "patch", Level.ADDITION: "minor", Level.BREAK: "major"}


class Version(NamedTuple):
    """A version of semver, of a release: without labels, because there is nothing before or beside a contract."""

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
    """The released documents, after it is sure that they are what was released."""
    files = {path.name: path for path in sorted(directory.glob("*")) if path.name != SUMS}
    sums = _sums(directory)
    for name in sums.keys() - files.keys():
        raise ContractError(f"{directory / name} was released, and is gone")
    documents: dict[Version, Object] = {}
    for name, path in files.items():
        if path.suffix != ".yaml":
            raise ContractError(f"{path} is not a released contract")
        if name not in sums:
            raise ContractError(f"{path} is not in {SUMS}: contracts are released by scripts/compatibility --release")
        if sums[name] != _sum(path):
            raise ContractError(f"{path} was edited, and what was released stays as it was")
        document = read(path)
        if version(document) != parse(path.stem):
            raise ContractError(f"{path} is of version {version(document)}")
        documents[version(document)] = document
    return documents


def judge(last: Version, current: Version, changes: list[Change]) -> str | None:
    """What is wrong with the version of a document that differs so from the last released one, if anything is."""
    if current < last:
        return f"the version {current} is behind the last released one, {last}"
    needed = level(changes)
    enough = {
        # An unchanged version may still explain itself better.
        Level.DOCUMENTATION: True,
        Level.ADDITION: current[:2] > last[:2],
        Level.BREAK: current.major > last.major,
    }
    if enough[needed]:
        return None
    return f"the version {current} does not say so: after {last} this needs a higher {NEXT[needed]} version"


def release(contract: Path, directory: Path) -> Path:
    """Keeps the document as the one of its version."""
    current = version(read(contract))
    kept = directory / f"{current}.yaml"
    if kept.exists():
        raise ContractError(f"{current} is released already: raise info.version")
    directory.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(contract.read_bytes())
    sums = _sums(directory) | {kept.name: _sum(kept)}
    lines = [f"{sums[name]}  {name}\n" for name in sorted(sums, key=lambda name: parse(name.removesuffix(".yaml")))]
    (directory / SUMS).write_text("".join(lines), encoding="ascii")
    return kept


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sums(directory: Path) -> dict[str, str]:
    path = directory / SUMS
    sums: dict[str, str] = {}
    for line in path.read_text(encoding="ascii").splitlines() if path.exists() else []:
        match = re.fullmatch(r"([0-9a-f]{64})  (\S+)", line)
        if match is None:
            raise ContractError(f"{path} has a line that is not one of sha256sum: {line}")
        sums[match[2]] = match[1]
    return sums
