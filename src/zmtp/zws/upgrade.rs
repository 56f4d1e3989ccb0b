//! The HTTP/1.1 upgrade (RFC 6455, section 4), in which the mechanism is agreed on (RFC 45).

use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::{client, derive_accept_key, server};
use tungstenite::http::header::{
    CONNECTION, HOST, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use tungstenite::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};

use crate::base::Error;
use crate::base::constants::ZMQ_NULL;
use crate::zmtp::handshake::Config;
use crate::zmtp::mechanism;

/// A request or answer may be as long as this.
const LONGEST: usize = 8 * 1024;

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subprotocol {
    /// `ZWS2.0/` and the name of our mechanism, whose commands come first.
    Mechanism,
    /// `ZWS2.0`: each side's first message is its routing id, and nothing else is told.
    Bare,
}

/// A sub-protocol we speak, by its name.
#[derive(Debug)]
pub(super) struct Offer {
    name: String,
    subprotocol: Subprotocol,
}

/// The upgrade came to nothing: the peer does not keep to HTTP, or we have no sub-protocol in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no upgrade to WebSocket")]
pub struct Refused;

/// What our options let us speak, best first. Who has security of any kind does without [`Subprotocol::Bare`],
/// which knows none.
pub(super) fn offers(config: &Config) -> Vec<Offer> {
    let mechanism = mechanism::name(config.mechanism).unwrap_or_default();
    let name = format!("ZWS2.0/{}", String::from_utf8_lossy(mechanism));
    let mut offers = vec![Offer { name, subprotocol: Subprotocol::Mechanism }];
    if config.mechanism == ZMQ_NULL && config.zap_domain.is_empty() {
        offers.push(Offer { name: "ZWS2.0".into(), subprotocol: Subprotocol::Bare });
    }
    offers
}

/// A request that was sent.
#[derive(Debug)]
pub(super) struct Asked {
    /// What proves that the server has read it.
    accept: String,
}

/// Appends a request.
pub(super) fn ask(
    host: &str,
    path: &str,
    offers: &[Offer],
    out: &mut Vec<u8>,
) -> Result<Asked, Error> {
    let names: Vec<&str> = offers.iter().map(|offer| offer.name.as_str()).collect();
    let key = client::generate_key();
    let request = Request::get(path)
        .header(HOST, host)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key)
        .header(SEC_WEBSOCKET_PROTOCOL, names.join(","))
        .body(())
        .map_err(|_| Error::Invalid)?;
    let (bytes, _) = client::generate_request(request).map_err(|_| Error::Invalid)?;
    out.extend_from_slice(&bytes);
    Ok(Asked { accept: derive_accept_key(key.as_bytes()) })
}

impl Asked {
    /// Reads the server's answer; with its length, once it is complete. Without success it has been called with
    /// the first `known` bytes before.
    pub(super) fn answered(
        &self,
        received: &[u8],
        known: usize,
        offers: &[Offer],
    ) -> Result<Option<(usize, Subprotocol)>, Refused> {
        let Some((used, response)) = parse::<client::Response>(received, known, b"HTTP/1.1 ")?
        else {
            return Ok(None);
        };
        let headers = response.headers();
        let granted = response.status() == StatusCode::SWITCHING_PROTOCOLS
            && lists(headers, &CONNECTION, "upgrade")
            && lists(headers, &UPGRADE, "websocket")
            && headers.get(SEC_WEBSOCKET_ACCEPT).is_some_and(|accept| accept == &self.accept);
        let chosen = headers.get(SEC_WEBSOCKET_PROTOCOL).filter(|_| granted).ok_or(Refused)?;
        let chosen = offers.iter().find(|offer| chosen == &offer.name).ok_or(Refused)?;
        Ok(Some((used, chosen.subprotocol)))
    }
}

/// Reads a request and appends the answer to it; with the request's length, once it is complete. A refusal is
/// answered as well. Without success it has been called with the first `known` bytes before.
pub(super) fn answer(
    received: &[u8],
    known: usize,
    offers: &[Offer],
    out: &mut Vec<u8>,
) -> Result<Option<(usize, Subprotocol)>, Refused> {
    let request = match parse::<server::Request>(received, known, b"GET ") {
        Ok(request) => request,
        Err(refused) => {
            refuse(out);
            return Err(refused);
        }
    };
    let Some((used, request)) = request else { return Ok(None) };
    let chosen = offered(request.headers())
        .find_map(|name| offers.iter().find(|offer| offer.name == name))
        .and_then(|offer| Some((offer, grant(&request, offer)?)));
    let Some((offer, response)) = chosen else {
        refuse(out);
        return Err(Refused);
    };
    out.extend_from_slice(&response);
    Ok(Some((used, offer.subprotocol)))
}

/// The answer that grants a request, if it is in order.
fn grant(request: &server::Request, offer: &Offer) -> Option<Vec<u8>> {
    let mut response = server::create_response(request).ok()?;
    let name = HeaderValue::from_str(&offer.name).ok()?;
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
    let mut bytes = Vec::new();
    server::write_response(&mut bytes, &response).ok()?;
    Some(bytes)
}

/// Says that this is no request we can grant: browsers show it to whoever looks for the reason.
fn refuse(out: &mut Vec<u8>) {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let before = out.len();
    if server::write_response(&mut *out, &response).is_err() {
        out.truncate(before);
    }
}

/// The sub-protocols that a request names, in its order.
fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(',')).map(str::trim)
}

/// Whether a header's list has this token, in whatever case.
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// Reads the head of a message that has to begin with `start`; its first `known` bytes have come to nothing.
///
/// What a head is worth is settled with each of its lines: how it was cut into segments makes no difference, and
/// one that comes byte by byte is not read as often.
fn parse<T: TryParse>(
    received: &[u8],
    known: usize,
    start: &[u8],
) -> Result<Option<(usize, T)>, Refused> {
    // Who speaks something else is told so at once instead of being waited for.
    if !received.iter().zip(start).all(|(got, due)| got == due) {
        return Err(Refused);
    }
    let head = received.get(..LONGEST).unwrap_or(received);
    let lines = head.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let found = match head.get(..lines) {
        Some(lines) if lines.len() > known => T::try_parse(lines).map_err(|_| Refused)?,
        _ => None,
    };
    if found.is_none() && received.len() >= LONGEST {
        return Err(Refused);
    }
    Ok(found)
}
