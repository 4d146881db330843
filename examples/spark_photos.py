"""Inspects all photos in folders or buckets with Spark, and writes their records as Parquet.

    pip install vcp-clip pyarrow pyspark
    python spark_photos.py photos records --model visa

or, on a cluster whose workers have the package, with spark-submit. Each task inspects with spark.task.cpus threads.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import vcp_clip
import vcp_clip.spark
from pyspark.sql import SparkSession


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", help="a folder or an address such as s3a://bucket/photos, with folders in it")
    parser.add_argument("records", help="the folder or address that Parquet files are written to")
    parser.add_argument("--model", default="built-in")
    parser.add_argument("--batch", type=int, default=16, help="photos that are in memory at a time")
    options = parser.parse_args(words)

    spark = SparkSession.builder.appName("vcp-clip").getOrCreate()
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", options.batch)
    inspect = vcp_clip.spark.Inspect(vcp_clip.Inspector(options.model))
    files = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    photos = files.option("pathGlobFilter", "*.{bmp,jpeg,jpg,png,tif,tiff,webp}").load(options.photos)
    photos.select("path", "content").mapInArrow(inspect, inspect.schema).write.parquet(options.records)


if __name__ == "__main__":
    main()
