"""Inspects all photos in folders or buckets with Ray Data, and writes their records as Parquet.

    pip install vcp-clip pyarrow 'ray[data]'
    python ray_photos.py photos records --model visa --actors 4 --threads 2

Without a cluster Ray uses this machine. Reading takes a processor core or more beside those of the actors. Nodes of a
cluster need the package, and what PHOTOS and RECORDS name must be readable from all of them; a model that is not the
built-in one too.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import ray
import vcp_clip
import vcp_clip.ray

ENDINGS = ["bmp", "jpeg", "jpg", "png", "tif", "tiff", "webp"]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", help="a folder or an address such as s3://bucket/photos, with folders in it")
    parser.add_argument("records", help="the folder or address that Parquet files are written to")
    parser.add_argument("--model", default="built-in")
    parser.add_argument("--actors", type=int, default=2, help="processes, which each load the model")
    parser.add_argument("--threads", type=int, default=1, help="processor cores of each")
    parser.add_argument("--batch", type=int, default=16, help="photos that are given to a process at a time")
    options = parser.parse_args(words)

    photos = ray.data.read_binary_files(options.photos, include_paths=True, file_extensions=ENDINGS)
    records = photos.map_batches(
        vcp_clip.ray.Inspect,
        fn_constructor_kwargs={"inspector": vcp_clip.Inspector(options.model)},
        batch_size=options.batch,
        compute=ray.data.ActorPoolStrategy(size=options.actors),
        num_cpus=options.threads,
    )
    records.write_parquet(options.records)


if __name__ == "__main__":
    main()
