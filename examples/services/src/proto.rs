//! What `build.rs` made of `examples/protos`. Nothing here is written by hand.

/// All descriptors, encoded, with comments: what reflection serves.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Full names of all methods, as `catalog.v1.Films/GetFilm`.
pub const METHODS: &[&str] = include!(concat!(env!("OUT_DIR"), "/methods.rs"));

macro_rules! package {
    ($name:ident, $package:literal) => {
        #[allow(
            clippy::all,
            clippy::allow_attributes_without_reason,
            clippy::too_many_lines,
            unused_qualifications,
            reason = "generated code"
        )]
        pub mod $name {
            pub mod v1 {
                tonic::include_proto!($package);
            }
        }
    };
}

package!(catalog, "catalog.v1");
package!(people, "people.v1");
package!(reviews, "reviews.v1");
package!(recommend, "recommend.v1");
package!(demo, "demo.v1");
