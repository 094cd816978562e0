"""What a file of ours says of how masks came to be can be read back into the store."""

from dataclasses import fields

from maskmill.exchange.provenance import KEPT
from maskmill.store import Made


def test_what_is_kept_is_what_the_store_knows() -> None:
    assert set(KEPT) - {f.name for f in fields(Made)} == {"review"}
