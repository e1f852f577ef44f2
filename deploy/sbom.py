#!/usr/bin/env python3
"""Writes what the image is made of, as CycloneDX 1.5, one file for each architecture: every crate with version, licence, checksum and
what needs it. Fails when a file is not valid by CycloneDX's own schema, when it is not exactly what cargo builds from, or when a crate
has no licence. The same Cargo.lock gives the same bytes.

  sbom.py FOLDER      cargo-cyclonedx in PATH; python with cyclonedx-python-lib[json-validation] (tests/peers.sh sbom)
"""

import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGETS = {"amd64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
# As the Dockerfile has it: the program without the simulator.
FEATURES = ["--no-default-features"]


def cargo(*arguments, **environment):
    command = [os.environ.get("CARGO", "cargo"), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def write(architecture, folder):
    """Has the file written, and takes out of it where and when that was."""
    name = f"eks-nlb-exporter.{architecture}.cdx"
    arguments = ["--format", "json", "--spec-version", "1.5", "--target", TARGETS[architecture], "--override-filename", name]
    cargo("cyclonedx", "--quiet", *FEATURES, *arguments, SOURCE_DATE_EPOCH="0")
    written = ROOT / f"{name}.json"
    text = re.sub(r"path\+file://[^#\"]*#", "pkg:cargo/", written.read_text())
    written.unlink()
    sbom = json.loads(text)
    sbom.pop("serialNumber", None)
    sbom["metadata"].pop("timestamp", None)
    leave_out(sbom, built_from(architecture))
    path = folder / f"{name}.json"
    path.write_text(json.dumps(sbom, indent=1, sort_keys=True) + "\n")
    return path


def leave_out(sbom, built):
    """Takes out crates that the lock file has for features that nobody turns on: the tool reads more than is compiled."""
    kept = [component for component in sbom["components"] if (component["name"], component["version"]) in built]
    references = {component["bom-ref"] for component in kept} | {sbom["metadata"]["component"]["bom-ref"]}
    sbom["components"] = kept
    sbom["dependencies"] = [entry for entry in sbom["dependencies"] if entry["ref"] in references]
    for entry in sbom["dependencies"]:
        if "dependsOn" in entry:
            entry["dependsOn"] = [reference for reference in entry["dependsOn"] if reference in references]


def built_from(architecture):
    """Name and version of every crate that is compiled for it, build scripts and macros with theirs."""
    arguments = ["--locked", *FEATURES, "--edges", "normal,build", "--target", TARGETS[architecture], "--prefix", "none"]
    lines = cargo("tree", *arguments, "--format", "{p}").splitlines()
    crates = {tuple(line.split()[:2]) for line in lines if line}
    return {(name, version.removeprefix("v")) for name, version in crates}


def problems(path, architecture):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = path.read_text()
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    if error:
        yield f"it is not valid: {error}"
    sbom = json.loads(text)
    if (sbom.get("bomFormat"), sbom.get("specVersion")) != ("CycloneDX", "1.5"):
        yield "it is no CycloneDX 1.5"
    described = sbom["metadata"]["component"]
    components = sbom["components"] + [described]
    listed = {(component["name"], component["version"]) for component in components}
    for name, version in sorted(listed ^ built_from(architecture)):
        yield f"{name} {version} is {'not built from' if (name, version) in listed else 'missing'}"
    for component in sbom["components"]:
        who = f"{component['name']} {component['version']}"
        if not component.get("licenses"):
            yield f"{who} has no licence"
        if not any(entry["alg"] == "SHA-256" for entry in component.get("hashes", [])):
            yield f"{who} has no checksum"
        if not component.get("purl", "").startswith("pkg:cargo/"):
            yield f"{who} has no package URL"
    references = {entry["ref"] for entry in sbom["dependencies"]}
    for component in components:
        if component["bom-ref"] not in references:
            yield f"{component['name']} is not in the graph of dependencies"
    if str(ROOT) in text:
        yield "it names the folder that it was made in"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    failed = False
    for architecture in TARGETS:
        path = write(architecture, folder)
        found = list(problems(path, architecture))
        for problem in found:
            print(f"{path}: {problem}", file=sys.stderr)
        failed |= bool(found)
        print(f"{path}: {len(json.loads(path.read_text())['components'])} crates")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
