# syntax=docker/dockerfile:1
#
# docker buildx build --platform linux/amd64,linux/arm64 \
#   --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse --short=12 HEAD)" .
#
# The base images are pinned by name and tag; whoever publishes the image pins them by digest (`@sha256:…`) too.

# The tag is the toolchain: rust-toolchain.toml says "stable", which would mean another one with every build, and is left out.
# Built on the builder's own architecture for the other one: an emulated build of the EC2 SDK takes hours.
FROM --platform=$BUILDPLATFORM rust:1.95-trixie AS build

ARG TARGETARCH
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /build
ENV CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CC_x86_64_unknown_linux_gnu=x86_64-linux-gnu-gcc \
    CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc

# hadolint ignore=DL3008
RUN case "$TARGETARCH" in \
      amd64) echo x86_64-unknown-linux-gnu >triple ;; \
      arm64) echo aarch64-unknown-linux-gnu >triple ;; \
      *) echo "no image for $TARGETARCH" >&2; exit 1 ;; \
    esac \
    && rustup target add "$(cat triple)" \
    && if [ "$(dpkg --print-architecture)" != "$TARGETARCH" ]; then \
      apt-get update \
      && apt-get install -y --no-install-recommends "crossbuild-essential-$TARGETARCH" \
      && rm -rf /var/lib/apt/lists/*; \
    fi

# The dependencies are a layer of their own: it is made anew only when Cargo.toml or Cargo.lock change.
COPY Cargo.toml Cargo.lock build.rs ./
RUN mkdir -p src tests/it benches \
    && echo 'fn main() {}' | tee src/main.rs tests/it/main.rs >benches/picture.rs \
    && touch src/lib.rs \
    && BUILD_REVISION=none cargo build --release --locked --no-default-features --target "$(cat triple)"

COPY src src
ARG REVISION=unknown
# Cargo goes by the time of the files, and the copied ones are older than what stood in for them.
RUN touch src/main.rs src/lib.rs \
    && BUILD_REVISION="$REVISION" cargo build --release --locked --no-default-features --target "$(cat triple)" \
    && install -D "target/$(cat triple)/release/eks-nlb-exporter" /out/eks-nlb-exporter

# The program alone: `--target program --output type=local,dest=…` gives the file that the image holds.
FROM scratch AS program
COPY --from=build /out/eks-nlb-exporter /eks-nlb-exporter

# glibc, libgcc and CA certificates; no shell, no package manager. The same Debian as the builder's, so the same glibc.
FROM gcr.io/distroless/cc-debian13:nonroot

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="eks-nlb-exporter" \
      org.opencontainers.image.description="Prometheus exporter and alerting daemon for the Network Load Balancers of an Amazon EKS cluster" \
      org.opencontainers.image.source="https://github.com/eks-nlb-exporter/eks-nlb-exporter" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"

COPY --from=program /eks-nlb-exporter /usr/local/bin/eks-nlb-exporter
COPY LICENSE /usr/share/doc/eks-nlb-exporter/LICENSE
USER 65532:65532
EXPOSE 10669
ENTRYPOINT ["/usr/local/bin/eks-nlb-exporter"]
