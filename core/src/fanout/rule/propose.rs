//! Proposals of batch rules, for methods that follow AIP-231.

use super::reply::beside;
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind};

/// For each method `GetX` whose service has a `BatchGetXs` after AIP-231: the configuration to paste, ready but for a look at it.
pub fn propose(pool: &DescriptorPool, method: &str) -> Option<String> {
    let (service, name) = method.split_once('/')?;
    let service = pool.get_service_by_name(service)?;
    let single = service.methods().find(|m| m.name() == name)?;
    let noun = name.strip_prefix("Get").filter(|noun| !noun.is_empty())?;
    let via = service.methods().find(|m| {
        let plural = m.name().strip_prefix("BatchGet");
        plural.is_some_and(|plural| {
            plural.starts_with(noun.trim_end_matches('y')) || (noun == "Person" && plural == "People")
        })
    })?;
    let scalar_fields: Vec<_> = single.input().fields().filter(|f| !f.is_list() && !f.is_map()).collect();
    let list = via.input().fields().find(FieldDescriptor::is_list)?;
    let items = via.output().fields().find(FieldDescriptor::is_list)?;
    let Kind::Message(item) = items.kind() else { return None };
    let key = scalar_fields
        .iter()
        .find(|field| matches!(list.kind(), Kind::Message(m) if m == single.input()) || list.kind() == field.kind())?;
    let item_key = item.fields().find(|f| f.name() == key.name() && f.kind() == key.kind());
    let wrap =
        single.output().fields().find(|f| item != single.output() && matches!(f.kind(), Kind::Message(m) if m == item));
    if wrap.as_ref().is_some_and(|wrap| !beside(&single.output(), wrap).is_empty()) {
        return None;
    }
    let mut rule = format!(
        "batch = {{ via = \"{}\", key = \"{}\", keys = \"{}\", items = \"{}\"",
        via.name(),
        key.name(),
        list.name(),
        items.name()
    );
    if let Some(item_key) = item_key {
        rule += &format!(", item-key = \"{}\"", item_key.name());
    }
    if let Some(wrap) = wrap {
        rule += &format!(", wrap = \"{}\"", wrap.name());
    }
    rule += ", missing = \"fails\", max = 100 }";
    Some(rule)
}
