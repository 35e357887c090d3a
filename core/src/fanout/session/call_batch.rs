//! `call-batch`: all calls at once, in JSON or protobuf, all answers in the order of the calls.

use super::{Ended, Head, Instead, Session, starting::not_granted, tickets::Row};
use crate::{fanout::call::Outcome, model::Failure, observe::RefusedBy, protojson};
use bytes::Bytes;
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// What `call-batch` takes: a message in one of two encodings.
#[derive(Debug, Clone)]
pub enum JsonOrProto {
    Json(Bytes),
    Proto(Bytes),
}

impl Session {
    /// The body of the contract's `call-batch`: all calls at once, all answers in the order of the calls.
    pub async fn call_batch(&mut self, calls: Vec<(String, JsonOrProto, Option<Duration>)>) -> Vec<Outcome> {
        let first = self.calls.next(Row::Untold);
        let mut heads = Vec::with_capacity(calls.len());
        let mut answers: Vec<Option<Outcome>> = Vec::with_capacity(calls.len());
        let mut order = Vec::new();
        for (place, (method, message, timeout)) in calls.iter().enumerate() {
            match self.prepare(method, message, *timeout) {
                Ok(head) => {
                    order.push(place);
                    heads.push(head);
                    answers.push(None);
                }
                Err(failure) => answers.push(Some(Outcome::refused(failure, RefusedBy::Host))),
            }
        }
        self.start(heads, Row::Untold);
        // JSON may be much larger than what it was made of; all of it has to fit into what one exchange hands over.
        let mut room = self.limits.arena;
        while answers.iter().any(Option::is_none) {
            self.collect();
            // What exchanges have started goes on beside, and is theirs to take.
            let (own, others) =
                std::mem::take(&mut self.ready).into_iter().partition(|ended| ended.row() == Some(Row::Untold));
            self.ready = others;
            let own: VecDeque<Ended> = own;
            for (ticket, outcome) in own.iter().flat_map(Ended::each) {
                let place = ticket.checked_sub(first).and_then(|at| order.get(at as usize)).copied();
                if let Some((answer, (method, message, _))) =
                    place.and_then(|at| answers.get_mut(at).zip(calls.get(at)))
                {
                    *answer = Some(self.in_encoding(method, message, outcome, &mut room));
                }
            }
            if answers.iter().any(Option::is_none) {
                self.wait(None).await;
            }
        }
        answers.into_iter().flatten().collect()
    }

    fn prepare(&self, method: &str, message: &JsonOrProto, timeout: Option<Duration>) -> Result<Head, Failure> {
        let Some((number, planned)) = self.plans.number_of(method) else { return Err(not_granted(method)) };
        let message = match message {
            JsonOrProto::Proto(bytes) => bytes.clone(),
            JsonOrProto::Json(json) => protojson::to_protobuf(planned.descriptor.input(), json)?,
        };
        Ok(Head { method: number, depth: 1, timeout, instead: Instead::default(), message })
    }

    fn in_encoding(&self, method: &str, asked: &JsonOrProto, outcome: Outcome, room: &mut usize) -> Outcome {
        let (JsonOrProto::Json(_), Ok(reply), Some((_, planned))) =
            (asked, &outcome.result, self.plans.number_of(method))
        else {
            return outcome;
        };
        let message = planned.descriptor.output();
        let is_list = planned.descriptor.is_server_streaming();
        let make = if is_list { protojson::list_to_json } else { protojson::to_json };
        let json = make(message, reply, *room);
        *room -= json.as_ref().map_or(0, Bytes::len).min(*room);
        let result = json.map_err(Arc::new);
        Outcome { result, ..outcome }
    }
}
