"""Tests the comparison with a table of changes to openapi.yaml: 20 breaking ones and 20 others.

A change consists of edits. An edit fails if its location no longer exists in the document. Then give the row another
location, and do not remove it.
"""

import copy
import io
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from check import check
from contract import Change, ContractError, Level, Object, compare, level, read
from releases import SUMS, Version, check_version, release, released, version

Edit = Callable[[Object], None]


def _find(document: Object, place: str) -> tuple[Any, str]:
    """Returns the container of a location and the name in it. Steps are separated by blanks, because paths have slashes."""
    *steps, name = place.split()
    holder: Any = document
    for step in steps:
        holder = holder[int(step)] if isinstance(holder, list) else holder[step]
    return holder, name


def add(place: str, value: Any) -> Edit:
    def edit(document: Object) -> None:
        holder, name = _find(document, place)
        assert name not in holder, f"{place} already exists"
        holder[name] = copy.deepcopy(value)

    return edit


def replace(place: str, value: Any) -> Edit:
    def edit(document: Object) -> None:
        holder, name = _find(document, place)
        assert holder[name] != value, f"{place} is already {value}"
        holder[name] = copy.deepcopy(value)

    return edit


def remove(place: str) -> Edit:
    def edit(document: Object) -> None:
        holder, name = _find(document, place)
        del holder[name]

    return edit


def rename(place: str, other: str) -> Edit:
    def edit(document: Object) -> None:
        holder, name = _find(document, place)
        assert other not in holder, f"{other} already exists beside {place}"
        holder[other] = holder.pop(name)

    return edit


def append(place: str, value: Any) -> Edit:
    def edit(document: Object) -> None:
        holder, name = _find(document, place)
        assert value not in holder[name], f"{place} already has {value}"
        holder[name].append(copy.deepcopy(value))

    return edit


def without(place: str, value: Any) -> Edit:
    def edit(document: Object) -> None:
        holder, name = _find(document, place)
        holder[name].remove(value)

    return edit


def refer(old: str, new: str) -> Edit:
    """Replaces every reference to `old` by one to `new`."""

    def walk(part: Any) -> None:
        if isinstance(part, dict) and part.get("$ref") == old:
            part["$ref"] = new
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            walk(inner)

    return walk


def reverse(document: Object) -> None:
    """Reverses the order of the keys of all objects."""

    def reversed_copy(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: reversed_copy(part[name]) for name in reversed(part)}
        return [reversed_copy(inner) for inner in part] if isinstance(part, list) else part

    whole = reversed_copy(document)
    document.clear()
    document.update(whole)


@dataclass(frozen=True)
class Row:
    name: str
    expected: Level
    edits: tuple[Edit, ...]


def breaks(name: str, *edits: Edit) -> Row:
    return Row(name, Level.BREAK, edits)


def adds(name: str, *edits: Edit) -> Row:
    return Row(name, Level.ADDITION, edits)


def explains(name: str, *edits: Edit) -> Row:
    return Row(name, Level.DOCUMENTATION, edits)


SCHEMAS = "components schemas"
CODES = "paths /api/v1/codes post"
TOKENS = "paths /api/v1/tokens post"
JOIN = "paths /classes/join/{joinCode} post"
GET_CLASS = "paths /classes/{classId} get"
DONE = {"204": {"description": "Done"}}
ROLL = {"name": "roll", "in": "query", "schema": {"type": "integer"}}

ROWS = [
    breaks("a path is removed", remove("paths /.well-known/jwks.json")),
    breaks("an operation is removed", remove(GET_CLASS)),
    breaks("an operation id changes", replace(f"{CODES} operationId", "signIn")),
    breaks("a status is removed", remove(f"{JOIN} responses 409")),
    breaks("the success status changes", rename(f"{JOIN} responses 201", "200")),
    breaks(
        "the media type of a response changes", rename(f"{CODES} responses 201 content application/json", "text/json")
    ),
    breaks("a required header of a response is removed", remove(f"{CODES} responses 429 headers Retry-After")),
    breaks("an operation requires a token", replace(f"{CODES} security", [{"accessToken": []}])),
    breaks("a query parameter is required", append(f"{GET_CLASS} parameters", ROLL | {"required": True})),
    breaks("a parameter moves to the query", replace(f"{CODES} parameters 0 in", "query")),
    breaks(
        "a property of a response is removed, inside a list and an allOf",
        remove(f"{SCHEMAS} NextAction properties method"),
        without(f"{SCHEMAS} NextAction required", "method"),
    ),
    breaks(
        "a property of a response is renamed",
        rename(f"{SCHEMAS} GeneratedJoinCode properties joinCode", "code"),
        without(f"{SCHEMAS} GeneratedJoinCode required", "joinCode"),
        append(f"{SCHEMAS} GeneratedJoinCode required", "code"),
    ),
    breaks(
        "a property of a response may be null", add(f"{SCHEMAS} ClassEnrollment properties createdAt nullable", True)
    ),
    breaks("a property of a response becomes optional", without(f"{SCHEMAS} TokenSet required", "idToken")),
    breaks("the type of a property changes", replace(f"{SCHEMAS} IssuedCodeList properties totalItems type", "string")),
    breaks("the format of a property changes", replace(f"{SCHEMAS} SchoolClass properties createdAt format", "date")),
    breaks("a response enum has a new value", append(f"{SCHEMAS} ClassEnrollmentStatus enum", "paused")),
    breaks("a property of a request becomes required", append(f"{SCHEMAS} CreateCodeRequest required", "appUuid")),
    breaks(
        "the maximum length of a request string decreases",
        replace(f"{SCHEMAS} CreateCodeRequest properties password maxLength", 72),
    ),
    breaks("a request allows no additional properties", add(f"{SCHEMAS} CreateTokenRequest additionalProperties", False)),
    explains(
        "a description changes",
        replace(f"{SCHEMAS} SchoolClass properties description description", "About the class."),
    ),
    explains("a summary changes", replace(f"{CODES} summary", "Sign in")),
    explains(
        "an example changes",
        replace(f"{CODES} requestBody content application/json example state", "another"),
        replace(f"{JOIN} parameters 0 example", "00000000"),
    ),
    explains(
        "the descriptions of a tag and a server change",
        replace("tags 0 description", "Classes."),
        replace("servers 0 description", "Here"),
    ),
    explains("the order of keys changes", reverse),
    explains(
        "a component has another name",
        rename(f"{SCHEMAS} ClassroomError", "ClassroomFailure"),
        refer("#/components/schemas/ClassroomError", "#/components/schemas/ClassroomFailure"),
    ),
    adds("a new path", add("paths /lessons", {"get": {"operationId": "getLessons", "responses": DONE}})),
    adds("a new operation", add("paths /classes patch", {"operationId": "updateClasses", "responses": DONE})),
    adds(
        "a new property of a request is optional",
        add(f"{SCHEMAS} CreateCodeRequest properties locale", {"type": "string"}),
    ),
    adds(
        "a new property of a response",
        add(f"{SCHEMAS} SchoolClass properties colour", {"type": "string"}),
        append(f"{SCHEMAS} SchoolClass required", "colour"),
    ),
    adds("a new error status", add(f"{JOIN} responses 410", {"description": "The class has ended"})),
    adds("a new query parameter is optional", append(f"{GET_CLASS} parameters", ROLL)),
    adds(
        "a new header of a response is optional",
        add(f"{GET_CLASS} responses 200 headers Last-Modified", {"schema": {"type": "string"}}),
    ),
    adds(
        "the maximum length of a request string increases",
        replace(f"{SCHEMAS} CreateCodeRequest properties state maxLength", 4096),
    ),
    adds("a request enum has a new value", append(f"{SCHEMAS} TokenGrantType enum", "device_code")),
    adds(
        "a required property of a request becomes optional",
        without(f"{SCHEMAS} CreateTokenRequest required", "service"),
    ),
    adds(
        "the maximum length of a response string decreases",
        replace(f"{SCHEMAS} SignInError properties message maxLength", 100),
    ),
    adds("a response enum loses a value", without(f"{SCHEMAS} ClassroomErrorCode enum", "OWN_CLASS")),
    adds("an operation requires no token", replace(f"{GET_CLASS} security", [])),
    adds(
        "a new link",
        add(f"{CODES} responses 201 links", {"exchange": {"operationId": "createToken"}}),
    ),
]

# The next versions that are allowed after such a change: the same, a higher patch, a higher minor, a higher major one.
ALLOWED = {
    Level.DOCUMENTATION: (True, True, True, True),
    Level.ADDITION: (False, False, True, True),
    Level.BREAK: (False, False, False, True),
}


def table(contract: Object) -> int:
    assert [row.expected is Level.BREAK for row in ROWS] == [True] * 20 + [False] * 20, "not 20 and 20"
    assert len({row.name for row in ROWS}) == 40, "two rows have the same name"
    last = version(contract)
    nexts = (
        last,
        Version(last.major, last.minor, last.patch + 1),
        Version(last.major, last.minor + 1, 0),
        Version(last.major + 1, 0, 0),
    )
    failed = 0
    for row in ROWS:
        changed = copy.deepcopy(contract)
        try:
            for edit in row.edits:
                edit(changed)
            changes = compare(contract, changed)
        except (AssertionError, LookupError, TypeError, ValueError, ContractError) as error:
            failed += 1
            print(f"FAILED  {row.name}: {type(error).__name__}: {error}")
            continue
        allowed = tuple(check_version(last, following, changes) is None for following in nexts)
        if level(changes) is row.expected and allowed == ALLOWED[row.expected]:
            print(f"ok      {row.expected.name.lower():13}  {row.name}")
        else:
            failed += 1
            print(f"FAILED  {row.expected.name.lower():13}  {row.name}: {[str(change) for change in changes]}")
    print(f"table of changes: {len(ROWS) - failed} passed, {failed} failed")
    return failed


def refused(act: Callable[[], object]) -> bool:
    try:
        act()
    except ContractError:
        return True
    return False


def releasing(contract: Path) -> int:
    """Tests the rules for released files."""
    current = version(read(contract))
    outcomes: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary) / "released"
        outcomes["nothing is released at first"] = released(directory) == {}
        # An earlier document in which a path has another name, so that the current one is a breaking change.
        earlier = Path(temporary) / "earlier.yaml"
        text = contract.read_text(encoding="utf-8")
        earlier.write_text(text.replace("/health/live:", "/health/alive:"), encoding="utf-8")
        with redirect_stdout(io.StringIO()) as printed:
            check(contract, directory, earlier)
        outcomes["a break before the first release is printed and not refused"] = "break: " in printed.getvalue()
        with redirect_stdout(io.StringIO()) as printed:
            check(contract, directory, None)
        outcomes["a missing earlier document is no error"] = "nothing to compare" in printed.getvalue()
        first = release(earlier, Path(temporary) / "other")
        with redirect_stdout(io.StringIO()) as printed:
            refusal = refused(lambda: check(contract, first.parent, earlier))
        outcomes["the same break after a release is refused"] = refusal
        stored = release(contract, directory)
        outcomes["a release is a copy"] = stored.read_bytes() == contract.read_bytes() and stored.stem == str(current)
        outcomes["a release is found"] = list(released(directory)) == [current]
        outcomes["a version cannot be released twice"] = refused(lambda: release(contract, directory))
        stored.write_bytes(contract.read_bytes() + b"\n")
        outcomes["an edited release is refused"] = refused(lambda: released(directory))
        stored.unlink()
        outcomes["a missing release is refused"] = refused(lambda: released(directory))
        stored.write_bytes(contract.read_bytes())
        (directory / "999.0.0.yaml").write_bytes(contract.read_bytes())
        outcomes["a release without a checksum is refused"] = refused(lambda: released(directory))
        with (directory / SUMS).open("a", encoding="ascii") as sums:
            sums.write((directory / SUMS).read_text(encoding="ascii").split()[0] + "  999.0.0.yaml\n")
        outcomes["a file of another version is refused"] = refused(lambda: released(directory))
    none: list[Change] = []
    outcomes["a lower version is refused"] = check_version(Version(1, 2, 0), Version(1, 1, 9), none) is not None
    labelled = {"info": {"version": "1.0.0-rc.1"}}
    outcomes["a version with a label is refused"] = refused(lambda: version(labelled))
    for name, passed in outcomes.items():
        print(f"{'ok    ' if passed else 'FAILED'}  {name}")
    failed = list(outcomes.values()).count(False)
    print(f"releases: {len(outcomes) - failed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    path = Path(sys.argv[1])
    failures = releasing(path) + table(read(path))
    sys.exit(1 if failures else 0)
