#!/usr/bin/env python3
"""check_manifests.py FILE... - each object is what the API of Kubernetes knows by its kind.

Read into the types that its project generates from the API's description (python3-kubernetes),
which know what is required, and written again: what they did not take, a key or a value of
another type, is not there any more. Prints what is wrong and exits 1.
"""
import json
import sys

import yaml
from kubernetes import client


class Answer:
    """What the client deserializes: an answer of a server."""

    def __init__(self, item):
        self.data = json.dumps(item)


api = client.ApiClient(client.Configuration())
wrong = 0
for path in sys.argv[1:]:
    for item in yaml.safe_load_all(open(path)):
        try:
            taken = api.deserialize(Answer(item), "V1" + item["kind"])
        except (AttributeError, ValueError) as error:
            taken = None
            print(f"{path}: {item['kind']}: {error}")
        if taken is None or api.sanitize_for_serialization(taken) != item:
            print(f"{path}: the API knows no such {item['kind']}")
            wrong = 1
sys.exit(wrong)
