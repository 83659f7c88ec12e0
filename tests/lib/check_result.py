#!/usr/bin/env python3
"""check_result.py RESULT... - each is what the schema says, and adds up.

Prints nothing; says on stderr what is wrong and exits 1. Run by the system's Python, whose
jsonschema package it needs.
"""
import json
import pathlib
import sys

import jsonschema

schema_path = pathlib.Path(__file__).parents[2] / "client" / "result.schema.json"
schema = json.loads(schema_path.read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
wrong = 0
for path in sys.argv[1:]:
    result = json.loads(pathlib.Path(path).read_text())
    for error in validator.iter_errors(result):
        print(f"{path}: {error.json_path}: {error.message}", file=sys.stderr)
        wrong = 1
    for part in [result["messages"], result["warmup"]]:
        total = part["verified"] + part["wrong"] + part["in_flight"]
        total += sum(part["lost"].values())
        if part["sent"] != total:
            print(f"{path}: {part} does not add up", file=sys.stderr)
            wrong = 1
sys.exit(wrong)
