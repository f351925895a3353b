//! The session actions: `SetSessionOptions`, `GetSessionOptions` and `CloseSession`.
//!
//! A session has two options, `catalog` and `schema`, and both are fixed: a query names other schemas in its text.
//! arrow-flight does not define the messages; they are those of `Flight.proto`.

use prost::Message;
use std::collections::HashMap;

/// The value of an option.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OptionValue {
    /// The value; absent to unset the option.
    #[prost(oneof = "option_value::Value", tags = "1, 2, 3, 4, 5")]
    pub(crate) value: Option<option_value::Value>,
}

/// The kinds of [`OptionValue`].
pub(crate) mod option_value {
    /// A value of one kind.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(crate) enum Value {
        /// Text.
        #[prost(string, tag = "1")]
        Text(String),
        /// A truth value.
        #[prost(bool, tag = "2")]
        Bool(bool),
        /// An integer.
        #[prost(sfixed64, tag = "3")]
        Int(i64),
        /// A float.
        #[prost(double, tag = "4")]
        Float(f64),
        /// Several texts.
        #[prost(message, tag = "5")]
        Texts(TextList),
    }

    /// A list of texts.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct TextList {
        /// The texts.
        #[prost(string, repeated, tag = "1")]
        pub(crate) values: Vec<String>,
    }
}

/// The body of a `SetSessionOptions` action.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetSessionOptionsRequest {
    /// The options to set.
    #[prost(map = "string, message", tag = "1")]
    pub(crate) session_options: HashMap<String, OptionValue>,
}

/// What a `SetSessionOptions` action answers: the options that were not set.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetSessionOptionsResult {
    /// What was wrong with each.
    #[prost(map = "string, message", tag = "1")]
    pub(crate) errors: HashMap<String, OptionError>,
}

/// What was wrong with an option.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OptionError {
    /// An [`OptionErrorKind`].
    #[prost(enumeration = "OptionErrorKind", tag = "1")]
    pub(crate) value: i32,
}

/// The kinds of [`OptionError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum OptionErrorKind {
    /// Not used.
    Unspecified = 0,
    /// There is no such option.
    InvalidName = 1,
    /// The option cannot have this value.
    InvalidValue = 2,
    /// Another error.
    Error = 3,
}

/// What a `GetSessionOptions` action answers.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetSessionOptionsResult {
    /// Every option.
    #[prost(map = "string, message", tag = "1")]
    pub(crate) session_options: HashMap<String, OptionValue>,
}

/// What a `CloseSession` action answers.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CloseSessionResult {
    /// 1: closed.
    #[prost(int32, tag = "1")]
    pub(crate) status: i32,
}

/// A session's options and their values.
pub(crate) struct SessionOptions {
    /// The default catalog.
    pub(crate) catalog: String,
    /// The default schema.
    pub(crate) schema: String,
}

impl SessionOptions {
    /// The answer to `GetSessionOptions`.
    pub(crate) fn get(&self) -> GetSessionOptionsResult {
        let text = |text: &String| OptionValue { value: Some(option_value::Value::Text(text.clone())) };
        GetSessionOptionsResult {
            session_options: [("catalog".into(), text(&self.catalog)), ("schema".into(), text(&self.schema))].into(),
        }
    }

    /// The answer to `SetSessionOptions`: an option takes the value that it has, and no other.
    pub(crate) fn set(&self, request: &SetSessionOptionsRequest) -> SetSessionOptionsResult {
        let mut errors = HashMap::new();
        for (name, value) in &request.session_options {
            let current = match name.as_str() {
                "catalog" => Some(&self.catalog),
                "schema" => Some(&self.schema),
                _ => None,
            };
            let kind = match (current, &value.value) {
                (None, _) => OptionErrorKind::InvalidName,
                (Some(current), Some(option_value::Value::Text(text))) if current == text => continue,
                (Some(_), _) => OptionErrorKind::InvalidValue,
            };
            errors.insert(name.clone(), OptionError { value: kind.into() });
        }
        SetSessionOptionsResult { errors }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn options_that_cannot_be_set_say_why() {
        let options = SessionOptions { catalog: "atlas".into(), schema: "fleet".into() };
        let text = |text: &str| OptionValue { value: Some(option_value::Value::Text(text.into())) };
        let request = SetSessionOptionsRequest {
            session_options: [
                ("catalog".to_string(), text("atlas")),
                ("schema".to_string(), text("other")),
                ("memory".to_string(), text("all")),
            ]
            .into(),
        };
        let request = SetSessionOptionsRequest::decode(&*request.encode_to_vec()).unwrap();
        let errors = options.set(&request).errors;
        assert_eq!(errors.len(), 2);
        assert_eq!(errors["schema"].value, OptionErrorKind::InvalidValue as i32);
        assert_eq!(errors["memory"].value, OptionErrorKind::InvalidName as i32);
        assert_eq!(options.get().session_options["schema"], text("fleet"));
    }
}
