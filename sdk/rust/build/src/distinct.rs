//! Names that differ in a proto and are one in Rust, told apart.
//!
//! Rust spells names in a way of its own: `fooBar` and `foo_bar` are one field, `Foo_Bar` and `FooBar` one type, `FOO__A` and `FOO_A` one
//! value. One rule holds for all of them. What has its spelling for itself keeps it. Of those that would share one the first keeps it, and
//! the others get the first number from 2 that is free: `foo_bar_2`, `FooBar2`. The first is who stands first in the file; fields stand
//! before oneofs, messages before enums and these before services, and files in the order of their names. It depends on the protos alone, and
//! not on what is granted of them.
//!
//! A name gets its number behind a space, which no proto can have in a name. So it is the number that Rust's spelling takes for a word of its
//! own, and the name of the proto can be had back: [`original`].

use std::collections::{BTreeMap, BTreeSet};

use heck::{ToSnakeCase, ToUpperCamelCase};
use prost_build::Module;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use crate::prune::WELL_KNOWN;

/// The name in the proto.
pub(crate) fn original(name: &str) -> &str {
    name.split_once(' ').map_or(name, |(name, _)| name)
}

/// Gives numbers to those of whose claims one is taken. What a name claims is told by its spelling, which must not be empty.
pub(crate) fn distinct<'a, C>(
    names: impl IntoIterator<Item = (&'a mut Option<String>, C)>,
    taken: &mut BTreeSet<String>,
    claims: impl Fn(&str, &C) -> Vec<String>,
) {
    let mut later = Vec::new();
    let mut take = |name: &str, what: &C| {
        let claims = claims(name, what);
        let is_free = claims.iter().all(|claim| !claim.ends_with(BETWEEN) && !taken.contains(claim));
        if is_free {
            taken.extend(claims);
        }
        is_free
    };
    for (name, what) in names {
        if !take(name.as_deref().unwrap_or_default(), &what) {
            later.push((name, what));
        }
    }
    for (name, what) in later {
        let plain = name.as_deref().unwrap_or_default();
        *name = (2..).map(|number| format!("{plain} {number}")).find(|numbered| take(numbered, &what));
    }
}

/// Stands before a name and after what it belongs to.
const BETWEEN: char = '/';

/// What has got another name.
#[derive(Debug, Default)]
pub(crate) struct Renamed {
    /// Full names of messages, fields, oneofs and enums, before and after, with a dot before each.
    paths: Vec<(String, String)>,
    /// Names with numbers that stand in what is written as they are.
    written: BTreeSet<String>,
}

/// Makes all names distinct.
pub(crate) fn rename(files: &mut [FileDescriptorProto]) -> Renamed {
    let mut files: Vec<_> = files.iter_mut().filter(|file| file.package() != WELL_KNOWN).collect();
    files.sort_by(|one, other| one.name().cmp(other.name()));
    let before = full_names(&files);
    let mut taken = BTreeSet::new();
    types(&mut files, &mut taken);
    let mut values = BTreeMap::new();
    for file in &mut files {
        let (package, is_proto2) = (prefix(file.package()), file.syntax() != "proto3");
        let module = module(file.package());
        file.message_type.iter_mut().for_each(|message| members(message, &module, is_proto2, &mut taken));
        each_enum(&mut file.enum_type, &mut file.message_type, &package, &mut |one, name| {
            variants(one, name, &mut values);
        });
    }
    let paths: Vec<_> = before.into_iter().zip(full_names(&files)).filter(|(before, after)| before != after).collect();
    let names: BTreeMap<_, _> = paths.iter().map(|(before, after)| (before.as_str(), after.as_str())).collect();
    files.iter_mut().for_each(|file| refer(file, &names, &values));
    let last = |(_, after): &(String, String)| after.rsplit('.').next().map(str::to_owned);
    let written = paths.iter().filter_map(last).filter(|name| name.contains(' ')).chain(values.into_values()).collect();
    Renamed { paths, written }
}

impl Renamed {
    /// The paths that mean now what this one of an author means: itself, and those of what has got another name.
    pub(crate) fn paths(&self, path: &str) -> Vec<String> {
        let end = format!(".{path}");
        let is_meant = |before: &str| before == path || !path.starts_with('.') && before.ends_with(&end);
        let renamed = self.paths.iter().filter(|(before, _)| is_meant(before)).map(|(_, after)| after.clone());
        std::iter::once(path.to_owned()).chain(renamed).collect()
    }

    /// The full name of this message now.
    pub(crate) fn message(&self, name: &str) -> String {
        let plain = name.trim_start_matches('.');
        let renamed = self.paths.iter().find(|(before, _)| before.strip_prefix('.') == Some(plain));
        renamed.map_or(name, |(_, after)| after).to_owned()
    }

    /// The text with the names of the proto where these are written as they are: values as JSON and logs have them, and in comments.
    pub(crate) fn restore(&self, mut text: String) -> String {
        for name in &self.written {
            let plain = original(name);
            for (before, after) in [("\"", "\" => "), ("=> \"", "\","), ("types in `", "`.")] {
                text = text.replace(&format!("{before}{name}{after}"), &format!("{before}{plain}{after}"));
            }
        }
        text
    }
}

fn prefix(package: &str) -> String {
    if package.is_empty() { String::new() } else { format!(".{package}") }
}

/// Where a package's messages are written.
fn module(package: &str) -> String {
    Module::from_protobuf_package_name(package).parts().map(|part| format!("{part}::")).collect()
}

/// Where a message's own types are written.
fn inner(module: &str, message: &str) -> String {
    format!("{module}{}", self::module(&message.to_snake_case()))
}

fn is_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

/// Types and clients, from the outermost on: where the inner ones are follows from the outer ones' names.
fn types(files: &mut [&mut FileDescriptorProto], taken: &mut BTreeSet<String>) {
    let claim = |name: &str, module: &String| vec![format!("{module}{BETWEEN}{}", name.to_upper_camel_case())];
    let (mut messages, mut enums, mut services) = (Vec::new(), Vec::new(), Vec::new());
    for file in files {
        let module = module(file.package());
        messages.extend(file.message_type.iter_mut().map(|message| (message, module.clone())));
        enums.extend(file.enum_type.iter_mut().map(|one| (one, module.clone())));
        services.extend(file.service.iter_mut().map(|service| (&mut service.name, module.clone())));
    }
    while !messages.is_empty() || !enums.is_empty() {
        let names = messages.iter_mut().map(|(message, module)| (&mut message.name, module.clone()));
        let names = names.chain(enums.iter_mut().map(|(one, module)| (&mut one.name, module.clone())));
        distinct(names.chain(services.drain(..)), taken, claim);
        enums = Vec::new();
        for (message, module) in std::mem::take(&mut messages) {
            let module = inner(&module, message.name());
            let nested = message.nested_type.iter_mut().filter(|nested| !is_entry(nested));
            messages.extend(nested.map(|nested| (nested, module.clone())));
            enums.extend(message.enum_type.iter_mut().map(|one| (one, module.clone())));
        }
    }
    distinct(services, taken, claim);
}

/// What is written into a message's struct.
enum Member {
    /// With methods that are named after it, by what stands before its name there.
    Field(&'static [&'static str]),
    Oneof,
}

/// Fields, oneofs and their variants.
fn members(message: &mut DescriptorProto, module: &str, is_proto2: bool, taken: &mut BTreeSet<String>) {
    let own = format!("{module}{BETWEEN}{}", message.name().to_upper_camel_case());
    let module = inner(module, message.name());
    let nested = message.nested_type.iter().map(DescriptorProto::name);
    let nested: BTreeSet<_> = nested.chain(message.enum_type.iter().map(EnumDescriptorProto::name)).collect();
    let nested: BTreeSet<_> = nested.into_iter().map(str::to_upper_camel_case).collect();
    let methods: Vec<_> = message.field.iter().map(|field| accessors(field, &message.nested_type, is_proto2)).collect();

    let mut names = Vec::new();
    let mut oneofs: BTreeMap<i32, Vec<(&mut Option<String>, ())>> = BTreeMap::new();
    for (field, methods) in message.field.iter_mut().zip(methods) {
        match field.oneof_index.filter(|_| field.proto3_optional != Some(true)) {
            Some(oneof) => oneofs.entry(oneof).or_default().push((&mut field.name, ())),
            None => names.push((&mut field.name, Member::Field(methods))),
        }
    }
    let written = (0..).zip(&mut message.oneof_decl).filter(|(at, _)| oneofs.contains_key(at));
    names.extend(written.map(|(_, oneof)| (&mut oneof.name, Member::Oneof)));
    distinct(names, taken, |name, member| {
        let (field, variants) = (name.to_snake_case(), name.to_upper_camel_case());
        let mut claims = vec![format!("{own}{BETWEEN}{field}")];
        match member {
            Member::Field(methods) => {
                claims.extend(methods.iter().map(|before| format!("{own}{BETWEEN}fn {before}{field}")));
            }
            Member::Oneof => {
                let more = if nested.contains(&variants) { "OneOf" } else { "" };
                claims.push(format!("{module}{BETWEEN}{variants}{more}"));
            }
        }
        claims
    });
    for members in oneofs.into_values() {
        let camel = |name: &str, (): &()| vec![format!("{BETWEEN}{}", name.to_upper_camel_case())];
        distinct(members, &mut BTreeSet::new(), camel);
    }
    for nested in message.nested_type.iter_mut().filter(|nested| !is_entry(nested)) {
        members(nested, &module, is_proto2, taken);
    }
}

/// The methods that prost writes for a field.
fn accessors(field: &FieldDescriptorProto, nested: &[DescriptorProto], is_proto2: bool) -> &'static [&'static str] {
    let entry =
        nested.iter().find(|nested| is_entry(nested) && field.type_name().rsplit('.').next() == nested.name.as_deref());
    let is_enum = field.r#type() == Type::Enum;
    match (field.label(), entry) {
        (_, Some(entry)) if entry.field.iter().any(|field| field.r#type() == Type::Enum) => &["get_", "insert_"],
        (_, Some(_)) => &[],
        (Label::Repeated, None) if is_enum => &["", "push_"],
        (Label::Optional | Label::Required, None) if is_enum => &["", "set_"],
        (Label::Optional, None) if matches!(field.r#type(), Type::Message | Type::Group) => &[],
        (Label::Optional, None) if is_proto2 || field.proto3_optional() => &[""],
        _ => &[],
    }
}

/// By the enum's full name and the value's own one: the value's name with its number.
type Values = BTreeMap<(String, String), String>;

fn variants(one: &mut EnumDescriptorProto, full_name: &str, values: &mut Values) {
    let prefix = one.name().to_upper_camel_case();
    let mut numbers = BTreeSet::new();
    // Of aliases the first one is written.
    let written = one.value.iter_mut().filter(|value| numbers.insert(value.number()));
    let names = written.map(|value| (&mut value.name, ()));
    distinct(names, &mut BTreeSet::new(), |name, ()| {
        let camel = name.to_upper_camel_case();
        let short = camel.strip_prefix(&prefix).filter(|short| short.starts_with(char::is_uppercase));
        vec![format!("{BETWEEN}{}", short.unwrap_or(&camel))]
    });
    for name in one.value.iter().map(|value| value.name()).filter(|name| name.contains(' ')) {
        values.insert((full_name.to_owned(), original(name).to_owned()), name.to_owned());
    }
}

fn each_enum(
    enums: &mut [EnumDescriptorProto],
    messages: &mut [DescriptorProto],
    prefix: &str,
    then: &mut impl FnMut(&mut EnumDescriptorProto, &str),
) {
    for one in enums {
        let name = format!("{prefix}.{}", one.name());
        then(one, &name);
    }
    for message in messages {
        let name = format!("{prefix}.{}", message.name());
        each_enum(&mut message.enum_type, &mut message.nested_type, &name, then);
    }
}

/// Full names in an order that no name changes.
fn full_names(files: &[&mut FileDescriptorProto]) -> Vec<String> {
    let mut names = Vec::new();
    for file in files {
        let prefix = prefix(file.package());
        names.extend(file.enum_type.iter().map(|one| format!("{prefix}.{}", one.name())));
        let mut left: Vec<_> = file.message_type.iter().map(|message| (message, prefix.clone())).collect();
        while let Some((message, prefix)) = left.pop() {
            let name = format!("{prefix}.{}", message.name());
            let fields = message.field.iter().map(|field| field.name());
            let members = fields.chain(message.oneof_decl.iter().map(|oneof| oneof.name()));
            let members = members.chain(message.enum_type.iter().map(EnumDescriptorProto::name));
            names.extend(members.map(|member| format!("{name}.{member}")));
            left.extend(message.nested_type.iter().map(|nested| (nested, name.clone())));
            names.push(name);
        }
    }
    names
}

/// Whoever names a type or a value goes by its name now.
fn refer(file: &mut FileDescriptorProto, names: &BTreeMap<&str, &str>, values: &Values) {
    let rename = |name: &mut Option<String>| {
        if let Some(new) = name.as_deref().and_then(|name| names.get(name)) {
            *name = Some((*new).to_owned());
        }
    };
    for method in file.service.iter_mut().flat_map(|service| &mut service.method) {
        rename(&mut method.input_type);
        rename(&mut method.output_type);
    }
    let mut left: Vec<_> = file.message_type.iter_mut().collect();
    while let Some(message) = left.pop() {
        for field in &mut message.field {
            rename(&mut field.type_name);
            let value = (field.type_name().to_owned(), field.default_value().to_owned());
            if let Some(value) = values.get(&value).filter(|_| field.r#type() == Type::Enum) {
                field.default_value = Some(value.clone());
            }
        }
        left.extend(&mut message.nested_type);
    }
}
