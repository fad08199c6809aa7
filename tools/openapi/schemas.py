"""JSON schemas of messages, as the gateway reads and prints them."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from limner.domain import limits
from limner.domain.derivative import WIDTHS, DerivativeFormat
from limner.domain.image import OutputFormat
from limner.domain.task import ASPECT_RATIOS, AUTO_ASPECT_RATIO
from limner.service.addresses import DEFAULT_TTL_S, MAX_TTL_S
from limner.service.idempotency import MAX_KEY_CHARS
from tools.openapi.contract import Contract, Field, Message

Json = dict[str, Any]

KINDS: Final[Mapping[int, Json]] = {
    FieldDescriptorProto.TYPE_STRING: {"type": "string"},
    FieldDescriptorProto.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptorProto.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptorProto.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptorProto.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptorProto.TYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": limits.MAX_SEED},
}
"""The types that the contract uses; another one is a ``KeyError`` until it is written here."""

GOOGLE: Final[Mapping[str, Json]] = {
    ".google.protobuf.Struct": {"type": "object"},
    ".google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    ".google.rpc.Status": {"$ref": "#/components/schemas/Error"},
}

REQUEST_FIELDS: Final[Mapping[str, Json]] = {
    "prompt": {"minLength": 1, "maxLength": limits.MAX_PROMPT_CHARS},
    "num_images": {"minimum": 1, "maximum": limits.MAX_IMAGES_PER_TASK, "default": 1},
    "image_ids": {"minItems": 1, "maxItems": limits.MAX_INPUT_IMAGES},
    "output_format": {"enum": [*OutputFormat]},
    "upscale_factor": {"minimum": 1},
    "request_id": {"minLength": 1, "maxLength": MAX_KEY_CHARS},
    "page_size": {"minimum": 0, "default": limits.DEFAULT_PAGE_SIZE},
    "width": {"enum": [*WIDTHS]},
    "format": {"enum": [*DerivativeFormat]},
    "ttl_seconds": {"minimum": 1, "maximum": MAX_TTL_S, "default": DEFAULT_TTL_S},
    "page_token": {"maxLength": limits.MAX_PAGE_TOKEN_CHARS},
}
"""What the service checks of a request's field beyond its type."""

RATIOS: Final = {
    "GenerateImagesRequest": {"enum": [*ASPECT_RATIOS], "default": "1:1"},
    "EditImagesRequest": {"enum": [AUTO_ASPECT_RATIO, *ASPECT_RATIOS], "default": AUTO_ASPECT_RATIO},
}
IN_PATH: Final = "workspace_id"
"""Given by the path of every call about a workspace, never by a body."""


class Schemas:
    """The schemas that the description's calls refer to, collected as they are asked for."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self.components: dict[str, Json] = {}

    def request(self, type_name: str) -> Json:
        """Return a reference to the schema of a request's body."""
        return self._reference(type_name, request=True)

    def response(self, type_name: str) -> Json:
        """Return a reference to the schema of an answer."""
        return self._reference(type_name, request=False)

    def parameter(self, message: Message, field: Field) -> Json:
        """Return the schema of a field that stands in a path or a query."""
        schema = self._field(message, field, request=True)
        return {key: value for key, value in schema.items() if key != "description"}

    def message(self, type_name: str) -> Message:
        """Return a message of the contract."""
        return self._contract.messages[type_name]

    def _reference(self, type_name: str, *, request: bool) -> Json:
        if type_name in GOOGLE:
            return dict(GOOGLE[type_name])
        message = self._contract.messages[type_name]
        name = message.name.replace(".", "")
        if name not in self.components:
            self.components[name] = {}  # a message may hold itself
            self.components[name] = self._object(message, request=request)
        return {"$ref": f"#/components/schemas/{name}"}

    def _object(self, message: Message, *, request: bool) -> Json:
        fields = [each for each in message.fields if not (request and each.proto.name == IN_PATH)]
        required = [each for each in fields if (each.required if request else each.always_printed)]
        schema: Json = {
            "type": "object",
            "description": message.comment,
            "properties": {each.proto.json_name: self._field(message, each, request=request) for each in fields},
        }
        if required:
            schema["required"] = [each.proto.json_name for each in required]
        if request:
            schema["additionalProperties"] = False
        for index, _ in enumerate(message.oneofs):
            choices = [each for each in fields if each.proto.HasField("oneof_index") and not each.proto.proto3_optional]
            own = [each for each in choices if each.proto.oneof_index == index]
            schema["oneOf"] = [{"required": [each.proto.json_name]} for each in own]
        return schema

    def _field(self, message: Message, field: Field, *, request: bool) -> Json:
        proto = field.proto
        schema = self._value(proto, request=request)
        if field.repeated:
            schema = {"type": "array", "items": schema}
        if request:
            schema |= REQUEST_FIELDS.get(proto.name, {})
            schema |= RATIOS.get(message.name, {}) if proto.name == "aspect_ratio" else {}
        return schema | ({"description": field.comment} if field.comment else {})

    def _value(self, proto: FieldDescriptorProto, *, request: bool) -> Json:
        if proto.type == FieldDescriptorProto.TYPE_MESSAGE:
            return self._reference(proto.type_name, request=request)
        if proto.type == FieldDescriptorProto.TYPE_ENUM:
            return self._enum(proto.type_name)
        return dict(KINDS[proto.type])

    def _enum(self, type_name: str) -> Json:
        enum = self._contract.enums[type_name]
        # Two messages may each have an enum of the same name.
        name = ".".join(part for part in type_name.split(".") if part[:1].isupper())
        described = "\n".join(f"- `{value}`: {comment}" for value, comment in enum.values.items())
        self.components[name] = {
            "type": "string",
            "enum": [*enum.values],
            "description": f"{enum.comment}\n\n{described}",
        }
        return {"$ref": f"#/components/schemas/{name}"}
