//! What every method asks of a request: a bounded batch, a sensible page, the caller.

use tonic::Status;
use tonic::metadata::MetadataMap;

/// The metadata key under which a gateway names the caller.
pub const SUBJECT: &str = "x-md-global-subject";

/// Most ids in one batch.
pub const MAX_BATCH: usize = 100;

/// The longest subject that is accepted, so that the memory kept per caller is bounded.
const MAX_SUBJECT: usize = 256;

pub(crate) fn check_batch(ids: &[u32]) -> Result<(), Status> {
    if ids.len() > MAX_BATCH {
        return Err(Status::invalid_argument(format!(
            "{} ids in one batch; at most {MAX_BATCH} are allowed",
            ids.len()
        )));
    }
    Ok(())
}

/// 0 means `default`; more than `max` means `max` (AIP-158).
pub(crate) fn page_size(asked: u32, default: usize, max: usize) -> usize {
    match usize::try_from(asked) {
        Ok(0) => default,
        Ok(size) => size.min(max),
        Err(_) => max,
    }
}

/// The caller, if the request names one.
pub(crate) fn subject(metadata: &MetadataMap) -> Option<&str> {
    let subject = metadata.get(SUBJECT)?.to_str().ok()?;
    (!subject.is_empty() && subject.len() <= MAX_SUBJECT).then_some(subject)
}
