"""How generations begin, for tests and benchmarks that need them to."""

from datetime import datetime
from typing import Any

from limner.domain.identifiers import new_id
from limner.domain.task import EditTask, GenerateTask, Generation, Operation, Plan, Task, UpscaleTask
from limner.service.ports import Start


def task_of(generation: Generation) -> Task:
    """A task that such a generation may come from."""
    model_id, images = generation.model, generation.requested_images
    if generation.operation is Operation.UPSCALE:
        return UpscaleTask(model_id=model_id, image_id=generation.input_image_ids[0], upscale_factor=2)
    if generation.operation is Operation.EDIT:
        image_ids = generation.input_image_ids
        return EditTask(model_id=model_id, prompt=generation.prompt, num_images=images, image_ids=image_ids)
    return GenerateTask(model_id=model_id, prompt=generation.prompt, num_images=images)


def plan_of(generation: Generation, *, unit_cost_micros: int = 0) -> Plan:
    image_ids = tuple(new_id() for _ in range(generation.requested_images))
    prices_micros = {generation.model: unit_cost_micros}
    return Plan(task=task_of(generation), seed=7, image_ids=image_ids, prices_micros=prices_micros)


def start_of(
    generation: Generation, worker_id: str, lease_until: datetime, *, unit_cost_micros: int = 0, **facts: Any
) -> Start:
    plan = plan_of(generation, unit_cost_micros=unit_cost_micros)
    return Start(generation=generation, plan=plan, worker_id=worker_id, lease_until=lease_until, **facts)
