"""Makes many results of the few that a history has, over the days before: many.py FOLDER COUNT

Page and server are to be as quick with a history that a line has filled. Adding so many one by one would take minutes,
since each is on the disk when it is added. Their files are links to those of the few.
"""

import json
import os
import random
import sqlite3
import sys
from datetime import datetime, timezone
from pathlib import Path

folder, count = Path(sys.argv[1]), int(sys.argv[2])
draw = random.Random(11)
database = sqlite3.connect(folder / "history.sqlite", timeout=30)
database.row_factory = sqlite3.Row
few = database.execute("SELECT * FROM results JOIN records USING (number) ORDER BY number").fetchall()
newest = min(row["time"] for row in few)


def place(identifier, time, ending):
    day = datetime.fromtimestamp(time / 1000, timezone.utc).strftime("%Y-%m-%d")
    (folder / "files" / day).mkdir(parents=True, exist_ok=True)
    return folder / "files" / day / f"{identifier}.{ending}"


with database:
    for number in range(count):
        row = few[number % len(few)]
        result = dict(row)
        # One a minute, so that they are some days.
        time = newest - 60_000 * (number + 1)
        identifier = f"{time:012x}{number:08x}{0xC0FFEE:08x}"
        record = json.loads(result.pop("record"))
        durations = result.pop("durations")
        score = round(min(max(draw.gauss(result["score_threshold"] - 0.15, 0.12), 0), 1), 4)
        decision = "defect" if score >= result["score_threshold"] else "ok"
        record.update(score=score, decision=decision, anomalous=decision == "defect")
        verdict = draw.choice(["good", "defect", "unsure"]) if draw.random() < 0.1 else None
        result.update(
            id=identifier, time=time, name=f"part-{number:05}.jpg", score=score, decision=decision, verdict=verdict,
            verdict_who=verdict and "", verdict_time=verdict and time,
        )
        del result["number"]
        cursor = database.execute(
            f"INSERT INTO results ({', '.join(result)}) VALUES ({', '.join('?' * len(result))})", list(result.values())
        )
        database.execute(
            "INSERT INTO records (number, record, durations) VALUES (?, ?, ?)",
            (cursor.lastrowid, json.dumps(record), durations),
        )
        endings = ["thumbnail.jpg", "map.npy", f"photo.{row['photo']}", "overlay.png"]
        for ending in endings:
            source = place(row["id"], row["time"], ending)
            if source.exists():
                os.link(source, place(identifier, time, ending))
