"""Asks DuckDB the questions of `erne bench lake` over the same Parquet files; JSON in, JSON out."""

import json
import sys
import time

import duckdb

asked = json.load(sys.stdin)
connection = duckdb.connect()
connection.execute(f"SET threads = {int(asked['threads'])}; SET TimeZone = 'UTC'")
files = ", ".join("'" + name.replace("'", "''") + "'" for name in asked["files"])
connection.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet([{files}], hive_partitioning = true)")
results = []
for question in asked["questions"]:
    milliseconds = []
    for _ in range(asked["runs"]):
        started = time.perf_counter()
        relation = connection.execute(question["sql"])
        names = [column[0] for column in relation.description]
        rows = relation.fetchall()
        milliseconds.append((time.perf_counter() - started) * 1000)
    total = sum(row[names.index("n")] for row in rows)
    results.append({"name": question["name"], "ms": milliseconds, "rows": len(rows), "sum": total})
json.dump({"version": duckdb.__version__, "results": results}, sys.stdout)
