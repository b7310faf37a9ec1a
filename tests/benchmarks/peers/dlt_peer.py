"""dlt's rest_api source into parquet: `dlt_peer.py URL DIRECTORY`."""

from __future__ import annotations

import sys

import dlt
from dlt.sources.rest_api import rest_api_source

url, target = sys.argv[1:]
base, _, name = url.rpartition("/")
source = rest_api_source(
    {
        "client": {
            "base_url": base + "/",
            "paginator": {"type": "cursor", "cursor_path": "meta.next", "cursor_param": "cursor"},
        },
        "resources": [
            {
                "name": "flights",
                "endpoint": {
                    "path": name,
                    "params": {"limit": 1000},
                    "data_selector": "data.items",
                },
            }
        ],
    }
)
pipeline = dlt.pipeline(
    "bench",
    destination=dlt.destinations.filesystem(bucket_url=f"file://{target}/out"),
    dataset_name="bench",
    pipelines_dir=f"{target}/state",
)
pipeline.run(source, loader_file_format="parquet")
