"""A faulty disk whose syncs can be begun, and are done when the test lets them."""

import os
import select

from tests.persistence.faulty_disk import FaultyDisk


class AsideFaultyDisk(FaultyDisk):
    """`hold` keeps the syncs that are begun from being done, `let_go` has them done."""

    syncs_aside = True

    def __init__(self, **faults):
        super().__init__(**faults)
        self._told = os.eventfd(0, os.EFD_NONBLOCK)
        self._is_held = False

    def __del__(self):
        os.close(self._told)
        super().__del__()

    def hold(self):
        self._is_held = True

    def let_go(self):
        self._is_held = False
        os.eventfd_write(self._told, 1)

    def begin_sync(self, handle):
        self._called("begin_sync")
        if not self._is_held:
            os.eventfd_write(self._told, 1)
        return self._told

    def end_sync(self):
        os.eventfd_read(self._told)
        self._called("end_sync")


def wait(told):
    """Until the file is readable; None: at once."""
    if told is not None:
        assert select.select([told], [], [], 60)[0]
