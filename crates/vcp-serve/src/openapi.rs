//! `GET /openapi.json`: the API, described from the types that requests are read into and answers are made of.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use vcp_clip::record::Record;

use crate::app::{Info, ModelList};
use crate::calibrate::{CalibrationRequest, Proposal};
use crate::models::ModelEntry;
use crate::protocol::{
    InferenceRequest, InferenceResponse, Live, ModelMetadata, ReadyAnswer, ServerMetadata,
};
use crate::references::{ModelQuery, ReferencesRequest};
use crate::refusal::ErrorBody;
use crate::results::{ExportQuery, GivenVerdict, ListQuery, SummaryQuery};
use crate::segment::{SegmentAnswer, SegmentQuery};

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    // A value is always written.
    serde_json::to_string(&openapi()).unwrap_or_default()
});

/// `GET /openapi.json`
pub(crate) async fn document() -> Response {
    let mut response = Response::new(Body::from(DOCUMENT.as_str()));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The description of the API, version 3.1 of `OpenAPI`, as `docs/openapi.json` holds it.
#[must_use]
pub fn openapi() -> Value {
    let mut api = Api::new();
    api.inspecting();
    api.keeping();
    api.adapting();
    api.watching();
    api.protocol();
    api.finish()
}

/// The description in the making.
struct Api {
    generator: SchemaGenerator,
    paths: Map<String, Value>,
}

/// A file in an answer.
fn file(kinds: &[&str]) -> Value {
    let kinds = kinds.iter().map(|kind| ((*kind).to_owned(), json!({})));
    Value::Object(kinds.collect())
}

impl Api {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self {
            generator: settings.into_generator(),
            paths: Map::new(),
        }
    }

    /// The schema of a type, by reference.
    fn schema<T: JsonSchema>(&mut self) -> Value {
        self.generator.subschema_for::<T>().to_value()
    }

    fn json<T: JsonSchema>(&mut self) -> Value {
        json!({ "application/json": { "schema": self.schema::<T>() } })
    }

    /// The fields of a type as parameters of the query.
    fn query<T: JsonSchema>(&mut self) -> Vec<Value> {
        let schema = T::json_schema(&mut self.generator).to_value();
        let fields = schema["properties"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let parameters = fields.into_iter().map(|(name, mut schema)| {
            let description = schema
                .as_object_mut()
                .and_then(|it| it.remove("description"));
            json!({
                "name": name,
                "in": "query",
                "description": description,
                "schema": without_null(schema),
            })
        });
        parameters.collect()
    }

    /// Adds an operation that answers with this content.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "nearly every caller makes it for this call"
    )]
    fn add(
        &mut self,
        operation: (&'static str, &'static str),
        summary: &str,
        content: Value,
    ) -> &mut Value {
        let (method, path) = operation;
        let error = self.json::<ErrorBody<'_>>();
        let described = json!({
            "summary": summary,
            "operationId": identifier(method, path),
            "parameters": path_parameters(path),
            "responses": {
                "200": { "description": "It is done.", "content": content },
                "default": { "description": "It is not done, and why.", "content": error },
            },
        });
        let path = self.paths.entry(path).or_insert_with(|| json!({}));
        path[method] = described;
        &mut path[method]
    }

    fn inspecting(&mut self) {
        let content = self.json::<Record>();
        let answer = self.schema::<SegmentAnswer>();
        let query = self.query::<SegmentQuery>();
        let operation = self.add(
            ("post", "/v1/segment"),
            "Inspect a photo, or several in a multipart body. A photo alone gives its record; several give one outcome each.",
            content,
        );
        let record = operation["responses"]["200"]["content"]["application/json"]["schema"].take();
        operation["responses"]["200"]["content"]["application/json"]["schema"] =
            json!({ "anyOf": [record, answer] });
        operation["responses"]["200"]["headers"] = json!({
            "Location": {
                "description": "Where the result is kept, if it is.",
                "schema": { "type": "string" },
            },
        });
        for (status, description) in [
            ("408", "The body does not arrive in time."),
            (
                "413",
                "The body has more bytes, or the photo more pixels, than are allowed.",
            ),
            ("415", "The body is no image of a kind that is read."),
            ("422", "The image cannot be decoded."),
            (
                "429",
                "As many photos as may wait are waiting; the header Retry-After says when to come again.",
            ),
            ("503", "The server is starting or about to stop."),
        ] {
            operation["responses"][status] = operation["responses"]["default"].clone();
            operation["responses"][status]["description"] = description.into();
        }
        add_parameters(operation, query);
        operation["requestBody"] = json!({
            "required": true,
            "content": {
                "image/*": {},
                "application/octet-stream": {},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["image"],
                        "properties": {
                            "image": {
                                "type": "array",
                                "items": { "type": "string", "contentMediaType": "application/octet-stream" },
                            },
                        },
                    },
                },
            },
        });
        let content = self.json::<ModelList>();
        self.add(
            ("get", "/v1/models"),
            "The models that are served.",
            content,
        );
        let content = self.json::<Info>();
        self.add(
            ("get", "/v1/info"),
            "What the server is, and how much it takes in.",
            content,
        );
    }

    fn keeping(&mut self) {
        let (content, query) = (self.json::<vcp_history::Page>(), self.query::<ListQuery>());
        let operation = self.add(
            ("get", "/v1/results"),
            "Results of the history, the newest first.",
            content,
        );
        add_parameters(operation, query);
        let content = self.json::<vcp_history::Entry>();
        self.add(("get", "/v1/results/{id}"), "One result.", content);
        let kinds = ["image/*", "application/octet-stream"];
        self.add(
            ("get", "/v1/results/{id}/{file}"),
            "A file of a result: photo, overlay.png, heatmap.png, mask.png, thumbnail.jpg, map.npy (16-bit steps of \
             1/65535), map-f32.npy or map.png (16 bits).",
            file(&kinds),
        );
        let (content, body) = (
            self.json::<vcp_history::Entry>(),
            self.json::<GivenVerdict>(),
        );
        let operation = self.add(
            ("put", "/v1/results/{id}/verdict"),
            "Say what a person says of the photo.",
            content,
        );
        operation["requestBody"] = json!({ "required": true, "content": body });
        let (content, query) = (
            self.json::<vcp_history::Summary>(),
            self.query::<SummaryQuery>(),
        );
        let operation = self.add(
            ("get", "/v1/summary"),
            "Counts over the results that are asked for.",
            content,
        );
        add_parameters(operation, query);
        let query = self.query::<ExportQuery>();
        let kinds = ["text/csv", "application/json", "application/x-ndjson"];
        let operation = self.add(
            ("get", "/v1/export"),
            "All results that are asked for, as a file.",
            file(&kinds),
        );
        add_parameters(operation, query);
    }

    fn adapting(&mut self) {
        let (content, body) = (self.json::<Proposal>(), self.json::<CalibrationRequest>());
        let operation = self.add(
            ("post", "/v1/calibrations"),
            "Find thresholds on photos that people have judged; nothing changes yet.",
            content,
        );
        operation["requestBody"] = json!({ "required": true, "content": body });
        let content = self.json::<ModelEntry>();
        self.add(
            ("post", "/v1/calibrations/{id}/accept"),
            "Use thresholds that were found, also after a restart.",
            content.clone(),
        );
        let body = self.json::<ReferencesRequest>();
        let operation = self.add(
            ("post", "/v1/references"),
            "Compare photos with good ones of the history, also after a restart.",
            content.clone(),
        );
        operation["requestBody"] = json!({ "required": true, "content": body });
        let query = self.query::<ModelQuery>();
        let operation = self.add(
            ("delete", "/v1/references"),
            "Compare photos as when the server was started.",
            content,
        );
        add_parameters(operation, query);
    }

    fn watching(&mut self) {
        self.add(
            ("get", "/v1/events"),
            "What happens, as it happens: Server-sent events result, verdict, model, watch and missed.",
            file(&["text/event-stream"]),
        );
        for (path, summary, kind) in [
            ("/healthz", "Whether the server is there.", "text/plain"),
            ("/readyz", "Whether it takes photos.", "text/plain"),
            (
                "/metrics",
                "Counts and times for Prometheus.",
                "application/openmetrics-text",
            ),
            ("/openapi.json", "This description.", "application/json"),
        ] {
            self.add(("get", path), summary, file(&[kind]));
        }
    }

    /// The Open Inference Protocol.
    fn protocol(&mut self) {
        let content = self.json::<ServerMetadata>();
        self.add(
            ("get", "/v2"),
            "Open Inference Protocol: the server.",
            content,
        );
        let content = self.json::<Live>();
        self.add(
            ("get", "/v2/health/live"),
            "Open Inference Protocol: whether the server is there.",
            content,
        );
        let content = self.json::<ReadyAnswer>();
        self.add(
            ("get", "/v2/health/ready"),
            "Open Inference Protocol: whether it is ready.",
            content.clone(),
        );
        let metadata = self.json::<ModelMetadata>();
        let (answer, body) = (
            self.json::<InferenceResponse>(),
            self.json::<InferenceRequest>(),
        );
        for model in ["/v2/models/{name}", "/v2/models/{name}/versions/{version}"] {
            let path = |ending: &str| -> &'static str {
                match (model.ends_with("{version}"), ending) {
                    (false, "") => "/v2/models/{name}",
                    (false, "ready") => "/v2/models/{name}/ready",
                    (false, _) => "/v2/models/{name}/infer",
                    (true, "") => "/v2/models/{name}/versions/{version}",
                    (true, "ready") => "/v2/models/{name}/versions/{version}/ready",
                    (true, _) => "/v2/models/{name}/versions/{version}/infer",
                }
            };
            self.add(
                ("get", path("")),
                "Open Inference Protocol: a model.",
                metadata.clone(),
            );
            self.add(
                ("get", path("ready")),
                "Open Inference Protocol: whether a model is ready.",
                content.clone(),
            );
            let mut answer = answer.clone();
            answer["application/octet-stream"] = json!({});
            let operation = self.add(
                ("post", path("infer")),
                "Open Inference Protocol: inspect images. With the header Inference-Header-Content-Length, tensors \
                 are bytes behind the JSON.",
                answer,
            );
            let mut body = body.clone();
            body["application/octet-stream"] = json!({});
            operation["requestBody"] = json!({ "required": true, "content": body });
        }
    }

    fn finish(mut self) -> Value {
        let mut schemas = self.generator.take_definitions(true);
        // The history keeps records to the letter and does not know what is in them.
        if let Some(entry) = schemas.get_mut("Entry") {
            entry["properties"]["record"] = json!({ "$ref": "#/components/schemas/Record" });
        }
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "vcp-clip serve",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "Finds defects in photos. With --api-key-file, all but /healthz, /readyz and the page \
                    needs a key.",
                "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            },
            "security": [{}, { "key": [] }],
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
            },
        })
    }
}

/// What is not given in a query is not there; it is never null.
fn without_null(mut schema: Value) -> Value {
    if let Some(kinds) = schema["type"].as_array() {
        let kinds: Vec<_> = kinds
            .iter()
            .filter(|kind| **kind != "null")
            .cloned()
            .collect();
        if let [kind] = &kinds[..] {
            schema["type"] = kind.clone();
        }
    }
    if let Some(kinds) = schema.get("anyOf").and_then(Value::as_array) {
        let kinds: Vec<_> = kinds
            .iter()
            .filter(|kind| kind["type"] != "null")
            .cloned()
            .collect();
        if let [kind] = &kinds[..] {
            return kind.clone();
        }
    }
    schema
}

/// Puts further parameters to those of the path.
fn add_parameters(operation: &mut Value, further: Vec<Value>) {
    if let Some(parameters) = operation["parameters"].as_array_mut() {
        parameters.extend(further);
    }
}

/// `post /v1/results/{id}/verdict` becomes `post_v1_results_id_verdict`.
fn identifier(method: &str, path: &str) -> String {
    let words = path
        .split(['/', '{', '}', '.'])
        .filter(|word| !word.is_empty());
    let words: Vec<_> = std::iter::once(method).chain(words).collect();
    words.join("_")
}

/// What stands in braces.
fn path_parameters(path: &str) -> Value {
    let parts = path.split('/');
    let names = parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters = names.map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    parameters.collect()
}
