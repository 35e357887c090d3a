//! A plugin of nothing.

weft_sdk::plugin!();
