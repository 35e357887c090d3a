//! Build helper of the Rust SDK: typed clients from `.proto` files, for what `plugin.toml` grants and nothing else.
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), weft_build::Error> {
//!     weft_build::protos(&["../../protos"])
//! }
//! ```
//!
//! It reads `[calls]` of the `plugin.toml` beside `build.rs`, and writes to `OUT_DIR`:
//!
//! | file | what |
//! |---|---|
//! | `weft.rs` | for `weft_sdk::clients!`: messages and clients, as modules named after the packages |
//! | `weft.methods` | for `weft_sdk::plugin!`: the method table, sorted by name; a call's method number is a place in it |
//! | `weft.binpb` | the `FileDescriptorSet` of the files that were needed |
//!
//! For a service `catalog.v1.Films` with `GetFilm` granted, `weft.rs` has:
//!
//! - `catalog::v1::Films::get_film`, which makes a call;
//! - `catalog::v1::Films::get_film_all`, which makes one for each of many keys, where the service has a `BatchGetFilms` after AIP-231;
//! - `catalog::v1::Films::GET_FILM`, the `Method`, for tests;
//! - `catalog::v1::GetFilmRequest` and all other messages that granted methods need; [`Builder::message`] adds others.
//!
//! Names are spelled as Rust spells them: fields and functions `like_this`, types and variants `LikeThis`, without the name of an enum before
//! those of its values. Where two would be one, as `fooBar` and `foo_bar`, `Foo_Bar` and `FooBar`, or the values `FOO__A` and `FOO_A`, the one
//! that stands first in the proto keeps the name, and the next one gets a number: `foo_bar_2`, `FooBar2`, `A2`. Fields go before oneofs,
//! messages before enums, these before services, and files in the order of their names. On the wire and in JSON all have their own names.
//!
//! A method that exists but is not granted is there too, but using it is an error that says what to add to `plugin.toml`. Of its messages
//! there is no more than that takes.

#![warn(missing_docs)]

/// What the package's page shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "generator")]
mod calls;
#[cfg(feature = "generator")]
mod coarse;
#[cfg(not(feature = "generator"))]
mod command;
#[cfg(feature = "generator")]
mod data;
#[cfg(feature = "generator")]
mod distinct;
mod error;
#[cfg(feature = "generator")]
mod generate;
#[cfg(feature = "generator")]
mod granted;
#[cfg(feature = "generator")]
mod here;
#[cfg(feature = "generator")]
mod imports;
#[cfg(feature = "generator")]
mod protos;
#[cfg(feature = "generator")]
mod prune;
#[cfg(feature = "generator")]
mod roots;
mod task;

use std::env;
use std::path::{Path, PathBuf};

#[cfg(not(feature = "generator"))]
use command::make;
pub use error::Error;
#[cfg(feature = "generator")]
pub use granted::{Granted, granted};
#[cfg(feature = "generator")]
use here::make;
use task::{Long, Task};

/// Generates clients from the `.proto` files in these folders. Imports are relative to them.
///
/// Paths are relative to the crate's folder, in which `plugin.toml` lies.
pub fn protos(folders: &[impl AsRef<Path>]) -> Result<(), Error> {
    folders.iter().fold(Builder::new(), |builder, folder| builder.folder(folder)).build()
}

/// [`protos`], with more to choose.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    folders: Vec<PathBuf>,
    manifest: Option<PathBuf>,
    out: Option<PathBuf>,
    bytes: Vec<String>,
    attributes: Vec<(String, String)>,
    messages: Vec<String>,
    data: Option<Long>,
    stack: Option<u32>,
}

/// What most handlers never come near. The linker's own default is 1 MiB, which the host would clear after each request.
const STACK: u32 = 128 << 10;
/// What a page of a hundred items takes beside its stack, so that its memory need not grow: growing costs a request some 25 µs, and
/// clearing so much after one that has not used it 3 µs. Together with stack and data it fills four pages of 64 KiB.
const HEAP: u32 = 64 << 10;

impl Builder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a folder with `.proto` files. Imports are relative to it.
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folders.push(folder.as_ref().to_owned());
        self
    }

    /// Takes another file for `plugin.toml`.
    pub fn manifest(mut self, file: impl Into<PathBuf>) -> Self {
        self.manifest = Some(file.into());
        self
    }

    /// Takes another folder for `OUT_DIR`.
    pub fn out_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.out = Some(folder.into());
        self
    }

    /// Makes `bytes` fields with this path `bytes::Bytes`, which share the memory of the reply, instead of `Vec<u8>`. `"."` is all
    /// of them. The plugin needs a dependency on `bytes` for nothing but naming the type.
    pub fn bytes(mut self, path: impl Into<String>) -> Self {
        self.bytes.push(path.into());
        self
    }

    /// Adds an attribute, such as a derive, to the messages and enums with this path. `"."` is all of them.
    pub fn type_attribute(mut self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.attributes.push((path.into(), attribute.into()));
        self
    }

    /// Writes this message too (`"catalog.v1.Film"`), with all that it needs, although no granted method needs it. It has to be in a file
    /// that a granted service is in or imports. `"."` is all messages of these files.
    pub fn message(mut self, name: impl Into<String>) -> Self {
        self.messages.push(name.into());
        self
    }

    /// Makes all messages that are written data, which endpoints take and answer as they are: JSON by proto3's mapping. 64-bit numbers and
    /// bytes are strings, enums are the names of their values, well-known types are what they are everywhere. What is in an `Any` stays
    /// as its bytes.
    pub fn data(mut self) -> Self {
        self.data = Some(Long::Text);
        self
    }

    /// As [`Builder::data`], with 64-bit numbers as numbers of JSON. JavaScript has no whole numbers above 2^53.
    pub fn data_with_numbers(mut self) -> Self {
        self.data = Some(Long::Number);
        self
    }

    /// Gives the component a stack of so many bytes instead of 128 KiB, up to 1 MiB. A guest that needs more traps; one that needs
    /// less is cleared faster, and takes less memory.
    pub fn stack(mut self, bytes: u32) -> Self {
        self.stack = Some(bytes);
        self
    }

    /// Generates.
    pub fn build(self) -> Result<(), Error> {
        let stack = self.stack.unwrap_or(STACK);
        let task = self.task()?;
        for path in task.folders.iter().chain([&task.manifest]) {
            tell_cargo(&format!("rerun-if-changed={}", path.display()));
        }
        #[cfg(not(feature = "generator"))]
        command::source().iter().for_each(|folder| tell_cargo(&format!("rerun-if-changed={}", folder.display())));
        if env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
            // The stack lies first in memory, so that overrunning it traps; its pointer is aligned to 16 bytes.
            let stack = stack.clamp(16 << 10, 1 << 20).next_multiple_of(16);
            tell_cargo(&format!("rustc-link-arg-cdylib=-zstack-size={stack}"));
            tell_cargo(&format!("rustc-link-arg-cdylib=--initial-heap={HEAP}"));
        }
        make(&task)?.iter().for_each(|warning| tell_cargo(&format!("warning={warning}")));
        Ok(())
    }

    /// Generates outside of a build script, and returns what is odd about the protos. For the `weft` command.
    #[doc(hidden)]
    #[cfg(feature = "generator")]
    pub fn make(self) -> Result<Vec<String>, Error> {
        make(&self.task()?)
    }

    fn task(self) -> Result<Task, Error> {
        let root = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
        let out = match self.out {
            Some(out) => out,
            None => env::var_os("OUT_DIR").map(PathBuf::from).ok_or_else(Error::no_out_dir)?,
        };
        Ok(Task {
            folders: self.folders.iter().map(|folder| root.join(folder)).collect(),
            manifest: root.join(self.manifest.as_deref().unwrap_or(Path::new("plugin.toml"))),
            out,
            bytes: self.bytes,
            attributes: self.attributes,
            messages: self.messages,
            data: self.data,
        })
    }
}

#[expect(clippy::print_stdout, reason = "this is how a build script talks to Cargo")]
fn tell_cargo(what: &str) {
    println!("cargo::{what}");
}
