#!/usr/bin/env python3
"""Times `vcp-clip serve` beside `vcp-clip segment` on the same photos, and looks at it under overload.

Needs nothing but Python 3.11 and a built program:

    cargo build --release -p vcp-cli
    benchmarks/serve/run.py --markdown section.md samples/*.jpg
    benchmarks/serve/run.py --model /tmp/b16.safetensors --markdown section.md samples/*.jpg

Each client has one connection, sends the photos in turn and waits for each answer. `segment` gets a list of the same
photos on standard input, as often as it takes. Rounds alternate between the two, so that a busy machine slows both.
"""

import argparse
import http.client
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path, help="photos to send")
    parser.add_argument("--program", default="target/release/vcp-clip", help="the program [default: %(default)s]")
    parser.add_argument("--model", default="built-in", help="what --model of both commands gets [default: %(default)s]")
    parser.add_argument("--history", default="none", help="none, or a folder, or temporary [default: %(default)s]")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, each of both [default: %(default)s]")
    parser.add_argument("--photos-a-round", type=int, default=40, help="photos in a round [default: %(default)s]")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 2, 8], help="numbers of clients [default: 1 2 8]")
    parser.add_argument("--overload", type=float, default=60, help="seconds of overload; 0 for none [default: %(default)s]")
    parser.add_argument("--query", default="", help="query of the requests, such as include=overlay")
    parser.add_argument("--markdown", type=Path, help="write a section for RESULTS.md into this file")
    return parser.parse_args()


class Server:
    """A running server."""

    def __init__(self, options, *further):
        self.folder = None
        history = options.history
        if history == "temporary":
            self.folder = tempfile.TemporaryDirectory()
            history = self.folder.name
        command = [options.program, "serve", "--model", options.model, "--listen", "127.0.0.1:0", "--quiet"]
        self.process = subprocess.Popen([*command, "--history", history, *further], stdout=subprocess.PIPE, text=True)
        address = json.loads(self.process.stdout.readline())["listening"].removeprefix("http://")
        self.host, port = address.rsplit(":", 1)
        self.port = int(port)
        while self.get("/readyz")[0] != 200:
            time.sleep(0.05)

    def connection(self, timeout=600):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def get(self, target, timeout=600):
        connection = self.connection(timeout)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def memory(self):
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=120)
        if self.folder:
            self.folder.cleanup()
        if status != 0:
            sys.exit(f"The server ended with status {status}.")


def send(server, bodies, numbers, query, times, statuses):
    """One client: sends the photos of these numbers in turn."""
    connection = server.connection()
    for number in numbers:
        begun = time.perf_counter()
        connection.request("POST", "/v1/segment" + query, bodies[number % len(bodies)])
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - begun)
        statuses.append(answer.status)
    connection.close()


def serve_round(server, bodies, clients, count, query):
    """Seconds of the round and of each request."""
    times, statuses, threads = [], [], []
    for client in range(clients):
        numbers = range(client, count, clients)
        threads.append(threading.Thread(target=send, args=(server, bodies, numbers, query, times, statuses)))
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begun
    if set(statuses) != {200}:
        sys.exit(f"Not all requests were answered with 200: {sorted(set(statuses))}.")
    return elapsed, times


def segment_round(options, photos, count):
    """Seconds for each photo in the middle of a run of `segment`, without starting and ending."""
    listed = "\n".join(str(photos[number % len(photos)]) for number in range(count + 2)) + "\n"
    command = [options.program, "segment", "-", "--model", options.model, "--quiet"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write(listed)
    process.stdin.close()
    arrivals = []
    for line in process.stdout:
        arrivals.append(time.perf_counter())
        if "error" in json.loads(line):
            sys.exit(f"segment failed: {line}")
    process.wait()
    # The first photo waits for the model to be loaded.
    return (arrivals[-1] - arrivals[0]) / (len(arrivals) - 1)


def percentile(values, fraction):
    values = sorted(values)
    return values[min(len(values) - 1, int(fraction * len(values)))]


def speed(options, bodies):
    """Rows of the table of speed."""
    query = "?" + options.query if options.query else ""
    count = options.photos_a_round
    server = Server(options)
    serve_round(server, bodies, 1, len(bodies), query)
    segment, rounds = [], {clients: [] for clients in options.clients}
    for number in range(options.rounds):
        order = list(options.clients)
        if number % 2:
            order.reverse()
        segment.append(segment_round(options, options.photos, count))
        for clients in order:
            rounds[clients].append(serve_round(server, bodies, clients, count, query))
    server.stop()
    base = statistics.median(segment)
    rows = [("`segment`", 1 / base, None, None, None, 1.0)]
    for clients in options.clients:
        times = [each for _, times in rounds[clients] for each in times]
        # Within a round, so that a busy machine slows both.
        ratios = [elapsed / count / single for (elapsed, _), single in zip(rounds[clients], segment)]
        rate = statistics.median(count / elapsed for elapsed, _ in rounds[clients])
        words = f"`serve`, {clients} client" + ("s" if clients > 1 else "")
        percentiles = [percentile(times, fraction) for fraction in (0.5, 0.95, 0.99)]
        rows.append((words, rate, *percentiles, statistics.median(ratios)))
    return rows


def overload(options, bodies):
    """Four times as many requests as can be answered, for some time."""
    queue = 8
    server = Server(options, "--queue", str(queue))
    _, times = serve_round(server, bodies, 1, len(bodies), "")
    capacity = 1 / statistics.median(times)
    # Who is refused comes again after a while, so that four times the capacity arrives.
    clients = 4 * queue
    pause = clients / (4 * capacity)
    end = time.monotonic() + options.overload
    statuses, lock, health, memory = {}, threading.Lock(), [], []

    def client(number):
        connection = server.connection()
        while time.monotonic() < end:
            begun = time.monotonic()
            try:
                connection.request("POST", "/v1/segment", bodies[number % len(bodies)])
                answer = connection.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException) as error:
                status = type(error).__name__
                connection.close()
                connection = server.connection()
            with lock:
                statuses[status] = statuses.get(status, 0) + 1
            time.sleep(max(0.0, min(pause, end - time.monotonic()) - (time.monotonic() - begun)))
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        begun = time.perf_counter()
        server.get("/healthz", timeout=30)
        health.append(time.perf_counter() - begun)
        memory.append(server.memory())
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    server.stop()
    third = len(memory) // 3
    return {
        "capacity": capacity,
        "offered": sum(statuses.values()) / options.overload,
        "statuses": statuses,
        "health": [percentile(health, fraction) for fraction in (0.5, 0.99, 1.0)],
        "memory": [max(memory[third : 2 * third]), max(memory[-third:])],
    }


def machine():
    name = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"model name\s*: (.*)", cpuinfo.read_text())
        name = found[1] if found else name
    return f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def milliseconds(seconds):
    return "–" if seconds is None else f"{seconds * 1000:.1f}"


def report(options, rows, load):
    lines = [f"{machine()}; model {options.model}; {len(options.photos)} photos in turn, {options.photos_a_round} a round,"]
    lines += [f"{options.rounds} rounds; history {options.history}; {time.strftime('%Y-%m-%d')}.", ""]
    lines += ["| what | photos/s | p50, ms | p95, ms | p99, ms | time a photo ÷ `segment` |", "|---|---:|---:|---:|---:|---:|"]
    for words, rate, p50, p95, p99, ratio in rows:
        lines.append(f"| {words} | {rate:.2f} | {milliseconds(p50)} | {milliseconds(p95)} | {milliseconds(p99)} | {ratio:.3f} |")
    if load:
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(load["statuses"].items(), key=str))
        median, p99, worst = load["health"]
        middle, last = (bytes / 2**20 for bytes in load["memory"])
        lines += [
            "",
            f"Overload for {options.overload:.0f} s: {load['capacity']:.1f} photos/s can be answered, {load['offered']:.1f} "
            f"requests/s arrived. Statuses: {statuses}. `/healthz`: median {milliseconds(median)} ms, p99 "
            f"{milliseconds(p99)} ms, longest {milliseconds(worst)} ms. Largest resident memory in the second third: "
            f"{middle:.0f} MiB, in the last: {last:.0f} MiB.",
        ]
    return "\n".join(lines) + "\n"


def main():
    options = arguments()
    bodies = [photo.read_bytes() for photo in options.photos]
    rows = speed(options, bodies) if options.clients else []
    load = overload(options, bodies) if options.overload > 0 else None
    text = report(options, rows, load)
    print(text, end="")
    if options.markdown:
        options.markdown.write_text(text)


if __name__ == "__main__":
    main()
