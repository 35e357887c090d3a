//! Writes messages and clients as Rust.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use heck::{ToShoutySnakeCase, ToSnakeCase};
use prost_build::{Config, Method, Module, Service, ServiceGenerator};
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use crate::Error;
use crate::calls::Granted;
use crate::coarse::{self, Key};
use crate::data;
use crate::distinct::{self, original};
use crate::protos;
use crate::prune;
use crate::task::Task;

/// A tree of modules, named after the packages, with messages and clients.
pub(crate) fn clients(descriptors: &FileDescriptorSet, granted: &Granted, choices: &Task) -> Result<String, Error> {
    let mut files = descriptors.file.clone();
    let renamed = distinct::rename(&mut files);
    let mut config = Config::new();
    config.prost_path("::weft_sdk::prost").prost_types_path("::weft_sdk::prost_types");
    config.bytes(choices.bytes.iter().flat_map(|path| renamed.paths(path)));
    for (path, attribute) in &choices.attributes {
        renamed.paths(path).iter().for_each(|path| _ = config.type_attribute(path, attribute));
    }
    let services = granted.services().map(str::to_owned).collect();
    let keys = coarse::keys(&descriptors.file);
    let clients = Clients { services, granted: numbers(descriptors, granted), keys };
    config.service_generator(Box::new(clients));

    let messages: Vec<_> = choices.messages.iter().map(|name| renamed.message(name)).collect();
    prune::prune(&mut files, granted, &messages);
    files.iter_mut().for_each(flatten_comments);
    let named = match choices.data {
        Some(long) => data::attributes(&files, long, &mut config)?,
        None => String::new(),
    };
    let files = files.into_iter().map(|file| (Module::from_protobuf_package_name(file.package()), file));
    let modules = protos::guarded("written as Rust", || {
        config.generate(files.collect()).map_err(|error| Error::new(error.to_string()))
    })?;

    let mut tree = Tree::default();
    for (module, content) in modules {
        let node = module.parts().fold(&mut tree, |node, part| node.children.entry(part.to_owned()).or_default());
        node.content = content;
    }
    let mut text = String::from("// Made by weft-build from the .proto files and plugin.toml.\n");
    tree.write(&mut text, 0);
    if choices.data.is_some() {
        text = data::tidy(&text) + &named;
    }
    Ok(renamed.restore(text))
}

/// Takes indentation and fences out of comments: rustdoc would take them for code, and test it.
fn flatten_comments(file: &mut FileDescriptorProto) {
    let flat = |text: &mut String| {
        let lines = text.lines().map(|line| line.trim().replace("```", "`"));
        *text = lines.collect::<Vec<_>>().join("\n");
    };
    for location in file.source_code_info.iter_mut().flat_map(|info| &mut info.location) {
        location.leading_comments.as_mut().map(flat);
        location.trailing_comments.as_mut().map(flat);
    }
}

/// The method numbers of everything that is granted, by full name.
fn numbers(descriptors: &FileDescriptorSet, granted: &Granted) -> BTreeMap<String, usize> {
    let mut numbers = BTreeMap::new();
    for file in &descriptors.file {
        for service in &file.service {
            let service_name = full_name(file.package(), service.name());
            for method in &service.method {
                if let Some(number) = granted.number(&service_name, method.name()) {
                    numbers.insert(format!("{service_name}/{}", method.name()), number);
                }
            }
        }
    }
    numbers
}

fn full_name(package: &str, service: &str) -> String {
    if package.is_empty() { service.to_owned() } else { format!("{package}.{service}") }
}

#[derive(Default)]
struct Tree {
    content: String,
    children: BTreeMap<String, Tree>,
}

impl Tree {
    fn write(&self, text: &mut String, depth: usize) {
        let mut content = self.content.clone();
        for (name, child) in &self.children {
            // A message with inner types and a package may be modules of one name: they are one.
            let head = format!("\npub mod {name} {{\n");
            if let Some(place) = content.find(&head) {
                let mut inner = String::new();
                child.write(&mut inner, depth + 1);
                content.insert_str(place + head.len(), &inner);
            }
        }
        text.push_str(&content);
        for (name, child) in &self.children {
            if self.content.contains(&format!("\npub mod {name} {{\n")) {
                continue;
            }
            if depth == 0 {
                text.push_str(
                    "#[allow(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications, \
                     clippy::all, clippy::pedantic, clippy::allow_attributes_without_reason, reason = \"generated\")]\n",
                );
            }
            let _ = writeln!(text, "pub mod {name} {{");
            child.write(text, depth + 1);
            text.push_str("}\n");
        }
    }
}

/// Writes the clients. prost calls it for each service, in the module of the service's package.
struct Clients {
    services: BTreeSet<String>,
    granted: BTreeMap<String, usize>,
    keys: BTreeMap<String, Key>,
}

impl ServiceGenerator for Clients {
    fn generate(&mut self, service: Service, text: &mut String) {
        let name = full_name(&service.package, original(&service.proto_name));
        // Services that are not in [calls] only cost compile time. prost-build panics where a package has services and no text.
        text.push('\n');
        if !self.services.contains(&name) {
            return;
        }
        let client = &service.name;
        let (mut consts, mut methods, mut missing) = (String::new(), String::new(), String::new());
        for (method, spelling) in service.methods.iter().zip(spellings(&service.methods)) {
            let constant = spelling.to_shouty_snake_case();
            let numbered = (spelling != method.proto_name).then(|| spelling.to_snake_case());
            let method = &Method { name: numbered.unwrap_or_else(|| method.name.clone()), ..method.clone() };
            let method_name = format!("{name}/{}", method.proto_name);
            if method.client_streaming {
                let _ = writeln!(missing, "/// - `{}` takes a stream, which a plugin can't send", method.proto_name);
            } else if let Some(number) = self.granted.get(&method_name) {
                granted(&mut consts, &mut methods, client, method, (&method_name, &constant), *number);
                if let Some(key) = self.keys.get(&method_name) {
                    coarse(&mut methods, client, method, (&method_name, &constant), key);
                }
            } else {
                let _ = writeln!(missing, "/// - `{}` is not granted", method.proto_name);
                not_granted(&mut methods, client, method, &name);
            }
        }
        if !missing.is_empty() {
            let head = "///\n/// There is more in its proto:\n///\n";
            let tail =
                format!("/// To grant a method, add it under `[calls]` in plugin.toml: `\"{name}\" = [\"..\"]`.");
            missing = format!("{head}{missing}///\n{tail}\n");
        }
        let comments = docs(&service.comments.leading, "");
        let _ = write!(
            text,
            "/// The client of `{name}`.\n{comments}{missing}\
             #[derive(Debug, Clone, Copy)]\n\
             pub struct {client};\n\n\
             impl {client} {{\n{consts}}}\n\n{methods}"
        );
    }
}

fn granted(
    consts: &mut String,
    methods: &mut String,
    client: &str,
    method: &Method,
    (full_name, constant): (&str, &str),
    number: usize,
) {
    let Method { name, input_type: input, .. } = method;
    let output = &output(method);
    let comments = docs(&method.comments.leading, "    ");
    let _ = write!(
        consts,
        "    /// `{full_name}`\n    \
         pub const {constant}: ::weft_sdk::Method<{input}, {output}> = ::weft_sdk::Method::new({number}, \"{full_name}\");\n"
    );
    let _ = write!(
        methods,
        "impl {client} {{\n    \
             /// Calls `{full_name}`.\n{comments}    \
             pub fn {name}(request: {input}) -> ::weft_sdk::Call<{input}, {output}> {{\n        \
                 Self::{constant}.call(request)\n    \
             }}\n\
         }}\n\n",
    );
}

/// The same method for a list of keys.
fn coarse(methods: &mut String, client: &str, method: &Method, (full_name, constant): (&str, &str), key: &Key) {
    let Method { name, input_type: input, output_type: output, .. } = method;
    let Key { field, rust, is_optional } = key;
    let (item, one) = if *rust == "String" { ("impl Into<String>", "key.into()") } else { (*rust, "key") };
    let value = if *is_optional { format!("Some({one})") } else { one.to_owned() };
    let _ = write!(
        methods,
        "impl {client} {{\n    \
             /// Calls `{full_name}` for each of these keys, its `{field}`, awaited as one: what came of each, in their order.\n    \
             pub fn {name}_all(keys: impl IntoIterator<Item = {item}>) -> ::weft_sdk::CallAll<{input}, {output}> {{\n        \
                 Self::{constant}.call_all(keys.into_iter().map(|key| {input} {{ {field}: {value}, ..Default::default() }}))\n    \
             }}\n\
         }}\n\n",
    );
}

/// A stream is received as a list.
fn output(method: &Method) -> String {
    if method.server_streaming {
        format!("::weft_sdk::List<{}>", method.output_type)
    } else {
        method.output_type.clone()
    }
}

/// A method whose use is an error that says how to grant it: nothing implements its trait.
fn not_granted(methods: &mut String, client: &str, method: &Method, service: &str) {
    let Method { name, proto_name, input_type: input, .. } = method;
    let output = &output(method);
    let _ = write!(
        methods,
        "const _: () = {{\n    \
             #[diagnostic::on_unimplemented(\n        \
                 message = \"`{service}/{proto_name}` is not granted to this plugin\",\n        \
                 label = \"this call is not granted\",\n        \
                 note = \"to grant it, add it under [calls] in plugin.toml: \\\"{service}\\\" = [\\\"{proto_name}\\\", ..]\"\n    \
             )]\n    \
             pub trait Granted {{}}\n    \
             impl {client} {{\n        \
                 /// **Not granted.** Add `\"{proto_name}\"` to `\"{service}\"` under `[calls]` in plugin.toml.\n        \
                 pub fn {name}<R>(request: R) -> ::weft_sdk::Call<{input}, {output}, R>\n        \
                 where\n            \
                     R: ::core::borrow::Borrow<{input}> + Granted,\n        \
                 {{\n            \
                     ::weft_sdk::Method::new(u32::MAX, \"\").call(request)\n        \
                 }}\n    \
             }}\n\
         }};\n\n",
    );
}

/// The names of a client's methods, told apart.
fn spellings(methods: &[Method]) -> Vec<String> {
    let mut names: Vec<_> = methods.iter().map(|method| Some(method.proto_name.clone())).collect();
    let snake = |name: &str, (): &()| vec![name.to_snake_case()];
    distinct::distinct(names.iter_mut().map(|name| (name, ())), &mut BTreeSet::new(), snake);
    names.into_iter().flatten().collect()
}

/// A proto comment as the rest of a doc comment.
fn docs(lines: &[String], indent: &str) -> String {
    let lines = lines.iter().map(|line| format!("{indent}/// {}\n", line.trim()));
    let text: String = lines.collect();
    if text.is_empty() { text } else { format!("{indent}///\n{text}") }
}
