"""Pickling, sharing, threads, forks, signals and the interpreter's end."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SAMPLES, run_python

import vcp_clip

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
PHOTO = str(SAMPLES / "cookie-broken-1.jpg")


def test_inspectors_are_pickled_by_their_arguments(pixels: Pixels) -> None:
    one = vcp_clip.Inspector(score_threshold=0.25, inspect_mask=np.ones((70, 90), bool))
    content = pickle.dumps(one)
    assert len(content) < 20_000
    other = pickle.loads(content)
    assert other.thresholds.score == 0.25
    assert other.inspect(pixels).to_dict()["score"] == one.inspect(pixels).to_dict()["score"]
    # Nothing is loaded before it is needed: there is no such model.
    missing = pickle.loads(pickle.dumps(vcp_clip.Inspector("no/such.safetensors")))
    with pytest.raises(vcp_clip.ModelError, match="no/such.safetensors"):
        missing.load()


def test_equal_arguments_share_one_model() -> None:
    inspectors = [vcp_clip.Inspector(score_threshold=0.3), vcp_clip.Inspector(score_threshold=0.3)]
    inspectors.append(pickle.loads(pickle.dumps(inspectors[0])))
    engines = {id(one._engine()) for one in inspectors}
    assert len(engines) == 1
    assert id(vcp_clip.Inspector(score_threshold=0.4)._engine()) not in engines
    with ThreadPoolExecutor(8) as pool:
        fresh = list(pool.map(lambda _: vcp_clip.Inspector(score_threshold=0.35)._engine(), range(8)))
    assert len({id(engine) for engine in fresh}) == 1


def test_a_file_that_changed_is_loaded_anew(tmp_path: Path, inspector: vcp_clip.Inspector) -> None:
    crops = np.random.default_rng(1).integers(0, 255, (12, 40, 40), np.uint8)
    found = vcp_clip.calibrate(inspector, list(crops))
    path = tmp_path / "calibration.json"
    found.save(path)
    one = vcp_clip.Inspector(calibration=path)
    assert one.thresholds.score == found.score_threshold
    content = found.to_dict()
    content["calibration"]["score_threshold"] = 0.875
    import json

    path.write_text(json.dumps(content))
    assert vcp_clip.Inspector(calibration=path).thresholds.score == 0.875
    assert one.thresholds.score == found.score_threshold


def test_threads_share_an_inspector(inspector: vcp_clip.Inspector, pixels: Pixels) -> None:
    photos = [np.roll(pixels, 7 * shift, axis=1) for shift in range(6)]
    expected = [inspector.inspect(photo).pred_score for photo in photos]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda photo: inspector.inspect(photo).pred_score, photos * 2))
    assert found == expected * 2


def test_others_work_meanwhile(inspector: vcp_clip.Inspector) -> None:
    count = 0
    done = threading.Event()

    def work() -> None:
        inspector.inspect_batch([PHOTO] * 3)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    # The interpreter's lock would be kept until the end.
    while not done.wait(0.001):
        count += 1
    thread.join()
    assert count > 3


def _score_in_child(photo: Pixels, queue: Any) -> None:
    queue.put(vcp_clip.inspect(photo).pred_score)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_loads_the_model_anew(pixels: Pixels) -> None:
    expected = vcp_clip.inspect(pixels).pred_score
    vcp_clip.metrics.pixels([(np.eye(4), np.eye(4))] * 2)
    context = multiprocessing.get_context("fork")
    queue: Any = context.Queue()
    process = context.Process(target=_score_in_child, args=(pixels, queue))
    process.start()
    assert queue.get(timeout=120) == expected
    process.join(60)
    assert process.exitcode == 0


FORK = """
import os, sys, numpy as np, vcp_clip
photo = np.zeros((500, 700, 3), np.uint8)
whole = vcp_clip.Inspector().inspect(photo)
windows = vcp_clip.Inspector(tile=400).inspect(photo)
child = os.fork()
if child == 0:
    status = 1
    try:
        assert whole.anomaly_map.shape == (500, 700)
        assert whole.to_dict()["width"] == 700
        try:
            windows.anomaly_map
        except vcp_clip.InputError as error:
            assert "before this process was forked" in str(error)
            report = vcp_clip.metrics.pixels([(np.eye(9), np.eye(9)), (np.zeros((9, 9)), None)])
            assert report.auroc == 1
            assert vcp_clip.Inspector(tile=400).inspect(photo).pred_score == windows.pred_score
            status = 0
    finally:
        sys.stdout.flush()
        os._exit(status)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert windows.anomaly_map.shape == (500, 700)
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_what_a_fork_left_behind_is_said() -> None:
    done = run_python(FORK)
    assert done.stdout == "done\n", done.stderr


INTERRUPTED = """
import sys, vcp_clip
inspector = vcp_clip.Inspector().load()
try:
    # The signal may come before this has returned.
    print("ready", flush=True)
    while True:
        inspector.inspect_batch([sys.argv[1]] * 50)
except KeyboardInterrupt:
    # It works on.
    print("interrupted", inspector.inspect(sys.argv[1]).decision, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_the_wait() -> None:
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, PHOTO], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline().startswith("interrupted ")
    assert process.wait(timeout=60) == 0


ENDING = """
import sys, threading, time, vcp_clip
inspector = vcp_clip.Inspector().load()
def work():
    while True:
        inspector.inspect_batch([sys.argv[1]] * 2)
        inspector.inspect(sys.argv[1])
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
print("ends", flush=True)
"""


def test_the_interpreter_may_end_while_others_work() -> None:
    done = run_python(ENDING, PHOTO)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ends\n", "")


def test_importing_needs_numpy_alone() -> None:
    text = "import sys, vcp_clip; print(sorted({'PIL', 'pyarrow', 'ray', 'pyspark', 'torch'} & set(sys.modules)))"
    assert run_python(text).stdout == "[]\n"


def test_exceptions_have_one_base(tmp_path: Path) -> None:
    names = ["DecodeError", "LimitError", "ModelError", "DeviceError", "InputError", "OutputError", "InternalError"]
    for name in names:
        kind = getattr(vcp_clip, name)
        assert issubclass(kind, vcp_clip.VcpClipError)
        assert str(pickle.loads(pickle.dumps(kind("A sentence.")))) == "A sentence."
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"no weights")
    calls: list[tuple[type[Exception], Callable[[], object]]] = [
        (vcp_clip.ModelError, lambda: vcp_clip.Inspector(damaged).load()),
        (vcp_clip.ModelError, lambda: vcp_clip.Inspector("nobody-knows-it").load()),
        (vcp_clip.ModelError, lambda: vcp_clip.Inspector(calibration=damaged).load()),
        (vcp_clip.ModelError, lambda: vcp_clip.pull("nobody-knows-it", cache=tmp_path)),
        (vcp_clip.ModelError, lambda: vcp_clip.pull("visa", cache=tmp_path, offline=True)),
        (vcp_clip.DeviceError, lambda: vcp_clip.Inspector(device="gpu:77").load()),
        (vcp_clip.InputError, lambda: vcp_clip.Inspector(device="tpu").load()),
        (vcp_clip.InputError, lambda: vcp_clip.Inspector(references=tmp_path).load()),
        (vcp_clip.InputError, lambda: vcp_clip.Inspector(score_threshold=0.2, review_threshold=0.5).load()),
    ]
    for kind, call in calls:
        with pytest.raises(kind) as error:
            call()
        assert str(error.value).strip() and "panic" not in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {"threads": 0},
        {"threads": 1.5},
        {"threads": True},
        {"tile": 3},
        {"overlap": 0.1},
        {"tile": 100, "overlap": 0.99},
        {"score_threshold": float("nan")},
        {"score_threshold": "0.5"},
        {"range": (1, 0)},
        {"bits": 9},
        {"page": 0},
        {"max_pixels": -1},
        {"clip": "clip.pt"},
        {"clip": "a", "checkpoint": "b", "model": "visa"},
        {"model": 5},
        {"model": ""},
        {"references": []},
        {"reference_copies": "some"},
        {"references": "a", "calibration": "b"},
        {"inspect_mask": np.zeros((2, 2, 2))},
        {"inspect_mask": np.zeros((0, 2))},
        {"taps": [0]},
        {"score_fractions": [2.0]},
        {"activation": "relu"},
        {"precision": "fp16"},
        {"device": 3},
    ],
)
def test_arguments_out_of_their_bounds_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(vcp_clip.InputError) as error:
        vcp_clip.Inspector(**options)
    assert isinstance(error.value, ValueError) and str(error.value).endswith(".")
