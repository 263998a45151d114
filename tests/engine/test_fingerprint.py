"""The numeric fingerprint is the same for the same machine, and every field of it counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from distributed import Client

from gmmdask.engine import fingerprint
from gmmdask.engine.fingerprint import numeric_fingerprint, require_fingerprint
from gmmdask.errors import ClusterError


def test_another_process_of_this_machine_has_the_same_fingerprint(processes: Client) -> None:
    assert set(processes.run(numeric_fingerprint).values()) == {numeric_fingerprint()}


def test_the_probe_gives_the_same_hash_again() -> None:
    assert fingerprint._probe() == fingerprint._probe()


@pytest.mark.parametrize("field", ["cpu", "blas", "versions", "probe"])
def test_each_field_counts_and_is_told(field: str) -> None:
    own = numeric_fingerprint()
    other = replace(own, **{field: "something else"})
    assert other.digest != own.digest
    assert own.differences(other) == f"{field} something else instead of {getattr(own, field)}"
    assert "something else" in str(other)


def test_another_digest_is_refused_and_none_is_not() -> None:
    require_fingerprint(None)
    require_fingerprint(numeric_fingerprint().digest)
    with pytest.raises(ClusterError, match=r"the run began with 0123.*allow_mixed_cpus"):
        require_fingerprint("0123")
