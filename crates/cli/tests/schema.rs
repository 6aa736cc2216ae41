//! `Schema`: holds JSON against a JSON Schema, for the keywords that the published ones use. Another keyword panics, so that
//! nothing in a schema goes unread; a field that the schema does not name is a fault, so that nothing goes unpublished.

use serde_json::Value;

pub struct Schema<'a> {
    pub root: &'a Value,
}

/// Keywords that say nothing about what is allowed.
const SILENT: [&str; 7] = [
    "$schema",
    "title",
    "description",
    "default",
    "definitions",
    "$defs",
    "format",
];

impl Schema<'_> {
    /// What is wrong with `value` at the path `at`.
    pub fn faults(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let mut faults = self.faults_of_shape(schema, value, at);
        if let Value::Object(fields) = value {
            let unknown = fields.keys().filter(|name| !self.names(schema, name));
            faults.extend(unknown.map(|name| format!("{at}.{name}: the schema does not name it")));
        }
        faults
    }

    fn faults_of_shape(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let keywords = match schema {
            Value::Object(keywords) => keywords,
            Value::Bool(true) => return Vec::new(),
            _ => return vec![format!("{at}: nothing may stand here")],
        };
        let mut faults = Vec::new();
        for (keyword, rule) in keywords {
            match keyword.as_str() {
                "$ref" => faults.extend(self.faults_of_shape(self.target(rule), value, at)),
                "type" => faults.extend((!has_type(rule, value)).then(|| format!("{at}: {value} is no {rule}"))),
                "required" => {
                    let names = list(rule).iter().filter_map(Value::as_str);
                    let missing = names.filter(|name| value.get(name).is_none());
                    faults.extend(missing.map(|name| format!("{at}.{name}: it is missing")));
                }
                "properties" => {
                    for (name, below) in rule.as_object().expect("properties have names") {
                        if let Some(found) = value.get(name) {
                            faults.extend(self.faults(below, found, &format!("{at}.{name}")));
                        }
                    }
                }
                "additionalProperties" => {
                    let named = keywords.get("properties").and_then(Value::as_object);
                    let fields = value.as_object().into_iter().flatten();
                    for (name, found) in fields.filter(|(name, _)| named.is_none_or(|named| !named.contains_key(*name)))
                    {
                        faults.extend(self.faults(rule, found, &format!("{at}.{name}")));
                    }
                }
                "items" => {
                    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                        let rule = if rule.is_array() { &rule[number] } else { rule };
                        faults.extend(self.faults(rule, item, &format!("{at}[{number}]")));
                    }
                }
                "minItems" | "maxItems" => faults.extend(wrong_length(keyword, rule, value, at)),
                "enum" => {
                    let known = list(rule).contains(value);
                    faults.extend((!known).then(|| format!("{at}: {value} is none of {rule}")));
                }
                "const" => faults.extend((rule != value).then(|| format!("{at}: {value} is not {rule}"))),
                "minimum" => {
                    let least = rule.as_f64().expect("a minimum is a number");
                    let less = value.as_f64().is_some_and(|number| number < least);
                    faults.extend(less.then(|| format!("{at}: {value} is less than {rule}")));
                }
                "allOf" => {
                    for part in list(rule) {
                        faults.extend(self.faults_of_shape(part, value, at));
                    }
                }
                "anyOf" | "oneOf" => {
                    let tried: Vec<_> = list(rule).iter().map(|one| self.faults(one, value, at)).collect();
                    if tried.iter().all(|faults| !faults.is_empty()) {
                        faults.push(format!("{at}: it has none of the shapes: {tried:?}"));
                    }
                }
                silent => assert!(
                    SILENT.contains(&silent),
                    "the schemas use {silent:?}: teach it to this test"
                ),
            }
        }
        faults
    }

    /// Whether a schema, or one that it is put together from, speaks of a field.
    fn names(&self, schema: &Value, name: &str) -> bool {
        let Value::Object(keywords) = schema else { return true };
        let parts = ["allOf", "anyOf", "oneOf"];
        keywords
            .get("properties")
            .is_some_and(|named| named.get(name).is_some())
            || keywords
                .get("additionalProperties")
                .is_some_and(|rule| *rule != Value::Bool(false))
            || keywords
                .get("$ref")
                .is_some_and(|rule| self.names(self.target(rule), name))
            || parts
                .iter()
                .filter_map(|part| keywords.get(*part))
                .any(|part| list(part).iter().any(|part| self.names(part, name)))
            || !keywords.keys().any(|keyword| !SILENT.contains(&keyword.as_str()))
    }

    fn target(&self, reference: &Value) -> &Value {
        let path = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let target = path.and_then(|path| self.root.pointer(path));
        target.unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().expect("the rule is a list")
}

/// What is wrong with how many items a list has.
fn wrong_length(keyword: &str, rule: &Value, value: &Value, at: &str) -> Option<String> {
    let (wanted, found) = (rule.as_u64(), value.as_array().map(|items| items.len() as u64));
    let fits = if keyword == "minItems" {
        found >= wanted
    } else {
        found <= wanted
    };
    (!fits).then(|| format!("{at}: {value} breaks {keyword} {rule}"))
}

/// Whether a value has a type, or one of several.
fn has_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().expect("a type is a word") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other:?} is no type"),
    };
    rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is))
}
