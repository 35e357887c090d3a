//! Makes clients for all of `protos/`, with messages that are data.

fn main() -> Result<(), weft_build::Error> {
    weft_build::Builder::new().folder("protos").folder("protos/third").data().build()
}
