//! The document by itself, and beside the routes.

use std::collections::{BTreeMap, BTreeSet};

use hellojohn::boot::surface;
use hellojohn::http::{Auth, RouteSpec};
use hellojohn::service::Code;
use hellojohn_control::{ClientId, Kid, ScopeName, Slug};
use serde_json::{Value, json};

use super::description::{DESCRIBED, Operation};
use super::is_page;

/// The routes that are described: all but those of a build for tests.
fn routes() -> BTreeMap<String, RouteSpec> {
    let all = surface();
    let shipped =
        all.routes().filter(|spec| !cfg!(feature = "next-format") || !spec.path.ends_with("/rename"));
    shipped.filter(|spec| !is_page(spec.path)).map(|spec| (spec.to_string(), *spec)).collect()
}

fn audience(operation: &Operation<'_>) -> Option<Auth> {
    match (operation.is_public(), operation.takes("person"), operation.takes("administrator")) {
        (true, _, _) => Some(Auth::Public),
        (false, true, false) => Some(Auth::User),
        (false, false, true) => Some(Auth::Admin),
        _ => None,
    }
}

/// EP180: every route and nothing else, with its audience and its gate.
#[test]
fn the_routes_and_the_operations_are_the_same() {
    let routes = routes();
    let described: BTreeMap<String, Operation<'_>> =
        DESCRIBED.operations().map(|operation| (operation.to_string(), operation)).collect();
    let mut faults = Vec::new();
    for (name, route) in &routes {
        let Some(operation) = described.get(name) else {
            faults.push(format!("{name} is not described: add it to a file of src/http/openapi"));
            continue;
        };
        if audience(operation) != Some(route.auth) {
            faults.push(format!("{name} is for {:?}; its `security` says otherwise", route.auth));
        }
        if operation.is_gated() != route.is_gated() {
            faults.push(format!("{name}: `x-gated` must be {}", route.is_gated()));
        }
        let says = |part: &str| operation.fields["responses"].get(part).is_some();
        if !says("default") {
            faults.push(format!("{name} has no `default` answer"));
        }
        if route.is_gated() != (says("307") && says("409")) {
            faults.push(format!("{name}: 307 and 409 are the answers of a gated write, and of nothing else"));
        }
        let parameters = DESCRIBED.parameters(operation);
        let takes = |parameter: &str| parameters.iter().any(|p| p["name"] == *parameter);
        if route.is_gated() != takes("leader_redirect") {
            faults.push(format!("{name}: `leader_redirect` is a parameter of gated writes"));
        }
    }
    for name in described.keys().filter(|name| !routes.contains_key(*name)) {
        faults.push(format!("{name} is described, but there is no such route"));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(routes.len() > 60, "only {} routes", routes.len());
}

/// What the document uses of OpenAPI 3.1: every object of it with the members that it may have.
fn shape() -> Value {
    let object = |required: Value, properties: Value| json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false});
    let map = |of: &str| json!({"type": "object", "additionalProperties": {"$ref": format!("#/$defs/{of}")}});
    let or_reference = |to: Value| {
        json!({"if": {"required": ["$ref"]},
            "then": {"properties": {"$ref": {"type": "string", "pattern": "^#/components/"}}, "additionalProperties": false},
            "else": to})
    };
    let list = |of: &str| json!({"type": "array", "items": {"$ref": format!("#/$defs/{of}")}});
    let one = |of: &str| json!({"$ref": format!("#/$defs/{of}")});
    let text = json!({"type": "string", "pattern": "^\\S"});
    let operation = object(
        json!(["operationId", "summary", "tags", "security", "responses"]),
        json!({"operationId": {"pattern": "^[a-z][A-Za-z]+$"}, "summary": text, "description": text,
            "tags": {"type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "string"}},
            "security": {"type": "array"}, "x-gated": {"const": true},
            "x-codes": {"type": "array", "minItems": 1, "uniqueItems": true}, "parameters": list("parameter"),
            "requestBody": one("request"), "responses": one("responses")}),
    );
    json!({
        "$defs": {
            "item": object(json!([]), json!({"parameters": list("parameter"), "get": one("operation"), "put": one("operation"),
                "post": one("operation"), "patch": one("operation"), "delete": one("operation")})),
            "operation": operation,
            "parameter": or_reference(object(json!(["name", "in", "schema"]), json!({"name": text,
                "in": {"enum": ["path", "query", "header"]}, "required": {"const": true}, "description": text,
                "schema": {"type": "object"}, "example": {}}))),
            "request": object(json!(["content"]), json!({"required": {"const": true}, "content": map("media")})),
            "responses": {"type": "object", "propertyNames": {"pattern": "^([2-5]\\d\\d|default)$"},
                "additionalProperties": one("response")},
            "response": or_reference(object(json!(["description"]),
                json!({"description": text, "headers": map("header"), "content": map("media")}))),
            "header": or_reference(object(json!(["description", "schema"]),
                json!({"description": text, "required": {"const": true}, "schema": {"type": "object"}}))),
            "media": object(json!([]), json!({"schema": {"type": "object"}, "example": {}})),
            "scheme": object(json!(["type", "scheme"]), json!({"type": {"const": "http"}, "scheme": {"const": "bearer"},
                "bearerFormat": {}, "description": text})),
        },
        "type": "object", "additionalProperties": false, "required": ["openapi", "info", "servers", "paths", "components"],
        "properties": {
            "openapi": {"pattern": "^3\\.1\\.\\d$"}, "jsonSchemaDialect": {"type": "string", "format": "uri"},
            "info": object(json!(["title", "version"]), json!({"title": text, "summary": text, "version": text,
                "description": text, "license": {"required": ["name", "identifier"]}})),
            "servers": {"type": "array", "minItems": 1, "items": object(json!(["url"]), json!({"url": text}))},
            "paths": {"type": "object", "propertyNames": {"pattern": "^/"}, "additionalProperties": one("item")},
            "components": object(json!([]), json!({"securitySchemes": map("scheme"), "parameters": map("parameter"),
                "headers": map("header"), "responses": map("response"),
                "schemas": {"type": "object", "propertyNames": {"pattern": "^[A-Za-z]+$"},
                    "additionalProperties": {"type": "object"}}})),
        },
    })
}

#[test]
fn the_document_has_the_shape_of_openapi() {
    let validator = jsonschema::options().should_validate_formats(true).build(&shape()).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(&DESCRIBED.document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Calls `see` with every object in a value.
fn walk<'a>(value: &'a Value, see: &mut impl FnMut(&'a Value)) {
    match value {
        Value::Object(members) => {
            see(value);
            members.values().for_each(|member| walk(member, see));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let mut used = BTreeSet::new();
    walk(&DESCRIBED.document, &mut |object| {
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            // Fails where it leads nowhere.
            DESCRIBED.resolved(object);
            used.insert(reference.to_owned());
        }
    });
    for (kind, named) in DESCRIBED.document["components"].as_object().unwrap() {
        for name in named.as_object().unwrap().keys().filter(|_| kind != "securitySchemes") {
            let reference = format!("#/components/{kind}/{name}");
            assert!(used.contains(&reference), "{reference} is used nowhere");
        }
    }
}

#[test]
fn operations_have_their_own_names_their_parameters_and_real_codes() {
    let mut ids = BTreeSet::new();
    for operation in DESCRIBED.operations() {
        assert!(ids.insert(operation.id().to_owned()), "{operation}: {} is another's name", operation.id());
        let declared: Vec<(&str, &str)> = DESCRIBED
            .parameters(&operation)
            .iter()
            .map(|p| (p["in"].as_str().unwrap(), p["name"].as_str().unwrap()))
            .collect();
        assert_eq!(
            declared.iter().collect::<BTreeSet<_>>().len(),
            declared.len(),
            "{operation}: {declared:?}"
        );
        let in_path = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let in_path: BTreeSet<&str> = in_path.collect();
        let of_path = declared.iter().filter(|(place, _)| *place == "path").map(|(_, name)| *name);
        assert_eq!(of_path.collect::<BTreeSet<_>>(), in_path, "{operation}");
        for code in operation.codes() {
            assert!(Code::ALL.iter().any(|known| known.as_str() == code), "{operation}: {code} is no code");
        }
    }
}

/// Schemas are JSON Schema 2020-12, and their examples, defaults and those of parameters and bodies fit them.
#[test]
fn schemas_are_schemas_and_examples_fit() {
    let schemas = DESCRIBED.document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        if let Err(error) = jsonschema::meta::validate(schema) {
            panic!("{name}: {}: {error}", error.instance_path());
        }
    }
    let (mut seen, mut faults) = (0, Vec::new());
    let mut fits = |schema: &Value, example: &Value| {
        seen += 1;
        let place = format!("example {schema}");
        let told = DESCRIBED.faults(&place, schema, example);
        faults.extend(told.into_iter().map(|fault| format!("{example} of {schema}: {fault}")));
    };
    walk(&DESCRIBED.document, &mut |object| {
        for word in ["example", "default"] {
            let schema = object.get("schema").unwrap_or(object);
            let is_schema =
                ["type", "$ref", "enum", "anyOf", "oneOf"].iter().any(|word| schema.get(word).is_some());
            if let (Some(value), true) = (object.get(word), is_schema) {
                fits(schema, value);
            }
        }
    });
    assert!(faults.is_empty() && seen > 50, "{seen}\n{}", faults.join("\n"));
}

/// Spec §2.1: the grammars are those of the program.
#[test]
fn grammars_are_the_programs_own() {
    let schemas = &DESCRIBED.document["components"]["schemas"];
    for (name, grammar) in [
        ("Slug", Slug::GRAMMAR),
        ("ClientId", ClientId::GRAMMAR),
        ("ScopeName", ScopeName::GRAMMAR),
        ("Kid", Kid::GRAMMAR),
    ] {
        assert_eq!(schemas[name]["pattern"], *grammar, "{name}");
    }
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(schemas["ProblemCode"]["enum"], json!(codes));
}
