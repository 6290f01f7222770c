# kept in one static file on nothing: no shell, no package manager, an ordinary user.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=""
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X main.version=${VERSION}" -o /out/kept ./cmd/kept \
    && mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/kept /kept
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV KEPT_ADDR=:8080 KEPT_METRICS_ADDR=:9464 KEPT_DATA_DIR=/data
ENTRYPOINT ["/kept"]
