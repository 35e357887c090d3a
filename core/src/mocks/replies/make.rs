//! One reply. Each value follows from the seed and from its place in the reply: a list that grows keeps the items that it had.

use super::{Sizes, known};
use crate::mocks::{
    dice::{Dice, mixed},
    names,
};
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use std::collections::{BTreeMap, HashMap};

/// Messages inside one another, from where on no more are made.
const DEEPEST: usize = 12;
/// Messages of the same type inside one another.
const ALIKE: usize = 2;
/// Messages of one reply.
const MOST: usize = 20_000;
/// Ids are below this, so that they fit into every number and are read aloud.
const IDS: u32 = 9_000_000;

/// Makes one reply to a request.
pub(super) struct Maker<'s> {
    sizes: &'s Sizes,
    /// Of the request, by name: what was said.
    said: BTreeMap<String, (Kind, Value)>,
    /// How many items the request asks for at most.
    most: Option<usize>,
    /// The types that are being made, from outside to inside.
    inside: Vec<String>,
    made: usize,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    seed: u64,
    /// Lists around it.
    lists: usize,
    /// Among the items of its list: which one, and of which list.
    item: Option<(usize, u64)>,
    /// Whether what was asked for by its own id may be this.
    is_asked: bool,
}

impl<'s> Maker<'s> {
    pub(super) fn new(sizes: &'s Sizes, request: &DynamicMessage) -> Self {
        let is_single = |field: &FieldDescriptor| !field.is_list() && !field.is_map();
        let said: BTreeMap<_, _> = request
            .fields()
            .filter(|(field, _)| is_single(field) && !matches!(field.kind(), Kind::Message(_)))
            .map(|(field, value)| (field.name().to_owned(), (field.kind(), value.clone())))
            .collect();
        let bounds = ["page_size", "limit", "max_results", "per_page", "first", "count"];
        let most = bounds.iter().find_map(|name| count(&said.get(*name)?.1).filter(|most| *most > 0));
        Self { sizes, said, most, inside: Vec::new(), made: 0 }
    }

    pub(super) fn reply(&mut self, of: &MessageDescriptor, seed: u64) -> DynamicMessage {
        self.message(of, Place { seed, lists: 0, item: None, is_asked: true })
    }

    /// One of several messages that answer a request.
    pub(super) fn item(&mut self, of: &MessageDescriptor, seed: u64, at: usize) -> DynamicMessage {
        let place = Place { seed: mixed(seed, &at.to_string()), lists: 1, item: Some((at, seed)), is_asked: false };
        self.message(of, place)
    }

    fn message(&mut self, of: &MessageDescriptor, place: Place) -> DynamicMessage {
        let mut made = DynamicMessage::new(of.clone());
        self.made += 1;
        self.inside.push(of.full_name().to_owned());
        let has_own_id =
            of.fields().any(|field| self.said_of(&field, place).is_some() && known::is_own_id(field.name()));
        let inner = Place { is_asked: place.is_asked && !has_own_id, ..place };
        for field in of.fields() {
            if !is_chosen(&field, place.seed) {
                continue;
            }
            if let Some(value) = self.field(&field, place, inner) {
                // A value of another type than the field's is no value of it.
                let _ = made.try_set_field(&field, value);
            }
        }
        self.inside.pop();
        made
    }

    /// What the request says of it.
    fn said_of(&self, field: &FieldDescriptor, place: Place) -> Option<Value> {
        let (kind, value) = self.said.get(field.name()).filter(|(kind, _)| *kind == field.kind())?;
        if field.is_list() || field.is_map() || matches!(kind, Kind::Message(_)) {
            return None;
        }
        let is_meant = if known::is_own_id(field.name()) { place.is_asked } else { place.lists <= 1 };
        is_meant.then(|| value.clone())
    }

    fn field(&mut self, field: &FieldDescriptor, place: Place, inner: Place) -> Option<Value> {
        if let Some(said) = self.said_of(field, place) {
            return Some(said);
        }
        let seed = mixed(place.seed, field.name());
        if field.is_map() {
            return self.map(field, seed, inner);
        }
        if field.is_list() {
            return self.list(field, seed, inner);
        }
        match field.kind() {
            Kind::Message(of) => {
                let item = inner.item.map(|(at, of)| (at, mixed(of, field.name())));
                self.held(&of, field.name(), Place { seed, item, ..inner }).map(Value::Message)
            }
            kind => {
                let mut dice = Dice::new(seed);
                let known = known::by_name(field).or_else(|| known::of_type(field, &mut dice));
                known.or_else(|| {
                    scalar(field.name(), &kind, seed, place.item.map(|(at, of)| (at, mixed(of, field.name()))))
                })
            }
        }
    }

    /// A message in a field; none where it would have no end.
    fn held(&mut self, of: &MessageDescriptor, name: &str, place: Place) -> Option<DynamicMessage> {
        if known::is_known(of) {
            return known::known(of, name, &mut Dice::new(place.seed));
        }
        let alike = self.inside.iter().filter(|inside| *inside == of.full_name()).count();
        let is_endless = alike >= ALIKE || self.inside.len() >= DEEPEST || self.made >= MOST;
        (!is_endless).then(|| self.message(of, place))
    }

    fn size(&self, field: &FieldDescriptor, place: Place) -> usize {
        let size = self.sizes.of(field);
        if place.lists == 0 { size.min(self.most.unwrap_or(size)) } else { size }
    }

    fn list(&mut self, field: &FieldDescriptor, seed: u64, place: Place) -> Option<Value> {
        let name = names::singular(field.name());
        let mut items = Vec::new();
        for at in 0..self.size(field, place) {
            let own = mixed(seed, &at.to_string());
            let item = match field.kind() {
                Kind::Message(of) => {
                    let place = Place { seed: own, lists: place.lists + 1, item: Some((at, seed)), is_asked: false };
                    Value::Message(self.held(&of, name, place)?)
                }
                kind => distinct(scalar(name, &kind, own, Some((at, seed)))?, &items, at),
            };
            items.push(item);
        }
        Some(Value::List(items))
    }

    fn map(&mut self, field: &FieldDescriptor, seed: u64, place: Place) -> Option<Value> {
        let Kind::Message(entry) = field.kind() else { return None };
        let (of_key, of_value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let mut map = HashMap::new();
        for at in 0..self.size(field, place) {
            let own = mixed(seed, &at.to_string());
            let key: MapKey = scalar("id", &of_key, seed, Some((at, seed)))?.into_map_key()?;
            let value = match of_value.clone() {
                Kind::Message(of) => {
                    let place = Place { seed: own, lists: place.lists + 1, item: Some((at, seed)), is_asked: false };
                    Value::Message(self.held(&of, field.name(), place)?)
                }
                kind => scalar(names::singular(field.name()), &kind, own, Some((at, seed)))?,
            };
            map.insert(key, value);
        }
        Some(Value::Map(map))
    }
}

/// Of the members of a `oneof`, one. What says that something went wrong is never it.
fn is_chosen(field: &FieldDescriptor, seed: u64) -> bool {
    let Some(oneof) = field.containing_oneof().filter(|oneof| !oneof.is_synthetic()) else { return true };
    let is_good = |member: &FieldDescriptor| {
        !matches!(member.kind(), Kind::Message(of) if of.full_name() == "google.rpc.Status") && member.name() != "error"
    };
    let good: Vec<u32> = oneof.fields().filter(is_good).map(|member| member.number()).collect();
    Dice::new(mixed(seed, oneof.name())).pick(&good) == Some(field.number())
}

/// `item`: which one of a list, and the seed that its neighbours have as well.
fn scalar(name: &str, kind: &Kind, seed: u64, item: Option<(usize, u64)>) -> Option<Value> {
    let mut dice = Dice::new(seed);
    if known::is_id(name) {
        let (at, of_list) = item.unwrap_or((0, seed));
        let mut shared = Dice::new(of_list);
        let number = 1 + shared.below(IDS) + u32::try_from(at).unwrap_or_default();
        match kind {
            Kind::String => return Some(Value::String(format!("{}-{number}", names::word(&mut shared)))),
            Kind::Bytes => return Some(Value::Bytes(number.to_be_bytes().to_vec().into())),
            Kind::Float | Kind::Double | Kind::Bool | Kind::Enum(_) => {}
            kind => return known::of_kind(kind, f64::from(number)),
        }
    }
    Some(match kind {
        Kind::Bool => Value::Bool(dice.below(2) == 0),
        Kind::String => Value::String(names::text(name, &mut dice)),
        Kind::Bytes => Value::Bytes(names::word(&mut dice).into()),
        Kind::Enum(of) => Value::EnumNumber(member(of, &mut dice)),
        Kind::Message(_) => return None,
        kind => known::number(name, kind, &mut dice)?,
    })
}

/// One that says something, where there is one.
fn member(of: &EnumDescriptor, dice: &mut Dice) -> i32 {
    let numbers: Vec<i32> = of.values().map(|value| value.number()).filter(|number| *number != 0).collect();
    dice.pick(&numbers).unwrap_or_default()
}

/// Names and numbers may be keys as well: none stands in a list twice.
fn distinct(value: Value, before: &[Value], at: usize) -> Value {
    if !before.contains(&value) {
        return value;
    }
    match value {
        Value::String(text) => Value::String(format!("{text} {}", at + 1)),
        Value::I32(number) => Value::I32(number.wrapping_add(1_000 * (i32::try_from(at).unwrap_or_default() + 1))),
        Value::I64(number) => Value::I64(number.wrapping_add(1_000 * (i64::try_from(at).unwrap_or_default() + 1))),
        Value::U32(number) => Value::U32(number.wrapping_add(1_000 * (u32::try_from(at).unwrap_or_default() + 1))),
        Value::U64(number) => Value::U64(number.wrapping_add(1_000 * (at as u64 + 1))),
        value => value,
    }
}

fn count(value: &Value) -> Option<usize> {
    match value {
        Value::I32(count) => usize::try_from(*count).ok(),
        Value::I64(count) => usize::try_from(*count).ok(),
        Value::U32(count) => usize::try_from(*count).ok(),
        Value::U64(count) => usize::try_from(*count).ok(),
        _ => None,
    }
}
