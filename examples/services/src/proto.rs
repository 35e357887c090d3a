//! What `build.rs` made of `examples/protos`, and of the protos of neighbours. Nothing here is written by hand.

/// All descriptors, encoded, with comments: what reflection serves.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Full names of all methods, as `catalog.v1.Films/GetFilm`.
pub const METHODS: &[&str] = include!(concat!(env!("OUT_DIR"), "/methods.rs"));

macro_rules! package {
    ($name:ident, $version:ident, $package:literal) => {
        #[allow(
            clippy::all,
            clippy::allow_attributes_without_reason,
            clippy::too_many_lines,
            unused_qualifications,
            reason = "generated code"
        )]
        pub mod $name {
            pub mod $version {
                tonic::include_proto!($package);
            }
        }
    };
}

package!(catalog, v1, "catalog.v1");
package!(people, v1, "people.v1");
package!(reviews, v1, "reviews.v1");
package!(recommend, v1, "recommend.v1");
package!(demo, v1, "demo.v1");

package!(etcd, v3, "etcdserverpb");
package!(otlp, v1, "opentelemetry.proto.collector.trace.v1");
