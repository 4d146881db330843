//! The Open Inference Protocol.

use serde_json::{Value, json};

use crate::client::{Reply, Server};
use crate::support::cli::Workplace;

/// Base64, as RFC 4648 says.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= group.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

fn infer(server: &Server, body: &Value) -> Reply {
    server.ask(
        "POST",
        "/v2/models/random/infer",
        &[],
        body.to_string().as_bytes(),
    )
}

fn output<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let outputs = answer["outputs"].as_array().unwrap();
    outputs
        .iter()
        .find(|output| output["name"] == name)
        .unwrap()
}

#[test]
fn server_and_models_describe_themselves() {
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &[]);
    assert_eq!(
        server.get("/v2").is(200).json()["extensions"],
        json!(["binary_tensor_data"])
    );
    assert_eq!(
        server.get("/v2/health/live").is(200).json(),
        json!({"live": true})
    );
    assert_eq!(
        server.get("/v2/health/ready").is(200).json(),
        json!({"ready": true})
    );
    server.get("/v2/models/random/ready").is(200);
    server.get("/v2/models/random/versions/1/ready").is(200);
    server
        .get("/v2/models/random/versions/2/ready")
        .refuses(404, "has one version");
    server
        .get("/v2/models/other")
        .refuses(404, "no model called other");
    let model = server.get("/v2/models/random").is(200).json();
    assert_eq!(
        model["inputs"][0],
        json!({"name": "image", "datatype": "BYTES", "shape": [-1]})
    );
    assert_eq!(model["inputs"][1]["shape"], json!([-1, 3, 70, 70]));
    assert_eq!(model["outputs"][2]["shape"], json!([-1, 1, 70, 70]));
}

#[test]
fn images_give_what_segment_gives() {
    let workplace = Workplace::with_photos(&["a.png", "b.png"]);
    let server = Server::start(&workplace, &[]);
    let photos = ["a.png", "b.png"].map(|name| std::fs::read(workplace.path(name)).unwrap());
    let records = photos
        .each_ref()
        .map(|photo| server.post("/v1/segment", photo).is(200).json());
    let request = json!({
        "id": "seven",
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [2],
            "data": photos.each_ref().map(|photo| base64(photo))}],
    });
    let answer = infer(&server, &request).is(200).json();
    assert_eq!(answer["id"], "seven");
    assert_eq!(answer["model_name"], "random");
    let scores = output(&answer, "pred_score");
    let map = output(&answer, "anomaly_map");
    let regions = output(&answer, "regions");
    assert_eq!(map["shape"], json!([2, 1, 70, 70]));
    assert_eq!(
        output(&answer, "pred_mask")["data"]
            .as_array()
            .unwrap()
            .len(),
        2 * 70 * 70
    );
    for (index, record) in records.iter().enumerate() {
        assert_eq!(scores["data"][index], record["score"]);
        assert_eq!(
            output(&answer, "pred_label")["data"][index],
            record["anomalous"]
        );
        let found: Value = serde_json::from_str(regions["data"][index].as_str().unwrap()).unwrap();
        assert_eq!(found, record["regions"]);
        let values = &map["data"].as_array().unwrap()[index * 4900..][..4900];
        let max = values
            .iter()
            .map(|value| value.as_f64().unwrap())
            .fold(0.0, f64::max);
        assert_eq!((max as f32).to_string(), record["max"].to_string());
    }

    // The same with bytes behind the JSON, both ways.
    let behind: Vec<u8> = photos
        .iter()
        .flat_map(|photo| [&(photo.len() as u32).to_le_bytes()[..], photo].concat())
        .collect();
    let head = json!({
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [2, 1],
            "parameters": {"binary_data_size": behind.len()}}],
        "outputs": [{"name": "anomaly_map", "parameters": {"binary_data": true}}, {"name": "pred_score"}],
    })
    .to_string();
    let body = [head.as_bytes(), &behind].concat();
    let length = head.len().to_string();
    let headers = [("inference-header-content-length", length.as_str())];
    let reply = server
        .ask(
            "POST",
            "/v2/models/random/versions/1/infer",
            &headers,
            &body,
        )
        .is(200);
    let length: usize = reply
        .header("inference-header-content-length")
        .unwrap()
        .parse()
        .unwrap();
    let json: Value = serde_json::from_slice(&reply.body[..length]).unwrap();
    assert_eq!(
        json["outputs"][0]["parameters"]["binary_data_size"],
        2 * 4900 * 4
    );
    assert_eq!(json["outputs"][1]["data"], scores["data"]);
    let floats = reply.body[length..].chunks_exact(4);
    let floats: Vec<f32> = floats
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let same: Vec<f32> = map["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_f64().unwrap() as f32)
        .collect();
    assert_eq!(floats, same);
}

#[test]
fn normalised_images_are_taken() {
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &[]);
    // Grey, all the same: as a photo would be after it was normalised.
    let photo = vcp_image::Photo::from_grey(70, 70, vec![90; 4900]).unwrap();
    let values = vcp_image::normalise(&photo.to_rgb());
    let path = workplace.path("grey.png");
    vcp_image::Picture::from(photo).write_png(&path).unwrap();
    let record = server
        .post("/v1/segment", &std::fs::read(path).unwrap())
        .is(200)
        .json();
    let both: Vec<f32> = [&values[..], &values].concat();
    let request = json!({
        "inputs": [{"name": "normalised", "datatype": "FP32", "shape": [2, 3, 70, 70], "data": both}],
        "outputs": [{"name": "pred_score"}, {"name": "regions"}],
    });
    let answer = infer(&server, &request).is(200).json();
    assert_eq!(answer["outputs"].as_array().unwrap().len(), 2);
    for index in 0..2 {
        assert_eq!(
            output(&answer, "pred_score")["data"][index],
            record["score"]
        );
    }
}

#[test]
fn what_cannot_be_understood_is_refused() {
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &[]);
    let text = base64(b"no picture");
    let image = json!([{"name": "image", "datatype": "BYTES", "shape": [1], "data": [text]}]);
    infer(&server, &json!({ "inputs": image })).refuses(415, "is not a PNG");
    infer(
        &server,
        &json!({"inputs": image, "outputs": [{"name": "mask"}]}),
    )
    .refuses(400, "no output mask");
    infer(&server, &json!({"inputs": []})).refuses(400, "one input");
    infer(&server, &json!([])).refuses(400, "has to be a JSON object");
    infer(&server, &json!({"inputs": 1})).refuses(400, "The body cannot be used");
    let long = "\u{7f}".repeat(1 << 20);
    let reply = infer(&server, &json!({"inputs": [{"name": long}]}));
    assert!(reply.is(400).body.len() < 1000);
    let headers = [("inference-header-content-length", "1000")];
    let reply = server.ask("POST", "/v2/models/random/infer", &headers, b"{}");
    reply.refuses(400, "no length within the body");
    let values = vec![0.0; 3 * 69 * 69];
    let small = json!([{"name": "normalised", "datatype": "FP32", "shape": [1, 3, 69, 69], "data": values}]);
    infer(&server, &json!({ "inputs": small })).refuses(400, "[N, 3, 70, 70]");
}

#[test]
fn image_files_are_kept_and_tensors_are_counted() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let server = Server::start(&workplace, &["--history=history"]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    let image =
        json!([{"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64(&photo)]}]);
    let outputs = json!([{"name": "pred_score"}]);
    let given = infer(
        &server,
        &json!({"id": "part 7", "inputs": image, "outputs": outputs}),
    )
    .is(200)
    .json();
    let not_kept = json!({"inputs": image, "outputs": outputs, "parameters": {"keep": false}});
    infer(&server, &not_kept).is(200);
    let values = vec![0.0; 3 * 70 * 70];
    let tensor = json!([{"name": "normalised", "datatype": "FP32", "shape": [1, 3, 70, 70], "data": values}]);
    infer(&server, &json!({"inputs": tensor, "outputs": outputs})).is(200);

    let kept = server.get("/v1/results?source=v2").is(200).json();
    let [entry] = &kept["results"].as_array().unwrap()[..] else {
        panic!("{kept}")
    };
    assert_eq!(entry["name"], "part 7");
    assert_eq!(
        entry["record"]["score"],
        output(&given, "pred_score")["data"][0]
    );
    let target = format!("/v1/results/{}/photo", entry["id"].as_str().unwrap());
    assert_eq!(server.get(&target).is(200).body, photo);
    assert_eq!(
        server.get("/v1/results").json()["results"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let score = "vcp_clip_score_count{model=\"random\",source=\"v2\"}";
    assert_eq!(server.metric(score), 3);
}

#[test]
fn answers_that_would_be_too_long_are_refused() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let server = Server::start(&workplace, &[]);
    let photo = base64(&std::fs::read(workplace.path("a.png")).unwrap());
    let inputs = |count: usize| json!([{"name": "image", "datatype": "BYTES", "shape": [count], "data": vec![photo.as_str(); count]}]);
    infer(&server, &json!({"inputs": inputs(65)})).refuses(400, "more than 64 texts");
    let lists = json!({"inputs": inputs(1), "outputs": vec![json!({"name": "pred_score"}); 6]});
    infer(&server, &lists).refuses(400, "each output at most once");
    let long = json!({"id": "n".repeat(2000), "inputs": inputs(1)});
    infer(&server, &long).refuses(400, "An id has at most");
}
