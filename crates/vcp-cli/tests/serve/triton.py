"""Asks a running server as users of the Open Inference Protocol do, with NVIDIA's client.

    triton.py ADDRESS MODEL SIDE PHOTO SCORE

Ends with status 0 if the photo has this score both ways in.
"""

import sys

import numpy as np
import tritonclient.http as http

address, model, side, photo, score = sys.argv[1:]
side, score = int(side), np.float32(score)
client = http.InferenceServerClient(address)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(model)
assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
metadata = client.get_model_metadata(model)
assert {each["name"] for each in metadata["inputs"]} == {"image", "normalised"}

content = np.array([open(photo, "rb").read()] * 2, dtype=object)
for binary in (True, False):
    image = http.InferInput("image", [2], "BYTES")
    image.set_data_from_numpy(content)
    names = [each["name"] for each in metadata["outputs"]]
    outputs = [http.InferRequestedOutput(name, binary_data=binary) for name in names]
    result = client.infer(model, [image], outputs=outputs, request_id="1")
    assert np.all(result.as_numpy("pred_score") == score), result.as_numpy("pred_score")
    assert result.as_numpy("pred_label").dtype == bool
    assert result.as_numpy("anomaly_map").shape == (2, 1, side, side)
    assert result.as_numpy("pred_mask").shape == (2, 1, side, side)
    assert result.as_numpy("regions").shape == (2,)

values = np.zeros((3, 3, side, side), dtype=np.float32)
normalised = http.InferInput("normalised", list(values.shape), "FP32")
for binary in (True, False):
    normalised.set_data_from_numpy(values, binary_data=binary)
    result = client.infer(model, [normalised])
    assert result.as_numpy("anomaly_map").shape == (3, 1, side, side)

try:
    client.infer("other", [normalised])
except http.InferenceServerException as error:
    assert "There is no model called other" in str(error), error
else:
    sys.exit("a model that there is not was answered for")
