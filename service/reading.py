"""Entry tables read in a process of their own; hides the process.

Reading a large workbook keeps a processor and hundreds of megabytes busy for a minute: neither
should be taken from those who answer questions, and both are given back at the end.
"""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from kb.errors import DocumentUnreadable
from kb.exchange import EntryRecord, RowProblem, read_entries

# Bytes up to which starting a process would take longer than reading.
SMALL = 256 * 2**10
LONGEST = 300.0
_BEAT = 5.0
_NICENESS = 10

Table = tuple[list[tuple[int, EntryRecord]], list[RowProblem]]


class Apart:
    """Reads tables.

    Args:
        small: largest file that is read in this process.
    """

    def __init__(self, small: int = SMALL) -> None:
        self._small = small

    def read(self, path: Path, filename: str, *, beat: Callable[[], None]) -> Table:
        """As `kb.exchange.read_entries`.

        Args:
            beat: called every few seconds while it takes.

        Raises:
            DocumentUnreadable: the file cannot be used, or takes more than can be given.
        """
        if path.stat().st_size <= self._small:
            return read_entries(path.read_bytes(), filename)
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(1, mp_context=context, initializer=_give_way)
        try:
            future = pool.submit(_read, str(path), filename)
            waited = 0.0
            while not future.done():
                try:
                    return future.result(timeout=_BEAT)
                except TimeoutError:
                    beat()
                waited += _BEAT
                if waited >= LONGEST:
                    raise DocumentUnreadable("读取用时太长，请拆分后再导入。")
            return future.result()
        except BrokenProcessPool as error:
            raise DocumentUnreadable("读取时内存不够，请拆分后再导入。") from error
        finally:
            for process in list((pool._processes or {}).values()):
                process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)


def _give_way() -> None:
    os.nice(_NICENESS)


def _read(path: str, filename: str) -> Table:
    return read_entries(Path(path).read_bytes(), filename)
