cargo fmt --version || rustup component add rustfmt
cargo clippy --version || rustup component add clippy
