//! Merging and splitting of protobuf messages on the wire, without decoding them.
