"""Writes the types of the TypeScript client from the OpenAPI description.

Usage: ``python -m tools.typescript [OUT]``, where ``OUT`` is a file, by default ``clients/typescript/src/types.ts``.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
DESCRIPTION: Final = ROOT / "generated" / "imageservice" / "openapi.json"
TYPES: Final = ROOT / "clients" / "typescript" / "src" / "types.ts"
_SIMPLE: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}


def types(description: Mapping[str, Any]) -> str:
    """Return a module with a type for each schema, but for those of other doors."""
    schemas = description["components"]["schemas"]
    own = {name: schema for name, schema in schemas.items() if not name.startswith("OpenAi")}
    head = "// Generated from the service's OpenAPI description by `make proto`. Do not edit.\n"
    return head + "".join(f"\n{_comment(schema, '')}{_declared(name, schema)}\n" for name, schema in own.items())


def _declared(name: str, schema: Mapping[str, Any]) -> str:
    if alternatives := schema.get("oneOf"):
        fields = schema["properties"]
        cases = [f"  | {{ {each['required'][0]}: {_type(fields[each['required'][0]])} }}" for each in alternatives]
        return f"export type {_name(name)} =\n" + "\n".join(cases) + ";"
    if "properties" not in schema:
        return f"export type {_name(name)} = {_type(schema)};"
    return f"export interface {_name(name)} {{\n" + "".join(_fields(name, schema)) + "}"


def _fields(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    # What stands in the path is the client's argument, or is in the client.
    required = set(schema.get("required", ()))
    for field, facts in schema["properties"].items():
        key = field if field.isidentifier() else json.dumps(field)
        yield f"{_comment(facts, '  ')}  {key}{'' if field in required else '?'}: {_type(facts)};\n"


def _type(schema: Mapping[str, Any]) -> str:
    if reference := schema.get("$ref"):
        return _name(reference.rpartition("/")[2])
    if values := schema.get("enum"):
        return " | ".join(json.dumps(value) for value in values)
    if schema.get("type") == "array":
        item = _type(schema["items"])
        return f"({item})[]" if " | " in item else f"{item}[]"
    if schema.get("type") == "object" and "properties" in schema:
        return f"{{ {' '.join(_inline(schema))} }}"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"Record<string, {_type(values) if isinstance(values, dict) else 'unknown'}>"
    return _SIMPLE.get(schema.get("type", ""), "unknown")


def _inline(schema: Mapping[str, Any]) -> Iterator[str]:
    for field, facts in schema["properties"].items():
        yield f"{field}{'' if field in schema.get('required', ()) else '?'}: {_type(facts)};"


def _name(name: str) -> str:
    return name.replace(".", "")


def _comment(schema: Mapping[str, Any], indent: str) -> str:
    text = schema.get("description", "").replace("*/", "* /")
    if not text:
        return ""
    lines = "".join(f"{indent} * {line}".rstrip() + "\n" for line in text.splitlines())
    return f"{indent}/**\n{lines}{indent} */\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TYPES
    target.write_text(types(json.loads(DESCRIPTION.read_text(encoding="utf-8"))), encoding="utf-8")
