"""A store in an object store, through a handle of obstore: the same calls as with a path. (`pip install
"atlas-python[cloud]"`; an S3Store, GCSStore or AzureStore is used like the MemoryStore here, which needs no account.)

Output:
    the objects: ['atlas.msgpack.zst', 'temperature/...']
    cast_1: [4. 3. 2.]
    a second writer is told: ConflictError
    after rebase and flush: ['cast_1', 'mine', 'theirs']
"""

import numpy as np
from obstore.store import MemoryStore

import atlas


def main() -> None:
    # For a bucket: S3Store("my-bucket", prefix="fleet", region="eu-west-1"). URLs do too: "s3://my-bucket/fleet".
    bucket = MemoryStore()
    with atlas.Atlas.create(bucket, meta_format="msgpack", meta_compression="zstd") as store:
        view = store.create_dataset("cast_1")
        view.define_array("temperature", "float32", ["depth"], [3])
        view.write_array("temperature", [0], np.array([4, 3, 2], dtype="float32"))
    objects = sorted(entry["path"] for batch in bucket.list() for entry in batch)
    print("the objects:", [name if "/" not in name else name.split("/")[0] + "/..." for name in objects])

    reader = atlas.Atlas.open(bucket)
    print("cast_1:", reader["cast_1"].read_array("temperature"))

    # There are no locks between machines: of two writers that commit at once, one is told.
    one, other = atlas.Atlas.open(bucket), atlas.Atlas.open(bucket)
    one.create_dataset("mine")
    other.create_dataset("theirs")
    one.flush()
    try:
        other.flush()
    except atlas.errors.ConflictError as error:
        print("a second writer is told:", type(error).__name__)
        other.rebase()
        other.flush()
    print("after rebase and flush:", sorted(atlas.Atlas.open(bucket)))


if __name__ == "__main__":
    main()
