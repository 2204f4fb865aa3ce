"""Fails if a generated model is less strict than the contract: a property of any type, or an object without properties."""

import re

import attrs
from homeroom import models

# The only objects without a fixed shape: the settings of a class, and the OpenAPI document.
OPEN = [
    "CreateClassRequestSettingsType0",
    "GetDocumentJsonResponse200",
    "SchoolClassSettingsType0",
    "UpdateClassRequestSettingsType0",
]

wide: list[str] = []
for name in sorted(models.__all__):
    model = getattr(models, name)
    if not attrs.has(model):
        continue
    # All models have additional_properties, so that a later server version can add properties.
    fields = [field for field in attrs.fields(model) if field.name != "additional_properties"]
    if not fields:
        wide.append(name)
    wide.extend(f"{name}.{field.name}" for field in fields if re.search(r"\b(Any|object)\b", str(field.type)))

if wide != OPEN:
    raise SystemExit(f"expected these untyped models only: {OPEN}, got {wide}")
