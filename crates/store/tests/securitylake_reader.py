"""Reads objects of the Security Lake sink below a folder, with DuckDB and with pyarrow, and prints as JSON what both say.

They must agree. Checked on the way: one class and one day a file, rows sorted by time, zstd, OCSF's types.
"""

import json
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

TYPES = {"time": pa.int64(), "time_dt": pa.timestamp("ms", "UTC"), "class_uid": pa.int32(), "type_uid": pa.int32(), "severity_id": pa.int64()}


def check(path, table, file):
    classes = set(table["class_uid"].to_pylist())
    assert len(classes) == 1, f"{path} has the classes {classes}"
    assert f"-{classes.pop()}/" in path, path
    times = table["time"].to_pylist()
    assert times == sorted(times), f"{path} is not sorted by time"
    for name, kind in TYPES.items():
        assert table.schema.field(name).type == kind, (path, name, table.schema.field(name).type)
    group = file.metadata.row_group(0)
    assert all(group.column(i).compression == "ZSTD" for i in range(group.num_columns)), path


def by_arrow(paths):
    rows, total, uids = 0, 0, set()
    for path in paths:
        file = pq.ParquetFile(path)
        table = file.read()
        check(path, table, file)
        rows += table.num_rows
        total += sum(table["time"].to_pylist())
        uids.update(row["uid"] for row in table["metadata"].to_pylist())
    return {"rows": rows, "times": total, "uids": len(uids)}


def by_duckdb(paths):
    query = "select count(*), sum(time), count(distinct metadata.uid) from read_parquet($paths, union_by_name = false)"
    rows, total, uids = duckdb.execute(query, {"paths": paths}).fetchone()
    return {"rows": int(rows), "times": int(total), "uids": int(uids)}


paths = sorted(str(path) for path in Path(sys.argv[1]).rglob("*.parquet"))
first, second = by_arrow(paths), by_duckdb(paths)
assert first == second, (first, second)
partitions = sorted({str(Path(path).parent.relative_to(sys.argv[1])) for path in paths})
print(json.dumps({**first, "files": len(paths), "partitions": partitions}))
