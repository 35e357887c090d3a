//! A value made from a schema: the same for the same seed, realistic where the name of a property tells what it is, and never one that
//! does not fit.

use super::{
    dice::Dice,
    names, pattern,
    plain::{integer_format, named_types},
    schema::{check, resolve},
};
use serde_json::{Map, Number, Value, json};

/// Objects and lists inside one another, from where on only what is needed is made.
const DEEP: usize = 5;
/// From where on nothing is made at all: a schema that needs itself has no end.
const DEEPEST: usize = 40;
/// Values of one value, from where on only what is needed is made.
const MANY: usize = 2_000;
/// And nothing at all.
const MOST: usize = 20_000;
/// How often it is tried.
const TRIES: u64 = 24;
/// Items of a list that may have any number.
const ITEMS: (u32, u32) = (2, 4);
/// Items that a schema may ask for.
const MOST_ITEMS: u64 = 1_000;

/// A value that fits the schema; or why none was found.
pub fn value(schema: &Value, seed: u64) -> Result<Value, String> {
    let mut reason = "nothing may stand there".to_owned();
    for attempt in 0..TRIES {
        let dice = Dice::new(seed.wrapping_add(attempt.wrapping_mul(0x5851_f42d_4c95_7f2d)));
        // The last ones leave out whatever can be left out.
        let mut maker = Maker { root: schema, dice, made: 0, is_sparing: attempt >= TRIES / 2 };
        match maker.value(schema, "", 0) {
            Ok(value) => match check(schema, &value).into_iter().next() {
                None => return Ok(value),
                Some(fault) => reason = fault.to_string(),
            },
            Err(why) => reason = why,
        }
    }
    Err(reason)
}

struct Maker<'s> {
    root: &'s Value,
    dice: Dice,
    made: usize,
    is_sparing: bool,
}

type Made = Result<Value, String>;

impl<'s> Maker<'s> {
    /// `name`: of the property that it is for.
    fn value(&mut self, schema: &'s Value, name: &str, depth: usize) -> Made {
        self.made += 1;
        if depth > DEEPEST || self.made > MOST {
            return Err("the schema needs itself without end, or more values than are made".to_owned());
        }
        let schema = match schema {
            Value::Bool(true) => return Ok(json!(names::word(&mut self.dice))),
            Value::Object(schema) => schema,
            _ => return Err("nothing may stand there".to_owned()),
        };
        if let Some(only) = schema.get("const") {
            return Ok(only.clone());
        }
        if let Some(Value::Array(allowed)) = schema.get("enum") {
            let at = self.dice.below(allowed.len() as u32) as usize;
            return allowed.get(at).cloned().ok_or_else(|| "an empty `enum`".to_owned());
        }
        let mut made = self.of_type(schema, name, depth)?;
        for part in self.parts(schema, name, depth)? {
            made = Some(match (made, part) {
                (Some(Value::Object(mut members)), Value::Object(more)) => {
                    members.extend(more);
                    Value::Object(members)
                }
                (_, part) => part,
            });
        }
        Ok(made.unwrap_or_else(|| json!(names::word(&mut self.dice))))
    }

    fn is_minimal(&self, depth: usize) -> bool {
        depth >= DEEP || self.made > MANY || self.is_sparing
    }

    /// What other schemas want of the same value.
    fn parts(&mut self, schema: &'s Map<String, Value>, name: &str, depth: usize) -> Result<Vec<Value>, String> {
        let mut parts = Vec::new();
        if let Some(to) = schema.get("$ref").and_then(Value::as_str) {
            let referred = resolve(self.root, to).ok_or_else(|| format!("`{to}` leads nowhere"))?;
            parts.push(self.value(referred, name, depth + 1)?);
        }
        for part in list(schema, "allOf") {
            parts.push(self.value(part, name, depth + 1)?);
        }
        for key in ["oneOf", "anyOf"] {
            let alternatives = list(schema, key);
            if !alternatives.is_empty() {
                parts.push(self.one_of(alternatives, name, depth)?);
            }
        }
        Ok(parts)
    }

    /// The simplest one where it is deep already, else any; another one where that can't be made.
    fn one_of(&mut self, alternatives: &'s [Value], name: &str, depth: usize) -> Made {
        let count = alternatives.len();
        let is_null = |schema: &Value| schema.get("type").is_some_and(|of| of == "null");
        let null = alternatives.iter().position(is_null);
        let first = match null {
            Some(null) if self.is_minimal(depth) => null,
            // What need not be there mostly is.
            Some(null) if count == 2 && self.dice.below(8) > 0 => 1 - null,
            _ => self.dice.below(count as u32) as usize,
        };
        let mut reason = String::new();
        for step in 0..count {
            let Some(schema) = alternatives.get((first + step) % count) else { continue };
            match self.value(schema, name, depth + 1) {
                Ok(value) => return Ok(value),
                Err(why) => reason = why,
            }
        }
        Err(reason)
    }

    /// `None` where the schema says nothing of what it is itself.
    fn of_type(&mut self, schema: &'s Map<String, Value>, name: &str, depth: usize) -> Result<Option<Value>, String> {
        let named = schema.get("type").map(named_types).unwrap_or_default();
        let has = |keys: &[&str]| keys.iter().any(|key| schema.contains_key(*key));
        let wanted: Vec<&str> = named.iter().copied().filter(|name| *name != "null").collect();
        let is_null =
            named.contains(&"null") && (wanted.is_empty() || self.is_minimal(depth) || self.dice.below(8) == 0);
        let of = match self.dice.pick(&wanted) {
            _ if is_null => "null",
            Some(of) => of,
            None if has(&["properties", "required", "additionalProperties", "patternProperties", "minProperties"]) => {
                "object"
            }
            None if has(&["items", "prefixItems", "minItems"]) => "array",
            None if has(&["minLength", "maxLength", "pattern", "format"]) => "string",
            None if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) => "number",
            None => return Ok(None),
        };
        Ok(Some(match of {
            "null" => Value::Null,
            "boolean" => Value::Bool(self.dice.below(2) == 0),
            "integer" => self.number(schema, name, true),
            "number" => self.number(schema, name, false),
            "string" => Value::String(self.text(schema, name)),
            "array" => self.array(schema, name, depth)?,
            _ => self.object(schema, depth)?,
        }))
    }

    fn object(&mut self, schema: &'s Map<String, Value>, depth: usize) -> Made {
        let required: Vec<&str> = list(schema, "required").iter().filter_map(Value::as_str).collect();
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut members = Map::new();
        for (name, schema) in properties.into_iter().flatten() {
            let is_needed = required.contains(&name.as_str());
            if !is_needed && (self.is_minimal(depth) || self.dice.below(8) == 0) {
                continue;
            }
            match self.value(schema, name, depth + 1) {
                Ok(value) => drop(members.insert(name.clone(), value)),
                Err(why) if is_needed => return Err(why),
                Err(_) => {}
            }
        }
        let least = schema.get("minProperties").and_then(Value::as_u64).unwrap_or_default().min(MOST_ITEMS) as usize;
        let more = schema.get("additionalProperties").filter(|more| more.is_object() || **more == Value::Bool(true));
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let open = more.filter(|more| more.is_object() || members.len() < least);
        // A map: some entries, unless it has members of its own.
        let is_map = properties.is_none() && !self.is_minimal(depth);
        let most = schema.get("maxProperties").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let wanted = if is_map { least.max(2) } else { least }.min(usize::try_from(most).unwrap_or(usize::MAX));
        for name in required.iter().filter(|name| !properties.is_some_and(|of| of.contains_key(**name))) {
            let value = self.value(open.unwrap_or(&Value::Bool(true)), name, depth + 1)?;
            members.insert((*name).to_owned(), value);
        }
        for _ in 0..wanted.saturating_mul(4) {
            if members.len() >= wanted {
                break;
            }
            let (key, schema) = match (open, patterns.and_then(|of| of.iter().next())) {
                (_, Some((form, schema))) => (pattern::text(form, &mut self.dice).unwrap_or_default(), schema),
                (Some(schema), None) => (names::word(&mut self.dice).to_owned(), schema),
                (None, None) => break,
            };
            let value = self.value(schema, &key, depth + 1)?;
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }

    fn array(&mut self, schema: &'s Map<String, Value>, name: &str, depth: usize) -> Made {
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
        let first = list(schema, "prefixItems");
        let rest = schema.get("items").filter(|items| **items != Value::Bool(false));
        let least = bound("minItems").unwrap_or_default().max(first.len() as u64);
        if least > MOST_ITEMS {
            return Err(format!("a list of {least} items is longer than is made"));
        }
        let usual = match rest {
            Some(_) if !self.is_minimal(depth) => u64::from(ITEMS.0 + self.dice.below(ITEMS.1 - ITEMS.0 + 1)),
            _ => 0,
        };
        let wanted = usual.max(least).min(bound("maxItems").unwrap_or(u64::MAX)) as usize;
        let is_unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
        let one = names::singular(name);
        let mut items: Vec<Value> = Vec::new();
        for _ in 0..wanted.saturating_mul(8) {
            if items.len() >= wanted {
                break;
            }
            let of = first.get(items.len()).or(rest).unwrap_or(&Value::Bool(true));
            match self.value(of, one, depth + 1) {
                Ok(item) if is_unique && items.contains(&item) => {}
                Ok(item) => items.push(item),
                Err(_) if items.len() as u64 >= least => break,
                Err(why) => return Err(why),
            }
        }
        Ok(Value::Array(items))
    }

    fn text(&mut self, schema: &Map<String, Value>, name: &str) -> String {
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok());
        if let Some(form) = schema.get("pattern").and_then(Value::as_str)
            && let Some(text) = pattern::text(form, &mut self.dice)
        {
            return text;
        }
        let mut text =
            match schema.get("format").and_then(Value::as_str).and_then(|of| names::of_format(of, &mut self.dice)) {
                Some(text) => return text,
                None => names::text(name, &mut self.dice),
            };
        let (least, most) = (bound("minLength").unwrap_or_default(), bound("maxLength").unwrap_or(usize::MAX));
        while text.chars().count() < least.min(100_000) {
            text.push(' ');
            text.push_str(names::word(&mut self.dice));
        }
        if text.chars().count() > most { text.chars().take(most).collect() } else { text }
    }

    fn number(&mut self, schema: &Map<String, Value>, name: &str, is_integer: bool) -> Value {
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let format = if is_integer { integer_format(schema) } else { None };
        let step = bound("multipleOf").filter(|step| *step > 0.0);
        let gap = step.unwrap_or(if is_integer { 1.0 } else { 0.01 });
        let lower = [bound("minimum"), bound("exclusiveMinimum").map(|least| least + gap), format.map(|of| of.1)];
        let upper = [bound("maximum"), bound("exclusiveMaximum").map(|most| most - gap), format.map(|of| of.2)];
        let (low, high) = names::range(name);
        let least = lower.into_iter().flatten().fold(f64::NEG_INFINITY, f64::max);
        let most = upper.into_iter().flatten().fold(f64::INFINITY, f64::min);
        // What the name suggests, as far as the schema lets it be.
        let (low, high) = match (low.max(least), high.min(most)) {
            (low, high) if low <= high => (low, high),
            _ if least.is_finite() && most.is_finite() => (least, most),
            _ if least.is_finite() => (least, least + 100.0),
            _ => (most - 100.0, most),
        };
        let picked = low + (high - low) * self.dice.share();
        let picked = match step {
            Some(step) => {
                let stepped = (picked / step).round() * step;
                if stepped > most {
                    stepped - step
                } else if stepped < least {
                    stepped + step
                } else {
                    stepped
                }
            }
            None if is_integer => picked.round(),
            None => ((picked * 100.0).round() / 100.0).clamp(low, high),
        };
        if is_integer && picked.abs() < 9e15 {
            return json!(picked as i64);
        }
        Number::from_f64(picked).map_or(json!(0), Value::Number)
    }
}

fn list<'a>(schema: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    schema.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
