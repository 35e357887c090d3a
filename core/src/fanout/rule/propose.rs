//! Proposals of batch rules, for methods that follow AIP-231.

use super::reply::beside;
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MethodDescriptor};

/// For a method `GetX` whose service has a `BatchGet…` of the same messages, after AIP-231: the configuration to paste, ready but for a
/// look at it.
pub fn propose(pool: &DescriptorPool, method: &str) -> Option<String> {
    let (service, name) = method.split_once('/')?;
    let service = pool.get_service_by_name(service)?;
    let single = service.methods().find(|m| m.name() == name)?;
    let noun = name.strip_prefix("Get").filter(|noun| !noun.is_empty())?;
    let plural = |method: &MethodDescriptor| method.name().strip_prefix("BatchGet").map(str::to_owned);
    let mut fitting: Vec<Fitting> =
        service.methods().filter(|m| plural(m).is_some()).filter_map(|m| Fitting::find(&single, m)).collect();
    let stem = noun.trim_end_matches('y');
    let is_named_alike = |fitting: &Fitting| plural(&fitting.via).is_some_and(|plural| plural.starts_with(stem));
    // Several may have the same messages; then it is the one that has the same name as well.
    let fitting = if fitting.len() == 1 { fitting.pop() } else { fitting.into_iter().find(is_named_alike) };
    Some(fitting?.rule())
}

/// A method that answers many keys with what the single one answers one with.
struct Fitting {
    via: MethodDescriptor,
    key: FieldDescriptor,
    keys: FieldDescriptor,
    items: FieldDescriptor,
    item_key: Option<FieldDescriptor>,
    wrap: Option<FieldDescriptor>,
}

impl Fitting {
    /// None where the messages are not those of the single method.
    fn find(single: &MethodDescriptor, via: MethodDescriptor) -> Option<Self> {
        let (input, output) = (single.input(), single.output());
        let keys = via.input().fields().find(FieldDescriptor::is_list)?;
        let items = via.output().fields().find(FieldDescriptor::is_list)?;
        let Kind::Message(item) = items.kind() else { return None };
        let is_key = |field: &FieldDescriptor| {
            let is_request = matches!(keys.kind(), Kind::Message(m) if m == input);
            !field.is_list() && !field.is_map() && (is_request || keys.kind() == field.kind())
        };
        let key = input.fields().find(is_key)?;
        let wrap = match item == output {
            true => None,
            false => Some(output.fields().find(|field| {
                !field.is_list() && !field.is_map() && matches!(field.kind(), Kind::Message(m) if m == item)
            })?),
        };
        if wrap.as_ref().is_some_and(|wrap| !beside(&output, wrap).is_empty()) {
            return None;
        }
        let item_key = item.fields().find(|f| f.name() == key.name() && f.kind() == key.kind());
        Some(Self { via, key, keys, items, item_key, wrap })
    }

    fn rule(&self) -> String {
        let Self { via, key, keys, items, item_key, wrap } = self;
        let (via, key, keys, items) = (via.name(), key.name(), keys.name(), items.name());
        let mut rule = format!("batch = {{ via = \"{via}\", key = \"{key}\", keys = \"{keys}\", items = \"{items}\"");
        if let Some(item_key) = item_key {
            rule += &format!(", item-key = \"{}\"", item_key.name());
        }
        if let Some(wrap) = wrap {
            rule += &format!(", wrap = \"{}\"", wrap.name());
        }
        rule += ", missing = \"fails\", max = 100 }";
        rule
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    fn proposed(methods: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let proto = format!(
            "syntax = \"proto3\";\npackage t.v1;\nservice S {{\n  rpc GetMouse(One) returns (Mouse);\n{methods}\n}}\n\
             message One {{ uint32 id = 1; }}\nmessage Many {{ repeated uint32 ids = 1; }}\n\
             message Mouse {{ uint32 id = 1; }}\nmessage Mice {{ repeated Mouse mice = 1; }}\n\
             message Cat {{ uint32 id = 1; }}\nmessage Cats {{ repeated Cat cats = 1; }}\n"
        );
        std::fs::write(folder.path().join("t.proto"), proto).unwrap();
        let set = protox::compile(["t.proto"], [folder.path()]).unwrap().encode_to_vec();
        propose(&DescriptorPool::decode(set.as_slice()).unwrap(), "t.v1.S/GetMouse")
    }

    #[test]
    fn a_batch_is_known_by_its_messages_whatever_its_plural_is() {
        let rule = "batch = { via = \"BatchGetMice\", key = \"id\", keys = \"ids\", items = \"mice\", item-key = \"id\", missing = \"fails\", max = 100 }";
        let (cats, mice) = ("rpc BatchGetMouseCats(Many) returns (Cats);", "rpc BatchGetMice(Many) returns (Mice);");
        assert_eq!(proposed(&format!("{cats}\n{mice}")).as_deref(), Some(rule));
        assert_eq!(proposed(cats), None, "other messages");
    }

    #[test]
    fn of_several_with_the_same_messages_it_is_the_one_with_the_name() {
        let (mice, named) = ("rpc BatchGetMice(Many) returns (Mice);", "rpc BatchGetMouses(Many) returns (Mice);");
        assert!(proposed(&format!("{mice}\n{named}")).unwrap().contains("via = \"BatchGetMouses\""));
        let other = "rpc BatchGetRelated(Many) returns (Mice);";
        assert_eq!(proposed(&format!("{mice}\n{other}")), None, "nobody knows which");
    }
}
