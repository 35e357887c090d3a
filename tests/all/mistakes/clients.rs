//! Clients where there is no build.rs that makes them.

weft_sdk::clients!();
