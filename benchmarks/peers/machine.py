"""What has to be known about the machine and the software to read a measurement."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

INSTRUCTION_SETS = (
    "avx2",
    "fma",
    "f16c",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "asimdhp",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
    "sve2",
)
PACKAGES = ("torch", "onnxruntime", "openvino", "nncf", "onnx", "numpy", "scipy")

Facts = dict[str, str]


def facts(vcp_clip: Path | None) -> Facts:
    """Describes processor, memory, system and versions, each as one short text."""
    information = cpu_information()
    flags = (information.get("flags") or information.get("Features") or "").split()
    described = {
        "processor": information.get("model name") or platform.processor() or platform.machine(),
        "logical cores": f"{os.cpu_count()} (load {os.getloadavg()[0]:.2f} at the start)",
        "instruction sets": ", ".join(f for f in INSTRUCTION_SETS if f in flags) or "unknown",
        "memory": memory(),
        "system": f"{platform.platform()}, {system_name()}",
        "Python": platform.python_version(),
        "packages": ", ".join(f"{package} {version(package)}" for package in PACKAGES),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    if vcp_clip is not None:
        described["vcp-clip"] = f"{first_line([str(vcp_clip), '--version'])}, commit {commit()}"
    return described


def cpu_information() -> dict[str, str]:
    """The first processor's entry in /proc/cpuinfo; empty where there is none."""
    entries: dict[str, str] = {}
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return entries
    for line in text.split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        entries[key.strip()] = value.strip()
    return entries


def memory() -> str:
    """Physical memory in GiB."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return "unknown"
    return f"{size / 2**30:.0f} GiB"


def system_name() -> str:
    """The distribution's own name."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def commit() -> str:
    """The commit of the working tree, marked where files differ from it."""
    folder = str(Path(__file__).parent)
    return first_line(["git", "-C", folder, "describe", "--always", "--dirty", "--exclude=*"])


def first_line(command: list[str]) -> str:
    """What a command prints first, or "unknown"."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return (ran.stdout.splitlines() or ["unknown"])[0]
