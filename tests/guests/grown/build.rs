//! Makes typed clients for what `[calls]` in plugin.toml grants.

fn main() -> Result<(), weft_build::Error> {
    weft_build::protos(&["../../../examples/protos"])
}
