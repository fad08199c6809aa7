"""What the gateway reads from the service's descriptor: the whole of it for Envoy, and the rules of REST calls."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from google.rpc import error_details_pb2
from imageservice.v1 import image_service_pb2

Rules = dict[str, Any]

SERVICE: Final = image_service_pb2.DESCRIPTOR.services_by_name["ImageService"]
KINDS: Final = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_UINT32: "uint32",
}
"""The types that requests use, as ``rest.lua`` knows them; another one is a ``KeyError`` when the gateway starts."""


def descriptor_set() -> bytes:
    """Return the service's descriptors with all that they import, and those of the details of errors."""
    files: dict[str, FileDescriptor] = {}
    for root in (image_service_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR):
        collect(root, files)
    whole = descriptor_pb2.FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(whole.file.add())
    return whole.SerializeToString(deterministic=True)


def collect(file: FileDescriptor, files: dict[str, FileDescriptor]) -> None:
    """Add a file to ``files`` by its name, its imports first."""
    if file.name in files:
        return
    for imported in file.dependencies:
        collect(imported, files)
    files[file.name] = file


def rest_rules() -> str:
    """Return the Lua source of ``CALLS`` and ``MESSAGES``, by which ``rest.lua`` and ``json.lua`` check requests."""
    messages: dict[str, Rules] = {}
    calls = [call for method in SERVICE.methods for call in calls_of(method, messages)]
    return f"local CALLS = {lua(calls)}\nlocal MESSAGES = {lua(messages)}\n"


def calls_of(method: MethodDescriptor, messages: dict[str, Rules]) -> Iterator[Rules]:
    """Yield the rules of each path of a method."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    for binding in (rule, *rule.additional_bindings):
        yield call_rules(method.input_type, binding, messages)


def call_rules(request: Descriptor, binding: http_pb2.HttpRule, messages: dict[str, Rules]) -> Rules:
    """Return the rules of one path: its HTTP method, its pattern, and the fields of its query and body."""
    verb = str(binding.WhichOneof("pattern"))
    path = str(getattr(binding, verb))
    fields = fields_of(request, messages, bound=path_variables(path))
    rules: Rules = {"method": verb.upper(), "path": path_pattern(path), "query": fields if not binding.body else {}}
    if binding.body == "*":
        rules["body"] = fields
    elif binding.body:
        rules["picture"] = True
    return rules


def picture_paths(prefix: str) -> str:
    """Return the regular expression of the paths below a prefix whose bodies are pictures, with or without a query.

    What they begin with is written once: Envoy takes no expression of over 100 steps.
    """
    rules = [method.GetOptions().Extensions[annotations_pb2.http] for method in SERVICE.methods]
    bindings = [binding for rule in rules for binding in (rule, *rule.additional_bindings)]
    paths = [str(binding.post) for binding in bindings if binding.body not in ("", "*")]
    patterns = [re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) for path in paths if path.startswith(prefix)]
    (folder,) = {pattern.rpartition("/")[0] for pattern in patterns}
    return f"{folder}/({'|'.join(pattern.rpartition('/')[2] for pattern in patterns)})/?([?#].*)?"


def path_variables(path: str) -> list[str]:
    """Return the names of the fields that a path binds."""
    return [part.partition("}")[0] for part in path.split("{")[1:]]


def path_pattern(path: str) -> str:
    """Return the Lua pattern of a path."""
    for name in path_variables(path):
        path = path.replace(f"{{{name}}}", "\0")
    escaped = "".join(char if char.isalnum() or char in "/\0" else f"%{char}" for char in path)
    return "^" + escaped.replace("\0", "[^/]+") + "$"


def fields_of(message: Descriptor, messages: dict[str, Rules], bound: Iterable[str] = ()) -> Rules:
    """Return the rules of a message's fields, by both of the names that JSON may use."""
    fields: Rules = {}
    for field in message.fields:
        rules = field_rules(field, messages) | {"name": field.json_name}
        if field.name in bound:
            rules["bound"] = True
        fields[field.json_name] = fields[field.name] = rules
    return fields


def field_rules(field: FieldDescriptor, messages: dict[str, Rules]) -> Rules:
    """Return what a field's value must be, and add the messages that it may hold to ``messages``."""
    rules: Rules
    if inner := field.message_type:
        rules = {"message": inner.full_name}
        if inner.full_name not in messages:
            messages[inner.full_name] = {}
            messages[inner.full_name] = fields_of(inner, messages)
    else:
        rules = {"kind": KINDS[field.type]}
    if field.is_repeated:
        return {"list": rules}
    oneof = field.containing_oneof
    return rules | {"oneof": oneof.name} if oneof and not is_synthetic(oneof.name) else rules


def is_synthetic(oneof: str) -> bool:
    """Tell whether a oneof stands for one ``optional`` field only."""
    return oneof.startswith("_")


def lua(value: object) -> str:
    """Return a value as a Lua expression."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"[{lua(key)}]={lua(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ",".join(map(lua, value)) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
