# The program alone, for a user without rights and a file system that is only read: see docs/scale.md and docs/serve.md.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock README.md ./
COPY crates crates
RUN cargo build --release --locked -p vcp-cli

FROM debian:bookworm-slim
COPY --from=build /source/target/release/vcp-clip /usr/local/bin/
COPY LICENSE-APACHE LICENSE-MIT NOTICE /usr/share/doc/vcp-clip/
# By number, so that Kubernetes can tell that it is not root.
RUN install --directory --owner 65532 --group 65532 /var/lib/vcp-clip
USER 65532:65532
# Weights that `vcp-clip model pull` brings; the history of `serve` has its place beside them.
ENV XDG_CACHE_HOME=/var/lib/vcp-clip/cache
VOLUME /var/lib/vcp-clip
EXPOSE 8080
STOPSIGNAL SIGTERM
# Whoever runs a server asks its /healthz and /readyz; segment has nothing to ask.
HEALTHCHECK NONE
ENTRYPOINT ["vcp-clip"]
CMD ["serve", "--listen", "0.0.0.0:8080", "--history", "/var/lib/vcp-clip/history"]
