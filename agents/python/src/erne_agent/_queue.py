"""A queue that never makes its producer wait: what does not fit is refused."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")
#: Bytes of all waiting items.
QUEUE_BYTES_MAX = 64 << 20


class BoundedQueue(Generic[T]):
    def __init__(self, items_max: int, bytes_max: int = QUEUE_BYTES_MAX) -> None:
        self._items_max = items_max
        self._bytes_max = bytes_max
        self._items: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._ending = False
        # Reentrant: the garbage collector may run within `put` and finish a request that is put as well.
        self._ready = threading.Condition(threading.RLock())

    def put(self, item: T, size: int) -> bool:
        with self._ready:
            if len(self._items) >= self._items_max or self._bytes + size > self._bytes_max:
                return False
            self._items.append((item, size))
            self._bytes += size
            self._ready.notify()
        return True

    def take(self, items_max: int, bytes_max: int, wait_secs: float) -> list[T]:
        """What is waiting, at least one item unless the time is over, within the bounds after the first."""
        deadline = time.monotonic() + wait_secs
        with self._ready:
            while not self._items and not self._ending:
                left = deadline - time.monotonic()
                if left <= 0:
                    return []
                self._ready.wait(left)
            taken: list[T] = []
            total = 0
            while self._items and len(taken) < items_max:
                item, size = self._items[0]
                if taken and total + size > bytes_max:
                    break
                self._items.popleft()
                taken.append(item)
                total += size
            self._bytes -= total
            return taken

    def end(self) -> None:
        """From now on nobody waits for items that are not there yet."""
        with self._ready:
            self._ending = True
            self._ready.notify_all()

    def __len__(self) -> int:
        return len(self._items)
