//! Sessions: options that a client sets once, for its queries to come.
//!
//! A session is named by the token of a login, or where there is none by the cookie `arrow_flight_session_id`, which the
//! server sets with the first option. It belongs to one user. Sessions are kept in memory, those that were used last, and not
//! for longer than [`IDLE`] without use; what a ticket or a prepared statement means does not depend on them.

use super::session_options::{
    GetSessionOptionsResult, OptionError, OptionErrorKind, OptionValue, SetSessionOptionsRequest,
    SetSessionOptionsResult, option_value::Value,
};
use super::settings::{Settings, out_of_bounds, out_of_bounds_name};
use crate::arrays::ArrayFormat;
use crate::auth::{Caller, random_id};
use crate::view::View;
use atlas_sql::OutOfBounds;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tonic::Status;
use tonic::metadata::MetadataMap;

/// The cookie that names a session.
const COOKIE: &str = "arrow_flight_session_id";

/// The cookie's value where the login names the session.
const OF_LOGIN: &str = "login";

/// The most sessions: beyond it, those that were not used for longest are forgotten.
const MAX_SESSIONS: usize = 10_000;

/// For how long a session is kept that is not used.
const IDLE: Duration = Duration::from_secs(12 * 3600);

/// The options that a client has set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Chosen {
    schema: Option<String>,
    format: Option<ArrayFormat>,
    out_of_bounds: Option<OutOfBounds>,
}

/// What names a session: its user, and the token or cookie.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Login(Arc<str>, [u8; 32]),
    Cookie(Arc<str>, String),
}

#[derive(Debug)]
struct Session {
    chosen: Chosen,
    used: Instant,
}

/// The sessions of all users.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    kept: Mutex<HashMap<Name, Session>>,
}

impl Sessions {
    /// What is in force for a call: what its headers ask for, else what its session has, else the default.
    ///
    /// # Errors
    /// `NOT_FOUND` where its cookie names no session of the caller (any more), `INVALID_ARGUMENT` for a header that cannot be
    /// read.
    pub(crate) fn settings(&self, caller: &Caller, headers: &MetadataMap, view: &View) -> Result<Settings, Status> {
        let chosen = self.chosen(caller, headers, Instant::now())?;
        let asked = ArrayFormat::asked(headers)?;
        Ok(Settings {
            format: asked.or(chosen.format).unwrap_or_else(|| ArrayFormat::of_agent(headers)),
            schema: chosen.schema.unwrap_or_else(|| view.queries.defaults().1),
            out_of_bounds: chosen.out_of_bounds.unwrap_or_default(),
        })
    }

    /// The answer to `GetSessionOptions`: every option, with what is in force.
    ///
    /// # Errors
    /// As [`Sessions::settings`].
    pub(crate) fn get(
        &self,
        caller: &Caller,
        headers: &MetadataMap,
        view: &View,
    ) -> Result<GetSessionOptionsResult, Status> {
        let settings = self.settings(caller, headers, view)?;
        let outside = out_of_bounds_name(settings.out_of_bounds).to_string();
        let options = [
            ("catalog", view.queries.defaults().0),
            ("schema", settings.schema),
            ("array_format", settings.format.to_string()),
            ("out_of_bounds", outside),
        ];
        let text = |text| OptionValue { value: Some(Value::Text(text)) };
        let session_options = options.into_iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Ok(GetSessionOptionsResult { session_options })
    }

    /// The answer to `SetSessionOptions`, and the value of a `Set-Cookie` header where the session is new and needs one.
    ///
    /// # Errors
    /// `INTERNAL` where the system gives no random bytes. What is wrong with an option is in the answer.
    pub(crate) fn set(
        &self,
        caller: &Caller,
        headers: &MetadataMap,
        view: &View,
        request: &SetSessionOptionsRequest,
    ) -> Result<(SetSessionOptionsResult, Option<String>), Status> {
        let now = Instant::now();
        let known = self.chosen(caller, headers, now).ok();
        let mut chosen = known.clone().unwrap_or_default();
        let mut errors = HashMap::new();
        for (name, value) in &request.session_options {
            if let Err(kind) = choose(&mut chosen, view, name, value.value.as_ref()) {
                errors.insert(name.clone(), OptionError { value: kind.into() });
            }
        }
        let (name, cookie) = match name_of(caller, headers) {
            // Where its options are lost, the cookie says that there were some.
            Some(name @ Name::Login(..)) => (name, Some(format!("{COOKIE}={OF_LOGIN}"))),
            Some(name) if known.is_some() => (name, None),
            _ => {
                let id: String = random_id()?.iter().map(|byte| format!("{byte:02x}")).collect();
                let cookie = format!("{COOKIE}={id}");
                (Name::Cookie(Arc::clone(&caller.user), id), Some(cookie))
            }
        };
        self.keep(name, chosen, now);
        Ok((SetSessionOptionsResult { errors }, cookie))
    }

    /// Forgets the session; the value of a `Set-Cookie` header that has the client forget it, too.
    pub(crate) fn close(&self, caller: &Caller, headers: &MetadataMap) -> Option<String> {
        let name = name_of(caller, headers)?;
        self.lock().remove(&name);
        Some(format!("{COOKIE}=closed; Max-Age=0"))
    }

    /// What the session of a call has; the default where it has none.
    fn chosen(&self, caller: &Caller, headers: &MetadataMap, now: Instant) -> Result<Chosen, Status> {
        let Some(name) = name_of(caller, headers) else { return Ok(Chosen::default()) };
        let mut kept = self.lock();
        if let Some(session) = kept.get_mut(&name).filter(|session| !is_over(session, now)) {
            session.used = now;
            return Ok(session.chosen.clone());
        }
        match name {
            // A login is a session from its beginning.
            Name::Login(..) if cookie_of(headers).as_deref() != Some(OF_LOGIN) => Ok(Chosen::default()),
            // Its options would not be those that the client has set.
            Name::Login(..) | Name::Cookie(..) => Err(Status::not_found(
                "the session is not known here: it was closed, not used for long, or is another server's; connect again",
            )),
        }
    }

    fn keep(&self, name: Name, chosen: Chosen, now: Instant) {
        let mut kept = self.lock();
        if kept.len() >= MAX_SESSIONS && !kept.contains_key(&name) {
            kept.retain(|_, session| !is_over(session, now));
            let oldest = kept.iter().min_by_key(|(_, session)| session.used).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest.filter(|_| kept.len() >= MAX_SESSIONS) {
                kept.remove(&oldest);
            }
        }
        kept.insert(name, Session { chosen, used: now });
    }

    /// Every change is whole, whatever panics elsewhere.
    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Session>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_over(session: &Session, now: Instant) -> bool {
    now.saturating_duration_since(session.used) > IDLE
}

/// Sets one option; unsets it where it has no value.
fn choose(chosen: &mut Chosen, view: &View, name: &str, value: Option<&Value>) -> Result<(), OptionErrorKind> {
    let text = match value {
        None => None,
        Some(Value::Text(text)) => Some(text.as_str()),
        Some(_) if ["catalog", "schema", "array_format", "out_of_bounds"].contains(&name) => {
            return Err(OptionErrorKind::InvalidValue);
        }
        Some(_) => return Err(OptionErrorKind::InvalidName),
    };
    let invalid = OptionErrorKind::InvalidValue;
    match name {
        // There is one.
        "catalog" => match text {
            Some(text) if text != view.queries.defaults().0 => return Err(invalid),
            _ => {}
        },
        "schema" => {
            // What may not be read is not there.
            if text.is_some_and(|text| !view.stores.names().any(|store| store == text)) {
                return Err(invalid);
            }
            chosen.schema = text.map(str::to_string);
        }
        "array_format" => chosen.format = text.map(str::parse).transpose().map_err(|_| invalid)?,
        "out_of_bounds" => chosen.out_of_bounds = text.map(out_of_bounds).transpose().map_err(|_| invalid)?,
        _ => return Err(OptionErrorKind::InvalidName),
    }
    Ok(())
}

/// What names the session of a call.
fn name_of(caller: &Caller, headers: &MetadataMap) -> Option<Name> {
    if let Some(login) = caller.login() {
        return Some(Name::Login(Arc::clone(&caller.user), login));
    }
    Some(Name::Cookie(Arc::clone(&caller.user), cookie_of(headers)?))
}

/// The value of the session's cookie.
fn cookie_of(headers: &MetadataMap) -> Option<String> {
    let cookies = headers.get_all("cookie").iter().filter_map(|header| header.to_str().ok());
    cookies.flat_map(|header| header.split(';')).find_map(|cookie| {
        let (name, value) = cookie.split_once('=')?;
        (name.trim() == COOKIE).then(|| value.trim().trim_matches('"').to_string())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use tonic::Code;

    fn caller(user: &str) -> Caller {
        Caller::new(user, Arc::default())
    }

    fn cookie(id: &str) -> MetadataMap {
        let mut headers = MetadataMap::new();
        headers.append("cookie", "other=1".parse().unwrap());
        headers.append("cookie", format!("a=b; {COOKIE}=\"{id}\"; c").parse().unwrap());
        headers
    }

    fn with_schema(schema: &str) -> Chosen {
        Chosen { schema: Some(schema.into()), ..Chosen::default() }
    }

    #[test]
    fn a_session_is_its_users_and_its_tokens_or_cookies() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let (ann, bob) = (caller("ann"), caller("bob"));
        sessions.keep(name_of(&ann, &cookie("1")).unwrap(), with_schema("a"), now);
        assert_eq!(sessions.chosen(&ann, &cookie("1"), now).unwrap(), with_schema("a"));
        for (caller, id) in [(&bob, "1"), (&ann, "2"), (&ann, ""), (&caller(""), "1")] {
            assert_eq!(sessions.chosen(caller, &cookie(id), now).unwrap_err().code(), Code::NotFound, "{id}");
        }
        assert_eq!(sessions.chosen(&ann, &MetadataMap::new(), now).unwrap(), Chosen::default());
        let logged_in = ann.clone().with_login([1; 32]);
        assert_eq!(sessions.chosen(&logged_in, &cookie("1"), now).unwrap(), Chosen::default());
        sessions.keep(name_of(&logged_in, &MetadataMap::new()).unwrap(), with_schema("b"), now);
        assert_eq!(sessions.chosen(&logged_in, &cookie("x"), now).unwrap(), with_schema("b"));
        assert_eq!(sessions.chosen(&ann.clone().with_login([2; 32]), &cookie("1"), now).unwrap(), Chosen::default());
        assert!(sessions.close(&ann, &cookie("1")).unwrap().contains("Max-Age=0"));
        assert_eq!(sessions.chosen(&ann, &cookie("1"), now).unwrap_err().code(), Code::NotFound);
    }

    #[test]
    fn sessions_that_nobody_uses_are_forgotten() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let ann = caller("ann");
        for number in 0..MAX_SESSIONS {
            sessions.keep(name_of(&ann, &cookie(&number.to_string())).unwrap(), with_schema("a"), start);
        }
        let later = start + Duration::from_secs(1);
        sessions.chosen(&ann, &cookie("0"), later).unwrap();
        sessions.keep(name_of(&ann, &cookie("new")).unwrap(), with_schema("b"), later);
        assert_eq!(sessions.lock().len(), MAX_SESSIONS);
        assert!(sessions.chosen(&ann, &cookie("0"), later).is_ok(), "it was used");
        assert!(sessions.chosen(&ann, &cookie("new"), start + IDLE).is_ok());
        let status = sessions.chosen(&ann, &cookie("0"), later + IDLE + Duration::from_secs(1)).unwrap_err();
        assert!(status.message().contains("connect again"), "{status}");
    }
}
