"""Compares two versions of an OpenAPI 3.0 document and classifies the differences.

A change is compatible if requests may have more values than before and responses have fewer. All other changes are
breaking. A changed type, format or operation id is always breaking, because generated clients use them in names and
types. A difference in a part that this comparison does not know is breaking too.

- A new enum value is breaking in responses: some generated clients fail to decode it. It is compatible in requests.
- A new status is compatible if it is an error (4xx, 5xx), because clients handle unknown errors alike. A new success
  status and a removed status are breaking.
- A removed property or header is breaking even if it was optional, because a client may read it.
- A new media type is compatible, because a client names the media types that it accepts.

References and `allOf` are resolved, so the division into components does not matter. Descriptions, titles, summaries,
examples and extensions (`x-`) are documentation.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from operator import gt, lt
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]


class ContractError(Exception):
    """The document cannot be compared."""


class Level(IntEnum):
    """The class of a difference. The highest one decides which part of the version must increase."""

    DOCUMENTATION = 0
    ADDITION = 1
    BREAK = 2


class Direction(Enum):
    REQUEST = "request"
    RESPONSE = "response"


@dataclass(frozen=True)
class Change:
    level: Level
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.level.name.lower()}: {self.where}: {self.what}"


class _Loader(yaml.SafeLoader):
    """Reads scalars as YAML 1.2 does. PyYAML alone reads `no` as a boolean and a date as an object."""


_Loader.yaml_implicit_resolvers = {
    first: [entry for entry in resolvers if entry[0] not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def read(path: Path) -> Object:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.YAMLError as error:
        raise ContractError(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict) or not re.fullmatch(r"3\.0\.\d+", str(document.get("openapi"))):
        raise ContractError(f"{path} is not an OpenAPI 3.0 document")
    return document


def compare(old: Object, new: Object) -> list[Change]:
    """Returns all differences except those of documentation, each once."""
    comparison = _Comparison(old, new)
    comparison.document()
    return comparison.changes


def level(changes: Iterable[Change]) -> Level:
    return max((change.level for change in changes), default=Level.DOCUMENTATION)


METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
DOCUMENTATION = {"description", "summary", "title", "example", "examples", "externalDocs"}
LOWER = ("minLength", "minItems", "minProperties", "minimum")
UPPER = ("maxLength", "maxItems", "maxProperties", "maximum")


def _value(value: Any) -> str:
    """Returns a text that is equal exactly if the values are: `200` and `200.0` are equal, `1` and `true` are not."""

    def whole(part: Any) -> Any:
        if isinstance(part, dict):
            return {str(key): whole(inner) for key, inner in part.items()}
        if isinstance(part, list):
            return [whole(inner) for inner in part]
        return int(part) if isinstance(part, float) and part.is_integer() else part

    return json.dumps(whole(value), sort_keys=True, ensure_ascii=False)


@dataclass
class _Schema:
    """A schema with its references resolved and its `allOf` merged."""

    type: str | None
    format: str | None
    nullable: bool
    # Pairs of a bound and a flag for exclusive (lower) or inclusive (upper). The order of the pairs is the order of
    # strictness: the greater lower bound and the smaller upper bound are stricter.
    lower: dict[str, tuple[float, bool]]
    upper: dict[str, tuple[float, bool]]
    # Other constraints as text, such as patterns. Two different ones cannot be compared for strictness.
    constraints: set[str]
    enum: dict[str, Any] | None
    properties: Object
    required: set[str]
    # The schema of properties that `properties` does not name. An empty schema allows all values, None forbids them.
    additional: Object | None
    items: Object
    alternatives: dict[str, list[Object]]
    default: str | None
    deprecated: bool
    read_only: bool
    write_only: bool
    unknown: Object


_KNOWN = {
    *("$ref", "allOf", "oneOf", "anyOf", "type", "format", "nullable", "enum", "default", "deprecated"),
    *("properties", "required", "additionalProperties", "items", "readOnly", "writeOnly"),
    *("exclusiveMinimum", "exclusiveMaximum", "pattern", "multipleOf", "uniqueItems", *LOWER, *UPPER),
}


class _Document:
    """A document and the lookup of its parts."""

    def __init__(self, root: Object) -> None:
        self.root = root

    def resolve(self, part: Any) -> Object:
        """Resolves a reference. OpenAPI 3.0 ignores the siblings of `$ref`."""
        for _ in range(100):
            if not isinstance(part, dict):
                raise ContractError(f"an object was expected, not {part!r}")
            reference = part.get("$ref")
            if not isinstance(reference, str):
                return part
            if not reference.startswith("#/"):
                raise ContractError(f"{reference} points outside the document")
            part = self.root
            for step in reference[2:].split("/"):
                name = step.replace("~1", "/").replace("~0", "~")
                if not isinstance(part, dict) or name not in part:
                    raise ContractError(f"{reference} does not exist")
                part = part[name]
        raise ContractError("the references are circular")

    def expand(self, value: Any, inside: tuple[str, ...] = ()) -> Any:
        """Returns a copy with all references resolved, for parts that are compared as a whole."""
        if isinstance(value, list):
            return [self.expand(part, inside) for part in value]
        if not isinstance(value, dict):
            return value
        reference = value.get("$ref")
        if isinstance(reference, str):
            if reference in inside:
                return "circular reference"
            return self.expand(self.resolve(value), (*inside, reference))
        return {name: self.expand(part, inside) for name, part in value.items()}

    def schema(self, raw: Object) -> _Schema:
        source = self.resolve(raw)
        lower = {name: (source[name], False) for name in LOWER if name in source}
        upper = {name: (source[name], True) for name in UPPER if name in source}
        if "minimum" in lower and source.get("exclusiveMinimum") is True:
            lower["minimum"] = (source["minimum"], True)
        if "maximum" in upper and source.get("exclusiveMaximum") is True:
            upper["maximum"] = (source["maximum"], False)
        constraints = {f"{name} {_value(source[name])}" for name in ("pattern", "multipleOf") if name in source}
        if source.get("uniqueItems") is True:
            constraints.add("uniqueItems")
        additional = source.get("additionalProperties", True)
        schema = _Schema(
            type=source.get("type"),
            format=source.get("format"),
            nullable=source.get("nullable") is True,
            lower=lower,
            upper=upper,
            constraints=constraints,
            enum={_value(value): value for value in source["enum"]} if "enum" in source else None,
            properties=dict(source.get("properties", {})),
            required=set(source.get("required", [])),
            additional=None if additional is False else {} if additional is True else additional,
            items=source.get("items", {}),
            alternatives={name: source[name] for name in ("oneOf", "anyOf") if name in source},
            default=_value(source["default"]) if "default" in source else None,
            deprecated=source.get("deprecated") is True,
            read_only=source.get("readOnly") is True,
            write_only=source.get("writeOnly") is True,
            unknown={name: value for name, value in source.items() if _matters(name) and name not in _KNOWN},
        )
        parts = [self.schema(part) for part in source.get("allOf", [])]
        for part in parts:
            _merge(schema, part)
        # An `allOf` is nullable if all its parts are. Some generators declare it beside the `allOf` instead.
        typed = [part.nullable for part in parts if part.type is not None]
        schema.nullable = schema.nullable or (bool(typed) and all(typed))
        return schema


def _matters(name: str) -> bool:
    return name not in DOCUMENTATION and not name.startswith("x-")


def _both(first: Object, second: Object) -> Object:
    return second if first == {} else first if second in ({}, first) else {"allOf": [first, second]}


def _merge(into: _Schema, part: _Schema) -> None:
    for name in ("type", "format", "default"):
        ours, theirs = getattr(into, name), getattr(part, name)
        if ours is not None and theirs is not None and ours != theirs:
            raise ContractError(f"an allOf has both {ours} and {theirs} for {name}")
        setattr(into, name, ours if theirs is None else theirs)
    for name, bound in part.lower.items():
        into.lower[name] = max(bound, into.lower.get(name, bound))
    for name, bound in part.upper.items():
        into.upper[name] = min(bound, into.upper.get(name, bound))
    into.constraints |= part.constraints
    if part.enum is not None:
        both = part.enum if into.enum is None else into.enum.keys() & part.enum.keys()
        into.enum = {key: part.enum[key] for key in both}
    for name, schema in part.properties.items():
        into.properties[name] = _both(into.properties.get(name, {}), schema)
    into.required |= part.required
    closed = into.additional is None or part.additional is None
    into.additional = None if closed else _both(into.additional or {}, part.additional or {})
    into.items = _both(into.items, part.items)
    for name, value in [*part.alternatives.items(), *part.unknown.items()]:
        known = into.alternatives if name in part.alternatives else into.unknown
        if known.setdefault(name, value) != value:
            raise ContractError(f"an allOf has more than one {name}")
    into.deprecated |= part.deprecated
    into.read_only |= part.read_only
    into.write_only |= part.write_only


class _Comparison:
    def __init__(self, old: Object, new: Object) -> None:
        self.old = _Document(old)
        self.new = _Document(new)
        self.changes: list[Change] = []
        # Reports a component that many operations share only once, and stops at recursive schemas.
        self.compared: set[tuple[str, str, Direction]] = set()

    def _break(self, where: str, what: str) -> None:
        self._note(Change(Level.BREAK, where, what))

    def _add(self, where: str, what: str) -> None:
        self._note(Change(Level.ADDITION, where, what))

    def _note(self, change: Change) -> None:
        if change not in self.changes:
            self.changes.append(change)

    def _narrower(self, where: str, direction: Direction, what: str) -> None:
        (self._break if direction is Direction.REQUEST else self._add)(where, what)

    def _wider(self, where: str, direction: Direction, what: str) -> None:
        (self._break if direction is Direction.RESPONSE else self._add)(where, what)

    def _unknown(self, where: str, old: Object, new: Object, known: Iterable[str] = ()) -> None:
        """Reports differences in parts that this comparison has no rule for as breaking."""
        for name in sorted((old.keys() | new.keys()) - set(known)):
            before, after = self.old.expand(old.get(name)), self.new.expand(new.get(name))
            if _matters(name) and _value(before) != _value(after):
                self._break(where, f"`{name}` differs, and this comparison has no rule for it")

    def _deprecated(self, where: str, old: bool, new: bool) -> None:
        if old != new:
            self._add(where, "deprecated" if new else "no longer deprecated")

    def document(self) -> None:
        old, new = self.old.root, self.new.root
        known = ("openapi", "info", "tags", "paths", "components", "security", "servers")
        self._unknown("the document", old, new, known)
        before, after = old.get("paths", {}), new.get("paths", {})
        for path in before.keys() - after.keys():
            self._break(path, "the path was removed")
        for path in after.keys() - before.keys():
            self._add(path, "a new path")
        for path in before:
            if path in after:
                self._path(path, self.old.resolve(before[path]), self.new.resolve(after[path]))

    def _path(self, path: str, old: Object, new: Object) -> None:
        self._unknown(path, old, new, (*METHODS, "parameters", "servers"))
        for method in METHODS:
            where = f"{method.upper()} {path}"
            if method in old and method not in new:
                self._break(where, "the operation was removed")
            elif method in new and method not in old:
                self._add(where, "a new operation")
            elif method in old:
                self._operation(where, old, new, method)

    def _operation(self, where: str, old_path: Object, new_path: Object, method: str) -> None:
        old, new = old_path[method], new_path[method]
        known = ("operationId", "tags", "parameters", "requestBody", "responses", "security", "servers", "deprecated")
        self._unknown(where, old, new, known)
        before, after = old.get("operationId"), new.get("operationId")
        if before is None and after is not None:
            self._add(where, f"the operation is now called {after}")
        elif before != after:
            self._break(where, f"the operation id {before} became {after}")
        if old.get("tags", []) != new.get("tags", []):
            self._add(where, "the operation's tags differ")
        self._deprecated(where, old.get("deprecated") is True, new.get("deprecated") is True)
        self._servers(where, [old, old_path, self.old.root], [new, new_path, self.new.root])
        self._security(where, old, new)
        self._parameters(where, _parameters(self.old, old_path, old), _parameters(self.new, new_path, new))
        self._request_body(where, old, new)
        self._responses(where, old.get("responses", {}), new.get("responses", {}))

    def _servers(self, where: str, old: list[Object], new: list[Object]) -> None:
        """The innermost list of servers applies. The default is the server of the document."""

        def urls(objects: list[Object]) -> set[str]:
            servers = next((part["servers"] for part in objects if part.get("servers")), [{"url": "/"}])
            return {_value({name: server[name] for name in server if _matters(name)}) for server in servers}

        for server in sorted(urls(old) - urls(new)):
            self._break(where, f"the server {server} was removed")
        for server in sorted(urls(new) - urls(old)):
            self._add(where, f"a new server {server}")

    def _security(self, where: str, old: Object, new: Object) -> None:
        """A client has the credentials of any one alternative, so each of them must still be sufficient."""
        before, after = _security(self.old, old), _security(self.new, new)
        for own in before:
            if not any(all(scheme in own and scopes <= own[scheme] for scheme, scopes in a.items()) for a in after):
                self._break(where, "credentials that were sufficient no longer are")
                return
        if any(a not in before for a in after) or any(b not in after for b in before):
            self._add(where, "other or fewer credentials are sufficient too")

    def _parameters(self, where: str, old: dict[str, Object], new: dict[str, Object]) -> None:
        for name in old.keys() - new.keys():
            self._break(where, f"the {name} was removed, renamed or moved")
        for name, parameter in new.items():
            if name not in old:
                if parameter.get("required") is True:
                    self._break(where, f"a new {name} is required")
                else:
                    self._add(where, f"a new optional {name}")
                continue
            self._parameter(f"{where}, {name}", old[name], parameter, Direction.REQUEST)

    def _parameter(self, where: str, old: Object, new: Object, direction: Direction) -> None:
        """Compares a parameter or a response header."""
        known = ("name", "in", "required", "deprecated", "schema", "content", "style", "explode", "allowEmptyValue")
        self._unknown(where, old, new, known)
        before, after = old.get("required") is True, new.get("required") is True
        if after and not before:
            self._narrower(where, direction, "became required")
        elif before and not after:
            self._wider(where, direction, "became optional")
        self._deprecated(where, old.get("deprecated") is True, new.get("deprecated") is True)
        if _style(old) != _style(new):
            self._break(where, "has another style")
        empty = old.get("allowEmptyValue") is True, new.get("allowEmptyValue") is True
        if empty == (True, False):
            self._narrower(where, direction, "may no longer be empty")
        elif empty == (False, True):
            self._wider(where, direction, "may be empty")
        if ("content" in old) != ("content" in new):
            self._break(where, "has a schema instead of content, or content instead of a schema")
        elif "content" in old:
            self._content(where, old["content"], new["content"], direction)
        else:
            self._schema(where, old.get("schema", {}), new.get("schema", {}), direction)

    def _request_body(self, where: str, old: Object, new: Object) -> None:
        where = f"{where}, body"
        if "requestBody" not in old or "requestBody" not in new:
            if "requestBody" in old:
                self._break(where, "was removed")
            elif "requestBody" in new and self.new.resolve(new["requestBody"]).get("required") is True:
                self._break(where, "a body is now required")
            elif "requestBody" in new:
                self._add(where, "a new optional body")
            return
        before, after = self.old.resolve(old["requestBody"]), self.new.resolve(new["requestBody"])
        self._unknown(where, before, after, ("content", "required"))
        required = before.get("required") is True, after.get("required") is True
        if required == (False, True):
            self._break(where, "became required")
        elif required == (True, False):
            self._add(where, "became optional")
        self._content(where, before.get("content", {}), after.get("content", {}), Direction.REQUEST)

    def _responses(self, where: str, old: Object, new: Object) -> None:
        before = {str(status): response for status, response in old.items() if _matters(str(status))}
        after = {str(status): response for status, response in new.items() if _matters(str(status))}
        for status in sorted(before.keys() - after.keys()):
            self._break(where, f"the status {status} was removed")
        for status in sorted(after.keys() - before.keys()):
            if status[0] in "45":
                self._add(where, f"a new error {status}")
            else:
                self._break(where, f"a new status {status}")
        for status in sorted(before.keys() & after.keys()):
            self._response(f"{where}, {status}", self.old.resolve(before[status]), self.new.resolve(after[status]))

    def _response(self, where: str, old: Object, new: Object) -> None:
        self._unknown(where, old, new, ("content", "headers", "links"))
        self._content(where, old.get("content", {}), new.get("content", {}), Direction.RESPONSE)
        before, after = _lower_case(old.get("headers", {})), _lower_case(new.get("headers", {}))
        for name in sorted(before.keys() - after.keys()):
            self._break(where, f"the header {name} was removed")
        for name in sorted(after.keys() - before.keys()):
            self._add(where, f"a new header {name}")
        for name in sorted(before.keys() & after.keys()):
            header = self.old.resolve(before[name]), self.new.resolve(after[name])
            self._parameter(f"{where}, header {name}", *header, Direction.RESPONSE)
        links = old.get("links", {}), new.get("links", {})
        for name in sorted(links[0].keys() - links[1].keys()):
            self._break(where, f"the link {name} was removed")
        for name in sorted(links[1].keys() - links[0].keys()):
            self._add(where, f"a new link {name}")
        for name in sorted(links[0].keys() & links[1].keys()):
            self._unknown(f"{where}, link {name}", self.old.resolve(links[0][name]), self.new.resolve(links[1][name]))

    def _content(self, where: str, old: Object, new: Object, direction: Direction) -> None:
        before, after = _media_types(old), _media_types(new)
        for name in sorted(before.keys() - after.keys()):
            self._break(where, f"the media type {name} was removed")
        for name in sorted(after.keys() - before.keys()):
            self._add(where, f"a new media type {name}")
        for name in sorted(before.keys() & after.keys()):
            inside = f"{where}, {name}"
            self._unknown(inside, before[name], after[name], ("schema",))
            self._schema(inside, before[name].get("schema", {}), after[name].get("schema", {}), direction)

    def _schema(self, where: str, old_raw: Object, new_raw: Object, direction: Direction) -> None:
        pair = _value(old_raw), _value(new_raw), direction
        if pair in self.compared:
            return
        self.compared.add(pair)
        old, new = self.old.schema(old_raw), self.new.schema(new_raw)
        self._unknown(where, old.unknown, new.unknown)
        if old.type != new.type:
            self._break(where, f"the type {old.type or 'any'} became {new.type or 'any'}")
            return
        if old.format != new.format:
            self._break(where, f"the format {old.format or 'none'} became {new.format or 'none'}")
        if new.nullable and not old.nullable:
            self._wider(where, direction, "may be null")
        elif old.nullable and not new.nullable:
            self._narrower(where, direction, "may no longer be null")
        if direction is Direction.REQUEST and old.default != new.default:
            note = self._add if old.default is None else self._break
            note(where, f"the default {old.default or 'none'} became {new.default or 'none'}")
        self._deprecated(where, old.deprecated, new.deprecated)
        self._bounds(where, old, new, direction)
        self._enum(where, old.enum, new.enum, direction)
        self._properties(where, old, new, direction)
        self._additional(where, old.additional, new.additional, direction)
        if old.items or new.items:
            self._schema(f"{where}[]", old.items, new.items, direction)
        for name in sorted(old.alternatives.keys() | new.alternatives.keys()):
            self._alternatives(where, name, old.alternatives.get(name), new.alternatives.get(name), direction)

    def _bounds(self, where: str, old: _Schema, new: _Schema, direction: Direction) -> None:
        for before, after, narrower in ((old.lower, new.lower, gt), (old.upper, new.upper, lt)):
            for name in sorted(before.keys() | after.keys()):
                bounds = before.get(name), after.get(name)
                if bounds[0] == bounds[1]:
                    continue
                what = f"{name} {_bound(bounds[0])} became {_bound(bounds[1])}"
                if bounds[0] is None or (bounds[1] is not None and narrower(bounds[1], bounds[0])):
                    self._narrower(where, direction, what)
                else:
                    self._wider(where, direction, what)
        for constraint in sorted(new.constraints - old.constraints):
            self._narrower(where, direction, f"{constraint} is new")
        for constraint in sorted(old.constraints - new.constraints):
            self._wider(where, direction, f"{constraint} was removed")

    def _enum(self, where: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, to: Direction) -> None:
        if old is None or new is None:
            if new is not None:
                self._narrower(where, to, "only listed values are allowed")
            elif old is not None:
                self._wider(where, to, "values that are not listed are allowed")
            return
        for value in sorted(old.keys() - new.keys()):
            self._narrower(where, to, f"the value {value} was removed")
        for value in sorted(new.keys() - old.keys()):
            self._wider(where, to, f"a new value {value}")

    def _properties(self, where: str, old: _Schema, new: _Schema, direction: Direction) -> None:
        before = _visible(self.old, old.properties, direction)
        after = _visible(self.new, new.properties, direction)
        for name in sorted(before.keys() - after.keys()):
            self._break(where, f"the property {name} was removed")
        for name in sorted(after.keys() - before.keys()):
            if direction is Direction.REQUEST and name in new.required:
                self._break(where, f"a new property {name} is required")
            elif direction is Direction.RESPONSE and old.additional is None:
                self._break(where, f"a new property {name}, although additional properties were forbidden")
            else:
                self._add(where, f"a new property {name}")
        unnamed = (old.required | new.required) - before.keys() - after.keys()
        for name in sorted((before.keys() & after.keys()) | unnamed):
            if name in new.required and name not in old.required:
                self._narrower(f"{where}.{name}", direction, "became required")
            elif name in old.required and name not in new.required:
                self._wider(f"{where}.{name}", direction, "became optional")
            if name in before:
                self._schema(f"{where}.{name}", before[name], after[name], direction)

    def _additional(self, where: str, old: Object | None, new: Object | None, direction: Direction) -> None:
        if old is not None and new is None:
            self._narrower(where, direction, "further properties are forbidden")
        elif old is None and new is not None:
            self._wider(where, direction, "further properties are allowed")
        elif old or new:
            self._schema(f"{where}.*", old or {}, new or {}, direction)

    def _alternatives(
        self, where: str, name: str, old: list[Object] | None, new: list[Object] | None, direction: Direction
    ) -> None:
        """Compares alternatives in their order, because they have no names."""
        if old is None or new is None:
            self._break(where, f"{name} is {'new' if old is None else 'removed'}")
            return
        for number, (before, after) in enumerate(zip(old, new, strict=False), 1):
            self._schema(f"{where}({number})", before, after, direction)
        if len(new) > len(old):
            self._wider(where, direction, f"{name} has more alternatives")
        elif len(new) < len(old):
            self._narrower(where, direction, f"{name} has fewer alternatives")


def _bound(bound: tuple[float, bool] | None) -> str:
    return "none" if bound is None else f"{bound[0]:g}"


def _lower_case(headers: Object) -> Object:
    return {name.lower(): header for name, header in headers.items()}


def _media_types(content: Object) -> Object:
    return {name.lower().replace(" ", ""): media for name, media in content.items()}


def _style(parameter: Object) -> tuple[str, bool]:
    style = parameter.get("style", "form" if parameter.get("in") in ("query", "cookie") else "simple")
    return style, parameter.get("explode", style == "form")


def _parameters(document: _Document, path: Object, operation: Object) -> dict[str, Object]:
    """Returns the parameters by location and name. Those of the operation override those of its path."""
    parameters: dict[str, Object] = {}
    for raw in [*path.get("parameters", []), *operation.get("parameters", [])]:
        parameter = document.resolve(raw)
        name = parameter["name"].lower() if parameter["in"] == "header" else parameter["name"]
        parameters[f"{parameter['in']} parameter {name}"] = parameter
    return parameters


def _security(document: _Document, operation: Object) -> list[dict[str, set[str]]]:
    """Returns the alternatives, each with the scopes of its schemes. Schemes are compared by content, not by name."""
    schemes = document.root.get("components", {}).get("securitySchemes", {})
    alternatives: list[dict[str, set[str]]] = []
    asking = operation if "security" in operation else document.root
    for requirement in asking.get("security", []):
        alternative: dict[str, set[str]] = {}
        for name, scopes in requirement.items():
            if name not in schemes:
                raise ContractError(f"the security scheme {name} does not exist")
            scheme = document.resolve(schemes[name])
            # bearerFormat is a hint for people.
            does = {key: scheme[key] for key in scheme if _matters(key) and key != "bearerFormat"}
            alternative[_value(does)] = set(scopes)
        alternatives.append(alternative)
    return alternatives or [{}]


def _visible(document: _Document, properties: Object, direction: Direction) -> Object:
    """Returns the properties without those that are never sent in this direction."""

    def hidden(schema: _Schema) -> bool:
        return schema.read_only if direction is Direction.REQUEST else schema.write_only

    return {name: raw for name, raw in properties.items() if not hidden(document.schema(raw))}
