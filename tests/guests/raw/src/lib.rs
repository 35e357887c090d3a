//! A plugin against the bare contract, built without the SDK. Its method table is [`PERSON`], [`FILM`].

#[cfg(target_family = "wasm")]
mod component;

/// Place of `people.v1.People/GetPerson` in the method table.
pub const PERSON: u32 = 0;
/// Place of `catalog.v1.Films/GetFilm` in the method table.
pub const FILM: u32 = 1;
/// The method table itself.
pub const METHODS: [&str; 2] = ["people.v1.People/GetPerson", "catalog.v1.Films/GetFilm"];
