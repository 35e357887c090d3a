//! Two schemas: where the new one lets more through, and where less.

use super::{
    bounds::{self, Turn},
    comparison::{Comparison, Direction},
    document::Unreadable,
    rules::Rule,
    view::{NOTHING, Node, Types, View},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What of a schema differs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aspect {
    Type,
    Null,
    Value,
    Bound,
    Variant,
}

impl<'a> Comparison<'a> {
    pub(super) fn null(&mut self, old: &View<'a>, new: &View<'a>) {
        // What may be anything, or nothing, is told of as that.
        let is_typed = |view: &View<'a>| view.types != Types::NONE && view.types != Types::ANY;
        match (old.types.has(Types::NULL), new.types.has(Types::NULL)) {
            (true, false) if old.is_union() || (is_typed(old) && is_typed(new)) => {
                self.turned(Aspect::Null, Turn::Tighter, "is null no more")
            }
            (false, true) if new.is_union() || (is_typed(old) && is_typed(new)) => {
                self.turned(Aspect::Null, Turn::Laxer, "may be null now")
            }
            _ => {}
        }
    }

    pub(super) fn views(&mut self, old: &View<'a>, new: &View<'a>) -> Result<(), Unreadable> {
        if !self.types(old, new) {
            return Ok(());
        }
        self.values(old, new);
        for name in bounds::names() {
            let (was, is) = (old.bounds.get(name).copied(), new.bounds.get(name).copied());
            let text = |value: Option<&Value>| value.map_or("none".to_owned(), super::text::short);
            self.turned(
                Aspect::Bound,
                bounds::turn(name, was, is),
                &format!("`{name}` was {}, is {}", text(was), text(is)),
            );
        }
        self.fields(old, new)?;
        self.extra(old, new);
        self.items(old, new);
        self.variants_beside(old, new)?;
        self.rest(old, new);
        Ok(())
    }

    /// Whether anything is left to be compared.
    fn types(&mut self, old: &View<'a>, new: &View<'a>) -> bool {
        let (was, is) = (old.types.without(Types::NULL), new.types.without(Types::NULL));
        let turn = match (was.without(is) != Types::NONE, is.without(was) != Types::NONE) {
            (false, false) => Turn::Same,
            (true, false) => Turn::Tighter,
            (false, true) => Turn::Laxer,
            (true, true) => Turn::Other,
        };
        self.turned(Aspect::Type, turn, &format!("was {}, is {}", was.text(), is.text()));
        was.and(is) != Types::NONE
    }

    fn values(&mut self, old: &View<'a>, new: &View<'a>) {
        let list = |values: &mut dyn Iterator<Item = &String>| {
            let texts: Vec<String> = values.map(|text| super::text::cut(text)).collect();
            texts.join(", ")
        };
        match (&old.values, &new.values) {
            (None, None) => {}
            (None, Some(values)) => {
                let text = format!("may only be {}", list(&mut values.iter()));
                self.turned(Aspect::Value, Turn::Tighter, &text);
            }
            (Some(values), None) => {
                let text = format!("was only {}, may be anything", list(&mut values.iter()));
                self.turned(Aspect::Value, Turn::Laxer, &text);
            }
            (Some(was), Some(is)) => {
                let (gone, added) = (list(&mut was.difference(is)), list(&mut is.difference(was)));
                if !gone.is_empty() {
                    self.turned(Aspect::Value, Turn::Tighter, &format!("{gone} is gone"));
                }
                if !added.is_empty() {
                    self.turned(Aspect::Value, Turn::Laxer, &format!("{added} is new"));
                }
            }
        }
    }

    fn fields(&mut self, old: &View<'a>, new: &View<'a>) -> Result<(), Unreadable> {
        let all = |view: &View<'a>| view.fields.keys().copied().chain(view.required.iter().copied()).collect();
        let (was, is): (BTreeSet<&str>, BTreeSet<&str>) = (all(old), all(new));
        for name in was.union(&is) {
            let length = self.enter(&super::text::step(name));
            let needed = (old.required.contains(name), new.required.contains(name));
            let done = match (was.contains(name), is.contains(name)) {
                (true, true) => self.field(needed, of(&old.fields, name), of(&new.fields, name)),
                (has, _) => {
                    let rule = field_rule(self.direction, has, needed.1);
                    self.note(rule, if needed.0 || needed.1 { "required" } else { "optional" });
                    // A map has it too, as one of its values.
                    if !has && old.extra.iter().any(|extra| *extra != &NOTHING) {
                        self.nodes(&old.extra, of(&new.fields, name), false);
                    }
                    Ok(())
                }
            };
            self.leave(length);
            done?;
        }
        for name in old.patterns.keys().filter(|name| new.patterns.contains_key(*name)) {
            let step = format!("[/{}/]", super::text::cut(name));
            self.within(&step, of(&old.patterns, name), of(&new.patterns, name), false);
        }
        if old.patterns.keys().ne(new.patterns.keys()) {
            self.unclear("`patternProperties` has other patterns");
        }
        Ok(())
    }

    /// A field that both have.
    fn field(&mut self, needed: (bool, bool), old: &[&'a Value], new: &[&'a Value]) -> Result<(), Unreadable> {
        let rule = match (self.direction, needed) {
            (Direction::Request, (false, true)) => Some(Rule::RequestFieldRequired),
            (Direction::Request, (true, false)) => Some(Rule::RequestFieldOptional),
            (Direction::Response, (false, true)) => Some(Rule::ResponseFieldRequired),
            (Direction::Response, (true, false)) => Some(Rule::ResponseFieldOptional),
            _ => None,
        };
        if let Some(rule) = rule {
            self.note(rule, if needed.1 { "is always there now" } else { "may be missing now" });
        }
        self.nodes(old, new, false);
        self.notes(needed.0, old, new)
    }

    /// What is said of a field beside what it may be.
    fn notes(&mut self, is_always_sent: bool, old: &[&'a Value], new: &[&'a Value]) -> Result<(), Unreadable> {
        let (was, is) = (View::of(self.old, old)?, View::of(self.new, new)?);
        if is.is_deprecated && !was.is_deprecated {
            self.note(Rule::FieldDeprecated, super::text::deprecation(new));
        }
        let counts = self.direction == Direction::Request && !is_always_sent;
        if let Some(default) = was.default.filter(|default| counts && is.default != Some(*default)) {
            let text = |value: Option<&Value>| value.map_or("none".to_owned(), super::text::short);
            self.note(Rule::RequestDefaultChanged, format!("was {}, is {}", text(Some(default)), text(is.default)));
        }
        Ok(())
    }

    /// Fields that nobody has declared. Of an answer, they are passed over unless they are what it is made of (a map).
    fn extra(&mut self, old: &View<'a>, new: &View<'a>) {
        let closed = |view: &View<'a>| view.extra.contains(&&NOTHING);
        match (closed(old), closed(new), self.direction) {
            (false, true, Direction::Request) => self.note(Rule::RequestClosed, "`additionalProperties` is false"),
            (true, false, Direction::Request) => self.note(Rule::RequestOpened, "`additionalProperties` is not false"),
            (false, false, _) if !old.extra.is_empty() || !new.extra.is_empty() => {
                self.within("[*]", &old.extra, &new.extra, false);
            }
            _ => {}
        }
    }

    fn items(&mut self, old: &View<'a>, new: &View<'a>) {
        for number in 0..old.first.len().max(new.first.len()) {
            let at = |view: &View<'a>| view.first.get(number).map_or(view.items.clone(), |first| vec![*first]);
            self.within(&format!("[{number}]"), &at(old), &at(new), false);
        }
        if !old.items.is_empty() || !new.items.is_empty() {
            self.within("[]", &old.items, &new.items, false);
        }
    }

    fn rest(&mut self, old: &View<'a>, new: &View<'a>) {
        let names: BTreeSet<&str> = old.rest.keys().chain(new.rest.keys()).copied().collect();
        for name in names.into_iter().filter(|name| old.rest.get(name) != new.rest.get(name)) {
            self.unclear(&format!("`{name}` is another"));
        }
    }

    pub(super) fn unclear(&mut self, detail: &str) {
        let request = self.direction == Direction::Request;
        self.note(if request { Rule::RequestUnclear } else { Rule::ResponseUnclear }, detail);
    }

    /// What it means that more, less or something else is let through, by who sends it.
    pub(super) fn turned(&mut self, aspect: Aspect, turn: Turn, detail: &str) {
        let is_tighter = match turn {
            Turn::Same => return,
            Turn::Tighter => true,
            Turn::Laxer => false,
            // Both; it is told as what breaks.
            Turn::Other => self.direction == Direction::Request,
        };
        // Nobody goes by them: apps go by the type, and the status is that of the answer.
        let is_told_elsewhere = self.path.ends_with(".title") || self.path.ends_with(".status");
        if self.is_problem && is_told_elsewhere && matches!(aspect, Aspect::Value) {
            return;
        }
        let is_type = matches!(aspect, Aspect::Variant) || (matches!(aspect, Aspect::Value) && self.path == "$.type");
        let rule = match (self.is_problem && is_type, is_tighter) {
            (true, true) => Rule::ProblemTypeRemoved,
            (true, false) => Rule::ProblemTypeAdded,
            (false, _) => rule(self.direction, aspect, is_tighter),
        };
        self.note(rule, detail);
    }
}

fn of<'s, 'a>(fields: &'s BTreeMap<&'a str, Node<'a>>, name: &str) -> &'s [&'a Value] {
    fields.get(name).map_or(&[], Vec::as_slice)
}

/// A field that one of them has: `gone` or new.
fn field_rule(direction: Direction, gone: bool, needed: bool) -> Rule {
    match (direction, gone) {
        (Direction::Request, true) => Rule::RequestFieldRemoved,
        (Direction::Request, false) if needed => Rule::RequestFieldAddedRequired,
        (Direction::Request, false) => Rule::RequestFieldAdded,
        (Direction::Response, true) => Rule::ResponseFieldRemoved,
        (Direction::Response, false) => Rule::ResponseFieldAdded,
    }
}

fn rule(direction: Direction, aspect: Aspect, is_tighter: bool) -> Rule {
    match (direction, aspect, is_tighter) {
        (Direction::Request, Aspect::Type, true) => Rule::RequestTypeNarrowed,
        (Direction::Request, Aspect::Type, false) => Rule::RequestTypeWidened,
        (Direction::Request, Aspect::Null, true) => Rule::RequestNullRefused,
        (Direction::Request, Aspect::Null, false) => Rule::RequestNullAllowed,
        (Direction::Request, Aspect::Value, true) => Rule::RequestValueRemoved,
        (Direction::Request, Aspect::Value, false) => Rule::RequestValueAdded,
        (Direction::Request, Aspect::Bound, true) => Rule::RequestBoundTightened,
        (Direction::Request, Aspect::Bound, false) => Rule::RequestBoundRelaxed,
        (Direction::Request, Aspect::Variant, true) => Rule::RequestVariantRemoved,
        (Direction::Request, Aspect::Variant, false) => Rule::RequestVariantAdded,
        (Direction::Response, Aspect::Type, true) => Rule::ResponseTypeNarrowed,
        (Direction::Response, Aspect::Type, false) => Rule::ResponseTypeWidened,
        (Direction::Response, Aspect::Null, true) => Rule::ResponseNullRemoved,
        (Direction::Response, Aspect::Null, false) => Rule::ResponseNullAdded,
        (Direction::Response, Aspect::Value, true) => Rule::ResponseValueRemoved,
        (Direction::Response, Aspect::Value, false) => Rule::ResponseValueAdded,
        (Direction::Response, Aspect::Bound, true) => Rule::ResponseBoundTightened,
        (Direction::Response, Aspect::Bound, false) => Rule::ResponseBoundRelaxed,
        (Direction::Response, Aspect::Variant, true) => Rule::ResponseVariantRemoved,
        (Direction::Response, Aspect::Variant, false) => Rule::ResponseVariantAdded,
    }
}
