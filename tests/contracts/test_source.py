"""Where a service's source uses writers' Structs: building is told from naming."""

from __future__ import annotations

from pathlib import Path

from dovecote.contracts.code import Saying
from dovecote.contracts.source import sayings
from ecom.contracts.order import OrderConfirmed
from ecom.contracts.payment import PaymentFailed

SOURCE = """from ecom.contracts.payment import CAPTURE_DECLINED, PaymentFailed as Failed
from ecom.contracts.order import OrderConfirmed
from elsewhere import OrderCreated
Ending = Failed | OrderConfirmed
NAMES = {OrderConfirmed.EVENT: 1}
def f(tx: Transaction[Failed], x: Failed) -> OrderConfirmed:
    kind: type[Failed] = Failed
    OrderCreated(order_id="o")
    tx.publish(Failed(order_id=CAPTURE_DECLINED))
"""


def test_uses_are_found_by_what_a_file_imports(tmp_path: Path) -> None:
    """A call builds, a value may be called later; annotations, aliases of types and EVENT are no use."""
    (tmp_path / "saga").mkdir()
    (tmp_path / "saga" / "moves.py").write_text(SOURCE, encoding="utf-8")
    found = list(sayings(tmp_path, "order-service", [PaymentFailed, OrderConfirmed], tmp_path))
    assert found == [
        Saying("order-service", "payment.failed.v1", "saga/moves.py", 7, builds=False),
        Saying("order-service", "payment.failed.v1", "saga/moves.py", 9, builds=True),
    ]
