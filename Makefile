# Everything a person or CI runs. `make demo` and `make test` need nothing installed but Rust (and, for the tests' peers,
# either the programs themselves or root and Debian's packages; python3 with venv for moto).

# Outside the checkout, so that every checkout shares one warm build. Any directory will do.
CARGO_TARGET_DIR ?= $(HOME)/.cache/eks-nlb-exporter/target
export CARGO_TARGET_DIR

# Loopback must not go through a proxy.
comma := ,
export NO_PROXY := 127.0.0.1,localhost,[::1]$(if $(NO_PROXY),$(comma)$(NO_PROXY))

TOOLS := $(CARGO_TARGET_DIR)/tools
EXPORTER := $(CARGO_TARGET_DIR)/debug/eks-nlb-exporter
CARGO ?= cargo

.PHONY: help demo test fuzz check fmt bench docs dashboards-picture peers deny sbom advisories release-check clean image image-binary manifests

help: ## Say what there is.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

demo: ## Run the daemon against a simulated cluster and AWS; no credentials needed.
	$(CARGO) build --locked
	$(EXPORTER) demo $(DEMO_FLAGS)

test: peers image-binary ## Install the tests' peers where they are missing, and run every test.
	PATH="$$(tests/peers.sh path):$$PATH" $(CARGO) test --locked --lib --test it

# So many cases of each property of the readers of untrusted text; `make test` tries 256.
FUZZ_CASES ?= 20000

fuzz: ## Try the readers of everything that others write with many more damaged inputs; FUZZ_CASES says how many of each.
	PROPTEST_CASES=$(FUZZ_CASES) $(CARGO) test --locked --lib --test it untrusted

peers: ## Install the programs the tests talk to: Prometheus, Alertmanager, moto, Chromium, Grafana's types, Helm's engine, linters.
	tests/peers.sh install

image-binary: ## Build the program as the image has it, in the development profile; the tests start it in an empty root.
	$(CARGO) build --locked --no-default-features
	mkdir -p $(CARGO_TARGET_DIR)/image
	cp -f $(EXPORTER) $(CARGO_TARGET_DIR)/image/eks-nlb-exporter

image: ## Build the image for this machine with Docker, and fail when it is larger than 40 MB as registries store it.
	docker buildx build --load --tag eks-nlb-exporter:local --build-arg REVISION="$$(git rev-parse --short=12 HEAD)" .
	bytes=$$(docker save eks-nlb-exporter:local | gzip | wc -c); echo "$$bytes bytes compressed"; test "$$bytes" -lt 40000000

manifests: ## Render the plain manifests from the Helm chart, and copy rules and dashboards into it.
	tests/peers.sh helm
	PATH="$$(tests/peers.sh path):$$PATH" python deploy/render.py

check: fmt deny sbom ## Formatting, lints, documentation, dependencies, generated files.
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items
	$(CARGO) build --locked --quiet
	docs/generate.sh --check

fmt:
	$(CARGO) fmt --check

deny: $(TOOLS)/bin/cargo-deny ## Licences, sources and duplicates of the dependencies.
	PATH="$(TOOLS)/bin:$$PATH" $(CARGO) deny check bans licenses sources

sbom: $(TOOLS)/bin/cargo-cyclonedx ## Write what the image is made of (CycloneDX), for each architecture, and check it.
	tests/peers.sh sbom
	PATH="$(TOOLS)/bin:$$(tests/peers.sh path):$$PATH" python deploy/sbom.py $(CARGO_TARGET_DIR)/sbom

advisories: $(TOOLS)/bin/cargo-deny ## Known vulnerabilities; fetches the advisory database.
	PATH="$(TOOLS)/bin:$$PATH" $(CARGO) deny check advisories

$(TOOLS)/bin/cargo-deny:
	$(CARGO) install --quiet --locked cargo-deny --root $(TOOLS) --target-dir $(TOOLS)/build
	rm -rf $(TOOLS)/build

$(TOOLS)/bin/cargo-cyclonedx:
	$(CARGO) install --quiet --locked cargo-cyclonedx --root $(TOOLS) --target-dir $(TOOLS)/build
	rm -rf $(TOOLS)/build

# The version that is about to be tagged, e.g. `make release-check VERSION=1.2.3`.
release-check: ## Say whether Cargo.toml, the chart, the Dockerfile and the changelog are all of VERSION.
	deploy/release-check.sh "$(VERSION)"

bench: ## Measure the table of the README, at the size of a large cluster. Takes some minutes.
	# Builds the program too, with the same features: one build instead of two.
	$(CARGO) bench --locked --no-run --bench picture
	benches/run.sh

docs: ## Write the generated parts of the documentation, the manifests, and the pictures of the status page.
	$(CARGO) build --locked --quiet
	docs/generate.sh
	$(MAKE) manifests
	tests/peers.sh browser
	docs/status-page-pictures.sh

dashboards-picture: ## Draw the overview dashboard from the demonstration's data; takes some minutes, needs prometheus and chromium.
	$(CARGO) build --locked --quiet
	docs/dashboard-picture.py

clean: ## Remove the build.
	rm -rf "$(CARGO_TARGET_DIR)"
