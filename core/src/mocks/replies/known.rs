//! Messages and fields whose meaning everybody knows.

use crate::mocks::{dice::Dice, names};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

/// Messages that are made as a whole.
pub(super) fn is_known(message: &MessageDescriptor) -> bool {
    message.full_name().starts_with("google.protobuf.") || message.full_name() == "google.rpc.Status"
}

/// `None`: left out. `name`: of the field that it is for.
pub(super) fn known(message: &MessageDescriptor, name: &str, dice: &mut Dice) -> Option<DynamicMessage> {
    let mut made = DynamicMessage::new(message.clone());
    let mut set = |field: &str, value: Value| drop(made.try_set_field_by_name(field, value));
    match message.full_name().strip_prefix("google.protobuf.")? {
        // In the ten years before 2027.
        "Timestamp" => set("seconds", Value::I64(1_483_228_800 + i64::from(dice.below(315_000_000)))),
        "Duration" => set("seconds", Value::I64(i64::from(60 * (1 + dice.below(180))))),
        "StringValue" => set("value", Value::String(names::text(name, dice))),
        "BoolValue" => set("value", Value::Bool(dice.below(2) == 0)),
        "BytesValue" => set("value", Value::Bytes(names::word(dice).into())),
        "Int32Value" | "Int64Value" | "UInt32Value" | "UInt64Value" | "FloatValue" | "DoubleValue" => {
            let field = message.get_field(1)?;
            set("value", number(name, &field.kind(), dice)?);
        }
        "Value" => set("string_value", Value::String(names::word(dice).to_owned())),
        "Empty" | "Struct" | "ListValue" | "FieldMask" => {}
        // An `Any` of nothing is none, and descriptors are nobody's data.
        _ => return None,
    }
    Some(made)
}

/// What a field is by its name alone: an end of pages rather than one more of them.
pub(super) fn by_name(field: &FieldDescriptor) -> Option<Value> {
    let name = field.name();
    match field.kind() {
        Kind::String if name.starts_with("next_") || name.ends_with("cursor") || name.ends_with("page_token") => {
            Some(Value::String(String::new()))
        }
        Kind::Bool if name.starts_with("has_") || name == "more" => Some(Value::Bool(false)),
        _ => None,
    }
}

/// Whether a field tells one thing from others.
pub(super) fn is_id(name: &str) -> bool {
    let name = name.strip_suffix('s').unwrap_or(name);
    ["id", "key", "uid", "uuid", "sku", "code", "slug", "isbn", "ean"]
        .iter()
        .any(|word| name == *word || name.strip_suffix(word).is_some_and(|rest| rest.ends_with('_')))
}

/// Whether it tells its own message from others of the kind: what is asked for by it is that message, and not those inside of it.
pub(super) fn is_own_id(name: &str) -> bool {
    matches!(name, "id" | "key" | "uid" | "uuid" | "name" | "sku" | "code" | "slug")
}

/// A number with this name.
pub(super) fn number(name: &str, kind: &Kind, dice: &mut Dice) -> Option<Value> {
    let (low, high) = names::range(name);
    let picked = low + (high - low) * dice.share();
    of_kind(kind, picked)
}

/// As the kind has it.
pub(super) fn of_kind(kind: &Kind, number: f64) -> Option<Value> {
    let whole = number.round() as i64;
    Some(match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(i32::try_from(whole).unwrap_or(i32::MAX)),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(whole),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(u32::try_from(whole.max(0)).unwrap_or(u32::MAX)),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(u64::try_from(whole).unwrap_or_default()),
        Kind::Float => Value::F32((number * 100.0).round() as f32 / 100.0),
        Kind::Double => Value::F64((number * 100.0).round() / 100.0),
        _ => return None,
    })
}

/// Of `google.type`, where a name alone suggests too much.
pub(super) fn of_type(field: &FieldDescriptor, dice: &mut Dice) -> Option<Value> {
    let message = field.parent_message();
    let of = message.full_name().strip_prefix("google.type.")?;
    let below = |most: u32, dice: &mut Dice| of_kind(&field.kind(), f64::from(dice.below(most)));
    match (of, field.name()) {
        ("Money", "currency_code") => Some(Value::String("EUR".to_owned())),
        ("Money", "nanos") => Some(Value::I32(i32::try_from(dice.below(100)).unwrap_or_default() * 10_000_000)),
        ("Decimal", "value") => Some(Value::String(format!("{}.{:02}", dice.below(200), dice.below(100)))),
        ("Date" | "DateTime", "month") => of_kind(&field.kind(), f64::from(1 + dice.below(12))),
        ("Date" | "DateTime", "day") => of_kind(&field.kind(), f64::from(1 + dice.below(28))),
        (_, "hours") => below(24, dice),
        (_, "minutes" | "seconds") => below(60, dice),
        (_, "nanos") => below(1, dice),
        ("Color", _) => of_kind(&field.kind(), dice.share()),
        ("PostalAddress", "region_code") => Some(Value::String("PT".to_owned())),
        ("PostalAddress", "language_code") => Some(Value::String("en".to_owned())),
        _ => None,
    }
}
