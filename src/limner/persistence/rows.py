"""Domain objects as rows, and back."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row

from limner.domain.errors import parsed, printed
from limner.domain.image import Image, OutputFormat
from limner.domain.task import (
    EditTask,
    Failure,
    Finish,
    GenerateTask,
    Generation,
    GenerationState,
    MissingPicture,
    Operation,
    Plan,
    Task,
    UnmarkedPicture,
    UpscaleTask,
)
from limner.service.ports import SubmissionRecord, Unfinished


def image_row(image: Image, position: int = 0) -> dict[str, Any]:
    """Return the columns of an image that is new."""
    return {
        "id": image.id,
        "workspace_id": image.workspace_id,
        "created_by_user_id": image.created_by_user_id,
        "generation_id": image.generation_id or None,
        "position": position,
        "prompt": image.prompt,
        "model": image.model,
        "parameters": dict(image.parameters),
        "input_image_ids": image.input_image_ids,
        "width": image.width,
        "height": image.height,
        "size_bytes": image.size_bytes,
        "format": image.format.value,
        "sha256": image.sha256,
        "created_at": image.created_at,
        "updated_at": image.updated_at,
    }


def image_from(row: Row[Any]) -> Image:
    """Return the image of a row of ``images``."""
    return Image(
        id=row.id,
        workspace_id=row.workspace_id,
        created_by_user_id=row.created_by_user_id,
        generation_id=row.generation_id or "",
        prompt=row.prompt,
        model=row.model,
        parameters=row.parameters,
        input_image_ids=tuple(row.input_image_ids),
        width=row.width,
        height=row.height,
        size_bytes=row.size_bytes,
        format=OutputFormat(row.format),
        sha256=row.sha256,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def generation_row(generation: Generation) -> dict[str, Any]:
    """Return the columns of a generation, but for those that say who works on it."""
    return {
        "id": generation.id,
        "workspace_id": generation.workspace_id,
        "created_by_user_id": generation.created_by_user_id,
        "operation": generation.operation.value,
        "model": generation.model,
        "prompt": generation.prompt,
        "requested_images": generation.requested_images,
        "created_at": generation.created_at,
        **outcome_row(generation),
    }


def outcome_row(generation: Generation) -> dict[str, Any]:
    """Return the columns of a generation that change when it ends."""
    return {
        "state": generation.state.value,
        "missing": [asdict(missing) for missing in generation.missing],
        "unmarked": [asdict(unmarked) for unmarked in generation.unmarked] or None,
        "description": generation.description,
        "failure": _failure_document(generation.failure),
        "may_bill": generation.may_bill,
        "updated_at": generation.updated_at,
    }


def generation_from(
    row: Row[Any], images: Sequence[Image], input_image_ids: Sequence[str], inputs: Sequence[Image]
) -> Generation:
    """Return the generation of a row of ``generations``, and of what hangs on it."""
    return Generation(
        id=row.id,
        workspace_id=row.workspace_id,
        created_by_user_id=row.created_by_user_id,
        operation=Operation(row.operation),
        model=row.model,
        prompt=row.prompt,
        requested_images=row.requested_images,
        input_image_ids=tuple(input_image_ids),
        state=GenerationState(row.state),
        images=tuple(images),
        inputs=tuple(inputs),
        missing=tuple(MissingPicture(**missing) for missing in row.missing),
        unmarked=tuple(UnmarkedPicture(**unmarked) for unmarked in row.unmarked or ()),
        description=row.description,
        failure=_failure_from(row.failure),
        may_bill=row.may_bill,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _failure_document(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    document = asdict(failure)
    outcome = document.pop("outcome")  # beside the others, where earlier releases look for it
    return {**document, "metadata": printed(failure.metadata, outcome)}


def _failure_from(document: dict[str, Any] | None) -> Failure | None:
    if not document:
        return None
    metadata, outcome = parsed(document["metadata"])
    return Failure(**{**document, "metadata": metadata, "outcome": outcome})


def plan_row(plan: Plan, granted_images: int) -> dict[str, Any]:
    """Return the columns of a generation that hold its plan."""
    return {
        "task": _task_document(plan.task),
        "seed": plan.seed,
        "planned_image_ids": plan.image_ids,
        "granted_images": granted_images,
        "unit_cost_micros": plan.unit_cost_micros,
        "prices_micros": dict(plan.prices_micros) if len(plan.prices_micros) > 1 else None,
        "traceparent": plan.traceparent or None,
    }


def plan_from(row: Row[Any]) -> Plan:
    """Return the plan of a row of ``generations``."""
    return Plan(
        task=_task_from(Operation(row.operation), row.task),
        seed=row.seed,
        image_ids=tuple(row.planned_image_ids),
        prices_micros=row.prices_micros or {row.model: row.unit_cost_micros},
        traceparent=row.traceparent or "",
    )


def unfinished_from(row: Row[Any], inputs: Sequence[Row[Any]], submitted: Sequence[Row[Any]]) -> Unfinished:
    """Return a generation that was left behind, from its row, its inputs' rows and those of its purchases, in order."""
    images = [image_from(each) for each in inputs]
    return Unfinished(
        generation=generation_from(row, (), [each.id for each in images], images),
        plan=plan_from(row),
        granted_images=row.granted_images,
        submissions=tuple(
            SubmissionRecord(
                indexes=tuple(each.indexes),
                provider_job_id=each.provider_job_id or "",
                model_id=each.model or row.model,
            )
            for each in submitted
            if not each.void
        ),
        submitted=submitted[-1].number + 1 if submitted else 0,
        cancel_requested=row.cancel_requested,
    )


def _task_document(task: Task) -> dict[str, Any]:
    """Return what keeps a task; what is not asked for is left out, so that older workers can read it too."""
    document = asdict(task)
    finish = {name: value for name, value in document.pop("finish", {}).items() if value not in (None, "")}
    masked = document.pop("masked", False)
    return document | ({"finish": finish} if finish else {}) | ({"masked": True} if masked else {})


def _task_from(operation: Operation, document: dict[str, Any]) -> Task:
    asked = document.get("output_format")
    facts = {**document, "output_format": OutputFormat(asked) if asked else None}
    if "finish" in facts:
        facts["finish"] = Finish(**facts["finish"])
    if operation is Operation.GENERATE:
        return GenerateTask(**facts)
    if operation is Operation.UPSCALE:
        return UpscaleTask(**facts)
    return EditTask(**{**facts, "image_ids": tuple(document["image_ids"])})
