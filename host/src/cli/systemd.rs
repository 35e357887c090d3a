//! The service manager: sockets that it passes, and what it is told (<https://www.freedesktop.org/software/systemd/man/sd_notify.html>).
//! Without one nothing of this does anything.

use super::{Failure, Result};
use crate::app::Listening;
use listenfd::ListenFd;
use rustix::time::{ClockId, clock_gettime};
use std::{
    ffi::OsStr,
    io,
    os::unix::{
        ffi::OsStrExt,
        net::{SocketAddr, UnixDatagram},
    },
    sync::Arc,
    time::Duration,
};

/// The sockets that were passed, by the names of their units (`FileDescriptorName=`).
///
/// To be called while this process has one thread: what the manager says is taken from its environment.
pub(super) fn passed() -> Result<Listening> {
    let mut sockets = ListenFd::from_env();
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<&str> = names.split(':').collect();
    let mut listening = Listening::default();
    for place in 0..sockets.len() {
        let name = names.get(place).copied().unwrap_or_default();
        let slot = match name {
            "http" => &mut listening.http,
            "admin" => &mut listening.admin,
            other => {
                return Err(Failure::Usage(format!(
                    "the service manager passes a socket named {other:?}; this host knows \"http\" and \"admin\": set FileDescriptorName= \
                     in each socket unit"
                )));
            }
        };
        if slot.is_some() {
            return Err(Failure::Usage(format!(
                "the service manager passes two sockets named {name:?}; there is one of each"
            )));
        }
        let socket = sockets.take_tcp_listener(place);
        *slot =
            socket.map_err(|error| Failure::Usage(format!("the socket {name:?} of the service manager: {error}")))?;
    }
    Ok(listening)
}

/// Whom the manager listens to; nobody, where there is none.
#[derive(Debug, Clone, Default)]
pub(super) struct Manager(Option<Arc<(UnixDatagram, SocketAddr)>>);

/// What the manager is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Word {
    Ready,
    Reloading,
    Stopping,
    Alive,
}

impl Manager {
    pub(super) fn from_env() -> Self {
        let Some(place) = std::env::var_os("NOTIFY_SOCKET").filter(|place| !place.is_empty()) else {
            return Self::default();
        };
        match Self::at(&place) {
            Ok(manager) => manager,
            Err(error) => {
                tracing::warn!("the service manager can't be told of this host (NOTIFY_SOCKET is {place:?}): {error}");
                Self::default()
            }
        }
    }

    fn at(place: &OsStr) -> io::Result<Self> {
        let address = match place.as_bytes().strip_prefix(b"@") {
            Some(name) => by_abstract_name(name)?,
            None => SocketAddr::from_pathname(place)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read keeps nobody.
        socket.set_nonblocking(true)?;
        Ok(Self(Some(Arc::new((socket, address)))))
    }

    pub(super) fn tell(&self, word: Word) {
        let Some((socket, address)) = self.0.as_deref() else { return };
        let text = match word {
            Word::Ready => "READY=1\nSTATUS=serving\n".to_owned(),
            Word::Reloading => {
                format!("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reloading the configuration\n", monotonic())
            }
            Word::Stopping => "STOPPING=1\nSTATUS=finishing what is under way\n".to_owned(),
            Word::Alive => "WATCHDOG=1\n".to_owned(),
        };
        if let Err(error) = socket.send_to_addr(text.as_bytes(), address) {
            tracing::debug!("the service manager could not be told {word:?}: {error}");
        }
    }

    /// Says that the host is alive twice as often as it is asked to, for as long as its tasks run.
    pub(super) fn feed_watchdog(&self) {
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let is_for_this = number("WATCHDOG_PID").is_none_or(|process| process == u64::from(std::process::id()));
        let Some(time) = number("WATCHDOG_USEC").filter(|time| *time > 0 && is_for_this && self.0.is_some()) else {
            return;
        };
        let manager = self.clone();
        tokio::spawn(async move {
            let mut rounds = tokio::time::interval(Duration::from_micros(time / 2).max(Duration::from_millis(1)));
            loop {
                rounds.tick().await;
                manager.tell(Word::Alive);
            }
        });
    }
}

#[cfg(target_os = "linux")]
fn by_abstract_name(name: &[u8]) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

/// Elsewhere authors build plugins, and no manager speaks so.
#[cfg(not(target_os = "linux"))]
fn by_abstract_name(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Microseconds of the clock that the manager reads as well.
fn monotonic() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000)
}
