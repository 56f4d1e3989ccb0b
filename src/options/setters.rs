//! Setters that do more than store: the security options, which choose the mechanism, and the
//! options that add to a list.

use super::value::{flag, int_value, key_value};
use super::{AddressFilter, Options};
use crate::base::{Error, constants as c};
use zeroize::Zeroizing;

const TEXT_MAX: usize = 255;

/// PLAIN_SERVER: 1 makes it the server of PLAIN, 0 turns security off, whatever it was.
pub(super) fn plain_server(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    server(options, value, c::ZMQ_PLAIN)
}

/// CURVE_SERVER: as PLAIN_SERVER.
pub(super) fn curve_server(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    server(options, value, c::ZMQ_CURVE)
}

/// GSSAPI_SERVER: unlike the other two, 0 makes it a client of GSSAPI.
pub(super) fn gssapi_server(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    options.as_server = flag(value.unwrap_or_default())?;
    options.mechanism = c::ZMQ_GSSAPI;
    Ok(())
}

fn server(options: &mut Options, value: Option<&[u8]>, mechanism: i32) -> Result<(), Error> {
    options.as_server = flag(value.unwrap_or_default())?;
    options.mechanism = if options.as_server { mechanism } else { c::ZMQ_NULL };
    Ok(())
}

/// PLAIN_USERNAME: a client of PLAIN; NULL turns security off.
pub(super) fn plain_username(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    if let Some(name) = plain_text(options, value)? {
        options.plain_username = name;
    }
    Ok(())
}

/// PLAIN_PASSWORD: as PLAIN_USERNAME.
pub(super) fn plain_password(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    if let Some(password) = plain_text(options, value)? {
        options.plain_password = Zeroizing::new(password);
    }
    Ok(())
}

fn plain_text(options: &mut Options, value: Option<&[u8]>) -> Result<Option<Vec<u8>>, Error> {
    let Some(value) = value else {
        options.mechanism = c::ZMQ_NULL;
        return Ok(None);
    };
    let text = short_text(value)?;
    options.mechanism = c::ZMQ_PLAIN;
    options.as_server = false;
    Ok(Some(text))
}

/// CURVE_PUBLICKEY.
pub(super) fn curve_public_key(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    options.curve_public_key = key_value(value.unwrap_or_default())?;
    options.mechanism = c::ZMQ_CURVE;
    Ok(())
}

/// CURVE_SECRETKEY.
pub(super) fn curve_secret_key(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    options.curve_secret_key = Zeroizing::new(key_value(value.unwrap_or_default())?);
    options.mechanism = c::ZMQ_CURVE;
    Ok(())
}

/// CURVE_SERVERKEY: who knows the server's key is a client.
pub(super) fn curve_server_key(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    options.curve_server_key = key_value(value.unwrap_or_default())?;
    options.mechanism = c::ZMQ_CURVE;
    options.as_server = false;
    Ok(())
}

/// GSSAPI_PRINCIPAL.
pub(super) fn gssapi_principal(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    options.gssapi_principal = short_text(value.unwrap_or_default())?;
    options.mechanism = c::ZMQ_GSSAPI;
    Ok(())
}

/// GSSAPI_SERVICE_PRINCIPAL: who names the service is a client.
pub(super) fn gssapi_service(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    options.gssapi_service_principal = short_text(value.unwrap_or_default())?;
    options.mechanism = c::ZMQ_GSSAPI;
    options.as_server = false;
    Ok(())
}

/// SOCKS_PASSWORD; NULL and length 0 clear it. What it was is wiped.
pub(super) fn socks_password(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    let password = value.unwrap_or_default();
    if password.len() > TEXT_MAX {
        return Err(Error::Invalid);
    }
    options.socks_password = Zeroizing::new(password.to_vec());
    Ok(())
}

/// WSS_KEY_PEM, which has no getter; NULL and length 0 clear it. What it was is wiped.
pub(super) fn wss_key_pem(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    options.wss_key_pem = Zeroizing::new(value.unwrap_or_default().to_vec());
    Ok(())
}

/// IPV4ONLY, the old reverse of IPV6.
pub(super) fn ipv4_only(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    options.ipv6 = !flag(value.unwrap_or_default())?;
    Ok(())
}

/// WSS_TRUST_SYSTEM, which has no getter.
pub(super) fn wss_trust_system(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    options.wss_trust_system = flag(value.unwrap_or_default())?;
    Ok(())
}

/// HEARTBEAT_TTL: kept as the wire has it, in whole tenths of a second.
pub(super) fn heartbeat_ttl(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    let tenths = int_value(value.unwrap_or_default())? / 100;
    options.heartbeat_ttl_ds = tenths.try_into().map_err(|_| Error::Invalid)?;
    Ok(())
}

/// TCP_ACCEPT_FILTER: adds a block of addresses; NULL removes all.
pub(super) fn tcp_accept_filter(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    let Some(value) = value else {
        options.tcp_accept_filters.clear();
        return Ok(());
    };
    let text = short_text(value)?;
    let text = str::from_utf8(until_nul(&text)).map_err(|_| Error::Invalid)?;
    let filter = AddressFilter::parse(text, options.ipv6).ok_or(Error::Invalid)?;
    options.tcp_accept_filters.push(filter);
    Ok(())
}

/// IPC_FILTER_PID: adds a process; NULL removes all.
pub(super) fn ipc_filter_pid(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    add(&mut options.ipc_pid_filters, value, |number| number)
}

/// IPC_FILTER_UID: adds a user; NULL removes all.
pub(super) fn ipc_filter_uid(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    add(&mut options.ipc_uid_filters, value, i32::cast_unsigned)
}

/// IPC_FILTER_GID: adds a group; NULL removes all.
pub(super) fn ipc_filter_gid(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    add(&mut options.ipc_gid_filters, value, i32::cast_unsigned)
}

fn add<T: PartialEq>(
    list: &mut Vec<T>,
    value: Option<&[u8]>,
    convert: fn(i32) -> T,
) -> Result<(), Error> {
    match value {
        None => list.clear(),
        Some(value) => {
            let entry = convert(int_value(value)?);
            if !list.contains(&entry) {
                list.push(entry);
            }
        }
    }
    Ok(())
}

/// METADATA: adds "X-name:value", unless the name is taken.
pub(super) fn metadata(options: &mut Options, value: Option<&[u8]>) -> Result<(), Error> {
    let text = value.unwrap_or_default();
    // Four bytes are taken for an int, as in all options that programs of old passed ints to.
    if text.len() == size_of::<i32>() {
        return Err(Error::Invalid);
    }
    let colon = text.iter().position(|&byte| byte == b':').ok_or(Error::Invalid)?;
    let (name, value) = text.split_at_checked(colon).ok_or(Error::Invalid)?;
    let value = value.get(1..).filter(|value| !value.is_empty()).ok_or(Error::Invalid)?;
    if !name.starts_with(b"X-") || name.len() > TEXT_MAX || name.contains(&0) {
        return Err(Error::Invalid);
    }
    let known = &mut options.metadata;
    if let Err(place) = known.binary_search_by(|(other, _)| other.as_slice().cmp(name)) {
        known.insert(place, (name.to_vec(), until_nul(value).to_vec()));
    }
    Ok(())
}

fn short_text(value: &[u8]) -> Result<Vec<u8>, Error> {
    match value.len() {
        1..=TEXT_MAX => Ok(value.to_vec()),
        _ => Err(Error::Invalid),
    }
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}
