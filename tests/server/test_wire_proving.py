"""What is said of a classifier travels as JSON, with null for what is not known."""

from maskmill.server.wire_proving import CheckOut, ConfusionOut


def test_what_cannot_be_judged_is_null() -> None:
    told = CheckOut(run=1, strokes=None, unjudged=["leaf"], masks=None, images=[], left_out=[])
    assert told.model_dump(mode="json")["masks"] is None
    table = ConfusionOut(categories=["a"], counts=[[1, 0]], iou=[None], mean_iou=None)
    assert table.model_dump(mode="json")["iou"] == [None]
