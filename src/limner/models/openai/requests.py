"""What is asked: which pictures by one call, and its body."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

from limner.domain import limits
from limner.domain.image import OutputFormat
from limner.domain.task import AUTO_ASPECT_RATIO, EditTask, Finish, GenerateTask, Operation, UpscaleTask
from limner.models.openai.dialects import Dialect, SeedPlace, guarded_prompt, prompt_with_seed
from limner.outbound.body import Body, Part, Source, json_body, multipart_body
from limner.service.ports import InputPicture, Order

_PATHS = {
    Operation.GENERATE: "images/generations",
    Operation.EDIT: "images/edits",
    Operation.UPSCALE: "images/upscale",
}
_SEEDS = limits.MAX_SEED + 1

OMITTABLE: Final = ("size", "output_format", "quality", "response_format", "n", "seed", "stream")
"""Fields without which a request still asks for a picture."""
_GOES_WITH: Final = {"partial_images": "stream"}
UNSAID_RATIOS: Final = ("1:1", AUTO_ASPECT_RATIO)
"""What a task has whose caller asked for no shape."""

Fields = dict[str, str | int | bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A model as its server knows it."""

    model: str
    dialect: Dialect
    sizes: Mapping[str, str]
    """What is asked for by the aspect ratio."""
    quality: str = ""
    previews: int = 0
    """Early forms of a picture that are asked for when somebody watches."""
    omit: frozenset[str] = frozenset()
    """Fields that its server does not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request."""

    path: str
    fields: Fields
    indexes: tuple[int, ...]
    """The pictures that it asks for, by their position among the asked ones."""
    seed: int | None
    """The seed of the first one, the next ones follow; ``None`` when the server has no seeds."""
    masked: bool = False
    """Whether the last input is a mask."""

    def without(self, names: Set[str]) -> "Call":
        """Return the call without some fields; without its seed, it does not say which one made its pictures."""
        fields = {each: value for each, value in self.fields.items() if not {each, _GOES_WITH.get(each)} & names}
        return replace(self, fields=fields, seed=None if "seed" in names else self.seed)

    def body(self, inputs: Sequence[InputPicture]) -> Body:
        """Return the body. The inputs are read while they are sent, and kept nowhere: a call waits for minutes."""
        if not inputs:
            return json_body(self.fields)
        pictures, masks = (inputs[:-1], inputs[-1:]) if self.masked else (inputs, ())
        files = [_file_part(each, str(number), _name_of(pictures)) for number, each in enumerate(pictures, 1)]
        files += [_file_part(each, "mask", "mask") for each in masks]
        return multipart_body([*_plain_parts(self.fields), *files])


def calls(order: Order, upstream: Upstream, *, watched: bool) -> Iterator[Call]:
    """Yield the calls that together ask for all pictures. Raises ``InvalidFieldError`` for an impossible prompt.

    A single picture that somebody watches is streamed, where the server can.
    """
    dialect, count = upstream.dialect, order.task.num_images
    streamed = watched and count == 1 and dialect.streams and upstream.previews > 0
    first_seed = None if dialect.seed is SeedPlace.NOWHERE else order.seed
    most = 1 if "n" in upstream.omit else dialect.images_per_call
    for indexes in _shares(count, most, first_seed or 0):
        seed = None if first_seed is None else (first_seed + indexes[0]) % _SEEDS
        fields = _fields(order, upstream, len(indexes), seed)
        if streamed:
            fields |= {"stream": True, "partial_images": upstream.previews}
        masked = isinstance(order.task, EditTask) and order.task.masked
        call = Call(path=_PATHS[order.task.operation], fields=fields, indexes=indexes, seed=seed, masked=masked)
        yield call.without(upstream.omit)


def _shares(count: int, most: int, seed: int) -> Iterator[tuple[int, ...]]:
    """Share the pictures out among calls; no call counts its seeds up past the largest one."""
    first = 0
    while first < count:
        share = min(most, count - first, _SEEDS - (seed + first) % _SEEDS)
        yield tuple(range(first, first + share))
        first += share


def _fields(order: Order, upstream: Upstream, count: int, seed: int | None) -> Fields:
    task, dialect = order.task, upstream.dialect
    if isinstance(task, UpscaleTask):
        return {"model": upstream.model, "scale": task.upscale_factor, **_base64_field(dialect)}
    prompt = guarded_prompt(task.prompt, dialect)
    if seed is not None and dialect.seed is SeedPlace.PROMPT:
        prompt = prompt_with_seed(prompt, seed)
    fields: Fields = {"model": upstream.model, "prompt": prompt, "n": count}
    if size := _size(task, upstream):
        fields["size"] = size
    formats = dialect.formats(task.operation)
    if formats and task.output_format:
        fields["output_format"] = task.output_format if task.output_format in formats else OutputFormat.PNG
    fields |= _finish_fields(task.finish, upstream.quality)
    if seed is not None and dialect.seed is SeedPlace.FIELD:
        fields["seed"] = seed
    return fields | _base64_field(dialect)


def _finish_fields(finish: Finish, quality: str) -> Fields:
    """Return what a caller, or else the operator, asks for beyond the picture itself."""
    asked = {"quality": finish.quality or quality, "background": finish.background}
    fields: Fields = {name: value for name, value in asked.items() if value}
    return fields | ({"output_compression": finish.compression} if finish.compression is not None else {})


def _base64_field(dialect: Dialect) -> Fields:
    return {"response_format": "b64_json"} if dialect.asks_for_base64 else {}


def _size(task: GenerateTask | EditTask, upstream: Upstream) -> str:
    if task.aspect_ratio == AUTO_ASPECT_RATIO:
        return upstream.dialect.auto_size
    return upstream.sizes[task.aspect_ratio]


def changes_wish(task: GenerateTask | EditTask | UpscaleTask, omitted: Set[str]) -> bool:
    """Return whether a caller asks for what stands in an omitted field: nothing is silently changed.

    A caller who says nothing, or the default, gets what the server makes of its own accord.
    """
    if isinstance(task, UpscaleTask):
        return False
    other_shape = "size" in omitted and task.aspect_ratio not in UNSAID_RATIOS
    other_finish = bool(omitted & _finish_fields(task.finish, "").keys())
    return other_shape or other_finish or ("seed" in omitted and task.seed is not None)


def _plain_parts(fields: Fields) -> Iterator[Part]:
    for name, value in fields.items():
        yield Part(name=name, data=str(value).lower() if isinstance(value, bool) else str(value))


def _name_of(pictures: Sequence[InputPicture]) -> str:
    """Return by which name pictures go: one by ``image``, several by ``image[]``, as the vendor's SDK sends them."""
    return "image" if len(pictures) == 1 else "image[]"


def _file_part(picture: InputPicture, title: str, name: str) -> Part:
    kind = picture.image.format
    data = Source(picture.image.size_bytes, picture.stream)
    return Part(name=name, data=data, file_name=f"{title}.{kind}", content_type=kind.content_type)
