#!/usr/bin/env python3
"""check_manifests.py FILE... - checks that each object is valid for the Kubernetes API.

Each object is deserialized into the generated types of python3-kubernetes, which check
required keys, and serialized again: unknown keys and values of a wrong type are lost on the
way, so a difference is an error. Prints the errors and exits 1.
"""
import json
import sys

import yaml
from kubernetes import client


class Response:
    """The response of an API server, as the client expects it."""

    def __init__(self, item):
        self.data = json.dumps(item)


api = client.ApiClient(client.Configuration())
wrong = 0
for path in sys.argv[1:]:
    for item in yaml.safe_load_all(open(path)):
        try:
            parsed = api.deserialize(Response(item), "V1" + item["kind"])
        except (AttributeError, ValueError) as error:
            parsed = None
            print(f"{path}: {item['kind']}: {error}")
        if parsed is None or api.sanitize_for_serialization(parsed) != item:
            print(f"{path}: not a valid {item['kind']}")
            wrong = 1
sys.exit(wrong)
