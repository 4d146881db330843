"""Checks the Dockerfile and the manifests for Kubernetes as far as that can be done without either.

    python check.py TARGET/debug/vcp-clip

Needs kubernetes-validate, which brings PyYAML and the schemas. The manifests are valid and restricted; the command of
the job processes every photo, by a user without rights where this runs as root; what the Dockerfile copies is there and
is all that Cargo asks for.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Of the Dockerfile and the job.
USER = 65532


def demand(truth: object, sentence: str) -> None:
    if not truth:
        sys.exit(f"{sentence}.")


def documents() -> dict[str, dict[str, Any]]:
    """The manifests by kind, each valid."""
    found = {}
    for path in sorted((HERE / "kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] != "Kustomization":
                # Without fields that are not there.
                kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
            else:
                for name in document["resources"]:
                    demand((path.parent / name).exists(), f"{path} names {name}, which does not exist")
            found[document["kind"]] = document
    return found


def is_restricted(pod: dict[str, Any]) -> None:
    """Pod Security Standards, level restricted; and nothing is written but into volumes."""
    everywhere = pod["securityContext"]
    demand(everywhere["runAsNonRoot"] is True and everywhere["runAsUser"] == USER, "The pod may run as root")
    demand(everywhere["seccompProfile"]["type"] == "RuntimeDefault", "The pod has no seccomp profile")
    for container in pod["containers"]:
        own = container["securityContext"]
        demand(own["allowPrivilegeEscalation"] is False, "The container may gain rights")
        demand(own["capabilities"] == {"drop": ["ALL"]}, "The container keeps capabilities")
        demand(own["readOnlyRootFilesystem"] is True, "The container may write into its image")
        for kind in ("requests", "limits"):
            demand({"cpu", "memory"} <= set(container["resources"][kind]), f"The container has no {kind}")


def run_part(script: str, index: int, environment: dict[str, str], folder: Path) -> None:
    for name in ("photos", "results"):
        script = script.replace(f"/{name}", str(folder / name))
    environment = {**environment, "JOB_COMPLETION_INDEX": str(index), "PATH": f"{folder}:/usr/bin:/bin", "HOME": "/"}
    rights: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(
        ["/bin/sh", "-c", script], env=environment, cwd="/", capture_output=True, text=True, check=False, **rights
    )
    demand(done.returncode == 0, f"Part {index} ended with status {done.returncode}: {done.stderr}")


def job_processes_every_photo(job: dict[str, Any], program: Path) -> None:
    container = job["spec"]["template"]["spec"]["containers"][0]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    parts = job["spec"]["completions"]
    demand(environment["SHARDS"] == str(parts), "completions and SHARDS differ")
    demand(environment["THREADS"] == container["resources"]["limits"]["cpu"], "THREADS and limits.cpu differ")
    demand(job["spec"]["completionMode"] == "Indexed", "The job has no indices")
    (script,) = container["args"]
    demand(container["command"] == ["/bin/sh", "-c"], "The job's command is another")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # The program's folder may be closed to others.
        shutil.copy(program, folder / "vcp-clip")
        photos, results = folder / "photos", folder / "results"
        photos.mkdir()
        results.mkdir()
        folder.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(results, USER, USER)
        samples = sorted((ROOT / "samples").glob("*.jpg"))[:2]
        for number in range(4):
            shutil.copy(samples[number % 2], photos / f"{number}.jpg")
        (photos / "damaged.jpg").write_bytes(samples[0].read_bytes()[:300])
        # As CSV, which can be read without pyarrow; the second time they are there.
        script = script.replace(".parquet", ".csv")
        few = str(2)
        for _ in range(2):
            for index in range(int(few)):
                run_part(script, index, {**environment, "SHARDS": few}, folder)
        lines = [line for table in results.iterdir() for line in table.read_text().splitlines()[1:]]
        demand(len(list(results.iterdir())) == int(few), "Something but the tables was left behind")
        found = sorted(line.split(",")[0] for line in lines)
        expected = sorted(str(path) for path in photos.iterdir())
        demand(found == expected, f"The parts have {found}, where {expected} was expected")


def dockerfile_copies_what_is_needed() -> None:
    text = (ROOT / "Dockerfile").read_text()
    first, second = text.split("\nFROM ", 2)[1:]
    ignored = (ROOT / ".dockerignore").read_text().split()
    with tempfile.TemporaryDirectory() as name:
        source = Path(name)
        for words in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
            *paths, target = words.split()
            for path in paths:
                demand((ROOT / path).exists(), f"The Dockerfile copies {path}, which does not exist")
                demand(f"!{path}" in ignored, f".dockerignore leaves {path} out, which the Dockerfile copies")
                if target.startswith("/"):
                    continue
                if (ROOT / path).is_dir():
                    leave = shutil.ignore_patterns("tests", "__pycache__", "node_modules", "target")
                    shutil.copytree(ROOT / path, source / path, ignore=leave)
                else:
                    shutil.copy(ROOT / path, source / path)
        metadata = ["cargo", "metadata", "--locked", "--format-version", "1", "--no-deps"]
        done = subprocess.run(metadata, cwd=source, capture_output=True, text=True, check=False)
        demand(done.returncode == 0, f"Cargo finds not all that it needs: {done.stderr}")
        packages = {package["name"]: package for package in json.loads(done.stdout)["packages"]}
    needed = packages["vcp-cli"]["rust_version"]
    (has,) = re.findall(r"^rust:(\S+?)-", first, re.MULTILINE)
    demand(has.split(".")[:2] == needed.split(".")[:2], f"The Dockerfile has Rust {has}, and the program needs {needed}")
    (package,) = re.findall(r"^RUN cargo build --release --locked -p (\S+)$", first, re.MULTILINE)
    binaries = [target["name"] for target in packages[package]["targets"] if "bin" in target["kind"]]
    (copied,) = re.findall(r"^COPY --from=build /source/target/release/(\S+) /usr/local/bin/$", second, re.MULTILINE)
    demand(copied in binaries, f"{package} gives {binaries}, and the Dockerfile copies {copied}")
    demand(f"\nUSER {USER}:{USER}\n" in second, "The image is not for the user that the job names")


def main() -> None:
    program = Path(sys.argv[1]).resolve()
    found = documents()
    is_restricted(found["Job"]["spec"]["template"]["spec"])
    job_processes_every_photo(found["Job"], program)
    dockerfile_copies_what_is_needed()
    print("The Dockerfile and the manifests hold.")


if __name__ == "__main__":
    main()
