//! How generated messages are JSON, where their author has made them data: by the
//! [mapping of proto3](https://protobuf.dev/programming-guides/json/). For generated code.
//!
//! A field's attributes name how it occurs ([`One`], [`Opt`], [`Many`], [`Entries`]) and the form of its values ([`Form`]).

mod known;
mod scalars;

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use known::{Anything, Items, Mask, Nothing, Object, Packed, Text};
pub use scalars::{Base64, Enumeration, Float, Long, Named};
#[cfg(feature = "cursors")]
pub(crate) use scalars::{decoded, encoded_for_urls};

/// One way to write a `T`.
pub trait Form<T> {
    /// Writes it.
    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error>;
    /// Reads it.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>;
}

/// Whether a field is left out.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// As the type itself is written.
#[derive(Debug)]
pub struct Plain;

impl<T: Serialize + for<'de> Deserialize<'de>> Form<T> for Plain {
    fn write<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }
}

/// A value that is written in a form.
struct As<T, F>(T, PhantomData<F>);

impl<T, F: Form<T>> Serialize for As<&T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        F::write(self.0, serializer)
    }
}

impl<'de, T, F: Form<T>> Deserialize<'de> for As<T, F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        F::read(deserializer).map(|value| Self(value, PhantomData))
    }
}

fn shown<T, F: Form<T>>(value: &T) -> As<&T, F> {
    As(value, PhantomData)
}

macro_rules! occurrences {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        pub struct $name<F>(PhantomData<F>);

        impl<F> fmt::Debug for $name<F> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

occurrences! {
    /// A field that is always there; `null` is what is left out.
    One
    /// A field with presence.
    Opt
    /// A repeated field.
    Many
    /// A map.
    Entries
}

impl<F> One<F> {
    /// For `serialize_with`.
    pub fn serialize<T, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        F: Form<T>,
    {
        F::write(value, serializer)
    }

    /// For `deserialize_with`.
    pub fn deserialize<'de, T: Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>
    where
        F: Form<T>,
    {
        Ok(Opt::<F>::deserialize(deserializer)?.unwrap_or_default())
    }
}

impl<F> Opt<F> {
    /// For `serialize_with`.
    pub fn serialize<T, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
    where
        F: Form<T>,
    {
        value.as_ref().map(shown::<T, F>).serialize(serializer)
    }

    /// For `deserialize_with`.
    pub fn deserialize<'de, T, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        F: Form<T>,
    {
        Ok(Option::<As<T, F>>::deserialize(deserializer)?.map(|value| value.0))
    }
}

impl<F> Many<F> {
    /// For `serialize_with`.
    pub fn serialize<T, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error>
    where
        F: Form<T>,
    {
        serializer.collect_seq(values.iter().map(shown::<T, F>))
    }

    /// For `deserialize_with`.
    pub fn deserialize<'de, T, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        F: Form<T>,
    {
        let values = Option::<Vec<As<T, F>>>::deserialize(deserializer)?.unwrap_or_default();
        Ok(values.into_iter().map(|value| value.0).collect())
    }
}

impl<F> Entries<F> {
    /// For `serialize_with`.
    pub fn serialize<K: Serialize, T, S: Serializer>(values: &HashMap<K, T>, serializer: S) -> Result<S::Ok, S::Error>
    where
        F: Form<T>,
    {
        serializer.collect_map(values.iter().map(|(key, value)| (key, shown::<T, F>(value))))
    }

    /// For `deserialize_with`.
    pub fn deserialize<'de, K, T, D: Deserializer<'de>>(deserializer: D) -> Result<HashMap<K, T>, D::Error>
    where
        K: Deserialize<'de> + Eq + Hash,
        F: Form<T>,
    {
        let values = Option::<HashMap<K, As<T, F>>>::deserialize(deserializer)?.unwrap_or_default();
        Ok(values.into_iter().map(|(key, value)| (key, value.0)).collect())
    }
}
