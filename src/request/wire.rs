//! The message that carries a request through a queue: the package, a newline, and its parameters as a JSON object.

use serde_json::{Map, Value, json};

use super::{InvalidRequest, Parameters, Request};

/// The parameters that have a field of their own.
pub(super) const KNOWN_KEYS: [&str; 7] =
    ["triggers", "env", "all-proposed", "testname", "requester", "submit-time", "uuid"];

impl Request {
    /// Reads a queue's message: a package alone, or a package, white space and a JSON object.
    ///
    /// # Errors
    /// When it is not UTF-8, not of that form, or a parameter breaks its rule.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        let text = std::str::from_utf8(body)
            .map_err(|_| InvalidRequest::new("request", String::from_utf8_lossy(body), "is not UTF-8"))?;
        Self::parse_text(text)
    }

    pub(super) fn parse_text(text: &str) -> Result<Self, InvalidRequest> {
        let text = text.trim();
        let (package, parameters) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let package = package.parse()?;
        let parameters = match parameters.trim_start() {
            "" => Parameters::default(),
            json => read_parameters(json)?,
        };
        Self::new(package, parameters)
    }

    /// The message for a queue, which [`Request::parse`] reads back unchanged.
    pub fn to_wire(&self) -> String {
        format!("{}\n{}", self.package(), Value::Object(self.wire_parameters()))
    }

    /// The parameters as the JSON object of the wire form; what is not set is left out.
    pub fn wire_parameters(&self) -> Map<String, Value> {
        let Parameters { triggers, env, all_proposed, testname, requester, submit_time, uuid, other } =
            self.parameters();
        let mut map = other.clone();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(key.to_owned(), value);
            }
        };
        let list = |items: Vec<String>| (!items.is_empty()).then(|| json!(items));
        put("triggers", list(triggers.iter().map(ToString::to_string).collect()));
        put("env", list(env.iter().map(ToString::to_string).collect()));
        put("all-proposed", all_proposed.then(|| json!("1")));
        put("testname", testname.as_ref().map(|name| json!(name.as_str())));
        put("requester", requester.as_ref().map(|name| json!(name.as_str())));
        put("submit-time", submit_time.as_ref().map(|time| json!(time.as_str())));
        put("uuid", uuid.as_ref().map(|id| json!(id.as_str())));
        map
    }
}

fn read_parameters(json: &str) -> Result<Parameters, InvalidRequest> {
    // The text is not quoted in the error: it may hold a PPA's token.
    let mut map = match serde_json::from_str(json) {
        Ok(Value::Object(map)) => map,
        Ok(_) => return Err(InvalidRequest::new("parameters", "", "are not a JSON object")),
        Err(error) => return Err(InvalidRequest::new("parameters", "", format!("are not JSON: {error}"))),
    };
    let mut parameters = Parameters::default();
    for text in take_list(&mut map, "triggers")? {
        // proposed-migration's file mode writes one string that holds all triggers.
        for trigger in text.split_whitespace() {
            parameters.triggers.push(trigger.parse()?);
        }
    }
    for text in take_list(&mut map, "env")? {
        parameters.env.push(text.parse()?);
    }
    parameters.all_proposed = match map.remove("all-proposed") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Bool(true) | Value::Number(_)) => true,
        Some(_) => return Err(InvalidRequest::new("all-proposed", "", "is a text: set when it is not empty")),
    };
    parameters.testname = take(&mut map, "testname")?;
    parameters.requester = take(&mut map, "requester")?;
    parameters.submit_time = take(&mut map, "submit-time")?;
    parameters.uuid = take(&mut map, "uuid")?;
    parameters.other = map;
    Ok(parameters)
}

/// A list of texts; a lone text counts as a list of one.
fn take_list(map: &mut Map<String, Value>, key: &'static str) -> Result<Vec<String>, InvalidRequest> {
    let wrong = |value: &Value| InvalidRequest::new(key, value.to_string(), "is a list of texts");
    match map.remove(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                other => Err(wrong(&other)),
            })
            .collect(),
        Some(other) => Err(wrong(&other)),
    }
}

/// One text; an empty one counts as not given.
fn take<T>(map: &mut Map<String, Value>, key: &'static str) -> Result<Option<T>, InvalidRequest>
where
    T: std::str::FromStr<Err = InvalidRequest>,
{
    match map.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(InvalidRequest { field: key, ..error }),
        },
        Some(other) => Err(InvalidRequest::new(key, other.to_string(), "is a text")),
    }
}
