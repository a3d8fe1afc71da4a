//! Values made from schemas: what fits, and what just does not.

use serde_json::{Map, Value, json};

use super::description::DESCRIBED;

/// How much of an object is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Members {
    /// What is required.
    Required,
    /// Everything that can be set.
    All,
}

/// A member of a value, or an item, and what the document says of it.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// Where it is.
    pub(crate) pointer: String,
    /// How the router names it.
    pub(crate) field: String,
    pub(crate) schema: &'a Value,
    pub(crate) is_required: bool,
}

/// A value that fits.
pub(crate) fn instance(schema: &Value, members: Members) -> Value {
    let alternatives = DESCRIBED.alternatives(schema);
    let schema = *alternatives.iter().find(|schema| schema["type"] != "null").unwrap();
    let given = ["example", "const", "default"].iter().find_map(|word| schema.get(*word));
    if let Some(given) = given.or_else(|| schema["enum"].get(0)) {
        return given.clone();
    }
    match kinds(schema).iter().find(|kind| **kind != "null").copied() {
        Some("object") => object(schema, members),
        Some("array") if members == Members::All => json!([instance(&schema["items"], members)]),
        Some("array") => {
            let least = schema["minItems"].as_u64().unwrap_or(0);
            (0..least).map(|_| instance(&schema["items"], members)).collect()
        }
        Some("integer") => json!(schema["minimum"].as_i64().unwrap_or(1)),
        Some("boolean") => json!(true),
        Some("string") => json!("text"),
        other => panic!("what is a {other:?} of {schema}?"),
    }
}

fn object(schema: &Value, members: Members) -> Value {
    let mut made = Map::new();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let is_settable = DESCRIBED.resolved(member).get("readOnly").is_none();
        if is_required(schema, name) || (members == Members::All && is_settable) {
            made.insert(name.clone(), instance(member, members));
        }
    }
    let named = |word: &str| schema[word].as_array().into_iter().flatten().filter_map(Value::as_str);
    match members {
        // What is needed although none of it is by itself.
        Members::Required => made.extend(
            named("x-minimal").map(|name| (name.to_owned(), instance(&schema["properties"][name], members))),
        ),
        // Of these only one may be there.
        Members::All => named("x-exclusive").skip(1).for_each(|name| drop(made.remove(name))),
    }
    if let (Some(of), Members::All) = (schema.get("additionalProperties").filter(|s| s.is_object()), members)
    {
        made.insert("any-name".to_owned(), instance(of, members));
    }
    Value::Object(made)
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().into_iter().flatten().any(|required| required == name)
}

/// Everything inside a value, depth first; the value itself is first of all.
pub(crate) fn places<'a>(schema: &'a Value, value: &Value) -> Vec<Place<'a>> {
    let mut all = Vec::new();
    let root = Place { pointer: String::new(), field: String::new(), schema, is_required: true };
    gather(root, value, &mut all);
    all
}

fn gather<'a>(place: Place<'a>, value: &Value, all: &mut Vec<Place<'a>>) {
    let (pointer, field, schema) = (place.pointer.clone(), place.field.clone(), place.schema);
    all.push(place);
    let alternatives = DESCRIBED.alternatives(schema);
    match value {
        // Which members it may have hangs on the others, and a refusal names the whole.
        Value::Object(_) if alternatives.iter().any(|schema| schema["x-judged-together"] == true) => {}
        Value::Object(members) => {
            for (name, value) in members {
                let find = |schema: &&'a Value| {
                    let described = schema["properties"].get(name);
                    described.or_else(|| schema.get("additionalProperties").filter(|of| of.is_object()))
                };
                let Some(of) = alternatives.iter().find_map(find) else { continue };
                let is_required = alternatives.iter().any(|schema| is_required(schema, name));
                let field = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
                let pointer = format!("{pointer}/{name}");
                gather(Place { pointer, field, schema: of, is_required }, value, all);
            }
        }
        Value::Array(items) => {
            let Some(of) = alternatives.iter().find_map(|schema| schema.get("items")) else { return };
            // The answer tells of each what is wrong with it, and the others are taken.
            if of["x-judged-alone"] == true {
                return;
            }
            for (n, value) in items.iter().enumerate() {
                let (pointer, field) = (format!("{pointer}/{n}"), format!("{field}[{n}]"));
                gather(Place { pointer, field, schema: of, is_required: false }, value, all);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The JSON types that a schema names, or that its values have.
fn kinds(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => {
            let values = schema["enum"].as_array().into_iter().flatten().chain(schema.get("const"));
            values.map(kind).collect()
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl Place<'_> {
    /// Whether it is an object that takes the members that it names and no other.
    pub(crate) fn is_closed(&self) -> bool {
        DESCRIBED
            .alternatives(self.schema)
            .iter()
            .any(|schema| schema["additionalProperties"] == json!(false))
    }

    /// Whether it may be null.
    pub(crate) fn is_nullable(&self) -> bool {
        DESCRIBED.alternatives(self.schema).iter().any(|schema| kinds(schema).contains(&"null"))
    }

    /// Whether it is one of several names.
    pub(crate) fn is_choice(&self) -> bool {
        DESCRIBED.alternatives(self.schema).iter().any(|schema| schema.get("enum").is_some())
    }

    /// A value of another type.
    pub(crate) fn of_another_type(&self) -> Value {
        let alternatives = DESCRIBED.alternatives(self.schema);
        let takes = |value: &Value| alternatives.iter().any(|schema| kinds(schema).contains(&kind(value)));
        [json!(true), json!("text")].into_iter().find(|value| !takes(value)).unwrap()
    }

    /// Values of its type that are just outside its bounds.
    pub(crate) fn out_of_bounds(&self) -> Vec<Value> {
        let mut values = Vec::new();
        for schema in DESCRIBED.alternatives(self.schema) {
            let number = |word: &str| schema[word].as_i64();
            let length = |word: &str| schema[word].as_u64().and_then(|n| usize::try_from(n).ok());
            values.extend(number("maximum").map(|most| json!(most + 1)));
            values.extend(number("minimum").map(|least| json!(least - 1)));
            values.extend(length("maxLength").map(|most| json!("a".repeat(most + 1))));
            values.extend(length("minLength").filter(|least| *least > 0).map(|_| json!("")));
            if let Some(most) = length("maxItems") {
                values.push((0..=most).map(|n| json!(format!("n{n}"))).collect());
            }
            if ["pattern", "enum", "format"].iter().any(|word| schema.get(*word).is_some()) {
                values.push(json!("No such, value"));
            }
        }
        let place = format!("bounds of {} {}", self.pointer, self.schema);
        values.retain(|value| !DESCRIBED.faults(&place, self.schema, value).is_empty());
        values
    }
}

/// The value with another one at a place.
pub(crate) fn with(value: &Value, pointer: &str, other: Value) -> Value {
    let mut changed = value.clone();
    *changed.pointer_mut(pointer).unwrap() = other;
    changed
}

/// The value without a member.
pub(crate) fn without(value: &Value, pointer: &str) -> Value {
    let mut changed = value.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    changed.pointer_mut(parent).and_then(Value::as_object_mut).unwrap().remove(name);
    changed
}
