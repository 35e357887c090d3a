//! `deploy/systemd`: units that systemd reads without a word, and whose service may do little.

use super::{deployed, read};
use crate::support::weft;
use std::fs;
use tokio::process::Command;
use weft_tests::{
    process::{Ended, ended},
    program,
};

const UNITS: [&str; 3] = ["weft.service", "weft.socket", "weft-admin.socket"];

/// What `systemd-analyze` says of the units, after a change.
async fn analyze(arguments: &[&str], change: impl Fn(String) -> String) -> Option<Ended> {
    let program = program::find("systemd-analyze")?;
    let folder = tempfile::tempdir().unwrap();
    for unit in UNITS {
        // It looks whether the command is there.
        let text = read(&format!("systemd/{unit}")).replace("/usr/bin/weft ", &format!("{} ", weft().display()));
        fs::write(folder.path().join(unit), change(text)).unwrap();
    }
    let files = UNITS.map(|unit| folder.path().join(unit));
    let files = if arguments[0] == "security" { &files[..1] } else { &files[..] };
    Some(ended(Command::new(program).args(arguments).args(files).kill_on_drop(true)).await)
}

#[tokio::test]
async fn systemd_understands_each_line() {
    let verify = ["verify", "--man=no"];
    let Some(said) = analyze(&verify, |text| text).await else { return };
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""));
    for (right, wrong) in [("ProtectHome=", "ProtectHoem="), ("Backlog=", "Backlogs="), ("Type=notify", "Type=notfy")] {
        let said = analyze(&verify, |text| text.replace(right, wrong)).await.unwrap();
        assert!(!said.err.is_empty(), "nobody sees {wrong}");
    }
}

#[tokio::test]
async fn the_service_may_do_little() {
    // Out of 100, which is everything.
    let arguments = ["security", "--offline=true", "--threshold=20", "--no-pager"];
    let Some(said) = analyze(&arguments, |text| text).await else { return };
    assert_eq!(said.code, 0, "{}", said.out);
    let open =
        analyze(&arguments, |text| text.replace("ProtectSystem=strict", "").replace("DynamicUser=yes", "User=root"));
    assert_ne!(open.await.unwrap().code, 0, "the bound is near");
}

#[test]
fn sockets_have_the_names_that_the_host_knows() {
    for (unit, name) in [("weft.socket", "http"), ("weft-admin.socket", "admin")] {
        let text = read(&format!("systemd/{unit}"));
        assert!(text.contains(&format!("\nFileDescriptorName={name}\n")), "{unit}");
        assert!(read("systemd/weft.service").contains(unit));
        assert!(text.contains("\nService=weft.service\n"));
    }
    assert!(deployed("systemd/weft.service").exists());
}
