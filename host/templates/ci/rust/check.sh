cargo fmt --check
cargo clippy --all-targets --no-deps -- -D warnings
