"""Airbyte's CDK with a declarative source; its messages go to DIRECTORY/out: `airbyte_peer.py URL
DIRECTORY`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

from airbyte_cdk.entrypoint import launch
from airbyte_cdk.sources.declarative.concurrent_declarative_source import (
    ConcurrentDeclarativeSource,
)

url, target = sys.argv[1:]
base, _, name = url.rpartition("/")
SCHEMA = {"type": "object", "additionalProperties": True, "properties": {"id": {"type": "integer"}}}
MANIFEST = {
    "version": "6.0.0",
    "type": "DeclarativeSource",
    "check": {"type": "CheckStream", "stream_names": ["flights"]},
    "streams": [
        {
            "type": "DeclarativeStream",
            "name": "flights",
            "retriever": {
                "type": "SimpleRetriever",
                "requester": {
                    "type": "HttpRequester",
                    "url_base": base,
                    "path": name,
                    "http_method": "GET",
                    "request_parameters": {"limit": "1000"},
                },
                "record_selector": {
                    "type": "RecordSelector",
                    "extractor": {"type": "DpathExtractor", "field_path": ["data", "items"]},
                },
                "paginator": {
                    "type": "DefaultPaginator",
                    "page_token_option": {
                        "type": "RequestOption",
                        "inject_into": "request_parameter",
                        "field_name": "cursor",
                    },
                    "pagination_strategy": {
                        "type": "CursorPagination",
                        "cursor_value": "{{ response['meta']['next'] }}",
                        "stop_condition": "{{ response['meta']['next'] is none }}",
                    },
                },
            },
            "schema_loader": {"type": "InlineSchemaLoader", "schema": SCHEMA},
        }
    ],
    "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
}
CATALOG = {
    "streams": [
        {
            "stream": {
                "name": "flights",
                "json_schema": SCHEMA,
                "supported_sync_modes": ["full_refresh"],
            },
            "sync_mode": "full_refresh",
            "destination_sync_mode": "append",
        }
    ]
}
with (
    tempfile.NamedTemporaryFile("w", suffix=".json") as catalog,
    tempfile.NamedTemporaryFile("w", suffix=".json") as config,
):
    json.dump(CATALOG, catalog)
    catalog.flush()
    config.write("{}")
    config.flush()
    os.dup2(os.open(f"{target}/out", os.O_WRONLY | os.O_CREAT, 0o600), sys.stdout.fileno())
    launch(
        ConcurrentDeclarativeSource(config={}, source_config=MANIFEST),
        ["read", "--config", config.name, "--catalog", catalog.name],
    )
