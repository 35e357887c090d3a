//! The requests that one call upstream is for.

use super::{Event, Listener, RequestObserver};
use std::sync::Arc;

/// The requests that one call upstream is for, each once however many of its calls the reply answers. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Audience(Requests);

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
        Self(Requests::One(request))
    }

    /// From now on it is for this request too.
    pub fn add(&mut self, request: &Arc<RequestObserver>) {
        match &mut self.0 {
            Requests::None => self.0 = Requests::One(request.clone()),
            Requests::One(only) if Arc::ptr_eq(only, request) => {}
            Requests::One(only) => self.0 = Requests::Many(Arc::new(vec![only.clone(), request.clone()])),
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

    fn all(&self) -> &[Arc<RequestObserver>] {
        match &self.0 {
            Requests::None => &[],
            Requests::One(only) => std::slice::from_ref(only),
            Requests::Many(all) => all,
        }
    }
}

impl Listener for Audience {
    fn on(&self, event: &Event<'_>) {
        self.all().iter().for_each(|request| request.on(event));
    }
}
