//! Leaves of the protos what granted methods need, so that no more is written as Rust and compiled.
//!
//! Of what only other methods of a granted service take and answer, there is left what needs nothing further: a call that is not granted
//! shall fail because of that, and not because a message is unknown.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::source_code_info::Location;
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use crate::calls::Granted;
use crate::distinct::original;

/// Numbers of fields in `descriptor.proto`, of which the paths of comments are made.
mod number {
    pub(super) const FILE_MESSAGES: i32 = 4;
    pub(super) const FILE_ENUMS: i32 = 5;
    pub(super) const FIELDS: i32 = 2;
    pub(super) const MESSAGES: i32 = 3;
    pub(super) const ENUMS: i32 = 4;
    pub(super) const ONEOFS: i32 = 8;
}

/// The package whose messages are in `prost_types`.
pub(crate) const WELL_KNOWN: &str = "google.protobuf";

/// What is left, by full names that begin with a dot.
#[derive(Default)]
struct Left {
    /// Whole, with all that it needs.
    whole: BTreeSet<String>,
    /// Without what needs types that are not whole.
    partial: BTreeSet<String>,
    /// Entries of maps, by their names: the types that they need.
    entries: BTreeMap<String, Vec<String>>,
}

/// Takes out what neither granted methods nor these messages need.
pub(crate) fn prune(files: &mut Vec<FileDescriptorProto>, granted: &Granted, messages: &[String]) {
    if messages.iter().any(|name| name == ".") {
        return;
    }
    let left = Left::of(files, granted, messages);
    files.retain_mut(|file| {
        if file.package() == WELL_KNOWN {
            return true;
        }
        let prefix = prefix(file.package());
        let mut moved = BTreeMap::new();
        left.messages(&mut file.message_type, &prefix, number::FILE_MESSAGES, (&[], &[]), &mut moved);
        left.enums(&mut file.enum_type, &prefix, number::FILE_ENUMS, (&[], &[]), &mut moved);
        if let Some(info) = &mut file.source_code_info {
            info.location.retain_mut(|location| follow(location, &moved));
        }
        !(file.message_type.is_empty() && file.enum_type.is_empty() && file.service.is_empty())
    });
}

fn prefix(package: &str) -> String {
    if package.is_empty() { String::new() } else { format!(".{package}") }
}

/// A kept element's new path, and whether it is a message.
type Moved = BTreeMap<Vec<i32>, (Vec<i32>, bool)>;

/// Gives a comment the new path of what it belongs to; says whether that is there.
fn follow(location: &mut Location, moved: &Moved) -> bool {
    let path = &location.path;
    let known = (0..=path.len()).rev().find_map(|len| Some((len, moved.get(path.get(..len)?)?)));
    let (len, new, elements): (usize, &[i32], &[i32]) = match known {
        Some((len, (new, true))) => (len, new, &[number::FIELDS, number::MESSAGES, number::ENUMS, number::ONEOFS]),
        Some((len, (new, false))) => (len, new, &[]),
        None => (0, &[], &[number::FILE_MESSAGES, number::FILE_ENUMS]),
    };
    let rest = path.get(len..).unwrap_or_default();
    if matches!(rest, [kind, _, ..] if elements.contains(kind)) {
        return false;
    }
    location.path = [new, rest].concat();
    true
}

impl Left {
    fn of(files: &[FileDescriptorProto], granted: &Granted, messages: &[String]) -> Self {
        let mut left = Self::default();
        let mut needs = BTreeMap::new();
        for file in files {
            index(&file.message_type, &prefix(file.package()), &mut needs, &mut left.entries);
        }
        let mut pending: Vec<String> =
            messages.iter().map(|name| format!(".{}", name.trim_start_matches('.'))).collect();
        let mut others = BTreeSet::new();
        for (file, service) in files.iter().flat_map(|file| file.service.iter().map(move |service| (file, service))) {
            let name = format!("{}.{}", prefix(file.package()), original(service.name()));
            let name = name.trim_start_matches('.');
            for method in &service.method {
                let types = [method.input_type().to_owned(), method.output_type().to_owned()];
                if granted.number(name, method.name()).is_some() {
                    pending.extend(types);
                } else if !method.client_streaming() && granted.services().any(|granted| granted == name) {
                    others.extend(types);
                }
            }
        }
        while let Some(name) = pending.pop() {
            pending.extend(needs.get(&name).into_iter().flatten().filter(|name| !left.whole.contains(*name)).cloned());
            left.whole.insert(name);
        }
        left.partial = others.difference(&left.whole).cloned().collect();
        left
    }

    /// Whether something inside of it is left.
    fn is_around(&self, name: &str) -> bool {
        let inside = format!("{name}.");
        let around =
            |names: &BTreeSet<String>| names.range(inside.clone()..).next().is_some_and(|n| n.starts_with(&inside));
        around(&self.whole) || around(&self.partial)
    }

    fn messages(
        &self,
        messages: &mut Vec<DescriptorProto>,
        prefix: &str,
        kind: i32,
        (old, new): (&[i32], &[i32]),
        moved: &mut Moved,
    ) {
        let mut place = 0;
        let mut at = -1;
        messages.retain_mut(|message| {
            at += 1;
            let name = format!("{prefix}.{}", message.name());
            let (is_whole, is_partial) = (self.whole.contains(&name), self.partial.contains(&name));
            // An entry of a map goes with its field, which has been looked at before.
            let is_entry = self.entries.contains_key(&name) && self.is_there(&name);
            if !is_whole && !is_partial && !is_entry && !self.is_around(&name) {
                return false;
            }
            let (old, new) = ([old, &[kind, at]].concat(), [new, &[kind, place]].concat());
            place += 1;
            self.fields(message, (is_whole || is_entry, is_partial), (&old, &new), moved);
            self.messages(&mut message.nested_type, &name, number::MESSAGES, (&old, &new), moved);
            self.enums(&mut message.enum_type, &name, number::ENUMS, (&old, &new), moved);
            moved.insert(old, (new, true));
            true
        });
    }

    fn enums(
        &self,
        enums: &mut Vec<EnumDescriptorProto>,
        prefix: &str,
        kind: i32,
        (old, new): (&[i32], &[i32]),
        moved: &mut Moved,
    ) {
        let (mut place, mut at) = (0, -1);
        enums.retain(|one| {
            at += 1;
            let kept = self.whole.contains(&format!("{prefix}.{}", one.name()));
            if kept {
                moved.insert([old, &[kind, at]].concat(), ([new, &[kind, place]].concat(), false));
                place += 1;
            }
            kept
        });
    }

    fn fields(
        &self,
        message: &mut DescriptorProto,
        (is_whole, is_partial): (bool, bool),
        (old, new): (&[i32], &[i32]),
        moved: &mut Moved,
    ) {
        let (mut place, mut at) = (0, -1);
        message.field.retain(|field| {
            at += 1;
            let kept = is_whole || is_partial && self.is_complete(field);
            if kept {
                moved.insert([old, &[number::FIELDS, at]].concat(), ([new, &[number::FIELDS, place]].concat(), false));
                place += 1;
            }
            kept
        });
        let mut places = BTreeMap::new();
        let (mut place, mut at) = (0, -1);
        let fields = &message.field;
        message.oneof_decl.retain(|_| {
            at += 1;
            let kept = fields.iter().any(|field| field.oneof_index == Some(at));
            if kept {
                places.insert(at, place);
                moved.insert([old, &[number::ONEOFS, at]].concat(), ([new, &[number::ONEOFS, place]].concat(), false));
                place += 1;
            }
            kept
        });
        for field in &mut message.field {
            field.oneof_index = field.oneof_index.and_then(|at| places.get(&at).copied());
        }
    }

    /// Whether all that the field needs is whole.
    fn is_complete(&self, field: &FieldDescriptorProto) -> bool {
        field.type_name.as_ref().is_none_or(|name| self.is_there(name))
    }

    fn is_there(&self, name: &str) -> bool {
        match self.entries.get(name) {
            Some(needs) => needs.iter().all(|name| self.is_there(name)),
            None => self.whole.contains(name) || name.starts_with(".google.protobuf."),
        }
    }
}

/// The types that each message needs, by its name.
fn index(
    messages: &[DescriptorProto],
    prefix: &str,
    needs: &mut BTreeMap<String, Vec<String>>,
    entries: &mut BTreeMap<String, Vec<String>>,
) {
    for message in messages {
        let name = format!("{prefix}.{}", message.name());
        index(&message.nested_type, &name, needs, entries);
        let types: Vec<String> = message.field.iter().filter_map(|field| field.type_name.clone()).collect();
        if message.options.as_ref().is_some_and(|options| options.map_entry()) {
            entries.insert(name.clone(), types.clone());
        }
        needs.insert(name, types);
    }
}
