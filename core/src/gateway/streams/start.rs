//! From a request to a stream, and the end of all of them.

use super::{
    drive::{Driven, begin},
    ending::Ending,
};
use crate::{
    gateway::{Gateway, Job, faults, rates::Payer, sharing::Outcome},
    model::Deadline,
    net::Subnet,
    plugin::emission,
};
use std::time::Duration;

/// By how much a guest outlives its stream, if nobody ends it.
const MARGIN: Duration = Duration::from_secs(5);

impl Gateway {
    /// The guest runs beside the request, which ends when its answer has begun.
    pub(in crate::gateway) async fn stream(
        &self,
        mut job: Job,
        (payer, caller): (Option<Payer>, Option<Subnet>),
        deadline: Deadline,
    ) -> Outcome {
        let place = self.streams.enter(&self.stream_bounds, payer, caller)?;
        let _until_begun = job.place.take();
        let (emitter, emitted) = emission(self.stream_bounds.event.as_usize());
        let (endpoint, until) = (job.given.endpoint.clone(), job.given.party.caller().map(|caller| caller.expires_at));
        let request_id = job.request_id.to_str().unwrap_or_default().to_owned();
        // Longer than the stream may last: that is an end, and no late answer.
        let longest = self.stream_bounds.longest + self.ceilings.timeout + MARGIN;
        let run = self.run(job, Deadline::after(longest), Some(emitter));
        let driven = Driven {
            config: self.stream_bounds,
            place,
            endpoint,
            run: Box::pin(async { run.await.outcome }),
            emitted,
            until,
            releases: self.releases.clone(),
            endings: self.endings.subscribe(),
            granted: self.granted_headers.clone(),
            request_id,
        };
        let begun = tokio::time::timeout_at(deadline.instant(), begin(driven)).await;
        begun.unwrap_or_else(|_| Err(faults::deadline()))
    }

    /// All answers in parts that began here come to their end.
    pub fn end_streams(&self, ending: Ending) {
        self.endings.send_replace(Some(ending));
    }
}
