//! The comparison of two documents: where it stands, what is still to be compared, and how far it may go.

use super::{
    Change,
    document::{Document, Unreadable},
    rules::Rule,
    view::{Node, View},
};
use serde_json::Value;
use std::collections::{HashSet, VecDeque};

/// Two schemas that were compared before: what each is made of, and whether null was left aside.
type Pair = (Vec<usize>, Vec<usize>, bool);

/// Schemas that lie in one another.
const DEEPEST: usize = 500;
/// Bytes of a path that are told.
const PATH: usize = 300;
/// Pairs of schemas that are compared for two documents.
const LONGEST: usize = 20_000_000;
/// Changes that are worth telling.
const MOST: usize = 20_000;

/// Who sends what is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Request,
    Response,
}

/// Two schemas at one place.
#[derive(Debug)]
struct Pending<'a> {
    old: Node<'a>,
    new: Node<'a>,
    /// Whether null is let through has been compared.
    aside: bool,
    path: String,
    depth: usize,
}

/// The comparison of two documents, as far as it has come.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    pub(super) old: &'a Document,
    pub(super) new: &'a Document,
    pub(super) changes: Vec<Change>,
    pub(super) endpoint: String,
    pub(super) place: String,
    pub(super) direction: Direction,
    /// It is a problem document, where apps have to expect types that they don't know.
    pub(super) is_problem: bool,
    /// Of the body: `$.cast[].name`.
    pub(super) path: String,
    depth: usize,
    /// What of this body is still to be compared; what lies near its root comes first, so that is where a change is told.
    left: VecDeque<Pending<'a>>,
    /// Pairs of this body that were compared: what comes again is told once.
    seen: HashSet<Pair>,
    /// Pairs of other bodies in which there was no change: most endpoints share most of their types.
    same: HashSet<(Direction, bool, Pair)>,
    steps: usize,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(old: &'a Document, new: &'a Document) -> Self {
        Self {
            old,
            new,
            changes: Vec::new(),
            endpoint: String::new(),
            place: String::new(),
            direction: Direction::Request,
            is_problem: false,
            path: String::new(),
            depth: 0,
            left: VecDeque::new(),
            seen: HashSet::new(),
            same: HashSet::new(),
            steps: 0,
        }
    }

    pub(super) fn note(&mut self, rule: Rule, detail: impl Into<String>) {
        let (endpoint, place, path) = (self.endpoint.clone(), self.place.clone(), self.path.clone());
        self.changes.push(Change { rule, endpoint, place, path, detail: detail.into() });
    }

    /// Whatever is sent at a place of its own: a body, a parameter. `root` is what its path begins with.
    pub(super) fn whole(
        &mut self,
        direction: Direction,
        root: &str,
        old: &[&'a Value],
        new: &[&'a Value],
    ) -> Result<(), Unreadable> {
        self.direction = direction;
        self.seen.clear();
        self.left.clear();
        (self.path, self.depth) = (root.to_owned(), 0);
        let told = self.changes.len();
        self.nodes(old, new, false);
        while let Some(next) = self.left.pop_front() {
            (self.path, self.depth) = (next.path, next.depth);
            self.pair(&next.old, &next.new, next.aside)?;
        }
        self.path.clear();
        if self.changes.len() == told {
            self.same.extend(self.seen.drain().map(|pair| (direction, self.is_problem, pair)));
        }
        Ok(())
    }

    /// To be compared at this place. `aside`: whether null is let through has been compared.
    pub(super) fn nodes(&mut self, old: &[&'a Value], new: &[&'a Value], aside: bool) {
        let (old, new, path, depth) = (old.to_vec(), new.to_vec(), self.path.clone(), self.depth);
        self.left.push_back(Pending { old, new, aside, path, depth });
    }

    /// To be compared a step further in.
    pub(super) fn within(&mut self, step: &str, old: &[&'a Value], new: &[&'a Value], aside: bool) {
        let length = self.enter(step);
        self.nodes(old, new, aside);
        self.leave(length);
    }

    pub(super) fn enter(&mut self, step: &str) -> usize {
        let length = self.path.len();
        if length + step.len() < PATH {
            self.path.push_str(step);
        } else if !self.path.ends_with('…') {
            self.path.push('…');
        }
        self.depth += 1;
        length
    }

    pub(super) fn leave(&mut self, length: usize) {
        self.path.truncate(length);
        self.depth -= 1;
    }

    fn pair(&mut self, old: &[&'a Value], new: &[&'a Value], aside: bool) -> Result<(), Unreadable> {
        self.step(1 + old.len() + new.len())?;
        if self.depth > DEEPEST {
            let path: String = self.path.chars().take(80).collect();
            return Err(Unreadable::Deep(format!("{} {} {path}…", self.endpoint, self.place), DEEPEST));
        }
        let (was, is) = (View::of(self.old, old)?, View::of(self.new, new)?);
        self.step(was.weight() + is.weight())?;
        let pair = (was.made_of.clone(), is.made_of.clone(), aside);
        if self.seen.contains(&pair) || self.same.contains(&(self.direction, self.is_problem, pair.clone())) {
            return Ok(());
        }
        self.seen.insert(pair);
        if !aside {
            self.null(&was, &is);
        }
        match was.is_union() || is.is_union() {
            true => self.variants((&was, old), (&is, new)),
            false => self.views(&was, &is),
        }
    }

    /// So much more work.
    pub(super) fn step(&mut self, count: usize) -> Result<(), Unreadable> {
        self.steps += count;
        if self.steps > LONGEST || self.changes.len() > MOST { Err(Unreadable::Long(LONGEST)) } else { Ok(()) }
    }
}
