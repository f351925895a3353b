//! How long tickets live: until they expire, unless their query is cancelled before.

use crate::auth::{Caller, Purpose, random_id};
use crate::running::PartId;
use crate::status;
use crate::ticket::{Life, StackedTicket, StatementTicket, Tickets};
use arrow_flight::sql::{Any, Command, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightEndpoint, FlightInfo, Ticket};
use bytes::Bytes;
use prost::Message;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tonic::{Code, Status};

/// The end of the year 9999, in milliseconds since 1970: a timestamp in protobuf is not later.
const LAST_MS: u64 = 253_402_300_799_999;

impl Life {
    /// That of the first part of a new query.
    ///
    /// # Errors
    /// `INTERNAL` where the system gives no random bytes.
    pub(crate) fn begin(now: SystemTime, lifetime: Duration) -> Result<Self, Status> {
        Ok(Life { query: random_id()?, part: 0, expires_ms: 0 }.renewed(now, lifetime))
    }

    /// The same part, for a lifetime from now.
    pub(crate) fn renewed(&self, now: SystemTime, lifetime: Duration) -> Self {
        let end = now.checked_add(lifetime).and_then(|end| end.duration_since(UNIX_EPOCH).ok());
        let end_ms = end.and_then(|end| u64::try_from(end.as_millis()).ok()).unwrap_or(LAST_MS);
        Life { expires_ms: end_ms.min(LAST_MS), ..self.clone() }
    }

    /// Another part of the same query.
    pub(crate) fn part(&self, part: usize) -> Self {
        Life { part: u32::try_from(part).unwrap_or(u32::MAX), ..self.clone() }
    }

    /// When it ends.
    pub(crate) fn expires(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.expires_ms.min(LAST_MS))
    }

    /// The part that it is the life of, by itself: the bytes of a decoded life hold on to its whole ticket.
    pub(crate) fn id(&self) -> PartId {
        (Bytes::copy_from_slice(&self.query), self.part)
    }

    /// Checks that it has not ended.
    ///
    /// # Errors
    /// `NOT_FOUND` that says how long ago.
    pub(crate) fn check(&self, now: SystemTime) -> Result<(), Status> {
        let Ok(ago) = now.duration_since(self.expires()) else { return Ok(()) };
        let message = format!(
            "the ticket expired {} s ago: ask for a new FlightInfo, or renew its endpoints in time",
            ago.as_secs()
        );
        Err(status::status(Code::NotFound, &message))
    }
}

/// What a ticket is, where it has a life.
pub(crate) enum Living {
    /// A part of a stacked read.
    Stacked(Box<StackedTicket>),
    /// A statement.
    Statement(Box<StatementTicket>),
}

impl Living {
    /// Its life.
    pub(crate) fn life(&self) -> Life {
        let life = match self {
            Living::Stacked(ticket) => &ticket.life,
            Living::Statement(ticket) => &ticket.life,
        };
        life.clone().unwrap_or_default()
    }
}

impl Tickets {
    /// What a ticket says, whether or not it still lives; `None` for one that lists what is mounted, and always lives.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for what is no ticket, `PERMISSION_DENIED` for one of another user.
    pub(crate) fn living(&self, caller: &Caller, ticket: &Ticket) -> Result<Option<Living>, Status> {
        if let Some(stacked) = self.open_stacked(caller, ticket)? {
            return Ok(Some(Living::Stacked(Box::new(stacked))));
        }
        let command = Any::decode(&*ticket.ticket).ok().and_then(|any| Command::try_from(any).ok());
        let command = command.filter(|command| !matches!(command, Command::Unknown(_)));
        match command.ok_or_else(|| Status::invalid_argument("the ticket is not one that this server gave"))? {
            Command::TicketStatementQuery(query) => {
                let statement = self.open(Purpose::Statement, caller, &query.statement_handle)?;
                Ok(Some(Living::Statement(Box::new(statement))))
            }
            _ => Ok(None),
        }
    }

    /// Cancels the query whose FlightInfo this is; `false` where all of it has been delivered, or there is nothing to
    /// cancel.
    ///
    /// # Errors
    /// As [`Tickets::living`]; `INVALID_ARGUMENT` for a FlightInfo without a ticket.
    pub(crate) fn cancel(&self, caller: &Caller, info: &FlightInfo) -> Result<bool, Status> {
        let tickets: Vec<_> = info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.as_ref()).collect();
        if tickets.is_empty() {
            return Err(Status::invalid_argument("the FlightInfo has no ticket: nothing says which query to cancel"));
        }
        let living = tickets.into_iter().map(|ticket| self.living(caller, ticket)).collect::<Result<Vec<_>, _>>()?;
        let parts: Vec<_> = living.iter().flatten().map(|living| living.life().id()).collect();
        Ok(self.running().cancel(&parts))
    }

    /// The endpoint with a ticket that lives for a lifetime from now, and what that ticket is; as it is, and `None`, where its
    /// ticket always lives.
    ///
    /// # Errors
    /// As [`Tickets::living`]; `NOT_FOUND` where it has expired, `CANCELLED` where its query has been.
    pub(crate) fn renew(
        &self,
        caller: &Caller,
        mut endpoint: FlightEndpoint,
        now: SystemTime,
    ) -> Result<(FlightEndpoint, Option<Living>), Status> {
        let none = || Status::invalid_argument("the endpoint has no ticket");
        let Some(living) = self.living(caller, endpoint.ticket.as_ref().ok_or_else(none)?)? else {
            return Ok((endpoint, None));
        };
        let life = living.life();
        life.check(now)?;
        self.running().check(&life.query)?;
        let life = life.renewed(now, self.lifetime());
        let sealer = self.sealer(caller);
        let ticket = match &living {
            Living::Stacked(ticket) => {
                sealer.stacked(&StackedTicket { life: Some(life.clone()), ..(**ticket).clone() })
            }
            Living::Statement(ticket) => {
                let statement = StatementTicket { life: Some(life.clone()), ..(**ticket).clone() };
                let statement_handle = sealer.seal(Purpose::Statement, &statement);
                Ticket::new(TicketStatementQuery { statement_handle }.as_any().encode_to_vec())
            }
        };
        endpoint.ticket = Some(ticket);
        expire(&mut endpoint, &life);
        Ok((endpoint, Some(living)))
    }
}

/// A FlightInfo whose endpoints end with `life`.
pub(crate) fn expiring(mut info: FlightInfo, life: &Life) -> FlightInfo {
    for endpoint in &mut info.endpoint {
        expire(endpoint, life);
    }
    info
}

fn expire(endpoint: &mut FlightEndpoint, life: &Life) {
    let ms = life.expires_ms.min(LAST_MS);
    let time = endpoint.expiration_time.insert(Default::default());
    time.seconds = i64::try_from(ms / 1000).unwrap_or(0);
    time.nanos = i32::try_from(ms % 1000 * 1_000_000).unwrap_or(0);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn a_life_ends_with_its_time_and_is_renewed() {
        let (start, hour) = (SystemTime::now(), Duration::from_secs(3600));
        let life = Life::begin(start, hour).unwrap();
        assert_ne!(life.query, Life::begin(start, hour).unwrap().query);
        life.check(start + hour - Duration::from_secs(1)).unwrap();
        let status = life.check(start + hour + Duration::from_secs(5)).unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        assert!(status.message().contains("expired 5 s ago"), "{status}");
        let renewed = life.renewed(start + hour / 2, hour);
        renewed.check(start + hour + Duration::from_secs(5)).unwrap();
        assert_eq!((renewed.id(), life.part(3).id()), (life.id(), (life.query.clone(), 3)));
    }

    #[test]
    fn a_lifetime_without_end_is_no_error() {
        let life = Life::begin(SystemTime::now(), Duration::MAX).unwrap();
        life.check(SystemTime::now()).unwrap();
        assert_eq!(life.expires_ms, LAST_MS);
        assert!(Life::default().check(SystemTime::now()).is_err(), "a ticket without a life does not live");
    }
}
