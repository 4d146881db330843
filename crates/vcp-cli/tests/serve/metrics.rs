//! What is counted.

use crate::client::Server;
use crate::support::cli::Workplace;

#[test]
fn requests_photos_and_refusals_are_counted() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let server = Server::start(&workplace, &[]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    for _ in 0..3 {
        server.post("/v1/segment?score_threshold=1", &photo).is(200);
    }
    server.post("/v1/segment?score_threshold=0", &photo).is(200);
    server.post("/v1/segment", b"no picture").is(415);
    server.get("/somewhere/else").is(404);
    let reply = server.get("/metrics").is(200);
    let kind = reply.header("content-type").unwrap();
    assert!(
        kind.starts_with("application/openmetrics-text; version=1.0.0"),
        "{kind}"
    );
    let text = String::from_utf8(reply.body).unwrap();
    for line in [
        r#"vcp_clip_http_requests_total{route="/v1/segment",method="POST",code="200"} 4"#,
        r#"vcp_clip_http_requests_total{route="/v1/segment",method="POST",code="415"} 1"#,
        r#"vcp_clip_http_requests_total{route="none",method="GET",code="404"} 1"#,
        r#"vcp_clip_refusals_total{reason="media_type"} 1"#,
        r#"vcp_clip_decisions_total{model="random",decision="ok"} 3"#,
        r#"vcp_clip_decisions_total{model="random",decision="defect"} 1"#,
        r#"vcp_clip_stage_duration_seconds_count{stage="model"} 4"#,
        r#"vcp_clip_score_count{model="random"} 4"#,
        "vcp_clip_queue_depth 0",
        "vcp_clip_queue_places 32",
        "vcp_clip_queue_wait_seconds_count 4",
        "# EOF",
    ] {
        assert!(
            text.lines().any(|it| it == line),
            "{line} is not in:\n{text}"
        );
    }
    let digest = server.get("/v1/models").json()["models"][0]["digest"].clone();
    let line = format!("vcp_clip_model{{name=\"random\",digest={digest}}} 1");
    assert!(text.contains(&line), "{line} is not in:\n{text}");
}
