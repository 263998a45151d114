"""Categories as numbers: a category's code is a hash of its text that float64 holds exactly.

So a column of categories travels in the same matrix as the numeric ones, and a code means the same in every file, leaf
and process. Which categories there are, and what becomes of them, is the recipe's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import InvalidInputError

CODE_BITS = 52


def category_code(category: str) -> float:
    """Return the code of a category: the upper 52 bits of blake2b over its text in UTF-8, as a whole number.

    Examples
    --------
    >>> category_code("UA").is_integer(), category_code("UA") < 2**52
    (True, True)
    """
    digest = blake2b(category.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return float(int.from_bytes(digest, "big") >> (64 - CODE_BITS))


def category_codes(categories: Iterable[str]) -> NDArray[np.float64]:
    """Return the codes of categories, in their order."""
    return np.array([category_code(category) for category in categories], dtype=np.float64)


def texts_of(column: Any, name: str, remedy: str = "take it out of describe") -> Any:
    """Return an Arrow column as text, its values as Arrow writes them.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray
    name : str
    remedy : str, optional
        What to do beside writing it as text.

    Raises
    ------
    InvalidInputError
        It is binary, and its bytes are no text; or of a type that has none.
    """
    with as_text(column.type, name, remedy):
        return column.cast("string")


@contextmanager
def as_text(data_type: object, name: str, remedy: str = "take it out of describe") -> Iterator[None]:
    """Translate Arrow's errors in a block that treats a column as text; raises as `texts_of`."""
    try:
        yield
    # Errors of Arrow are built-in ones, too: of values that do not fit, and of types that have no text.
    except (ValueError, NotImplementedError) as error:
        raise InvalidInputError(
            f"column {name!r} is {data_type} and cannot be read as text ({error}); write it as text in UTF-8, or {remedy}"
        ) from error


def texts_of_ids(column: Any, name: str) -> Any:
    """Return an Arrow column of ids as text; raises as `texts_of`."""
    return texts_of(column, name, "name another column as source.id")
