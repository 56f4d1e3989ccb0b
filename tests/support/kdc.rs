//! A Kerberos realm of the test's own: MIT's server on a port of this machine, with its files in a scratch folder.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Scratch;
use super::local::PATIENCE;

pub const REALM: &str = "FZ.TEST";

/// Who there is in the realm, besides a service `zmqtest2` on this machine. All of their keys are in one keytab, the
/// first first.
const PRINCIPALS: [&str; 3] = ["zmqtest1", "zmqtest2", "zmq/localhost"];

const PROGRAMS: [&str; 3] = ["krb5kdc", "kdb5_util", "kadmin.local"];

/// A running server; it ends when dropped.
pub struct Kdc {
    folder: Scratch,
    process: Child,
}

impl Kdc {
    /// Starts one. `Ok(None)` where the programs are not installed, which is said.
    pub fn start() -> Result<Option<Kdc>, String> {
        if let Some(missing) = PROGRAMS.iter().find(|name| program(name).is_none()) {
            eprintln!("skipped: no {missing} on this machine (Debian: krb5-kdc krb5-admin-server)");
            return Ok(None);
        }
        let folder = Scratch::new("kdc")?;
        // Free a moment ago; another try takes another one.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(|e| format!("a port: {e}"))?
            .port();
        let path = folder.path().display();
        let files = [
            (
                "krb5.conf",
                format!(
                    "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n \
                     dns_lookup_realm = false\n dns_canonicalize_hostname = false\n rdns = false\n \
                     udp_preference_limit = 1\n[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n"
                ),
            ),
            (
                "kdc.conf",
                format!(
                    "[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n\
                     [realms]\n {REALM} = {{\n  database_name = {path}/database\n  \
                     key_stash_file = {path}/stash\n  acl_file = {path}/acl\n }}\n\
                     [logging]\n kdc = FILE:{path}/log\n"
                ),
            ),
        ];
        for (name, text) in files {
            fs::write(folder.path().join(name), text).map_err(|e| format!("{name}: {e}"))?;
        }
        run(&folder, "kdb5_util", &["create", "-s", "-W", "-P", "master"])?;
        let mut principals = PRINCIPALS.map(str::to_owned).to_vec();
        principals.push(format!("zmqtest2/{}", host_name()));
        for principal in principals {
            run(&folder, "kadmin.local", &["-q", &format!("addprinc -randkey {principal}")])?;
            run(&folder, "kadmin.local", &["-q", &format!("ktadd -k {path}/keytab {principal}")])?;
        }
        let process = command(&folder, "krb5kdc")?
            .arg("-n")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("krb5kdc: {e}"))?;
        let kdc = Kdc { folder, process };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > PATIENCE {
                return Err("krb5kdc does not listen".to_owned());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Some(kdc))
    }

    /// What a process of the realm needs to know; it has everybody's keys. `FOLDER` is where its tickets go.
    pub fn environment(&self) -> Vec<(String, String)> {
        let path = self.folder.path().display();
        [
            ("KRB5_CONFIG", format!("{path}/krb5.conf")),
            ("KRB5_KTNAME", format!("FILE:{path}/keytab")),
            ("KRB5_CLIENT_KTNAME", format!("FILE:{path}/keytab")),
            ("KRB5CCNAME", "DIR:FOLDER-tickets".to_owned()),
            ("KRB5RCACHEDIR", path.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        // It keeps nothing that would be worth a gentle end.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// This machine's name as Kerberos writes it, where a name has none.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_lowercase()
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
        .split(':')
        .map(|folder| PathBuf::from(folder).join(name))
        .find(|file| file.is_file())
}

fn command(folder: &Scratch, name: &str) -> Result<Command, String> {
    let mut command = Command::new(program(name).ok_or_else(|| format!("no {name}"))?);
    command
        .env("KRB5_CONFIG", folder.path().join("krb5.conf"))
        .env("KRB5_KDC_PROFILE", folder.path().join("kdc.conf"));
    Ok(command)
}

fn run(folder: &Scratch, name: &str, arguments: &[&str]) -> Result<(), String> {
    let answer =
        command(folder, name)?.args(arguments).output().map_err(|e| format!("{name}: {e}"))?;
    if answer.status.success() {
        return Ok(());
    }
    Err(format!("{name} {arguments:?}: {}", String::from_utf8_lossy(&answer.stderr)))
}
