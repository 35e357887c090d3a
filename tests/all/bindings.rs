//! The SDK's bindings are what wit-bindgen makes of `wit/`. `WEFT_BLESS=1` writes them anew.

use std::fs;
use weft_tests::repository;
use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};
use wit_bindgen_rust::Opts;

#[test]
fn they_are_what_the_contract_says() {
    // The world of all plugins: a component imports of it what it calls.
    for (world, module, name) in [("streaming", "bindings", "plugin"), ("describer", "describer", "describer")] {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(repository().join("wit")).unwrap();
        let id = resolve.select_world(&[package], Some(world)).unwrap();
        let options = Opts {
            format: true,
            pub_export_macro: true,
            export_macro_name: Some("__export_component".to_owned()),
            default_bindings_module: Some(format!("weft_sdk::export::{module}")),
            ..Opts::default()
        };
        let mut files = Files::default();
        options.build().generate(&mut resolve, id, &mut files).unwrap();
        let (_, made) = files.iter().next().unwrap();
        let made = str::from_utf8(made).unwrap();
        let file = repository().join(format!("sdk/rust/bindings/{name}.rs"));
        if std::env::var_os("WEFT_BLESS").is_some() {
            fs::write(&file, made).unwrap();
        }
        let there = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            there == made,
            "{} is not what wit/ says: WEFT_BLESS=1 cargo test --workspace --test all -- bindings",
            file.display()
        );
    }
}
