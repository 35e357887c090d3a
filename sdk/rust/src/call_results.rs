//! What to do with the results of calls for a list.

use crate::call_error::{CallError, CallResult};

/// What to do with the results of [`Method::call_all`](crate::Method::call_all), each of which may have failed by itself.
///
/// ```
/// # use weft_sdk::prelude::*;
/// # fn demo(results: Vec<Result<u32, CallError>>) -> Result<(), CallError> {
/// # let (a, b, c) = (results.clone(), results.clone(), results);
/// let films: Vec<u32> = a.all()?;                // one failure fails the list
/// let films: Vec<u32> = b.found()?;              // those that there are; what is gone is left out
/// let films: Vec<Option<u32>> = c.optional()?;   // in the places of the requests; `None` also where a backend is down
/// # Ok(()) }
/// ```
pub trait CallResults<T> {
    /// All replies, or the first failure.
    fn all(self) -> Result<Vec<T>, CallError>;

    /// The replies without those calls that were answered `NOT_FOUND`; or the first other failure.
    fn found(self) -> Result<Vec<T>, CallError>;

    /// For each call what [`CallResult::optional`] says of it: `None` where it found nothing or the backend could not answer, for which
    /// the host marks the response as degraded.
    fn optional(self) -> Result<Vec<Option<T>>, CallError>;
}

impl<T> CallResults<T> for Vec<Result<T, CallError>> {
    fn all(self) -> Result<Vec<T>, CallError> {
        self.into_iter().collect()
    }

    fn found(self) -> Result<Vec<T>, CallError> {
        self.into_iter().filter_map(|result| result.if_found().transpose()).collect()
    }

    fn optional(self) -> Result<Vec<Option<T>>, CallError> {
        self.into_iter().map(CallResult::optional).collect()
    }
}
