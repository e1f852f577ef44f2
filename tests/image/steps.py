"""Runs the build steps of the Dockerfile in a folder, with stand-ins for cargo, rustup, apt-get and dpkg: their order, their paths and
their shell are real. Ends with 1 and a sentence when a step fails that should not, or the other way round."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Makes a program of its sources, as long as there are any, where cargo would.
CARGO = """#!/bin/bash
while [ $# -gt 0 ]; do [ "$1" = --target ] && triple=$2; shift; done
[ -s src/main.rs ] && mkdir -p "target/$triple/release" && cp src/main.rs "target/$triple/release/eks-nlb-exporter"
"""
STAND_INS = {"cargo": CARGO, "rustup": "#!/bin/sh\n", "apt-get": "#!/bin/sh\n", "dpkg": "#!/bin/sh\necho amd64\n"}


def steps():
    """COPY and RUN of the building stage, each on one line."""
    text = (ROOT / "Dockerfile").read_text()
    stage = text[: text.index("\nFROM scratch ")]
    joined = re.sub(r"^#.*\n", "", stage, flags=re.M).replace("\\\n", " ")
    return [line.split(" ", 1) for line in joined.splitlines() if line.startswith(("COPY ", "RUN "))]


def build(architecture, folder):
    """The program's bytes; None where a step failed."""
    work, out, tools = folder / "build", folder / "out", folder / "bin"
    work.mkdir()
    tools.mkdir()
    for name, text in STAND_INS.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "TARGETARCH": architecture, "REVISION": "abc"}
    for kind, rest in steps():
        if kind == "COPY":
            *sources, _ = rest.split()
            for source in sources:
                path = ROOT / source
                if path.is_dir():
                    shutil.copytree(path, work / source, dirs_exist_ok=True)
                else:
                    shutil.copy(path, work)
            continue
        # What is outside of the working folder in the image is inside of this one here.
        shell = rest.replace("/out/", f"{out}/").replace("rm -rf /var/lib/apt/lists/*", "true")
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", shell], cwd=work, env=environment, check=False)
        if done.returncode:
            return None
    return (out / "eks-nlb-exporter").read_bytes()


def main():
    program = (ROOT / "src/main.rs").read_bytes()
    for architecture, wanted in [("amd64", program), ("arm64", program), ("s390x", None)]:
        with tempfile.TemporaryDirectory() as folder:
            if build(architecture, pathlib.Path(folder)) != wanted:
                print(f"the steps for {architecture} do not end as they should", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
