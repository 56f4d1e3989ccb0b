//! The Kerberos library of the machine, loaded when first asked for: security contexts of GSSAPI.
//!
//! Nothing of it is needed to build or to start. The declarations follow RFC 2744; the mechanism is always
//! Kerberos 5 (RFC 4121).

use std::ffi::{CStr, c_int, c_void};
use std::ptr::null_mut;
use std::sync::{Arc, OnceLock};

use super::library::{Library, functions};
use crate::base::gssapi::{self, Context, Name, NameKind, Refused, Step};

/// Where to find it.
const FILE: &CStr = c"libgssapi_krb5.so.2";

/// The library, once loaded; `None` where there is none of it.
pub fn gssapi() -> Option<Arc<dyn gssapi::Library>> {
    static LOADED: OnceLock<Option<Arc<Functions>>> = OnceLock::new();
    let loaded = LOADED
        .get_or_init(|| Library::open(FILE).and_then(Functions::find).map(Arc::new))
        .clone()?;
    Some(Arc::new(Kerberos(loaded)))
}

/// A status or a set of flags.
type Number = u32;

const COMPLETE: Number = 0;
const CONTINUE_NEEDED: Number = 1;

const INITIATE: c_int = 1;
const ACCEPT: c_int = 2;

/// What we ask of a context, and insist on.
const MUTUAL: Number = 2;
const REPLAY: Number = 4;
const SEQUENCE: Number = 8;
const CONFIDENTIALITY: Number = 16;
const INTEGRITY: Number = 32;

/// `gss_buffer_desc`
#[repr(C)]
struct Buffer {
    length: usize,
    value: *mut c_void,
}

impl Buffer {
    /// For what the library answers.
    fn empty() -> Buffer {
        Buffer { length: 0, value: null_mut() }
    }

    /// For what the library only reads.
    fn of(bytes: &[u8]) -> Buffer {
        Buffer { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast() }
    }
}

/// `gss_OID_desc`
#[repr(C)]
struct Oid {
    length: Number,
    elements: *const c_void,
}

impl Oid {
    const fn of(bytes: &'static [u8]) -> Oid {
        Oid { length: bytes.len() as Number, elements: bytes.as_ptr().cast() }
    }
}

// SAFETY: points to constant bytes that are never written.
unsafe impl Sync for Oid {}

static KERBEROS: Oid = Oid::of(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02");
static HOST_BASED: Oid = Oid::of(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04");
static USER: Oid = Oid::of(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x01");
static PRINCIPAL: Oid = Oid::of(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01");

/// `gss_OID_set_desc`
#[repr(C)]
struct OidSet {
    count: usize,
    elements: *const Oid,
}

functions! {
    /// The library's functions. Each answers its major status and writes the minor one to its first argument.
    Functions;
    import_name c"gss_import_name" (*mut Number, *mut Buffer, *const Oid, *mut *mut c_void) -> Number;
    release_name c"gss_release_name" (*mut Number, *mut *mut c_void) -> Number;
    display_name c"gss_display_name" (*mut Number, *mut c_void, *mut Buffer, *mut *const Oid) -> Number;
    acquire_cred c"gss_acquire_cred" (
        *mut Number, *mut c_void, Number, *const OidSet, c_int, *mut *mut c_void, *mut *mut OidSet, *mut Number
    ) -> Number;
    release_cred c"gss_release_cred" (*mut Number, *mut *mut c_void) -> Number;
    init_sec_context c"gss_init_sec_context" (
        *mut Number, *mut c_void, *mut *mut c_void, *mut c_void, *const Oid, Number, Number, *mut c_void,
        *mut Buffer, *mut *const Oid, *mut Buffer, *mut Number, *mut Number
    ) -> Number;
    accept_sec_context c"gss_accept_sec_context" (
        *mut Number, *mut *mut c_void, *mut c_void, *mut Buffer, *mut c_void, *mut *mut c_void,
        *mut *const Oid, *mut Buffer, *mut Number, *mut Number, *mut *mut c_void
    ) -> Number;
    delete_sec_context c"gss_delete_sec_context" (*mut Number, *mut *mut c_void, *mut Buffer) -> Number;
    wrap c"gss_wrap" (*mut Number, *mut c_void, c_int, Number, *mut Buffer, *mut c_int, *mut Buffer) -> Number;
    unwrap c"gss_unwrap" (*mut Number, *mut c_void, *mut Buffer, *mut Buffer, *mut c_int, *mut Number) -> Number;
    release_buffer c"gss_release_buffer" (*mut Number, *mut Buffer) -> Number;
}

impl Functions {
    /// The bytes of a buffer that the library filled; it is given back.
    fn take(&self, mut buffer: Buffer) -> Vec<u8> {
        let mut bytes = Vec::new();
        if !buffer.value.is_null() {
            // SAFETY: the library filled it with so many bytes.
            let filled = unsafe { std::slice::from_raw_parts(buffer.value.cast(), buffer.length) };
            bytes.extend_from_slice(filled);
        }
        let mut minor = 0;
        // SAFETY: a buffer of the library's that is not used again.
        unsafe { (self.release_buffer)(&mut minor, &mut buffer) };
        bytes
    }
}

/// Something of the library's that has to be given back.
struct Owned {
    functions: Arc<Functions>,
    value: *mut c_void,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Name,
    Credentials,
    Context,
}

impl Owned {
    fn nothing(functions: &Arc<Functions>, kind: Kind) -> Owned {
        Owned { functions: functions.clone(), value: null_mut(), kind }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.value.is_null() {
            return;
        }
        let mut minor = 0;
        let functions = &self.functions;
        // SAFETY: the library made it, as this kind of thing, and nobody else has it.
        unsafe {
            match self.kind {
                Kind::Name => (functions.release_name)(&mut minor, &mut self.value),
                Kind::Credentials => (functions.release_cred)(&mut minor, &mut self.value),
                Kind::Context => {
                    (functions.delete_sec_context)(&mut minor, &mut self.value, null_mut())
                }
            };
        }
    }
}

// SAFETY: the library keeps nothing about threads in these, and `&mut` sees to it that only one uses them at a time.
unsafe impl Send for Owned {}

struct Kerberos(Arc<Functions>);

impl std::fmt::Debug for Kerberos {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kerberos")
    }
}

impl Kerberos {
    fn import(&self, name: &Name) -> Result<Owned, Refused> {
        let kind = match name.kind {
            NameKind::HostBased => &HOST_BASED,
            NameKind::User => &USER,
            NameKind::Principal => &PRINCIPAL,
        };
        let mut imported = Owned::nothing(&self.0, Kind::Name);
        let (mut text, mut minor) = (Buffer::of(&name.text), 0);
        // SAFETY: all of them are valid for the call, which only reads the text.
        let major =
            unsafe { (self.0.import_name)(&mut minor, &mut text, kind, &mut imported.value) };
        if major == COMPLETE { Ok(imported) } else { Err(Refused) }
    }

    fn credentials(&self, own: Option<&Name>, usage: c_int) -> Result<Owned, Refused> {
        let name = own.map(|name| self.import(name)).transpose()?;
        let wanted = name.as_ref().map_or(null_mut(), |name| name.value);
        let mut credentials = Owned::nothing(&self.0, Kind::Credentials);
        let (mechanisms, mut minor) = (OidSet { count: 1, elements: &KERBEROS }, 0);
        // SAFETY: all of them are valid for the call; what is not wanted may be NULL.
        let major = unsafe {
            (self.0.acquire_cred)(
                &mut minor,
                wanted,
                Number::MAX,
                &mechanisms,
                usage,
                &mut credentials.value,
                null_mut(),
                null_mut(),
            )
        };
        if major == COMPLETE { Ok(credentials) } else { Err(Refused) }
    }
}

impl gssapi::Library for Kerberos {
    fn initiator(&self, own: Option<&Name>, service: &Name) -> Result<Box<dyn Context>, Refused> {
        let role = Role::Initiator(self.import(service)?);
        let credentials = self.credentials(own, INITIATE)?;
        Ok(Box::new(Agreement::new(&self.0, role, credentials)))
    }

    fn acceptor(&self, own: Option<&Name>) -> Result<Box<dyn Context>, Refused> {
        let credentials = self.credentials(own, ACCEPT)?;
        let role = Role::Acceptor(Owned::nothing(&self.0, Kind::Name));
        Ok(Box::new(Agreement::new(&self.0, role, credentials)))
    }
}

enum Role {
    /// With the name of the service.
    Initiator(Owned),
    /// With the name of the client, once known.
    Acceptor(Owned),
}

struct Agreement {
    // Given back in this order.
    context: Owned,
    role: Role,
    credentials: Owned,
    complete: bool,
}

impl Agreement {
    fn new(functions: &Arc<Functions>, role: Role, credentials: Owned) -> Agreement {
        let context = Owned::nothing(functions, Kind::Context);
        Agreement { context, role, credentials, complete: false }
    }

    /// The library, and the context if it can be used.
    fn ready(&self) -> Result<(&Functions, *mut c_void), Refused> {
        let usable = self.complete && !self.context.value.is_null();
        usable.then_some((&*self.context.functions, self.context.value)).ok_or(Refused)
    }
}

impl Context for Agreement {
    fn step(&mut self, token: &[u8]) -> Result<Step, Refused> {
        if self.complete {
            return Err(Refused);
        }
        let functions = self.context.functions.clone();
        let (mut input, mut output) = (Buffer::of(token), Buffer::empty());
        let (mut minor, mut flags) = (0, 0);
        let wanted = MUTUAL | REPLAY | SEQUENCE | CONFIDENTIALITY | INTEGRITY;
        let (major, needed) = match &mut self.role {
            Role::Initiator(service) => {
                let input = if token.is_empty() { null_mut() } else { &raw mut input };
                // SAFETY: all of them are valid for the call, which only reads the token; the context is NULL at
                // first and the library's afterwards.
                let major = unsafe {
                    (functions.init_sec_context)(
                        &mut minor,
                        self.credentials.value,
                        &mut self.context.value,
                        service.value,
                        &KERBEROS,
                        wanted,
                        0,
                        null_mut(),
                        input,
                        null_mut(),
                        &mut output,
                        &mut flags,
                        null_mut(),
                    )
                };
                (major, MUTUAL | CONFIDENTIALITY | INTEGRITY)
            }
            Role::Acceptor(client) => {
                // A name that an earlier round may have left.
                *client = Owned::nothing(&functions, Kind::Name);
                // SAFETY: as above; a delegated credential is not asked for.
                let major = unsafe {
                    (functions.accept_sec_context)(
                        &mut minor,
                        &mut self.context.value,
                        self.credentials.value,
                        &mut input,
                        null_mut(),
                        &mut client.value,
                        null_mut(),
                        &mut output,
                        &mut flags,
                        null_mut(),
                        null_mut(),
                    )
                };
                (major, CONFIDENTIALITY | INTEGRITY)
            }
        };
        let token = functions.take(output);
        match major {
            COMPLETE if flags & needed == needed => {
                self.complete = true;
                Ok(Step { token, complete: true })
            }
            CONTINUE_NEEDED => Ok(Step { token, complete: false }),
            _ => Err(Refused),
        }
    }

    fn client(&mut self) -> Result<Vec<u8>, Refused> {
        let (functions, _) = self.ready()?;
        let Role::Acceptor(client) = &self.role else { return Err(Refused) };
        let (mut text, mut minor) = (Buffer::empty(), 0);
        // SAFETY: the name is the library's, and checked for NULL by it.
        let major =
            unsafe { (functions.display_name)(&mut minor, client.value, &mut text, null_mut()) };
        let text = functions.take(text);
        if major == COMPLETE { Ok(text) } else { Err(Refused) }
    }

    fn wrap(&mut self, plain: &[u8]) -> Result<Vec<u8>, Refused> {
        let (functions, context) = self.ready()?;
        let (mut input, mut output) = (Buffer::of(plain), Buffer::empty());
        let (mut minor, mut encrypted) = (0, 0);
        // SAFETY: a complete context, and buffers that are valid for the call, which only reads the first.
        let major = unsafe {
            (functions.wrap)(&mut minor, context, 1, 0, &mut input, &mut encrypted, &mut output)
        };
        let wrapped = functions.take(output);
        if major == COMPLETE && encrypted != 0 { Ok(wrapped) } else { Err(Refused) }
    }

    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Vec<u8>, Refused> {
        let (functions, context) = self.ready()?;
        let (mut input, mut output) = (Buffer::of(wrapped), Buffer::empty());
        let (mut minor, mut encrypted) = (0, 0);
        // SAFETY: as above.
        let major = unsafe {
            (functions.unwrap)(
                &mut minor,
                context,
                &mut input,
                &mut output,
                &mut encrypted,
                null_mut(),
            )
        };
        let plain = functions.take(output);
        // Repeated and reordered ones are told by further bits, and those which are only signed by the other.
        if major == COMPLETE && encrypted != 0 { Ok(plain) } else { Err(Refused) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the machine has: no answer depends on a server that issues tickets.
    #[test]
    fn without_tickets_there_is_no_context() {
        let Some(library) = gssapi() else {
            eprintln!("skipped: no {FILE:?} on this machine (Debian: libgssapi-krb5-2)");
            return;
        };
        let named = |kind| Name { text: b"nobody/nowhere.invalid@NOWHERE.INVALID".to_vec(), kind };
        for kind in [NameKind::HostBased, NameKind::User, NameKind::Principal] {
            assert!(library.acceptor(Some(&named(kind))).is_err(), "{kind:?}");
            let own = named(NameKind::Principal);
            assert!(library.initiator(Some(&own), &named(kind)).is_err(), "{kind:?}");
        }
    }

    #[test]
    fn the_oid_of_kerberos_is_that_of_rfc_4121() {
        // SAFETY: constant bytes of that length.
        let bytes = unsafe { std::slice::from_raw_parts(KERBEROS.elements.cast::<u8>(), 9) };
        assert_eq!((KERBEROS.length, bytes[0]), (9, 40 + 2), "joint-iso 1, member-body 2");
        assert!(!KERBEROS.elements.is_null());
    }
}
