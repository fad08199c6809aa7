"""The parts of a descriptor set that the description needs: messages, enums, calls, and the comments on them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.api import annotations_pb2, field_behavior_pb2, http_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

PACKAGE: Final = "imageservice.v1"

# The numbers of the fields by which a location in a file is told: see `SourceCodeInfo.Location.path`.
MESSAGES, ENUMS, SERVICES = 4, 5, 6
FIELDS, NESTED, NESTED_ENUMS, VALUES, METHODS = 2, 3, 4, 2, 2

Path = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message, with its comment."""

    proto: FieldDescriptorProto
    comment: str

    @property
    def required(self) -> bool:
        """Whether a request must have it."""
        return field_behavior_pb2.REQUIRED in self.proto.options.Extensions[field_behavior_pb2.field_behavior]

    @property
    def repeated(self) -> bool:
        """Whether it is a list."""
        return self.proto.label == FieldDescriptorProto.LABEL_REPEATED

    @property
    def always_printed(self) -> bool:
        """Whether answers have it even at its zero value: all but messages and what may be absent."""
        is_message = self.proto.type == FieldDescriptorProto.TYPE_MESSAGE
        return self.repeated or not (is_message or self.proto.HasField("oneof_index"))


@dataclass(frozen=True, slots=True)
class Message:
    """A message with its comment and its fields in order."""

    name: str
    """Without the package, such as ``Generation`` or ``Image.Links``."""
    comment: str
    fields: tuple[Field, ...]
    oneofs: tuple[str, ...]
    """The names of the real ones."""


@dataclass(frozen=True, slots=True)
class Enumeration:
    """An enum with the comment of each value."""

    comment: str
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """A call with its comment and the REST bindings below ``/v1``."""

    proto: MethodDescriptorProto
    comment: str

    @property
    def bindings(self) -> list[http_pb2.HttpRule]:
        """The bindings below ``/v1``; the others are the same under another prefix."""
        rule = self.proto.options.Extensions[annotations_pb2.http]
        return [each for each in (rule, *rule.additional_bindings) if path_of(each)[1].startswith("/v1/")]


class Contract:
    """What the files of the service's own package hold."""

    def __init__(self, descriptors: FileDescriptorSet) -> None:
        self.messages: dict[str, Message] = {}
        self.enums: dict[str, Enumeration] = {}
        self.calls: list[Call] = []
        for file in descriptors.file:
            if file.package == PACKAGE:
                self._read(file)

    def _read(self, file: FileDescriptorProto) -> None:
        comments = {tuple(each.path): plain(each.leading_comments) for each in file.source_code_info.location}
        for index, enum in enumerate(file.enum_type):
            self._add_enum(enum, "", (ENUMS, index), comments)
        for index, message in enumerate(file.message_type):
            self._add_message(message, "", (MESSAGES, index), comments)
        for index, service in enumerate(file.service):
            for number, method in enumerate(service.method):
                self.calls.append(Call(method, comments.get((SERVICES, index, METHODS, number), "")))

    def _add_message(self, proto: DescriptorProto, outer: str, path: Path, comments: dict[Path, str]) -> None:
        name = f"{outer}{proto.name}"
        fields = tuple(
            Field(field, comments.get((*path, FIELDS, index), "")) for index, field in enumerate(proto.field)
        )
        oneofs = tuple(each.name for each in proto.oneof_decl if not each.name.startswith("_"))
        self.messages[f".{PACKAGE}.{name}"] = Message(name, comments.get(path, ""), fields, oneofs)
        for index, inner in enumerate(proto.nested_type):
            self._add_message(inner, f"{name}.", (*path, NESTED, index), comments)
        for index, enum in enumerate(proto.enum_type):
            self._add_enum(enum, f"{name}.", (*path, NESTED_ENUMS, index), comments)

    def _add_enum(self, proto: EnumDescriptorProto, outer: str, path: Path, comments: dict[Path, str]) -> None:
        values = {value.name: comments.get((*path, VALUES, index), "") for index, value in enumerate(proto.value)}
        self.enums[f".{PACKAGE}.{outer}{proto.name}"] = Enumeration(comments.get(path, ""), values)


def plain(comment: str) -> str:
    """Return a comment as Markdown: each paragraph on one line, notes to linters taken out."""
    comment = re.sub(r"\(--.*?--\)", "", comment, flags=re.DOTALL)
    return "\n\n".join(" ".join(each.split()) for each in re.split(r"\n\s*\n", comment) if each.strip())


def path_of(rule: http_pb2.HttpRule) -> tuple[str, str]:
    """Return the HTTP method, in lower case, and the path of a binding."""
    verb = str(rule.WhichOneof("pattern"))
    return verb, str(getattr(rule, verb))


def path_variables(path: str) -> Iterator[str]:
    """Yield the names of the fields that a path binds."""
    return iter(re.findall(r"{(\w+)}", path))
