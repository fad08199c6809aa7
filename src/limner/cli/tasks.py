"""Commands that make pictures, and that look after generations."""

import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final, Unpack

import click

from limner.cli.pictures import Destination, uploaded, with_destination
from limner.cli.preflight import check_before_upload, model_of
from limner.cli.progress import task_progress
from limner.cli.session import CallFailedError, with_client
from limner.cli.text import json_option, note, print_facts, print_json, time_in_words
from limner.client import (
    Client,
    EditImagesRequest,
    GenerateImagesRequest,
    GenerateImagesResponse,
    Generation,
    LimnerClientError,
    Task,
    TaskOptions,
    UpscaleImageRequest,
)

_FORMAT_OPTION: Final = click.option(
    "--format", "output_format", help="png, jpeg or webp.  [default: as the file's name says, else the model's own]"
)
_KEY_OPTION: Final = click.option(
    "--idempotency-key", "request_id", help="Repeating a call under its key never buys twice.  [default: a new one]"
)
_TASK_OPTIONS: Final = (
    click.option("-n", "--num-images", type=click.IntRange(1, 10), help="How many pictures.  [default: 1]"),
    click.option("--aspect-ratio", help="The shape, such as 16:9.  [default: 1:1; for edits that of the first image]"),
    _FORMAT_OPTION,
    click.option("--model", "model_id", help="A model of `limner models`.  [default: the service's]"),
    click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Makes the same picture again."),
    _KEY_OPTION,
)


def _task_options(function: Callable[..., None]) -> Any:
    for option in reversed(_TASK_OPTIONS):
        function = option(function)
    return function


@click.command()
@click.argument("prompt")
@_task_options
@with_destination
@json_option
@with_client()
def generate(
    client: Client, prompt: str, destination: Destination, as_json: bool, **options: Unpack[TaskOptions]
) -> None:
    """Make pictures from PROMPT.

    PROMPT is - for standard input.
    """
    _prepare(options, destination, as_json=as_json)
    task = GenerateImagesRequest(prompt=_read(prompt), **options)
    _run(client, task, "Generating", destination, as_json=as_json)


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.argument("prompt")
@_task_options
@with_destination
@json_option
@with_client()
def edit(
    client: Client,
    images: tuple[str, ...],
    prompt: str,
    destination: Destination,
    as_json: bool,
    **options: Unpack[TaskOptions],
) -> None:
    """Make pictures from existing ones by PROMPT.

    IMAGE is the id of an image of yours, or a file, which is uploaded first. PROMPT is - for standard input.
    """
    _prepare(options, destination, as_json=as_json)
    task = EditImagesRequest(prompt=_read(prompt), **options)
    check_before_upload(client, task, images)
    task.image_ids.extend(uploaded(client, images))
    _run(client, task, "Editing", destination, as_json=as_json)


@click.command()
@click.argument("image")
@click.option("--factor", type=int, required=True, help="How many times larger each edge gets.")
@click.option("--model", "model_id", required=True, help="An upscaling model of `limner models`.")
@_FORMAT_OPTION
@_KEY_OPTION
@with_destination
@json_option
@with_client()
def upscale(
    client: Client,
    image: str,
    factor: int,
    model_id: str,
    output_format: str | None,
    request_id: str | None,
    destination: Destination,
    as_json: bool,
) -> None:
    """Make a picture larger.

    IMAGE is the id of an image of yours, or a file, which is uploaded first.
    """
    destination.check(1, as_json=as_json)
    task = UpscaleImageRequest(
        model_id=model_id,
        upscale_factor=factor,
        output_format=output_format or destination.output_format,
        request_id=request_id,
    )
    check_before_upload(client, task, [image])
    task.image_id = uploaded(client, [image])[0]
    _run(client, task, "Upscaling", destination, as_json=as_json)


@click.command()
@click.argument("generation_id", metavar="GENERATION")
@json_option
@click.option("--history", is_flag=True, help="For operators: all that is kept, from the database of the settings.")
@with_client(workspace_needed=False)
def show(client: Client, generation_id: str, as_json: bool, history: bool) -> None:
    """Show a generation: its state, its images, its error."""
    if history:
        _print_history(generation_id)
        return
    if not click.get_current_context().params["workspace"]:
        raise click.UsageError("Missing option '--workspace' (or LIMNER_WORKSPACE).")
    _print_generation(client.get_generation(generation_id), as_json=as_json)


@click.command()
@click.argument("generation_id", metavar="GENERATION")
@json_option
@with_client()
def cancel(client: Client, generation_id: str, as_json: bool) -> None:
    """Cancel a generation that is running."""
    _print_generation(client.cancel_generation(generation_id), as_json=as_json)


def _print_history(generation_id: str) -> None:
    """Print what the database has, which this machine's settings name; no service needs to run."""
    from limner.domain.errors import LimnerError
    from limner.history import told_history
    from limner.settings import Settings, SettingsError

    try:
        print_facts(told_history(Settings.read(), generation_id))
    except (SettingsError, LimnerError) as error:
        raise CallFailedError(str(error)) from error


def _prepare(options: TaskOptions, destination: Destination, *, as_json: bool) -> None:
    destination.check(options.get("num_images") or 1, as_json=as_json)
    options["output_format"] = options.get("output_format") or destination.output_format


def _read(prompt: str) -> str:
    return sys.stdin.read() if prompt == "-" else prompt


def _run(client: Client, task: Task, label: str, destination: Destination, *, as_json: bool) -> None:
    generation = _completed(client, task, label, shown=sys.stderr.isatty() and not as_json)
    made = [image.id for image in generation.images]
    paths = destination.write(client, made) if destination.given else []
    if as_json:
        print_json(_as_response(generation))
        return
    if generation.description:
        note(generation.description)
    if generation.HasField("detail"):
        note(f"{generation.detail.message} ({generation.detail.code})")
    if not destination.given or paths:
        click.echo("\n".join(map(str, paths or made)))


def _completed(client: Client, task: Task, label: str, *, shown: bool) -> Generation:
    generation = Generation()
    try:
        with task_progress(label, shown=shown) as show_event, closing(client.run(task)) as events:
            for event in events:
                show_event(event)
                if event.HasField("queued"):
                    generation.generation_id = event.queued.generation_id
                elif event.HasField("completed"):
                    generation = event.completed
    except KeyboardInterrupt:
        if generation.generation_id:
            note(f"{_what_is_kept(client, task)}: limner show {generation.generation_id}")
        raise
    if generation.state != Generation.SUCCEEDED:
        raise CallFailedError(f"The service ended the call early: limner show {generation.generation_id}")
    return generation


def _what_is_kept(client: Client, task: Task) -> str:
    """Return what an interrupted user is told; work that costs nothing is not spoken of as paid."""
    try:
        model = model_of(client.models(), task)
    except LimnerClientError:
        model = None
    free = model is not None and model.HasField("price_usd") and not model.price_usd
    return "What was finished is kept all the same" if free else "What was paid for is kept all the same"


def _as_response(generation: Generation) -> GenerateImagesResponse:
    """Return what the task calls of REST answer; it is the same for all three."""
    detail = generation.detail if generation.HasField("detail") else None
    return GenerateImagesResponse(
        images=generation.images,
        generation_id=generation.generation_id,
        description=generation.description,
        detail=detail,
    )


def _print_generation(generation: Generation, *, as_json: bool) -> None:
    if as_json:
        print_json(generation)
        return
    print_facts(
        (
            ("generation", generation.generation_id),
            ("state", Generation.State.Name(generation.state).lower()),
            ("operation", generation.operation),
            ("model", generation.model),
            ("prompt", generation.prompt),
            ("images", " ".join(image.id for image in generation.images)),
            ("inputs", " ".join(image.id for image in generation.input_images)),
            ("description", generation.description),
            ("warning", generation.detail.message),
            ("error", generation.error.message),
            ("may bill", "the provider may still charge for it" if generation.may_bill else ""),
            ("created by", generation.created_by_user_id),
            ("created", time_in_words(generation.created_at)),
        )
    )
