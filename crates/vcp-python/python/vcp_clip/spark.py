"""Photos of Spark, inspected by its Python workers.

>>> import vcp_clip.spark
>>> inspect = vcp_clip.spark.Inspect()
>>> photos = spark.read.format("binaryFile").load("photos").select("path", "content")
>>> photos.mapInArrow(inspect, inspect.schema).write.parquet("records")

Needs pyarrow where it is used, as ``mapInArrow`` does; this module imports without it and without Spark.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ._errors import InputError
from ._inspector import Inspector

if TYPE_CHECKING:
    import pyarrow  # type: ignore[import-untyped,unused-ignore]

__all__ = ["Inspect"]

# Spark gives each task a function of its own, but keeps its Python processes: what is held here stays loaded.
_kept: Inspector | None = None


class Inspect:
    """Inspects batches of photos: the function to give to ``pyspark.sql.DataFrame.mapInArrow``, with its ``schema``.

    Rows are those of the format ``binaryFile``, of which ``path`` and ``content`` are needed, or have paths that every node
    can read. Each gives a row with the columns of ``vcp-clip segment --out-table``, with the command line's numbers. A
    photo that cannot be inspected is a row with its ``error``, and nulls but for ``path``, which is as Spark gives it:
    ``file:/photos/a.png``.

    Spark puts up to ``spark.sql.execution.arrow.maxRecordsPerBatch`` photos into memory at a time: 10,000, if it is not
    set.

    Args:
        inspector: What to inspect with; its arguments are sent to the workers, which load the model themselves, once in
            each process. The built-in model if None. If it does not say how many ``threads``, each task uses
            ``spark.task.cpus``.
        column: The column with the photos; if None, the first of ``image``, ``content``, ``bytes`` and ``path`` that is
            there, else the only one.
        mask_rle: Whether there is a column with the mask as lengths of runs.
        map: Whether there is a column with the map: its width, height and values row by row.
    """

    def __init__(
        self,
        inspector: Inspector | None = None,
        *,
        column: str | None = None,
        mask_rle: bool = False,
        map: bool = False,
    ) -> None:
        if inspector is not None and not isinstance(inspector, Inspector):
            raise InputError(f"inspector is of the type {type(inspector).__name__}, where an Inspector was expected.")
        self._inspector = Inspector() if inspector is None else inspector
        self._column = column
        self._mask_rle = bool(mask_rle)
        self._map = bool(map)

    @property
    def schema(self) -> str:
        """The columns of the rows, as the DDL that Spark reads."""
        from . import _arrow

        schema = _arrow.schema(mask_rle=self._mask_rle, map=self._map)
        return ", ".join(f"{field.name} {_type(field.type)}" for field in schema)

    def __call__(self, batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        """A record for each photo of the batches."""
        from . import _arrow

        global _kept
        _kept = inspector = self._inspector._on(_processors()).load()
        for batch in batches:
            for begin in range(0, batch.num_rows, _arrow.AT_A_TIME):
                photos, labels = _arrow.photos_of(batch.slice(begin, _arrow.AT_A_TIME), self._column)
                yield _arrow.records(inspector, photos, labels, mask_rle=self._mask_rle, map=self._map)


def _processors() -> int | None:
    """How many the task has that this is called in."""
    pyspark = sys.modules.get("pyspark")
    context = None if pyspark is None else pyspark.TaskContext.get()
    return None if context is None else min(256, max(1, int(context.cpus())))


def _type(kind: Any) -> str:
    """A type of Arrow in Spark's words."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        return f"ARRAY<{_type(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return f"STRUCT<{', '.join(f'{field.name}: {_type(field.type)}' for field in kind)}>"
    names = {"string": "STRING", "float": "FLOAT", "double": "DOUBLE", "int64": "BIGINT", "bool": "BOOLEAN"}
    return names[str(kind)]
