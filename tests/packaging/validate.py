"""Validates Kubernetes manifests or compose files: `validate.py kubernetes|compose FILE…`. The first finding ends it."""

import sys

import compose_spec
import kubernetes_validate
import yaml


def kubernetes(text):
    documents = [document for document in yaml.safe_load_all(text) if document]
    for document in documents:
        kubernetes_validate.validate(document, OLDEST_KUBERNETES, strict=True)
        kubernetes_validate.validate(document, NEWEST_KUBERNETES, strict=True)
    return len(documents)


def compose(text):
    options = compose_spec.PyOptions()
    options.apply_merge = True
    file = options.from_yaml(text)
    file.validate()
    return len(file.services)


OLDEST_KUBERNETES = "1.29"
NEWEST_KUBERNETES = "1.37"

validate = {"kubernetes": kubernetes, "compose": compose}[sys.argv[1]]
for path in sys.argv[2:]:
    with open(path, encoding="utf-8") as file:
        count = validate(file.read())
    if count == 0:
        sys.exit(f"{path}: nothing to validate")
    print(f"{path}: {count} valid")
