"""Fails if a generated model is wider than the contract: a property of any type, or an object of any shape."""

import re

import attrs
from homeroom import models

# The settings of a class, and the document itself.
OPEN = ["GetDocumentJsonResponse200", "SchoolClassSettingsType0"]

wide: list[str] = []
for name in sorted(models.__all__):
    model = getattr(models, name)
    if not attrs.has(model):
        continue
    # Every model takes further properties in, so that the server may learn to say more.
    fields = [field for field in attrs.fields(model) if field.name != "additional_properties"]
    if not fields:
        wide.append(name)
    wide.extend(f"{name}.{field.name}" for field in fields if re.search(r"\b(Any|object)\b", str(field.type)))

if wide != OPEN:
    raise SystemExit(f"expected no types of any shape but {OPEN}, got {wide}")
