//! The messages of the session actions: `SetSessionOptions`, `GetSessionOptions` and `CloseSession`.
//!
//! arrow-flight does not define them; they are those of `Flight.proto`. What they do is in `sessions`.

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
