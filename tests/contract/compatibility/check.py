"""Compares a contract with the last released one, or with an earlier one if none is released; see scripts/compatibility."""

import argparse
import sys
from pathlib import Path

from contract import Change, ContractError, Level, Object, compare, read
from releases import judge, release, released, version


def check(contract: Path, directory: Path, earlier: Path | None) -> None:
    """Prints what changed. A change that the version does not announce is refused once a contract is released."""
    document = read(contract)
    current = version(document)
    # A document that this comparison cannot follow is told of before there is anything to compare it with.
    own = compare(document, document)
    if own:
        raise ContractError(f"{contract} differs from itself: {own[0]}")
    documents = released(directory)
    if documents:
        last = max(documents)
        changes = changelog(documents[last], document, f"{current} after {last}")
        fault = judge(last, current, changes)
        if fault is not None:
            raise ContractError(fault)
    elif earlier is not None:
        changelog(read(earlier), document, f"{current}, not released yet, since the document committed before")
    else:
        print(f"no contract is released yet, and no earlier document is known: nothing to compare {current} with")


def changelog(old: Object, new: Object, title: str) -> list[Change]:
    changes = sorted(compare(old, new), key=lambda change: (-change.level, change.where, change.what))
    for change in changes:
        print(change)
    breaks = sum(change.level is Level.BREAK for change in changes)
    print(f"{title}: {breaks} breaking, {len(changes) - breaks} other differences")
    return changes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", action="store_true", help="release the contract, which was checked before")
    parser.add_argument("--earlier", type=Path, help="an earlier document, for as long as none is released")
    parser.add_argument("contract", type=Path)
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    try:
        if arguments.release:
            print(f"released {release(arguments.contract, arguments.directory)}")
        else:
            check(arguments.contract, arguments.directory, arguments.earlier)
    except ContractError as error:
        sys.exit(f"scripts/compatibility: {error}")


if __name__ == "__main__":
    main()
