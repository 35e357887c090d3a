cargo test
weft test
