"""What is closed at the end of its `with` block."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

__all__ = ["Closing"]

Self = TypeVar("Self", bound="Closing")


class Closing:
    """A context that is the object itself, and closes it."""

    __slots__ = ()

    def close(self) -> None:
        """Ends its use."""
        raise NotImplementedError

    def __enter__(self: Self) -> Self:
        """The object itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()
