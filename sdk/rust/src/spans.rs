//! Spans of the plugin's own in the trace of a request: how long a part of it took, and what there is to say of it.
//!
//! ```
//! # use weft_sdk::span;
//! # let films = [1, 2, 3];
//! let mut rank = span!("rank", films = films.len());
//! let best = {
//!     let _load = span!(in rank; "choose");
//!     films.iter().max()
//! };
//! rank.set("best", best.is_some());
//! // It ends here, with all that was said of it.
//! ```
//!
//! The host records some requests only. In the others a span costs a look at a flag: its fields are not evaluated. A request has at most
//! 128 spans, with 32 attributes each. Say nothing in them that must not leave the plugin: they go to whoever keeps the traces.

use crate::executor::current;
use crate::host;

/// A part of a request, until it is dropped.
#[derive(Debug)]
#[must_use = "a span ends when it is dropped"]
pub struct Span {
    /// 0: it is not recorded.
    number: u32,
    attributes: Vec<(String, String)>,
}

/// Whether the request is recorded. The host is asked once in a request.
pub fn recorded() -> bool {
    let Some(known) = current::with(|core| core.recorded) else { return false };
    known.unwrap_or_else(|| {
        let recorded = host::span_recorded();
        current::with(|core| core.recorded = Some(recorded));
        recorded
    })
}

impl Span {
    /// Begins one that [`recorded`] has let through, under another one or under the plugin's. [`span!`](crate::span!) does both.
    pub fn begin(name: &str, within: Option<&Self>, attributes: Vec<(String, String)>) -> Self {
        let number = host::span_begin(name, within.map_or(0, |within| within.number));
        Self { number, attributes }
    }

    /// One that is not recorded.
    pub fn none() -> Self {
        Self { number: 0, attributes: Vec::new() }
    }

    /// Says more of it.
    pub fn set(&mut self, name: &str, value: impl ToString) {
        if self.number != 0 {
            self.attributes.push((name.to_owned(), value.to_string()));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if self.number != 0 {
            host::span_end(self.number, &self.attributes);
        }
    }
}

/// Begins a span that ends when it is dropped: `span!("rank", films = 7)`, or within another one `span!(in outer; "load")`.
#[macro_export]
macro_rules! span {
    (in $outer:expr; $name:expr $(, $key:ident = $value:expr)* $(,)?) => {
        $crate::__span!(::std::option::Option::Some(&$outer), $name $(, $key = $value)*)
    };
    ($name:expr $(, $key:ident = $value:expr)* $(,)?) => {
        $crate::__span!(::std::option::Option::None, $name $(, $key = $value)*)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __span {
    ($outer:expr, $name:expr $(, $key:ident = $value:expr)*) => {
        if $crate::spans::recorded() {
            $crate::spans::Span::begin($name, $outer, ::std::vec![$((
                ::std::string::String::from(::std::stringify!($key)),
                ::std::string::ToString::to_string(&$value),
            )),*])
        } else {
            $crate::spans::Span::none()
        }
    };
}
