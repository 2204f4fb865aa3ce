"""Compares a contract with the last released one, or with an earlier document before the first release. See
scripts/compatibility.
"""

import argparse
import sys
from pathlib import Path

from contract import Change, ContractError, Level, Object, compare, read
from releases import check_version, release, released, version


def check(contract: Path, directory: Path, earlier: Path | None) -> None:
    """Prints the changes. Fails if the version does not match them, unless no contract is released yet."""
    document = read(contract)
    current = version(document)
    # This finds a document that the comparison cannot process, even if there is no other document.
    own = compare(document, document)
    if own:
        raise ContractError(f"{contract} differs from itself: {own[0]}")
    documents = released(directory)
    if documents:
        last = max(documents)
        changes = changelog(documents[last], document, f"{current} after {last}")
        problem = check_version(last, current, changes)
        if problem is not None:
            raise ContractError(problem)
    elif earlier is not None:
        changelog(read(earlier), document, f"{current}, not released yet, compared with the previous commit")
    else:
        print(f"no contract is released yet and there is no earlier document: nothing to compare {current} with")


def changelog(old: Object, new: Object, title: str) -> list[Change]:
    changes = sorted(compare(old, new), key=lambda change: (-change.level, change.where, change.what))
    for change in changes:
        print(change)
    breaks = sum(change.level is Level.BREAK for change in changes)
    print(f"{title}: {breaks} breaking, {len(changes) - breaks} other differences")
    return changes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", action="store_true", help="store the contract as released; check it first")
    parser.add_argument("--earlier", type=Path, help="the earlier document to compare with before the first release")
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
