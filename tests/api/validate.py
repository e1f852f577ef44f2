#!/usr/bin/env python3
"""Holds answers of the API against the OpenAPI document that it serves.

Reads {"document": …, "answers": [{"path", "method", "status", "type", "body"}]} from standard input; path is the
document's, with braces. Prints one line a disagreement and exits 1 if there is one.
"""

import json
import sys

from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator


def resolve(document, node):
    while "$ref" in node:
        found = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def problems(document, answers):
    yield from (f"the document: {error.message}" for error in OpenAPIV31SpecValidator(document).iter_errors())
    validators = {}
    for answer in answers:
        where = f"{answer['method']} {answer['path']} {answer['status']}"
        operation = document["paths"].get(answer["path"], {}).get(answer["method"].lower())
        # What is refused for its method is described with the methods that there are.
        operation = operation or next(iter(document["paths"].get(answer["path"], {}).values()), None)
        if operation is None:
            yield f"{where}: the path is not described"
            continue
        response = operation["responses"].get(str(answer["status"]))
        if response is None:
            yield f"{where}: the status is not described"
            continue
        content = resolve(document, response)["content"]
        if answer["type"] not in content:
            yield f"{where}: the type {answer['type']} is not described"
            continue
        schema = content[answer["type"]]["schema"]
        key = json.dumps(schema)
        if key not in validators:
            whole = {**schema, "components": document["components"]}
            validators[key] = Draft202012Validator(whole, format_checker=FormatChecker())
        for error in validators[key].iter_errors(answer["body"]):
            yield f"{where}: {error.json_path}: {error.message[:300]}"


def main():
    given = json.load(sys.stdin)
    found = list(problems(given["document"], given["answers"]))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
