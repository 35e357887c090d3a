//! What makes messages data: the attributes by which they are JSON as proto3 maps it.

use std::fmt::Write;

use heck::{ToSnakeCase, ToUpperCamelCase};
use prost_build::{Config, Module};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use crate::Error;
use crate::distinct::original;
use crate::task::Long;

const HERE: &str = "::weft_sdk::message";
const DERIVE: &str =
    "#[derive(::weft_sdk::serde::Serialize, ::weft_sdk::serde::Deserialize, ::weft_sdk::schemars::JsonSchema)]";
const CRATES: &str = "#[schemars(crate = \"::weft_sdk::schemars\")]\n#[serde(crate = \"::weft_sdk::serde\"";
/// A oneof's members stand among the message's. Paths of attributes hold for all below them, so [`tidy`] takes this off its variants.
const FLATTEN: &str = "#[serde(flatten)]";

/// A message, and the modules in which it is written.
struct Place<'a> {
    message: &'a DescriptorProto,
    /// The full name, with a dot before it.
    name: String,
    modules: Vec<String>,
    /// Of a file in which what is optional has presence.
    presence: bool,
}

/// Makes all messages data. Gives back what has to be said of their enums.
pub(crate) fn attributes(files: &[FileDescriptorProto], long: Long, config: &mut Config) -> Result<String, Error> {
    let files: Vec<_> = files.iter().filter(|file| file.package() != "google.protobuf").collect();
    let (mut places, mut enums) = (Vec::new(), Vec::new());
    for file in files {
        let prefix = if file.package().is_empty() { String::new() } else { format!(".{}", file.package()) };
        let modules: Vec<String> =
            Module::from_protobuf_package_name(file.package()).parts().map(str::to_owned).collect();
        enums.extend(file.enum_type.iter().map(|one| (format!("{prefix}.{}", one.name()), path(&modules, one.name()))));
        find(&file.message_type, &prefix, (&modules, file.syntax() != "proto3"), &mut places, &mut enums);
    }
    config.message_attribute(".", format!("{DERIVE}\n{CRATES}, default)]"));
    let entries: Vec<(&str, &DescriptorProto)> =
        places.iter().filter(|place| is_entry(place.message)).map(|p| (p.name.as_str(), p.message)).collect();
    let forms = Forms { entries, enums: &enums, long };
    for Place { message, name, modules, presence } in &places {
        for (at, oneof) in message.oneof_decl.iter().enumerate() {
            let members = || message.field.iter().filter(|f| is_member(f) && f.oneof_index == i32::try_from(at).ok());
            if members().next().is_none() {
                continue;
            }
            let path = format!("{name}.{}", oneof.name());
            config.field_attribute(&path, FLATTEN);
            config.enum_attribute(&path, format!("{DERIVE}\n{CRATES})]"));
            for field in members() {
                let form = forms.of(field, name, modules.len() + 1)?;
                config.field_attribute(
                    format!("{path}.{}", field.name()),
                    form.attributes((message, field), "One", false),
                );
            }
        }
        for field in message.field.iter().filter(|field| !is_member(field)) {
            let form = forms.of(field, name, modules.len())?;
            let occurs = forms.occurs(field, *presence);
            config.field_attribute(format!("{name}.{}", field.name()), form.attributes((message, field), occurs, true));
        }
    }
    let mut text = String::new();
    for (_, path) in &enums {
        let _ = write!(
            text,
            "impl {HERE}::Named for {path} {{\n    \
                 fn name(number: i32) -> ::core::option::Option<&'static str> {{ Self::try_from(number).ok().map(|value| value.as_str_name()) }}\n    \
                 fn number(name: &str) -> ::core::option::Option<i32> {{ Self::from_str_name(name).map(|value| value as i32) }}\n\
             }}\n"
        );
    }
    Ok(text)
}

/// Takes off the variants of oneofs what is meant for the field, and names serde in each module, where schemars' derive looks for it.
pub(crate) fn tidy(text: &str) -> String {
    let mut lines = text.lines().peekable();
    let mut tidy = String::with_capacity(text.len());
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if trimmed == FLATTEN && lines.peek().is_some_and(|next| next.trim().starts_with("#[serde(")) {
            continue;
        }
        tidy.push_str(line);
        tidy.push('\n');
        if trimmed.starts_with("pub mod ") && trimmed.ends_with('{') {
            tidy.push_str("use ::weft_sdk::serde;\n");
        }
    }
    tidy
}

fn find<'a>(
    messages: &'a [DescriptorProto],
    prefix: &str,
    (modules, presence): (&[String], bool),
    places: &mut Vec<Place<'a>>,
    enums: &mut Vec<(String, String)>,
) {
    for message in messages {
        let name = format!("{prefix}.{}", message.name());
        let inner = [modules, &[module(message.name())]].concat();
        enums.extend(message.enum_type.iter().map(|one| (format!("{name}.{}", one.name()), path(&inner, one.name()))));
        find(&message.nested_type, &name, (&inner, presence), places, enums);
        places.push(Place { message, name, modules: modules.to_vec(), presence });
    }
}

/// As prost names them.
fn module(message: &str) -> String {
    let parts = Module::from_protobuf_package_name(&message.to_snake_case());
    parts.parts().collect()
}

fn path(modules: &[String], name: &str) -> String {
    modules.iter().map(String::as_str).chain([name.to_upper_camel_case().as_str()]).collect::<Vec<_>>().join("::")
}

fn is_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

/// Whether it is one of a oneof that somebody has written.
fn is_member(field: &FieldDescriptorProto) -> bool {
    field.oneof_index.is_some() && !field.proto3_optional()
}

struct Forms<'a> {
    entries: Vec<(&'a str, &'a DescriptorProto)>,
    enums: &'a [(String, String)],
    long: Long,
}

/// A form, and the type whose schema it has; none where it is that of the type itself.
struct Form {
    form: String,
    schema: Option<&'static str>,
}

impl Forms<'_> {
    fn entry(&self, field: &FieldDescriptorProto) -> Option<&FieldDescriptorProto> {
        let (_, entry) = self.entries.iter().find(|(name, _)| *name == field.type_name())?;
        entry.field.iter().find(|field| field.number() == 2)
    }

    fn occurs(&self, field: &FieldDescriptorProto, presence: bool) -> &'static str {
        match field.label() {
            Label::Repeated if self.entry(field).is_some() => "Entries",
            Label::Repeated => "Many",
            Label::Required => "One",
            Label::Optional
                if presence || field.proto3_optional() || matches!(field.r#type(), Type::Message | Type::Group) =>
            {
                "Opt"
            }
            Label::Optional => "One",
        }
    }

    /// `depth` modules lie around the field.
    fn of(&self, field: &FieldDescriptorProto, message: &str, depth: usize) -> Result<Form, Error> {
        let field = self.entry(field).unwrap_or(field);
        let form = |name: &str, schema| Ok(Form { form: format!("{HERE}::{name}"), schema });
        const TEXT: Option<&str> = Some("::std::string::String");
        match field.r#type() {
            Type::Int64 | Type::Uint64 | Type::Sint64 | Type::Fixed64 | Type::Sfixed64 if self.long == Long::Text => {
                form("Long", TEXT)
            }
            Type::Float | Type::Double => form("Float", Some("f64")),
            Type::Bytes => form("Base64", TEXT),
            Type::Enum => match self.enums.iter().find(|(name, _)| name == field.type_name()) {
                Some((_, path)) => form(&format!("Enumeration::<{}{path}>", "super::".repeat(depth)), TEXT),
                None => form("Plain", None),
            },
            Type::Message => match field.type_name().strip_prefix(".google.protobuf.") {
                None => form("Plain", None),
                Some("Timestamp" | "Duration") => form("Text", TEXT),
                Some("FieldMask") => form("Mask", TEXT),
                Some("Struct") => form(
                    "Object",
                    Some("::std::collections::HashMap<::std::string::String, ::weft_sdk::serde_json::Value>"),
                ),
                Some("Value") => form("Anything", Some("::weft_sdk::serde_json::Value")),
                Some("ListValue") => form("Items", Some("::std::vec::Vec<::weft_sdk::serde_json::Value>")),
                Some("Empty") => form("Nothing", Some("::std::collections::HashMap<::std::string::String, ()>")),
                Some("Any") => form("Packed", Some("::weft_sdk::serde_json::Value")),
                Some("Int64Value" | "UInt64Value") if self.long == Long::Text => form("Long", TEXT),
                Some("FloatValue" | "DoubleValue") => form("Float", Some("f64")),
                Some("BytesValue") => form("Base64", TEXT),
                Some("Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value" | "BoolValue" | "StringValue") => {
                    form("Plain", None)
                }
                Some(other) => Err(Error::new(format!(
                    "`{}` of `{}`: google.protobuf.{other} has no form as data; leave out `data` in build.rs, or the method that needs it",
                    field.name(),
                    message.trim_start_matches('.')
                ))),
            },
            _ => form("Plain", None),
        }
    }
}

fn json_name(field: &FieldDescriptorProto) -> &str {
    match field.json_name() {
        "" => original(field.name()),
        name => name,
    }
}

impl Form {
    fn attributes(
        &self,
        (message, field): (&DescriptorProto, &FieldDescriptorProto),
        occurs: &str,
        skips: bool,
    ) -> String {
        let Self { form, schema } = self;
        let (json, own) = (json_name(field), original(field.name()));
        let with = format!("{HERE}::{occurs}::<{form}>");
        let mut text = format!("#[serde(rename = {json:?}");
        // By its own name it is read too, unless that is what another one is called in JSON.
        if own == json || message.field.iter().all(|other| json_name(other) != own) {
            let _ = write!(text, ", alias = {own:?}");
        }
        if skips {
            let _ = write!(text, ", skip_serializing_if = \"{HERE}::is_default\"");
        }
        let _ = write!(text, ", serialize_with = \"{with}::serialize\", deserialize_with = \"{with}::deserialize\")]");
        if let Some(schema) = schema {
            let schema = match occurs {
                "Opt" => format!("::core::option::Option<{schema}>"),
                "Many" => format!("::std::vec::Vec<{schema}>"),
                "Entries" => format!("::std::collections::HashMap<::std::string::String, {schema}>"),
                _ => (*schema).to_owned(),
            };
            let _ = write!(text, "\n#[schemars(with = \"{schema}\")]");
        }
        text
    }
}
