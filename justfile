# What there is to do
default:
    @just --list

# Run the portal, the API and the host engine
run *arguments:
    cargo run -- {{arguments}}

# Run every test that this machine can
test *arguments:
    cargo test {{arguments}}

# Check formatting and lints, as CI does
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --lib

# Format the source
fmt:
    cargo fmt

# Walk through the portal in Chromium (needs chromium and chromedriver)
e2e *arguments:
    JUNGLEGRID_TEST_REQUIRE_ALL=1 cargo test --test browser -- {{arguments}}

# Measure lists of jobs; takes how many, and a directory to keep them in for the next time
bench *arguments:
    cargo bench --bench jobs_page -- {{arguments}}

# Measure what the proxy adds to a request and to memory; prints figures
bench-proxy *arguments:
    cargo bench --bench proxy -- {{arguments}}

# Hold 2,000 progress pages open in one server: memory for each, and time until a change has reached all
load-streams *arguments:
    cargo bench --bench streams -- {{arguments}}

# Measure what a long output and a loud job cost; prints figures
bench-output *arguments:
    cargo bench --bench output -- {{arguments}}

# Measure what large files cost the server in time and memory; takes a size in MiB
bench-files *arguments:
    cargo bench --bench files -- {{arguments}}

# Measure whether answers tell by their time who has an account
timing *arguments:
    cargo bench --bench enumeration -- {{arguments}}

# Look for known vulnerabilities in the dependencies (needs cargo-audit and its database)
audit:
    cargo audit
