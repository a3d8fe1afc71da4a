//! The document, read.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use hellojohn::http::openapi::Document;
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

/// The document of an installation.
pub(crate) static DESCRIBED: LazyLock<Description> = LazyLock::new(|| {
    let document = Document::new("https://id.example").unwrap();
    let document = serde_json::from_slice(&document.json()).unwrap();
    Description { document, validators: Mutex::default() }
});

/// What the methods of a path are called in the document.
const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

pub(crate) struct Description {
    pub(crate) document: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// An operation and where it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) fields: &'a Value,
    /// What the path says for all its methods.
    shared: &'a Value,
}

/// What a request is in the document.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Operation(Operation<'a>),
    NoPath,
    NoMethod,
}

impl std::fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method.to_uppercase(), self.path)
    }
}

impl Operation<'_> {
    pub(crate) fn id(&self) -> &str {
        self.fields["operationId"].as_str().unwrap_or_default()
    }

    /// The codes that it lists.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &str> {
        self.fields["x-codes"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    pub(crate) fn is_gated(&self) -> bool {
        self.fields["x-gated"] == json!(true)
    }

    /// Whether the security scheme is among those that it takes.
    pub(crate) fn takes(&self, scheme: &str) -> bool {
        self.fields["security"].as_array().into_iter().flatten().any(|one| one.get(scheme).is_some())
    }

    /// Whether it can be called without any.
    pub(crate) fn is_public(&self) -> bool {
        self.fields["security"].as_array().is_some_and(|all| all.is_empty() || all.contains(&json!({})))
    }
}

impl Description {
    pub(crate) fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        self.document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
            METHODS.iter().filter_map(move |method| {
                let fields = item.get(*method)?;
                Some(Operation { method, path, fields, shared: &item["parameters"] })
            })
        })
    }

    /// The object that is meant.
    pub(crate) fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        let target = reference.strip_prefix('#').and_then(|pointer| self.document.pointer(pointer));
        self.resolved(target.unwrap_or_else(|| panic!("{reference} leads nowhere")))
    }

    /// The parameters of an operation, resolved.
    pub(crate) fn parameters<'a>(&'a self, operation: &Operation<'a>) -> Vec<&'a Value> {
        let own = operation.fields["parameters"].as_array();
        let all = operation.shared.as_array().into_iter().chain(own).flatten();
        all.map(|parameter| self.resolved(parameter)).collect()
    }

    /// The schema of the body that an operation takes, if it takes one.
    pub(crate) fn body_of<'a>(&'a self, operation: &Operation<'a>) -> Option<&'a Value> {
        operation.fields.pointer("/requestBody/content/application~1json/schema")
    }

    /// The operation that a request is for. A literal segment is meant before a parameter.
    pub(crate) fn find(&self, method: &str, path: &str) -> Found<'_> {
        let method = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
        let asked: Vec<&str> = path.split('/').collect();
        let fits = |pattern: &str| {
            let pattern: Vec<&str> = pattern.split('/').collect();
            pattern.len() == asked.len()
                && pattern.iter().zip(&asked).all(|(p, a)| p == a || (p.starts_with('{') && !a.is_empty()))
        };
        let paths = self.document["paths"].as_object().unwrap().keys();
        let Some(path) = paths.filter(|pattern| fits(pattern)).min_by_key(|p| p.matches('{').count()) else {
            return Found::NoPath;
        };
        let mut operations = self.operations();
        operations
            .find(|operation| operation.path == path && operation.method == method)
            .map_or(Found::NoMethod, Found::Operation)
    }

    /// What is wrong with a value by a schema of the document; `place` is the schema's name among all.
    pub(crate) fn faults(&self, place: &str, schema: &Value, value: &Value) -> Vec<String> {
        let known = self.validators.lock().unwrap().get(place).cloned();
        let validator = known.unwrap_or_else(|| {
            let built = Arc::new(self.validator(schema).unwrap_or_else(|error| panic!("{place}: {error}")));
            self.validators.lock().unwrap().insert(place.to_owned(), built.clone());
            built
        });
        let told = |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
        validator.iter_errors(value).map(told).collect()
    }

    fn validator(&self, schema: &Value) -> Result<Validator, String> {
        let mut whole = schema.as_object().cloned().unwrap_or_default();
        whole.insert("components".to_owned(), json!({"schemas": self.document["components"]["schemas"]}));
        let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
        options.build(&Value::Object(whole)).map_err(|error| error.to_string())
    }

    /// The schemas that a schema leaves open: itself, or its alternatives, resolved.
    pub(crate) fn alternatives<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.resolved(schema);
        let parts = ["anyOf", "oneOf"].iter().find_map(|word| schema[*word].as_array());
        parts.map_or_else(
            || vec![schema],
            |parts| parts.iter().flat_map(|part| self.alternatives(part)).collect(),
        )
    }

    /// The body in the spelling of the document: input takes `snake_case` and `camelCase`, and one of them is described.
    pub(crate) fn respelled(&self, schema: &Value, value: &Value) -> Value {
        let alternatives = self.alternatives(schema);
        match value {
            Value::Object(members) => {
                let respell = |(name, value): (&String, &Value)| {
                    let found = alternatives.iter().find_map(|schema| {
                        let properties = schema["properties"].as_object()?;
                        let spelt = [name.clone(), snake(name), camel(name)];
                        let name = spelt.into_iter().find(|name| properties.contains_key(name))?;
                        properties.get(&name).map(|schema| (name.clone(), schema))
                    });
                    let other = || alternatives.iter().find_map(|schema| schema.get("additionalProperties"));
                    match found.or_else(|| other().map(|schema| (name.clone(), schema))) {
                        Some((name, schema)) => (name, self.respelled(schema, value)),
                        None => (name.clone(), value.clone()),
                    }
                };
                Value::Object(members.iter().map(respell).collect::<Map<_, _>>())
            }
            Value::Array(items) => {
                let schema = alternatives.iter().find_map(|schema| schema.get("items"));
                let respell = |item| schema.map_or_else(|| Value::clone(item), |s| self.respelled(s, item));
                items.iter().map(respell).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }
}

pub(crate) fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut camel = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}
