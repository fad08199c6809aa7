"""What is known of marks, as protobuf messages. No decisions are made here."""

from imageservice.v1 import provenance_pb2

from limner.domain.provenance import Mark, MarkIngredient, Provenance


def provenance_message(source: Provenance) -> provenance_pb2.Provenance:
    """Write what the marks of a picture say."""
    return provenance_pb2.Provenance(
        marks=map(_mark_message, source.marks),
        source_type=provenance_pb2.Provenance.SourceType.Value(source.source_type),
    )


def _mark_message(source: Mark) -> provenance_pb2.Mark:
    message = provenance_pb2.Mark(
        kind=provenance_pb2.Mark.Kind.Value(source.kind),
        state=provenance_pb2.Mark.State.Value(source.state),
        by=source.by,
        issuer=source.issuer,
        actions=source.actions,
        ingredients=map(_ingredient_message, source.ingredients),
        problems=source.problems,
    )
    if source.time is not None:
        message.time.FromDatetime(source.time)
    return message


def _ingredient_message(source: MarkIngredient) -> provenance_pb2.Mark.Ingredient:
    return provenance_pb2.Mark.Ingredient(
        image_id=source.image_id or None,
        title=source.title,
        state=provenance_pb2.Mark.State.Value(source.state),
    )
