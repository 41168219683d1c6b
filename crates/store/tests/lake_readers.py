"""Reads a lake's Delta table with three other engines; they must agree, and with --known be right.

The known table is written by `write_a_table_for_other_readers` in lake.rs: offsets 0 to 29,999, HTTP status
200 + offset % 4 * 100, a latitude on every third event, rules on the same.
"""

import sys

import duckdb
import pyarrow.compute as pc
import pyarrow.dataset
from deltalake import DeltaTable

KNOWN = {
    "rows": 30_000,
    "offsets": sum(range(30_000)),
    "statuses": sum(200 + i % 4 * 100 for i in range(30_000)),
    "users": 5,
    "latitudes": 10_000,
    "rules": 20_000,
    "days": ["2026-11-20"],
}


def by_duckdb(files):
    """DuckDB's own Parquet reader over the files that the Delta log names."""
    query = """
        select count(*), sum(erne_offset), sum(http_response.code), count(distinct actor.user.name),
               count(src_endpoint.location.lat), sum(len(finding_info.rules)), list(distinct day::varchar)
        from read_parquet($files, hive_partitioning = true)
    """
    row = duckdb.execute(query, {"files": files}).fetchone()
    return dict(zip(KNOWN, [*(int(v) for v in row[:6]), sorted(row[6])], strict=True))


def by_arrow(table):
    """pyarrow over a dataset or table."""
    nested = lambda *path: pc.struct_field(table[path[0]], list(path[1:]))
    return {
        "rows": table.num_rows,
        "offsets": pc.sum(table["erne_offset"]).as_py(),
        "statuses": pc.sum(nested("http_response", "code")).as_py(),
        "users": pc.count_distinct(nested("actor", "user", "name")).as_py(),
        "latitudes": pc.count(nested("src_endpoint", "location", "lat")).as_py(),
        "rules": pc.sum(pc.list_value_length(nested("finding_info", "rules"))).as_py(),
        "days": sorted(str(day) for day in pc.unique(table["day"]).to_pylist()),
    }


def main():
    path = sys.argv[1]
    delta = DeltaTable(path)
    files = delta.file_uris()
    columns = ["erne_offset", "http_response", "actor", "src_endpoint", "finding_info", "day"]
    partitions = pyarrow.dataset.partitioning(flavor="hive")
    found = {
        "duckdb": by_duckdb(files),
        "deltalake": by_arrow(delta.to_pyarrow_table(columns=columns)),
        "pyarrow": by_arrow(pyarrow.dataset.dataset(files, partitioning=partitions, partition_base_dir=path).to_table(columns)),
    }
    want = KNOWN if "--known" in sys.argv else found["deltalake"]
    for engine, values in found.items():
        if values != want:
            sys.exit(f"{engine} found {values}, not {want}")
    covered = delta.transaction_version("erne-lake")
    print(f"{', '.join(found)} agree: {want['rows']} rows in {len(files)} files, log covered up to {covered}")


main()
