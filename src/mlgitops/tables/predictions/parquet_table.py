"""Read the columns of a Parquet file of predictions, through pyarrow (an extra)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from mlgitops.errors import MlgitopsError
from mlgitops.tables.predictions.checks import MAX_BYTES, MAX_TEXT, check_header, check_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[Any]


def read_parquet(stream: BinaryIO, where: str) -> dict[str, Column]:
    """Read every column of the open file ``stream`` as whole numbers, floats or bytes.

    Raises MlgitopsError when pyarrow is missing, the file is damaged or expands beyond the
    caps, or a column holds something else.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MlgitopsError(
            "Reading Parquet needs pyarrow", where=where,
            hint="install mlgitops[parquet], or write the predictions as CSV",
        ) from None  # fmt: skip
    try:
        file = pq.ParquetFile(stream)
        check_header(file.schema_arrow.names, where)
        check_rows(file.metadata.num_rows, where)
        groups = range(file.metadata.num_row_groups)
        if sum(file.metadata.row_group(group).total_byte_size for group in groups) > MAX_BYTES:
            raise MlgitopsError("The predictions expand to too many bytes", where=where)
        table = file.read()
        return {name: _as_column(table.column(name), name, where) for name in table.column_names}
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:120]
        raise MlgitopsError(
            f"The Parquet file is damaged: {reason}", where=where, hint="write it again"
        ) from None


def _as_column(column: Any, name: str, where: str) -> Column:  # noqa: ANN401 - pyarrow is untyped
    import numpy as np
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return _as_bytes(column, kind, name, where)
    if pa.types.is_floating(kind) or column.null_count:
        return np.asarray(column.cast(pa.float64()).to_numpy())  # a null becomes NaN
    return np.asarray(column.to_numpy())


def _as_bytes(column: Any, kind: Any, name: str, where: str) -> Column:  # noqa: ANN401
    import numpy as np
    import pyarrow as pa

    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise MlgitopsError(
            f"Column {name!r:.60} holds {kind}: write it as text or numbers", where=where
        )
    words = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if not pa.types.is_dictionary(words.type):
        words = words.dictionary_encode()
    texts = [(text or "").encode() for text in words.dictionary.to_pylist()] + [b""]
    if max(map(len, texts)) > MAX_TEXT:
        raise MlgitopsError(
            f"A text in column {name!r:.60} is longer than {MAX_TEXT} bytes", where=where
        )
    codes = words.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
    return np.asarray(np.array(texts)[codes])
