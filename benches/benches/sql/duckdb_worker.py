"""Answers queries over a Parquet file by DuckDB: a JSON object a line in, one a line out.

duckdb_worker.py TABLE FILE THREADS
"""

import json
import sys
import time

import duckdb


def connect(table, file, threads):
    connection = duckdb.connect()
    connection.execute(f"SET threads = {int(threads)}")
    quoted = file.replace("'", "''")
    connection.execute(f"CREATE VIEW \"{table}\" AS SELECT * FROM read_parquet('{quoted}')")
    return connection


def main():
    arguments = sys.argv[1:]
    connection = connect(*arguments)
    print(duckdb.__version__, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        start = time.perf_counter()
        if request["in_new_session"]:
            connection = connect(*arguments)
        # All of the answer is made here; what follows turns it into Python's objects.
        answer = connection.execute(request["sql"])
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "rows": answer.fetchall()}), flush=True)


main()
