"""Compares a contract with the last released one; see scripts/compatibility."""

import argparse
import sys
from pathlib import Path

from contract import ContractError, Level, compare, read
from releases import judge, release, released, version


def check(contract: Path, directory: Path) -> None:
    document = read(contract)
    current = version(document)
    # A document that this comparison cannot follow is told of before there is anything to compare it with.
    own = compare(document, document)
    if own:
        raise ContractError(f"{contract} differs from itself: {own[0]}")
    documents = released(directory)
    if not documents:
        print(f"no contract is released yet: nothing to compare {current} with")
        return
    last = max(documents)
    changes = sorted(compare(documents[last], document), key=lambda change: (-change.level, change.where, change.what))
    for change in changes:
        print(change)
    breaks = sum(change.level is Level.BREAK for change in changes)
    print(f"{current} after {last}: {breaks} breaking, {len(changes) - breaks} other differences")
    fault = judge(last, current, changes)
    if fault is not None:
        raise ContractError(fault)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", action="store_true", help="release the contract, which was checked before")
    parser.add_argument("contract", type=Path)
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    try:
        if arguments.release:
            print(f"released {release(arguments.contract, arguments.directory)}")
        else:
            check(arguments.contract, arguments.directory)
    except ContractError as error:
        sys.exit(f"scripts/compatibility: {error}")


if __name__ == "__main__":
    main()
