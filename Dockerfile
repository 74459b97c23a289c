# Two stages: a static binary, then nothing but it and a place for its data.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /plumbline ./app \
 && mkdir -p /data && chown 65532:65532 /data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /plumbline /plumbline
COPY --from=build /src/LICENSE /src/NOTICE /
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
VOLUME /data
EXPOSE 8080
ENV PLUMBLINE_DATA_DIR=/data PLUMBLINE_LISTEN=:8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/plumbline", "healthcheck"]
ENTRYPOINT ["/plumbline"]
CMD ["serve"]
