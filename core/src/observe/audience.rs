//! The requests that one call upstream is for.

use super::{Departure, Event, Listener, RequestObserver, Traced, trace::TripSpan};
use http::HeaderMap;
use std::sync::Arc;

/// The requests that one call upstream is for, each once however many of its calls the reply answers. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Audience {
    requests: Requests,
    /// Who records the call, once it has left for requests of which one is recorded.
    span: Option<Arc<TripSpan>>,
}

#[derive(Debug, Clone, Default)]
enum Requests {
    /// A refresh that nobody waits for.
    #[default]
    None,
    /// As most are.
    One(Arc<RequestObserver>),
    Many(Arc<Vec<Arc<RequestObserver>>>),
}

impl Audience {
    pub fn of(request: Arc<RequestObserver>) -> Self {
        Self { requests: Requests::One(request), span: None }
    }

    /// From now on it is for this request too.
    pub fn add(&mut self, request: &Arc<RequestObserver>) {
        match &mut self.requests {
            Requests::None => self.requests = Requests::One(request.clone()),
            Requests::One(only) if Arc::ptr_eq(only, request) => {}
            Requests::One(only) => self.requests = Requests::Many(Arc::new(vec![only.clone(), request.clone()])),
            Requests::Many(all) if all.iter().any(|other| Arc::ptr_eq(other, request)) => {}
            Requests::Many(all) => Arc::make_mut(all).push(request.clone()),
        }
    }

    pub fn len(&self) -> usize {
        self.all().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The call leaves. It is recorded from here on where one of the requests is.
    pub fn sets_out(&mut self, departure: &Departure<'_>) {
        let recorders = self.all().iter().filter_map(|request| request.recorder());
        self.span = TripSpan::of(recorders, self.len(), departure);
    }

    /// Where the call stands in traces.
    pub fn traced(&self) -> Option<Arc<Traced>> {
        self.span.as_ref().map(|span| span.traced().clone())
    }

    /// The span of another attempt; 0 where it is not recorded.
    pub fn attempt(&self) -> u64 {
        self.span.as_ref().map_or(0, |span| span.attempt())
    }

    /// Tells the backend of the span of a recorded attempt.
    pub fn tell(&self, attempt: u64, headers: &mut HeaderMap) {
        if let Some(span) = self.span.as_ref().filter(|_| attempt != 0) {
            span.tell(attempt, headers);
        }
    }

    fn all(&self) -> &[Arc<RequestObserver>] {
        match &self.requests {
            Requests::None => &[],
            Requests::One(only) => std::slice::from_ref(only),
            Requests::Many(all) => all,
        }
    }
}

impl Listener for Audience {
    fn on(&self, event: &Event<'_>) {
        self.all().iter().for_each(|request| request.on(event));
        self.span.as_deref().on(event);
    }
}
